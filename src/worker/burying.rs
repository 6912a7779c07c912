//! The dispatcher, where a question gets no answer: too old, or refused for good.

use tracing::error;

use super::dispatcher::Dispatcher;
use super::tally::turn as count;
use super::{TooOld, traced};
use crate::agent::AgentError;
use crate::channel::Channel;
use crate::domain::Time;
use crate::domain::routing::send_lane;
use crate::domain::turn::{Apology, Burial, End, TurnClaim};

impl Dispatcher {
    /// A turn that waited so long that it is too old, or that no reply could reach its person.
    pub(super) fn aged(&self, claim: &TurnClaim, channel: &dyn Channel) -> Option<Burial> {
        let now = self.parts.clock.now();
        let end = |code: &str, reason: &str, apology: Option<Apology>| Burial {
            end: End::Dead,
            code: code.to_owned(),
            reason: reason.to_owned(),
            apology,
            at: now,
        };
        if channel
            .reply_window()
            .is_some_and(|window| now.since(claim.thread.last_inbound_at) >= window)
        {
            let reason = "it waited until the platform takes no reply any more";
            return Some(end("window_closed", reason, None));
        }
        let waited = claim
            .messages
            .iter()
            .map(|message| now.since(message.accepted_at))
            .max()?;
        let too_old = self.parts.turn.too_old;
        if waited <= self.parts.turn.max_age || too_old == TooOld::Answer {
            return None;
        }
        let text = if too_old == TooOld::Apologise {
            self.parts.texts.too_old.as_str()
        } else {
            ""
        };
        let apology = super::render_one(channel, text).map(|text| Apology { text, rationed: true });
        Some(end("too_old", "it waited longer than turn.max_age", apology))
    }

    /// The agent will never answer this: the person is told.
    pub(super) async fn bury_refused(
        &self,
        claim: &TurnClaim,
        channel: &dyn Channel,
        refusal: &AgentError,
        now: Time,
    ) {
        let apology = super::render_one(channel, &self.parts.texts.unavailable).map(|text| Apology {
            text,
            rationed: false,
        });
        let burial = Burial {
            end: End::Dead,
            code: refusal.code.to_owned(),
            reason: refusal.message.clone(),
            apology,
            at: now,
        };
        self.bury(claim, burial).await;
    }

    /// Ends a turn without an answer.
    pub(super) async fn bury(&self, claim: &TurnClaim, burial: Burial) {
        error!(turn = %claim.turn, thread = %claim.key.thread, attempts = claim.attempt, code = burial.code,
               reason = burial.reason, "given up: the messages are dead letters");
        count(claim.thread.account.channel(), "dead");
        traced::buried(claim);
        let (at, apologised) = (burial.at, burial.apology.is_some());
        let _ = self
            .until_stored(|| self.parts.store.bury_turn(claim.clone(), burial.clone()))
            .await;
        self.board.hint(&claim.key.lane, at);
        if apologised {
            self.delivery.board.hint(&send_lane(&claim.thread.account), at);
        }
    }
}
