//! Groups that belong together: what concerns one of them as a whole concerns all.
//!
//! A circle holds nothing but its pause or its hold. What is under way in it is counted by its groups, so that a lane
//! may change its circles while it is at work.

use super::{Board, Group, Reach, State};
use crate::domain::Time;
use crate::domain::message::Lane;

/// The circles of a lane, which are those of its group. They may change as more becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::worker) struct Circles {
    /// The groups of the same family.
    pub family: String,
    /// The groups with the same credentials.
    pub access: String,
}

/// Names the circles of a lane or a group; none if it stands in none.
pub(in crate::worker) type CirclesOf = Box<dyn Fn(&str) -> Option<Circles> + Send + Sync>;

impl Board {
    /// The same, with groups that belong together.
    pub(in crate::worker) fn with_circles(
        limit: u32,
        group_of: fn(&str) -> &str,
        circles_of: CirclesOf,
    ) -> Self {
        Self {
            circles_of: Some(circles_of),
            ..Self::new(limit, group_of)
        }
    }

    /// The names of a lane's circles.
    pub(super) fn circles(&self, lane: &str) -> impl Iterator<Item = String> + use<> {
        let circles = self.circles_of.as_ref().and_then(|circles_of| circles_of(lane));
        circles.into_iter().flat_map(|circles| {
            let access = Some(circles.access).filter(|access| *access != circles.family);
            [Some(circles.family), access].into_iter().flatten()
        })
    }

    /// A lane's group and circles, as far as anything is known of them.
    pub(super) fn around<'s>(&self, state: &'s State, lane: &str) -> impl Iterator<Item = &'s Group> {
        let group = state.groups.get((self.group_of)(lane));
        let circles = self.circles(lane).filter_map(|name| state.circles.get(&*name));
        group.into_iter().chain(circles)
    }

    /// How many places a lane's group has free at this time, and its circles leave to it.
    pub(super) fn free(&self, state: &State, lane: &str, at: Time) -> u32 {
        let group = state.groups.get((self.group_of)(lane));
        let mut free = group.map_or(self.limit, |group| group.free(self.limit, at));
        for name in self.circles(lane) {
            let Some(circle) = state.circles.get(&*name) else {
                continue;
            };
            if circle.is_blocked(at) {
                free = 0;
            } else if circle.hold.is_some() {
                free = free.min(1_u32.saturating_sub(self.under_way_in(state, &name)));
            }
        }
        free
    }

    /// How much is under way in a circle.
    fn under_way_in(&self, state: &State, circle: &str) -> u32 {
        let busy = state.groups.iter().filter(|(_, group)| group.under_way > 0);
        busy.filter(|(name, _)| self.circles(name).any(|other| other == circle))
            .map(|(_, group)| group.under_way)
            .sum()
    }

    /// Until when a lane's group or one of its circles is paused.
    pub(super) fn blocked(&self, state: &State, lane: &str) -> Option<Time> {
        self.around(state, lane)
            .filter_map(|group| group.blocked_until)
            .max()
    }

    /// The name of what a pause or a hold of this reach concerns; none if it is the group.
    pub(super) fn circle(&self, lane: &str, reach: Reach) -> Option<String> {
        let circles = self.circles_of.as_ref()?(lane)?;
        match reach {
            Reach::Group => None,
            Reach::Family => Some(circles.family),
            Reach::Access => Some(circles.access),
        }
    }

    /// What a pause or a hold of this reach concerns.
    pub(super) fn reached<'s>(&self, state: &'s mut State, lane: &str, reach: Reach) -> &'s mut Group {
        match self.circle(lane, reach) {
            Some(name) => state.circles.entry(name.into()).or_default(),
            None => self.group(state, lane),
        }
    }

    /// The name under which what this reach concerns waits in the store.
    pub(in crate::worker) fn held_name(&self, lane: &Lane, reach: Reach) -> String {
        self.circle(lane, reach)
            .unwrap_or_else(|| (self.group_of)(lane).to_owned())
    }
}
