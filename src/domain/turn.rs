//! Turns: one question to the agent each.

use super::clock::Time;
use super::ids::{ClaimToken, MessageId, ThreadId, TurnId};
use super::message::Lane;
use super::thread::Thread;

/// A claimed turn: the right, and the duty, to ask the agent for this thread now.
#[derive(Debug, Clone)]
pub struct TurnClaim {
    /// Which claim this is.
    pub key: ClaimKey,
    /// The turn's id; it stays the same over all attempts.
    pub turn: TurnId,
    /// How many attempts began, this one included: 1 at first.
    pub attempt: u32,
    /// Whether an earlier attempt may have reached the agent without our knowing its answer.
    pub ambiguous: bool,
    /// The thread.
    pub thread: Thread,
    /// The messages that are asked, in the order accepted. Never empty.
    pub messages: Vec<Pending>,
}

/// The handle of a claim: whose work, of which thread, under which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimKey {
    /// The thread whose work is claimed.
    pub thread: ThreadId,
    /// The fencing token.
    pub token: ClaimToken,
    /// The lane in which the work waits.
    pub lane: Lane,
}

/// A message that waits for an answer.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its id.
    pub id: MessageId,
    /// The platform's name of it.
    pub platform_id: String,
    /// What was written.
    pub text: String,
    /// What it replies to, if the person chose a message that is known on this thread.
    pub quoted: Option<String>,
    /// The platform's own time of it.
    pub sent_at: Time,
    /// When it was accepted.
    pub accepted_at: Time,
}

impl TurnClaim {
    /// The question: what was written, a line for each message, below what it replies to.
    pub fn question(&self) -> String {
        let texts: Vec<String> = self.messages.iter().map(Pending::asked).collect();
        texts.join("\n")
    }
}

/// The most of a quoted message that the agent is given, in characters: enough to know which one it is.
const LONGEST_QUOTE: usize = 500;

impl Pending {
    /// The text, below the lines that it replies to, each with a `>` as in letters.
    fn asked(&self) -> String {
        let Some(quoted) = self
            .quoted
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
        else {
            return self.text.clone();
        };
        let mut kept: String = quoted.chars().take(LONGEST_QUOTE).collect();
        if kept.len() < quoted.len() {
            kept.push('…');
        }
        let mut asked = String::with_capacity(kept.len() + self.text.len() + 8);
        for line in kept.lines() {
            asked.push_str("> ");
            asked.push_str(line);
            asked.push('\n');
        }
        asked + &self.text
    }
}

/// What the agent answered, and what the person shall get.
#[derive(Debug, Clone)]
pub struct CompletedTurn {
    /// The conversation to go on with.
    pub conversation_id: String,
    /// The agent's own id of the answer.
    pub answer_id: Option<String>,
    /// The rendered parts, in order.
    pub parts: Vec<String>,
    /// Whether the first part may be claimed for sending in the same breath.
    pub claim_first: bool,
    /// When it was done.
    pub at: Time,
    /// Until when a claim of the first part holds.
    pub lease_until: Time,
}

/// Why a claimed turn is put back.
#[derive(Debug, Clone)]
pub struct Deferral {
    /// When it is due again.
    pub until: Time,
    /// Whether the attempt counts against the schedule.
    pub counts: bool,
    /// Whether the agent may have answered without our knowing.
    pub ambiguous: bool,
    /// Who is held, if the work waits for an operator: releasing that name makes it due at once.
    pub held: Option<String>,
}

/// How a turn ends without an answer.
#[derive(Debug, Clone)]
pub struct Burial {
    /// The state its messages end in.
    pub end: End,
    /// A short fixed code, for lists and metrics.
    pub code: String,
    /// What happened, for the operator.
    pub reason: String,
    /// What the person is told, if anything.
    pub apology: Option<Apology>,
    /// When it was given up.
    pub at: Time,
}

/// What a person is told when there is no answer.
#[derive(Debug, Clone)]
pub struct Apology {
    /// The rendered text.
    pub text: String,
    /// Whether it counts as a notice, of which a person hears one in 24 hours at most.
    pub rationed: bool,
}

/// The states in which a message that gets no answer can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A dead letter.
    Dead,
    /// Ignored, for the reason given.
    Ignored,
}
