//! Which events are answered, followed or left: the table of Slack's events.

use serde_json::Value;

use crate::domain::message::{Arrival, Opens, Treatment};

use super::envelope::{Envelope, Reason, text};
use super::installation::Served;
use super::installations::Installations;
use super::message::Message;
use super::policy::Policy;
use super::{opening, revision, words};

/// The sender of Slack's own notices; they have neither a subtype nor a `bot_id`.
const SLACKBOT: &str = "USLACK";

/// Reads events.
pub(super) struct Reader {
    /// Where, and to whom, the bot may answer.
    pub(super) policy: Policy,
    /// Whether replies in a thread that the bot takes part in are answered without a new mention.
    pub(super) follow_threads: bool,
    /// Whether a message at the top level of a direct message is the root of a thread.
    pub(super) rooted: bool,
    /// What is said where somebody stopped the bot, as it is posted.
    pub(super) stopped: Option<String>,
    /// What the person is told of a message without a word in it, as it is posted.
    pub(super) only_text: Option<String>,
    /// What the person is told of a message whose words are asked and whose files are not read.
    pub(super) file_not_read: Option<String>,
}

/// Why an event is passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// The bot is mentioned.
    Mention,
    /// Somebody wrote to the bot itself.
    Direct,
    /// Somebody wrote in a thread, maybe one that the bot takes part in.
    Reply,
}

impl Reader {
    /// What an event brings, or why it is left.
    pub(super) fn read(
        &self,
        envelope: &Envelope,
        installations: &Installations,
    ) -> Result<Vec<Arrival>, Reason> {
        let mention = match text(envelope.event, "type") {
            Some("app_mention") => true,
            Some("message" | opening::STOPPED) => false,
            Some("app_uninstalled") => return Err("app_uninstalled"),
            Some("tokens_revoked") => return Err("tokens_revoked"),
            Some(opening::STARTED | opening::OPENED) if self.rooted => return Err("opened"),
            _ => return Err("unknown_event"),
        };
        let installation = match installations.serve(&envelope.account) {
            Served::Yes(installation) => Some(installation),
            Served::NotYet => None,
            Served::No => return Err("not_installed"),
        };
        if text(envelope.event, "type") == Some(opening::STOPPED) {
            let act = opening::stop(envelope, &self.policy, self.stopped.clone())?;
            return Ok(vec![Arrival::Act(act)]);
        }
        let known = installation
            .as_ref()
            .and_then(|installation| installation.bot_user.as_deref());
        let is_bot = |user: &str| Some(user) == envelope.bot_user || Some(user) == known;

        if let Some(revision) = revision::read(envelope, self.rooted, is_bot) {
            return revision.map(|arrival| vec![arrival]);
        }
        written_by_a_person(envelope.event)?;
        let message = Message::read(envelope.event)?;
        if message.user == SLACKBOT || is_bot(message.user) {
            return Err(if message.user == SLACKBOT {
                "slackbot"
            } else {
                "own"
            });
        }
        self.policy.check(envelope, &message)?;
        let words = words::read(text(envelope.event, "text").unwrap_or_default(), is_bot);
        let trigger = self.trigger(&message, mention, &words)?;
        let treatment = self.treatment(&message, &words.text);
        // Whoever writes in a thread does not call the bot into it: the mention beside it does, or nobody.
        let opens = if trigger == Trigger::Reply {
            Opens::Nothing
        } else {
            Opens::Thread
        };
        // An edited mention may be the first that is heard of it; else it is a change of what was asked.
        let change = if mention {
            revision::of_mention(envelope, message.ts, &words.text)
        } else {
            None
        };
        let inbound = message.inbound(envelope, self.rooted, opens, words.text, treatment)?;
        let arrivals = [Some(Arrival::Message(inbound)), change];
        Ok(arrivals.into_iter().flatten().collect())
    }

    /// A mention comes as `app_mention`, and as `message` too, in either order. In a thread both are passed on: one
    /// key makes them one, and only `app_mention` opens a thread. Elsewhere `message` is left to its twin and uses up
    /// no key that the twin needs.
    fn trigger(&self, message: &Message, mention: bool, words: &words::Words) -> Result<Trigger, Reason> {
        if message.direct {
            return Ok(Trigger::Direct);
        }
        if mention {
            return Ok(Trigger::Mention);
        }
        match message.thread_ts {
            None => Err("left_to_mention"),
            Some(_) if words.mentions_bot => Ok(Trigger::Reply),
            Some(_) if !self.follow_threads => Err("not_followed"),
            Some(_) if words.mentions_other => Err("mentions_other"),
            Some(_) => Ok(Trigger::Reply),
        }
    }

    fn treatment(&self, message: &Message, words: &str) -> Treatment {
        if !words.is_empty() {
            let told = self.file_not_read.clone().filter(|_| message.has_files());
            told.map_or(Treatment::Ask, Treatment::AskAndTell)
        } else if message.has_files() {
            Treatment::Ignore {
                reason: "only_files",
                notice: self.only_text.clone(),
            }
        } else {
            Treatment::Ignore {
                reason: "empty",
                notice: None,
            }
        }
    }
}

/// Whether a message is a person's text. Posts of bots (one's own among them, which come without a subtype) and news
/// about a message or a channel are not.
fn written_by_a_person(event: &Value) -> Result<(), Reason> {
    if is_there(event, "bot_id") || is_there(event, "bot_profile") {
        return Err("bot");
    }
    if event.get("hidden").and_then(Value::as_bool) == Some(true) && !is_there(event, "subtype") {
        return Err("hidden");
    }
    match event.get("subtype") {
        None | Some(Value::Null) => Ok(()),
        Some(subtype) => by_subtype(subtype.as_str().unwrap_or_default()),
    }
}

fn by_subtype(subtype: &str) -> Result<(), Reason> {
    Err(match subtype {
        "file_share" | "thread_broadcast" | "me_message" => return Ok(()),
        "bot_message" => "bot",
        "message_replied" => "message_replied",
        "assistant_app_thread" => "assistant_app_thread",
        "tombstone" => "tombstone",
        "ekm_access_denied" => "ekm_access_denied",
        "bot_add" | "bot_remove" | "bot_enable" | "bot_disable" | "pinned_item" | "unpinned_item" => {
            "channel_news"
        }
        news if ["channel_", "group_", "mpim_"]
            .iter()
            .any(|kind| news.starts_with(kind)) =>
        {
            "channel_news"
        }
        _ => "unknown_subtype",
    })
}

fn is_there(event: &Value, key: &str) -> bool {
    event.get(key).is_some_and(|value| !value.is_null())
}

/// Whether an event tells that an installation, in which the bot has this name, has come to an end: the app was removed,
/// or the bot's token was withdrawn. `tokens_revoked` names users, not tokens; a person's own token is no affair of ours.
pub(super) fn ends(envelope: &Envelope, bot: Option<&str>) -> bool {
    match text(envelope.event, "type") {
        Some("app_uninstalled") => true,
        Some("tokens_revoked") => {
            let bots = envelope.event.pointer("/tokens/bot").and_then(Value::as_array);
            let mut bots = bots.into_iter().flatten().filter_map(Value::as_str);
            bots.any(|user| bot.is_none_or(|bot| bot == user))
        }
        _ => false,
    }
}
