//! What the workers know of the lanes: when each is due, who may work, who must wait.
//!
//! The board only holds hints; the store's table is the truth, and is asked again every second. A hint that comes
//! while a claim is under way is kept, so no wake-up is lost between "nothing due" and "going to sleep".

mod circles;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::Time;
use crate::domain::message::Lane;
use crate::domain::retry::probe_wait;
use crate::store::{LaneDue, Quota};
pub(super) use circles::{Circles, CirclesOf};

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
    /// The circles of groups that a lane stands in, if there are any: what is paused and held together.
    circles_of: Option<CirclesOf>,
}

/// How far a pause or a hold reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The group.
    Group,
    /// All groups of the family.
    Family,
    /// All groups with the same credentials.
    Access,
}

#[derive(Default)]
struct State {
    lanes: HashMap<Lane, LaneNow>,
    groups: HashMap<Box<str>, Group>,
    /// Circles that are or were paused or held. What is under way in them is counted by their groups.
    circles: HashMap<Box<str>, Group>,
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
            circles_of: None,
        }
    }

    /// Changes how much of a lane's group is under way.
    fn count(&self, state: &mut State, lane: &str, change: impl Fn(u32) -> u32) {
        let group = self.group(state, lane);
        group.under_way = change(group.under_way);
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
        for mut lanes in due.into_values() {
            let mut free = self.free(state, &lanes[0].1, now);
            lanes.sort_by_key(|(served, _)| *served);
            let mut left = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
            for (_, lane) in lanes {
                let most = free.div_ceil(left).min(free);
                if most == 0 {
                    break;
                }
                free -= most;
                left -= 1;
                self.count(state, &lane, |under_way| under_way.saturating_add(most));
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
                let unneeded = quota.most.saturating_sub(got);
                self.count(&mut state, &quota.lane, |under_way| {
                    under_way.saturating_sub(unneeded)
                });
            }
        }
        self.learn(lanes);
    }

    /// Takes one place for work that is at hand; false if there is none.
    fn reserve(&self, lane: &Lane, now: Time) -> bool {
        let mut state = self.state();
        let free = !self.holds(&state, lane) && self.free(&state, lane, now) > 0;
        self.count(&mut state, lane, |under_way| under_way + u32::from(free));
        free
    }

    fn holds(&self, state: &State, lane: &str) -> bool {
        self.around(state, lane).any(|group| group.hold.is_some())
    }

    /// Whether this lane waits for its operator.
    pub(super) fn is_held(&self, lane: &Lane) -> bool {
        self.holds(&self.state(), lane)
    }

    /// Whether something of this lane's group is under way.
    pub(super) fn is_busy(&self, lane: &Lane) -> bool {
        let mut state = self.state();
        self.group(&mut state, lane).under_way > 0
    }

    /// A place is free again.
    fn done(&self, lane: &Lane) {
        let mut state = self.state();
        self.count(&mut state, lane, |under_way| under_way.saturating_sub(1));
        drop(state);
        self.wake.notify_one();
    }

    /// What this reach concerns gets nothing until then.
    pub(super) fn block(&self, lane: &Lane, reach: Reach, until: Time) {
        let mut state = self.state();
        let group = self.reached(&mut state, lane, reach);
        group.blocked_until = group.blocked_until.max(Some(until));
    }

    /// What this reach concerns waits for its operator; it is probed at the time that is returned. True in second place
    /// if that is news.
    pub(super) fn hold(&self, lane: &Lane, reach: Reach, why: String, now: Time) -> (Time, bool) {
        let mut state = self.state();
        let group = self.reached(&mut state, lane, reach);
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

    /// What this reach concerns works. True if it was held.
    pub(super) fn unhold(&self, lane: &Lane, reach: Reach) -> bool {
        let mut state = self.state();
        let group = match self.circle(lane, reach) {
            Some(name) => state.circles.get_mut(&*name),
            None => state.groups.get_mut((self.group_of)(lane)),
        };
        let Some(group) = group else { return false };
        let held = group.hold.take().is_some();
        if held {
            group.blocked_until = None;
        }
        held
    }

    /// Who is held, and why. A circle in which nobody stands any more holds nobody.
    pub(super) fn held(&self) -> Vec<(String, String)> {
        let state = self.state();
        let stands = |circle: &str| {
            let mut groups = state.groups.keys();
            groups.any(|group| self.circles(group).any(|name| name == circle))
        };
        let circles = state.circles.iter();
        let circles = circles.filter(|(name, circle)| circle.hold.is_some() && stands(name));
        state
            .groups
            .iter()
            .chain(circles)
            .filter_map(|(name, group)| Some((name.to_string(), group.hold.as_ref()?.why.clone())))
            .collect()
    }

    /// Who pauses, and until when; those who are held are not among them.
    pub(super) fn paused(&self, now: Time) -> Vec<(String, Time)> {
        let state = self.state();
        let groups = state.groups.iter().chain(&state.circles);
        let until = |group: &Group| {
            group
                .blocked_until
                .filter(|until| *until > now && group.hold.is_none())
        };
        groups
            .filter_map(|(name, group)| Some((name.to_string(), until(group)?)))
            .collect()
    }

    /// Whether nothing is under way and nothing will be due by `horizon`; what is held or paused beyond it does not
    /// count.
    pub(super) fn is_idle(&self, horizon: Time) -> bool {
        let state = self.state();
        state.groups.values().all(|group| group.under_way == 0)
            && state.lanes.iter().all(|(lane, at)| {
                let blocked = self.blocked(&state, lane);
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
            let from = due.max(self.blocked(&state, lane).unwrap_or(due));
            (self.free(&state, lane, from.max(now)) > 0).then_some(from)
        };
        state.lanes.iter().filter_map(due).min()
    }
}

impl Group {
    fn is_blocked(&self, now: Time) -> bool {
        self.blocked_until.is_some_and(|until| until > now)
    }

    fn free(&self, limit: u32, now: Time) -> u32 {
        if self.is_blocked(now) {
            return 0;
        }
        let limit = if self.hold.is_some() { 1 } else { limit };
        limit.saturating_sub(self.under_way)
    }
}

#[cfg(test)]
mod tests;
