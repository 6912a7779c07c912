//! What the workers know of the lanes: when each is due, who may work, who must wait.
//!
//! The board only holds hints; the store's table is the truth, and is asked again every second. A hint that comes
//! while a claim is under way is kept, so no wake-up is lost between "nothing due" and "going to sleep".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::Time;
use crate::domain::message::Lane;
use crate::domain::retry::probe_wait;
use crate::store::{LaneDue, Quota};

/// A place that was taken on a board. It is free again when this is dropped, however the work ends.
pub(super) struct Place {
    board: Arc<Board>,
    lane: Lane,
}

impl Place {
    /// The place that was taken for a claim of this lane.
    pub(super) fn of(board: &Arc<Board>, lane: &Lane) -> Self {
        Self {
            board: board.clone(),
            lane: lane.clone(),
        }
    }

    /// Takes one for work that is at hand, if one is free.
    pub(super) fn reserve(board: &Arc<Board>, lane: &Lane, now: Time) -> Option<Self> {
        board.reserve(lane, now).then(|| Self::of(board, lane))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.board.done(&self.lane);
    }
}

/// The lanes of one kind of work.
pub(super) struct Board {
    state: Mutex<State>,
    wake: Notify,
    /// How much one group may have under way.
    limit: u32,
    /// The group that a lane belongs to: what is limited, paused and held together.
    group_of: fn(&str) -> &str,
}

#[derive(Default)]
struct State {
    lanes: HashMap<Lane, LaneNow>,
    groups: HashMap<Box<str>, Group>,
    round: u64,
}

#[derive(Default)]
struct LaneNow {
    due_at: Option<Time>,
    served: u64,
}

#[derive(Default)]
struct Group {
    under_way: u32,
    blocked_until: Option<Time>,
    hold: Option<Hold>,
}

/// A group that waits for its operator.
struct Hold {
    probes: u32,
    why: String,
}

impl Board {
    pub(super) fn new(limit: u32, group_of: fn(&str) -> &str) -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            limit: limit.max(1),
            group_of,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the hints stay usable if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group<'s>(&self, state: &'s mut State, lane: &str) -> &'s mut Group {
        let name = (self.group_of)(lane);
        if !state.groups.contains_key(name) {
            state.groups.insert(name.into(), Group::default());
        }
        state.groups.entry(name.into()).or_default()
    }

    /// Something in this lane is due at this time.
    pub(super) fn hint(&self, lane: &Lane, due_at: Time) {
        let mut state = self.state();
        let now = state.lanes.entry(lane.clone()).or_default();
        if now.due_at.is_none_or(|due| due_at < due) {
            now.due_at = Some(due_at);
            drop(state);
            self.wake.notify_one();
        }
    }

    /// What the store says of the lanes.
    pub(super) fn learn(&self, lanes: Vec<LaneDue>) {
        for LaneDue { lane, due_at } in lanes {
            if let Some(due_at) = due_at {
                self.hint(&lane, due_at);
            }
        }
    }

    /// What to claim now. The places are taken; [`claimed`](Self::claimed) gives back what was not needed.
    ///
    /// Lanes of one group share its free places evenly, the one that was served longest ago first. A held group gets
    /// one place at a time: a probe.
    pub(super) fn quotas(&self, now: Time) -> Vec<Quota> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut due: HashMap<Box<str>, Vec<(u64, Lane)>> = HashMap::new();
        for (lane, at) in &state.lanes {
            if at.due_at.is_some_and(|due| due <= now) {
                due.entry((self.group_of)(lane).into())
                    .or_default()
                    .push((at.served, lane.clone()));
            }
        }
        let mut quotas = Vec::new();
        for (name, mut lanes) in due {
            let group = state.groups.entry(name).or_default();
            let mut free = group.free(self.limit, now);
            lanes.sort_by_key(|(served, _)| *served);
            let mut left = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
            for (_, lane) in lanes {
                let most = free.div_ceil(left).min(free);
                if most == 0 {
                    break;
                }
                free -= most;
                left -= 1;
                group.under_way += most;
                state.round += 1;
                if let Some(at) = state.lanes.get_mut(&lane) {
                    *at = LaneNow {
                        due_at: None,
                        served: state.round,
                    };
                }
                quotas.push(Quota { lane, most });
            }
        }
        quotas
    }

    /// How a claim ended: so many were got in each lane, and the lanes have more at these times.
    pub(super) fn claimed(&self, quotas: &[Quota], got: &HashMap<Lane, u32>, lanes: Vec<LaneDue>) {
        {
            let mut state = self.state();
            for quota in quotas {
                let got = got.get(&quota.lane).copied().unwrap_or(0);
                let group = self.group(&mut state, &quota.lane);
                group.under_way = group.under_way.saturating_sub(quota.most.saturating_sub(got));
            }
        }
        self.learn(lanes);
    }

    /// Takes one place for work that is at hand; false if there is none.
    fn reserve(&self, lane: &Lane, now: Time) -> bool {
        let mut state = self.state();
        let group = self.group(&mut state, lane);
        let free = group.hold.is_none() && group.free(self.limit, now) > 0;
        group.under_way += u32::from(free);
        free
    }

    /// Whether something of this lane's group is under way.
    pub(super) fn is_busy(&self, lane: &Lane) -> bool {
        let mut state = self.state();
        self.group(&mut state, lane).under_way > 0
    }

    /// A place is free again.
    fn done(&self, lane: &Lane) {
        let mut state = self.state();
        let group = self.group(&mut state, lane);
        group.under_way = group.under_way.saturating_sub(1);
        drop(state);
        self.wake.notify_one();
    }

    /// The group of this lane gets nothing until then.
    pub(super) fn block(&self, lane: &Lane, until: Time) {
        let mut state = self.state();
        let group = self.group(&mut state, lane);
        group.blocked_until = group.blocked_until.max(Some(until));
    }

    /// The group of this lane waits for its operator; it is probed at the time that is returned. True in second place
    /// if that is news.
    pub(super) fn hold(&self, lane: &Lane, why: String, now: Time) -> (Time, bool) {
        let mut state = self.state();
        let group = self.group(&mut state, lane);
        let probes = group.hold.as_ref().map_or(0, |hold| hold.probes);
        // Calls that were under way when the first was refused are not probes.
        let waiting = group.hold.is_some() && group.blocked_until.is_some_and(|until| until > now);
        if waiting {
            return (group.blocked_until.unwrap_or(now), false);
        }
        let until = now.plus(probe_wait(probes));
        let news = group.hold.is_none();
        group.hold = Some(Hold {
            probes: probes + 1,
            why,
        });
        group.blocked_until = Some(until);
        (until, news)
    }

    /// The group of this lane works. True if it was held.
    pub(super) fn unhold(&self, lane: &Lane) -> bool {
        let mut state = self.state();
        let group = self.group(&mut state, lane);
        let held = group.hold.take().is_some();
        if held {
            group.blocked_until = None;
        }
        held
    }

    /// Who is held, and why.
    pub(super) fn held(&self) -> Vec<(String, String)> {
        let state = self.state();
        let mut held = Vec::new();
        for (name, group) in &state.groups {
            if let Some(hold) = &group.hold {
                held.push((name.to_string(), hold.why.clone()));
            }
        }
        held
    }

    /// Whether nothing is under way and nothing will be due by `horizon`; what is held or paused beyond it does not
    /// count.
    pub(super) fn is_idle(&self, horizon: Time) -> bool {
        let state = self.state();
        state.groups.values().all(|group| group.under_way == 0)
            && state.lanes.iter().all(|(lane, at)| {
                let blocked = state
                    .groups
                    .get((self.group_of)(lane))
                    .and_then(|group| group.blocked_until);
                at.due_at
                    .max(blocked.and(at.due_at.and(blocked)))
                    .is_none_or(|due| due > horizon)
            })
    }

    /// Waits until something may be due, at most `longest`.
    pub(super) async fn wait(&self, now: Time, longest: Duration) {
        let pause = self
            .next_due(now)
            .map_or(longest, |due| due.since(now).min(longest));
        let _ = tokio::time::timeout(pause, self.wake.notified()).await;
    }

    /// When the next lane that has a free place is due.
    fn next_due(&self, now: Time) -> Option<Time> {
        let state = self.state();
        let due = |(lane, at): (&Lane, &LaneNow)| {
            let due = at.due_at?;
            match state.groups.get((self.group_of)(lane)) {
                None => Some(due),
                Some(group) => {
                    let from = due.max(group.blocked_until.unwrap_or(due));
                    (group.free(self.limit, from.max(now)) > 0).then_some(from)
                }
            }
        };
        state.lanes.iter().filter_map(due).min()
    }
}

impl Group {
    fn free(&self, limit: u32, now: Time) -> u32 {
        if self.blocked_until.is_some_and(|until| until > now) {
            return 0;
        }
        let limit = if self.hold.is_some() { 1 } else { limit };
        limit.saturating_sub(self.under_way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(limit: u32) -> Board {
        Board::new(limit, |lane| lane.split('|').next().unwrap_or(""))
    }

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn most(quotas: &[Quota]) -> Vec<(&str, u32)> {
        let mut most: Vec<_> = quotas.iter().map(|quota| (&*quota.lane, quota.most)).collect();
        most.sort_unstable();
        most
    }

    #[test]
    fn lanes_of_a_group_share_its_places_and_take_turns() {
        let board = board(3);
        for lane in ["a|1", "a|2", "b|1"] {
            board.hint(&lane.into(), at(0));
        }
        assert_eq!(board.quotas(at(0)).iter().map(|quota| quota.most).sum::<u32>(), 6);
        // All places are taken: nothing more, whatever is due.
        board.hint(&"a|1".into(), at(0));
        assert!(board.quotas(at(0)).is_empty());
        // One place comes free: it goes to the lane that was served longest ago.
        board.hint(&"a|2".into(), at(0));
        board.done(&"a|1".into());
        let first = board.quotas(at(0));
        board.done(&"a|1".into());
        let second = board.quotas(at(0));
        assert_ne!(first[0].lane, second[0].lane);
    }

    #[test]
    fn what_a_claim_did_not_need_is_given_back() {
        let board = board(5);
        board.hint(&"a|1".into(), at(0));
        let quotas = board.quotas(at(0));
        let next = vec![LaneDue {
            lane: "a|1".into(),
            due_at: Some(at(50)),
        }];
        board.claimed(&quotas, &HashMap::from([("a|1".into(), 2)]), next);
        assert!(board.quotas(at(49)).is_empty());
        assert_eq!(most(&board.quotas(at(50))), [("a|1", 3)]);
    }

    #[test]
    fn a_hint_that_comes_during_a_claim_is_kept() {
        let board = board(5);
        board.hint(&"a|1".into(), at(0));
        let quotas = board.quotas(at(0));
        board.hint(&"a|1".into(), at(1));
        board.claimed(
            &quotas,
            &HashMap::new(),
            vec![LaneDue {
                lane: "a|1".into(),
                due_at: None,
            }],
        );
        assert_eq!(most(&board.quotas(at(1))), [("a|1", 5)]);
    }

    #[test]
    fn a_held_group_is_probed_by_one_and_released_whole() {
        let board = board(8);
        board.hint(&"a|1".into(), at(0));
        assert_eq!(
            board.hold(&"a|1".into(), "refused".into(), at(0)),
            (at(5000), true)
        );
        // Another call that was under way does not lengthen the wait.
        assert_eq!(
            board.hold(&"a|1".into(), "refused".into(), at(10)),
            (at(5000), false)
        );
        assert!(board.quotas(at(4999)).is_empty());
        assert_eq!(most(&board.quotas(at(5000))), [("a|1", 1)]);
        assert_eq!(
            board.hold(&"a|1".into(), "refused".into(), at(5001)),
            (at(15001), false)
        );
        board.done(&"a|1".into());
        assert!(board.unhold(&"a|1".into()));
        board.hint(&"a|1".into(), at(5002));
        assert_eq!(most(&board.quotas(at(5002))), [("a|1", 8)]);
    }

    #[test]
    fn idle_is_when_nothing_is_under_way_or_due_soon() {
        let board = board(1);
        assert!(board.is_idle(at(100)));
        board.hint(&"a|1".into(), at(50));
        assert!(!board.is_idle(at(100)));
        board.block(&"a|1".into(), at(500));
        assert!(board.is_idle(at(100)));
        assert!(board.reserve(&"b|1".into(), at(0)));
        assert!(!board.is_idle(at(100)));
    }
}
