//! Named places at which a test ends the process: before and after each commit, each call to another server, each
//! acknowledgement of a webhook.
//!
//! `CHATBRIDGE_CRASH_AT=SIDE.DEED[@CHANNEL][:NTH]` aborts the process there, as SIGKILL would: nothing is flushed and
//! nothing is closed. `after.accept:3` is after the third commit that accepts messages and before anybody learns of
//! it; `before.send@slack` is before a first part goes to that channel.
//!
//! Only builds with debug assertions have them. In a release [`before`] and [`after`] are empty, and neither the
//! variable nor the names are in the binary: `tests/it/crash_points` looks.

/// What is done between two crash points.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The commit that brings the tables up to date.
    Migrate,
    /// The commit that takes over what an earlier process left.
    Recover,
    /// The commit that accepts what a webhook brought.
    Accept,
    /// The commit that claims turns.
    ClaimTurns,
    /// The commit that records an answer.
    CompleteTurn,
    /// The commit that puts a turn back.
    DeferTurn,
    /// The commit that gives a turn up.
    BuryTurn,
    /// The commit that claims parts and records their attempts.
    ClaimSends,
    /// The commit that records what became of a part.
    Settle,
    /// The commit that makes due what was held.
    Release,
    /// The commit that removes old keys.
    Sweep,
    /// The commit of an operator's change to a thread.
    ChangeThread,
    /// The commit that puts a dead letter back to work.
    Replay,
    /// The commit that forgets a dead letter.
    Purge,
    /// The commit that keeps or removes an installation.
    Install,
    /// The commit of rows that are moved into another database.
    Move,
    /// A question to the agent.
    Ask,
    /// A look at the agent for an answer that may be there.
    LookForAnswer,
    /// The sending of a part to a channel.
    Send,
    /// A look at a channel for a part that may be there.
    LookForSend,
    /// The acknowledgement of a channel's webhook.
    Acknowledge,
}

/// All deeds, and how the variable names them.
#[cfg(debug_assertions)]
pub const ALL: [(Deed, &str); 21] = [
    (Deed::Migrate, "migrate"),
    (Deed::Recover, "recover"),
    (Deed::Accept, "accept"),
    (Deed::ClaimTurns, "claim_turns"),
    (Deed::CompleteTurn, "complete_turn"),
    (Deed::DeferTurn, "defer_turn"),
    (Deed::BuryTurn, "bury_turn"),
    (Deed::ClaimSends, "claim_sends"),
    (Deed::Settle, "settle"),
    (Deed::Release, "release"),
    (Deed::Sweep, "sweep"),
    (Deed::ChangeThread, "change_thread"),
    (Deed::Replay, "replay"),
    (Deed::Purge, "purge"),
    (Deed::Install, "install"),
    (Deed::Move, "move"),
    (Deed::Ask, "ask"),
    (Deed::LookForAnswer, "look_for_answer"),
    (Deed::Send, "send"),
    (Deed::LookForSend, "look_for_send"),
    (Deed::Acknowledge, "acknowledge"),
];

/// The deed is about to be done.
#[inline]
pub fn before(deed: Deed) {
    before_at(deed, "");
}

/// The deed is done, and nobody knows yet.
#[inline]
pub fn after(deed: Deed) {
    after_at(deed, "");
}

/// The same as [`before`], of a deed that concerns a channel.
#[inline]
pub fn before_at(deed: Deed, channel: &str) {
    #[cfg(debug_assertions)]
    armed::pass("before", deed, channel);
    let _ = (deed, channel);
}

/// The same as [`after`], of a deed that concerns a channel.
#[inline]
pub fn after_at(deed: Deed, channel: &str) {
    #[cfg(debug_assertions)]
    armed::pass("after", deed, channel);
    let _ = (deed, channel);
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{ALL, Deed};

    /// Where the process is to end.
    struct Plan {
        side: String,
        deed: Deed,
        channel: Option<String>,
        /// How many times that place is still to be passed.
        left: AtomicI64,
    }

    /// Ends the process if this is the place.
    pub(super) fn pass(side: &str, deed: Deed, channel: &str) {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        let plan = PLAN.get_or_init(|| {
            let wanted = std::env::var("CHATBRIDGE_CRASH_AT").ok()?;
            let plan = read(&wanted);
            if plan.is_none() {
                end(&format!("there is no crash point {wanted:?}"));
            }
            plan
        });
        let Some(plan) = plan else { return };
        let here = plan.side == side
            && plan.deed == deed
            && plan.channel.as_deref().is_none_or(|wanted| wanted == channel);
        if here && plan.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            end("the crash point is reached");
        }
    }

    fn read(wanted: &str) -> Option<Plan> {
        let (place, nth) = wanted.split_once(':').unwrap_or((wanted, "1"));
        let (name, channel) = match place.split_once('@') {
            Some((name, channel)) => (name, Some(channel.to_owned())),
            None => (place, None),
        };
        let (side, name) = name.split_once('.')?;
        let (deed, _) = ALL.into_iter().find(|(_, known)| *known == name)?;
        Some(Plan {
            side: ["before", "after"]
                .into_iter()
                .find(|known| *known == side)?
                .to_owned(),
            deed,
            channel,
            left: AtomicI64::new(nth.parse().ok()?),
        })
    }

    fn end(why: &str) -> ! {
        eprintln!("{why}");
        std::process::abort()
    }
}
