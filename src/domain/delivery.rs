//! Deliveries: the sending of one part each.

use super::clock::Time;
use super::ids::DeliveryId;
use super::thread::Thread;
use super::turn::ClaimKey;

/// A claimed delivery: the right, and the duty, to send this part now. The attempt is recorded already.
#[derive(Debug, Clone)]
pub struct SendClaim {
    /// Which claim this is.
    pub key: ClaimKey,
    /// The thread that it goes to.
    pub thread: Thread,
    /// Its id, which bears its place among the thread's parts: it travels with the part and is recognised on the platform.
    pub delivery: DeliveryId,
    /// What kind of text it is.
    pub kind: DeliveryKind,
    /// The part as it is sent.
    pub body: String,
    /// Whether it is the last part of an answer: what follows an answer, such as buttons, stands below this one.
    pub last: bool,
    /// How many attempts began, this one included: 1 at first.
    pub attempt: u32,
    /// How many times in a row the platform asked for a pause, since the last attempt that counted.
    pub pauses: u32,
    /// Whether an earlier attempt may have reached the platform: then look before sending.
    pub unknown: bool,
    /// When the question was accepted whose answer begins with this part; none for all other parts.
    pub asked_at: Option<Time>,
    /// When the delivery was made.
    pub created_at: Time,
    /// When the last attempt was made before this one.
    pub last_attempt_at: Option<Time>,
}

/// What a delivery carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A part of the agent's answer.
    Answer,
    /// A word of the bridge itself: "only text", "I can't answer right now".
    Notice,
}

impl DeliveryKind {
    /// The word that the store keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Notice => "notice",
        }
    }

    /// The kind of a stored word.
    pub fn from_stored(text: &str) -> Self {
        if text == "notice" {
            Self::Notice
        } else {
            Self::Answer
        }
    }
}

/// What became of a claimed delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The outcome.
    pub outcome: SendOutcome,
    /// When.
    pub at: Time,
    /// Whether the thread's next part may be claimed in the same breath.
    pub claim_next: bool,
    /// Until when such a claim holds.
    pub lease_until: Time,
}

/// The outcomes of a claimed delivery.
#[derive(Debug, Clone)]
pub enum SendOutcome {
    /// The platform took it (or was found to have it), under this name if it told.
    Sent {
        /// The platform's name of the message.
        platform_id: Option<String>,
    },
    /// It was certainly not sent and is due again later.
    Again {
        /// When.
        at: Time,
        /// Whether the attempt counts against the schedule.
        counts: bool,
        /// The platform's code, for the operator.
        code: String,
        /// Who is held, if it waits for an operator.
        held: Option<String>,
    },
    /// It may have been sent: look at this time, before anything is sent again.
    Unknown {
        /// When to look.
        look_at: Time,
        /// What happened.
        code: String,
    },
    /// It will never be sent: a dead letter.
    Dead {
        /// The platform's code, or ours.
        code: String,
        /// What happened and what to do, for the operator.
        reason: String,
    },
}
