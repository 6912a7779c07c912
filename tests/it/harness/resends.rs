//! P4, counted: what was sent again, part by part, by the three who know something of it. The database has how often each
//! part was attempted, the log why each attempt was followed by another, and the stub which of them it took.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{Call, World, recorded_attempts};

/// What the log says where an attempt is followed by another, and why it is.
const FOLLOWED: [(&str, Why); 3] = [
    ("not sent yet", Why::Refused),
    ("it is not where it was to be sent: it is sent again", Why::Absent),
    (
        "nothing can tell whether it arrived: it is sent again",
        Why::Unknown,
    ),
];

/// Why a part was attempted once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The platform had refused it.
    Refused,
    /// The platform was asked for it and did not have it.
    Absent,
    /// Nothing could tell: the person may get it twice.
    Unknown,
}

/// Of each delivery, the attempts that were followed by another, by number. A daemon that dies before it has stored what
/// it told tells it again in its next life.
type Told = HashMap<String, BTreeMap<u64, Why>>;

/// What was sent again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resends {
    /// What a platform took a further time.
    pub(super) twice: usize,
    /// What the daemon sent again without knowing.
    pub(super) resent: usize,
    /// Of these, what had never arrived.
    pub(super) never_arrived: usize,
    /// What the daemon sent again because the platform did not have it.
    pub(super) absent: usize,
}

/// Holds them against one another. Each part that was there twice is one that the daemon counted, and what it counted
/// was there twice or had never arrived.
#[track_caller]
pub(super) fn resends(world: &World) -> Resends {
    the_metric_is_what_the_log_tells(world);
    let mut told = Told::new();
    for log in world.logs() {
        read(&log, &mut told);
    }
    let taken = taken(world);
    let attempts = recorded_attempts(world);
    let mut all = Resends::default();
    for (delivery, attempts) in &attempts {
        let followed = told.remove(delivery).unwrap_or_default();
        // Every attempt but the last has its reason, and only those.
        let numbers: Vec<u64> = followed.keys().copied().collect();
        let expected: Vec<u64> = (1..*attempts).collect();
        assert_eq!(
            numbers, expected,
            "P4: the attempts of {delivery} that were followed by another"
        );
        let because = |why: Why| followed.values().filter(|other| **other == why).count();
        all.absent += because(Why::Absent);
        let Some(taken) = taken.get(delivery).copied() else {
            continue;
        };
        let made = usize::try_from(*attempts).unwrap();
        let (twice, resent) = (taken - 1, because(Why::Unknown));
        let never_arrived = (made - because(Why::Refused) - because(Why::Absent))
            .checked_sub(taken)
            .unwrap_or_else(|| panic!("P4: {delivery} was taken {taken} times in {made} attempts"));
        assert_eq!(resent, twice + never_arrived, "P4: {delivery}, {followed:?}");
        all.twice += twice;
        all.resent += resent;
        all.never_arrived += never_arrived;
    }
    // What is erased by now has no attempts any more.
    for (delivery, taken) in taken {
        let gone = !attempts.contains_key(&delivery);
        assert!(!gone || taken == 1, "P4: {delivery} is there {taken} times");
    }
    all
}

/// The counters of the life that goes on; those of the earlier ones went with them.
#[track_caller]
fn the_metric_is_what_the_log_tells(world: &World) {
    let (metrics, log) = (world.metrics(), world.daemon().log());
    for (words, resolution) in [(FOLLOWED[1].0, "absent"), (FOLLOWED[2].0, "resent")] {
        let counted = metrics.count("chatbridge_sends_unknown_total", &[("resolution", resolution)]);
        assert_eq!(
            counted,
            log.matches(words).count(),
            "the metric and the log differ: {resolution}"
        );
    }
}

/// A dead letter that is replayed begins anew.
const GIVEN_UP: &str = "given up: the part is a dead letter";

fn read(log: &str, told: &mut Told) {
    for line in log.lines() {
        // The last one may be cut off: what it was to tell had not been done then.
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let Some(delivery) = line["delivery"].as_str() else {
            continue;
        };
        if line["message"] == GIVEN_UP {
            told.remove(delivery);
        }
        let why = FOLLOWED.iter().find(|(words, _)| line["message"] == *words);
        if let (Some((_, why)), Some(attempt)) = (why, line["attempt"].as_u64()) {
            let known = told.entry(delivery.to_owned()).or_default().entry(attempt);
            // Told twice, with a death in between: the later word may know less.
            known
                .and_modify(|known| *known = (*known).max(*why))
                .or_insert(*why);
        }
    }
}

/// How many times a platform took each delivery.
fn taken(world: &World) -> HashMap<String, usize> {
    let mut taken = HashMap::new();
    let mut take = |delivery: Option<String>| {
        if let Some(delivery) = delivery {
            *taken.entry(delivery).or_default() += 1;
        }
    };
    world.meta.sent().into_iter().for_each(|sent| take(sent.opaque));
    world.slack.log(|log| {
        log.iter()
            .filter(|call| posted(call))
            .map(mark)
            .for_each(&mut take);
    });
    taken
}

fn posted(call: &Call) -> bool {
    call.kind == "chat.postMessage" && call.said["ok"] == true
}

/// The mark of a delivery in what is posted on Slack.
fn mark(call: &Call) -> Option<String> {
    let delivery = &call.json["metadata"]["event_payload"]["delivery"];
    delivery.as_str().map(str::to_owned)
}
