//! The way of each message through the bridge, as its neighbours see it: the platform that brought it, the agent that
//! was asked, the platform that got the answer. Nobody looks into the bridge for this.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::watch;

use super::journal::{Place, Platform};

/// So many ways are remembered.
const KEPT: usize = 300;

/// The stations of a way, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Station {
    /// The platform has brought it.
    Received,
    /// Its signature is right.
    Verified,
    /// It is on the disk: only then the bridge answers 200.
    Stored,
    /// The agent has heard the question.
    Asked,
    /// The agent has answered.
    Answered,
    /// The platform has taken the answer.
    Delivered,
}

/// What happened at a station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where.
    pub station: Station,
    /// How long after the person wrote, in milliseconds; of the last time, if it happened several times.
    pub after_ms: u64,
    /// Whether it went wrong.
    pub failed: bool,
    /// In a few words.
    pub note: String,
    /// How many times in a row.
    pub times: u32,
}

/// The way of one message.
#[derive(Debug, Clone)]
pub struct Way {
    /// Counts the ways.
    pub number: u64,
    /// Where it was written.
    pub place: Place,
    /// The platform's id of it.
    pub message: String,
    /// Who wrote it.
    pub who: String,
    /// The words that the agent will hear.
    pub text: String,
    /// When it was written.
    pub at: SystemTime,
    /// What happened so far.
    pub steps: Vec<Step>,
    /// Whether the person sees that it was read.
    pub read: bool,
    begun: Instant,
}

impl Way {
    /// Whether it has passed this station.
    pub fn passed(&self, station: Station) -> bool {
        self.steps
            .iter()
            .any(|step| step.station == station && !step.failed)
    }

    fn step(&mut self, station: Station, failed: bool, note: impl Into<String>) {
        let after = self.begun.elapsed();
        self.step_at(after, station, failed, note);
    }

    fn step_at(&mut self, after: Duration, station: Station, failed: bool, note: impl Into<String>) {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let note = note.into();
        match self.steps.last_mut() {
            Some(last) if last.station == station && last.failed == failed => {
                last.after_ms = after_ms;
                last.note = note;
                last.times += 1;
            }
            _ => self.steps.push(Step {
                station,
                after_ms,
                failed,
                note,
                times: 1,
            }),
        }
    }
}

/// All ways. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Ways(watch::Sender<Vec<Way>>);

impl Ways {
    /// A person has written. The same message once more is the same way.
    pub fn begun(&self, place: &Place, message: &str, who: &str, text: &str) {
        self.0.send_if_modified(|ways| {
            let known = ways
                .iter()
                .any(|way| way.message == message && way.place == *place);
            if !known {
                if ways.len() >= KEPT {
                    ways.remove(0);
                }
                ways.push(Way {
                    number: ways.last().map_or(1, |last| last.number + 1),
                    place: place.clone(),
                    message: message.to_owned(),
                    who: who.to_owned(),
                    text: text.to_owned(),
                    at: SystemTime::now(),
                    steps: Vec::new(),
                    read: false,
                    begun: Instant::now(),
                });
            }
            !known
        });
    }

    /// The bridge has answered the platform that brought the message.
    pub fn acknowledged(&self, message: &str, status: u16, took: Duration) {
        self.change(message, |way| {
            if way.passed(Station::Stored) {
                let note = format!("came again: {status}, and taken once");
                return way.step(Station::Stored, false, note);
            }
            let now = way.begun.elapsed();
            way.step_at(now.saturating_sub(took), Station::Received, false, "");
            match status {
                200..=299 => {
                    way.step_at(now, Station::Verified, false, "");
                    let note = format!("{status} after {} ms", took.as_millis().max(1));
                    way.step_at(now, Station::Stored, false, note);
                }
                401 => way.step(
                    Station::Verified,
                    true,
                    "401: the signature is wrong, and nothing is kept",
                ),
                _ => {
                    let note = format!("{status}: not taken, so the platform keeps it");
                    way.step(Station::Stored, true, note);
                }
            }
        });
    }

    /// Nobody took the message from the platform.
    pub fn unreachable(&self, message: &str) {
        self.change(message, |way| {
            if !way.passed(Station::Stored) {
                let note = "nobody listens: the platform keeps it and tries again";
                way.step(Station::Received, true, note);
            }
        });
    }

    /// The agent has heard a question. Returns the ways that it is of.
    pub fn asked(&self, platform: Platform, question: &str) -> Vec<u64> {
        let mut asked = Vec::new();
        let mut place = None;
        self.0.send_modify(|ways| {
            for way in ways.iter_mut() {
                let open = way.passed(Station::Stored) && !way.passed(Station::Answered);
                let meant = way.place.platform == platform && question.contains(way.text.trim());
                // A question is of one place, the one that has waited longest.
                let here = place.as_ref().is_none_or(|place| *place == way.place.key);
                if open && meant && here {
                    place = Some(way.place.key.clone());
                    way.step(Station::Asked, false, "");
                    asked.push(way.number);
                }
            }
        });
        asked
    }

    /// The agent has answered, or said why not.
    pub fn agent_said(&self, asked: &[u64], refusal: Option<&str>) {
        self.0.send_modify(|ways| {
            for way in ways.iter_mut().filter(|way| asked.contains(&way.number)) {
                match refusal {
                    None => way.step(Station::Answered, false, ""),
                    Some(why) => way.step(Station::Answered, true, why),
                }
            }
        });
    }

    /// The platform did not take an answer for this place.
    pub fn limited(&self, place: &str, note: &str) {
        self.settle(place, |way| way.step(Station::Delivered, true, note));
    }

    /// The platform took an answer for this place.
    pub fn delivered(&self, place: &str) {
        self.settle(place, |way| way.step(Station::Delivered, false, ""));
    }

    /// The person sees that this message and those before it in its place were read.
    pub fn read(&self, message: &str) {
        self.0.send_modify(|ways| {
            let Some(at) = ways.iter().position(|way| way.message == message) else {
                return;
            };
            let key = ways[at].place.key.clone();
            ways[..=at]
                .iter_mut()
                .filter(|way| way.place.key == key)
                .for_each(|way| way.read = true);
        });
    }

    /// All ways, in order.
    pub fn all(&self) -> Vec<Way> {
        self.0.borrow().clone()
    }

    /// A reader that is woken by each step.
    pub fn follow(&self) -> watch::Receiver<Vec<Way>> {
        self.0.subscribe()
    }

    fn change(&self, message: &str, change: impl FnOnce(&mut Way)) {
        self.0.send_if_modified(|ways| {
            let found = ways.iter_mut().rev().find(|way| way.message == message);
            found.map(change).is_some()
        });
    }

    /// Changes the ways that what goes to this place is for: those with an answer on its way, and if there is none
    /// (the bridge speaks for itself, or nobody sees the agent) those that still wait.
    fn settle(&self, place: &str, change: impl Fn(&mut Way)) {
        let open = |way: &Way| {
            way.place.key == place && way.passed(Station::Stored) && !way.passed(Station::Delivered)
        };
        self.0.send_modify(|ways| {
            let answered = ways.iter().any(|way| open(way) && way.passed(Station::Answered));
            ways.iter_mut()
                .filter(|way| open(way) && (!answered || way.passed(Station::Answered)))
                .for_each(&change);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Place {
            platform: Platform::WhatsApp,
            key: key.to_owned(),
            label: key.to_owned(),
        }
    }

    fn begin(ways: &Ways, key: &str, message: &str, text: &str) {
        ways.begun(&place(key), message, "Carla", text);
        ways.acknowledged(message, 200, Duration::from_millis(2));
    }

    fn stations(way: &Way) -> Vec<(Station, bool)> {
        way.steps.iter().map(|step| (step.station, step.failed)).collect()
    }

    #[test]
    fn a_burst_goes_its_way_together() {
        let ways = Ways::default();
        begin(&ways, "a", "1", "Hello");
        begin(&ways, "a", "2", "Open?");
        begin(&ways, "b", "3", "Open?");
        let asked = ways.asked(Platform::WhatsApp, "Hello\nOpen?");
        assert_eq!(asked, [1, 2]);
        ways.agent_said(&asked, Some("503"));
        let asked = ways.asked(Platform::WhatsApp, "Hello\nOpen?");
        ways.agent_said(&asked, None);
        ways.limited("a", "429");
        ways.delivered("a");
        let all = ways.all();
        let expected = [
            (Station::Received, false),
            (Station::Verified, false),
            (Station::Stored, false),
            (Station::Asked, false),
            (Station::Answered, true),
            (Station::Asked, false),
            (Station::Answered, false),
            (Station::Delivered, true),
            (Station::Delivered, false),
        ];
        assert_eq!(stations(&all[0]), expected);
        assert_eq!(stations(&all[1]), expected);
        assert_eq!(stations(&all[2]), expected[..3]);
    }

    #[test]
    fn what_nobody_takes_is_brought_again() {
        let ways = Ways::default();
        ways.begun(&place("a"), "1", "Carla", "Hello");
        ways.unreachable("1");
        ways.unreachable("1");
        assert_eq!(ways.all()[0].steps[0].times, 2);
        ways.acknowledged("1", 200, Duration::ZERO);
        ways.unreachable("1");
        ways.acknowledged("1", 200, Duration::ZERO);
        let way = &ways.all()[0];
        assert_eq!(way.steps.len(), 4, "{:?}", way.steps);
        assert!(way.steps[3].note.contains("taken once"), "{:?}", way.steps);
    }

    #[test]
    fn a_forged_message_ends_at_the_signature() {
        let ways = Ways::default();
        ways.begun(&place("a"), "1", "A stranger", "Hello");
        ways.acknowledged("1", 401, Duration::ZERO);
        let expected = [(Station::Received, false), (Station::Verified, true)];
        assert_eq!(stations(&ways.all()[0]), expected);
        assert!(ways.asked(Platform::WhatsApp, "Hello").is_empty());
    }

    #[test]
    fn reading_a_message_is_reading_those_before_it() {
        let ways = Ways::default();
        for (key, message) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
            begin(&ways, key, message, "Hello");
        }
        ways.read("3");
        let read: Vec<bool> = ways.all().iter().map(|way| way.read).collect();
        assert_eq!(read, [true, false, true, false]);
    }
}
