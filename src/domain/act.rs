//! What people do besides writing: they take back what they wrote, press a button, give a command.

use super::account::{AccountKey, AliasKey, DedupKey};
use super::clock::Time;
use super::identity::Identifier;
use super::ids::DeliveryId;
use super::message::{Opens, Route};

/// A person changed a message. It counts as long as the message's turn has not begun; afterwards it changes nothing.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The installation that it reached.
    pub account: AccountKey,
    /// What the message said of its thread, strongest first.
    pub identifiers: Vec<Identifier>,
    /// The platform's name of the message.
    pub platform_id: String,
    /// What it says now; never empty.
    pub text: String,
    /// When it was changed, by the platform's time: an older change does not undo a newer one.
    pub edited_at: Time,
}

/// A person took a message back. It counts as long as the message's turn has not begun.
#[derive(Debug, Clone)]
pub struct Withdrawal {
    /// The installation that it reached.
    pub account: AccountKey,
    /// The keys of the message: if it is still on its way, it comes too late then.
    pub keys: Vec<DedupKey>,
    /// What the message said of its thread, strongest first.
    pub identifiers: Vec<Identifier>,
    /// Whether the message might have opened its thread.
    pub opens: Opens,
    /// The platform's name of the message.
    pub platform_id: String,
}

/// A person pressed a button, gave a command, or stopped the bot.
#[derive(Debug, Clone)]
pub struct Act {
    /// The installation that it reached.
    pub account: AccountKey,
    /// Whatever makes a second delivery of it recognisable.
    pub keys: Vec<DedupKey>,
    /// The room that it happened in, if the platform says so. A part is only touched from its own account, or from its
    /// own room where two accounts share that.
    pub room: Option<String>,
    /// The thread that it concerns.
    pub on: Whereabouts,
    /// What is done.
    pub deed: Deed,
    /// What the thread gets to read once it is done, as it is sent; nothing if there was nothing to do.
    pub say: Option<String>,
    /// What is said elsewhere once it is done.
    pub alert: Option<Alert>,
    /// When, by the platform's time.
    pub at: Time,
}

/// Which thread an act concerns.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// The one that got this part.
    Delivery(DeliveryId),
    /// The one of these names, if it is known.
    Known {
        /// The thread's names, strongest first.
        identifiers: Vec<Identifier>,
    },
    /// This one; it is opened if it is not known, and replies go where the route says from now on.
    Place {
        /// The thread's names, strongest first.
        identifiers: Vec<Identifier>,
        /// Its address.
        address: AliasKey,
        /// The room within the account.
        place: Option<String>,
        /// Where replies go.
        route: Route,
    },
}

/// What an act does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Nothing but an answer: somebody asked for help.
    Explain,
    /// The conversations of this thread and of these are forgotten.
    Reset {
        /// Further threads, by their names.
        also: Vec<AliasKey>,
    },
    /// The bot falls silent on the thread: a person is to answer.
    CallPerson,
    /// What was written before the act is not answered any more: its messages end, a question that is with the agent
    /// is dropped, and parts that nobody began to send stay unsent.
    Stop,
    /// An answer was helpful, or not.
    Rate {
        /// Who says so, by the platform's name: a later word of the same person replaces the earlier one.
        person: String,
        /// What they say.
        helpful: bool,
    },
}

impl Deed {
    /// The metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Explain => "explained",
            Self::Reset { .. } => "reset",
            Self::CallPerson => "person_called",
            Self::Stop => "stopped",
            Self::Rate { helpful: true, .. } => "helpful",
            Self::Rate { helpful: false, .. } => "not_helpful",
        }
    }
}

/// A word to the operator's own people, in a room of the account that the act happened in.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The room; it is a thread of its own, named by it.
    pub room: String,
    /// Where the word goes.
    pub route: Route,
    /// The word, as it is sent. `{thread}` stands for the address of the thread that it is about.
    pub text: String,
}
