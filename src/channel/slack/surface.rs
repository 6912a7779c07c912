//! What people see of the bot at work: a status behind its name, or an emoji on their message, while their question is
//! with the agent; suggestions when they open it; a title of their thread.
//!
//! An agent has sessions (`agents.sessions.setStatus`), an assistant a status (`assistant.threads.setStatus`), and a
//! plain bot has reactions. All of it is a courtesy: nobody waits for it, and where Slack refuses it, little is said and
//! it rests for a while.

mod calls;
mod gestures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Slack;
use super::client::Trouble;
use super::deliver::Target;
use super::envelope::Envelope;
use super::errors::{self, Class};
use super::opening;
use super::settings::{AgentView, Settings};
use crate::channel::Aside;
use crate::domain::texts::Texts;
use crate::domain::turn::TurnClaim;
use crate::domain::{AccountKey, Time};

/// An assistant's status goes out after two minutes (docs.slack.dev, `assistant.threads.setStatus`).
const STATUS_AGAIN: Duration = Duration::from_secs(90);

/// A session that is processing is reset after an hour, as is said; Slack documents no time.
const SESSION_AGAIN: Duration = Duration::from_mins(20);

/// When to try again to show it, while it could not be shown or nobody knows whether it is.
const SHOW_AGAIN: Duration = Duration::from_secs(15);

/// The waits between tries to take it back.
const TAKE_BACK: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(1),
];

/// For how long an app that is no agent is taken for an assistant, before it is tried again whether it is one.
const NO_AGENT: Duration = Duration::from_hours(1);

/// So many suggestions may be on their way at once; more are left out.
const MOST_ASIDES: usize = 64;

/// The longest title that we give, in characters: Slack takes 200, and shows fewer.
const LONGEST_TITLE: usize = 80;

/// How it is shown that an answer is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// An agent's session is processing.
    Session,
    /// An assistant has a status.
    Status,
    /// An emoji on the person's message.
    Reaction,
}

/// Where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Spot {
    account: AccountKey,
    channel: String,
    /// The thread's root; of a reaction, the message.
    ts: String,
}

/// What is shown, and to whom it is shown just now.
pub(super) struct Surface {
    view: AgentView,
    reaction: String,
    thinking: String,
    suggestions: String,
    prompts: Vec<String>,
    /// The times after which it is shown anew.
    pub(super) again: (Duration, Duration),
    /// One at a time shows something in a place, and takes it back before the next one does.
    places: Mutex<HashMap<Spot, Weak<tokio::sync::Mutex<()>>>>,
    /// Apps that are no agents, until it is tried again.
    no_agents: Mutex<HashMap<AccountKey, Time>>,
    told: calls::Told,
    asides: Semaphore,
}

impl Surface {
    pub(super) fn new(settings: &Settings, texts: &Texts) -> Self {
        Self {
            view: settings.agent_view,
            reaction: settings.reaction.clone(),
            thinking: texts.thinking.trim().to_owned(),
            suggestions: texts.suggestions.trim().to_owned(),
            prompts: settings.prompts.clone(),
            again: (SESSION_AGAIN, STATUS_AGAIN),
            places: Mutex::default(),
            no_agents: Mutex::default(),
            told: calls::Told::default(),
            asides: Semaphore::new(MOST_ASIDES),
        }
    }

    /// What an event asks to show, if it asks for anything that is shown here.
    pub(super) fn aside(&self, envelope: &Envelope) -> Option<Aside> {
        opening::aside(envelope).filter(|_| self.view != AgentView::Off)
    }

    fn no_agents(&self) -> MutexGuard<'_, HashMap<AccountKey, Time>> {
        self.no_agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is shown in a thread of this account.
    fn sign(&self, account: &AccountKey, now: Time) -> Option<Sign> {
        let no_agent = || self.no_agents().get(account).is_some_and(|until| *until > now);
        match self.view {
            AgentView::Agent if no_agent() => Some(Sign::Status),
            AgentView::Agent => Some(Sign::Session),
            AgentView::Assistant => Some(Sign::Status),
            AgentView::Off => (!self.reaction.is_empty()).then_some(Sign::Reaction),
        }
    }

    /// Whoever holds the lock shows something there.
    fn place(&self, spot: &Spot) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(spot).and_then(Weak::upgrade) {
            return place;
        }
        if places.len() == places.capacity() {
            places.retain(|_, place| place.strong_count() > 0);
        }
        let place = Arc::default();
        places.insert(spot.clone(), Arc::downgrade(&place));
        place
    }

    /// The call that shows it, or that takes it back.
    fn call(&self, sign: Sign, spot: &Spot, show: bool, title: Option<&str>) -> (&'static str, Value) {
        let (channel, ts) = (&spot.channel, &spot.ts);
        match sign {
            Sign::Session => {
                let status = if show { "processing" } else { "active" };
                let mut call = json!({ "channel_id": channel, "thread_ts": ts, "status": status });
                if let Some(title) = title {
                    call["title"] = json!(title);
                }
                ("agents.sessions.setStatus", call)
            }
            Sign::Status => {
                let status = if show { self.thinking.as_str() } else { "" };
                let call = json!({ "channel_id": channel, "thread_ts": ts, "status": status });
                ("assistant.threads.setStatus", call)
            }
            Sign::Reaction => {
                let method = if show { "reactions.add" } else { "reactions.remove" };
                (
                    method,
                    json!({ "channel": channel, "timestamp": ts, "name": self.reaction }),
                )
            }
        }
    }

    /// When to show it anew.
    fn again(&self, sign: Sign) -> Duration {
        match sign {
            Sign::Session => self.again.0,
            Sign::Status => self.again.1,
            Sign::Reaction => Duration::MAX,
        }
    }

    fn prompts(&self, channel: &str, thread_ts: Option<&str>) -> Option<Value> {
        if self.prompts.is_empty() {
            return None;
        }
        let prompt = |text: &String| json!({ "title": text, "message": text });
        let prompts: Vec<Value> = self.prompts.iter().map(prompt).collect();
        let mut call = json!({ "channel_id": channel, "prompts": prompts });
        // With an agent it must not be there: Slack then does nothing and says nothing.
        if let Some(thread_ts) = thread_ts {
            call["thread_ts"] = json!(thread_ts);
        }
        if !self.suggestions.is_empty() {
            call["title"] = json!(self.suggestions);
        }
        Some(call)
    }
}

impl Slack {
    /// Shows that an answer is on its way until `over` is cancelled, and takes it back then.
    pub(super) async fn show_work(&self, claim: &TurnClaim, over: &CancellationToken) {
        let Some((mut sign, spot)) = self.shown_how(claim) else {
            return;
        };
        let place = self.surface.place(&spot);
        let Some(_alone) = over.run_until_cancelled(place.lock()).await else {
            return;
        };
        let (title, mut shown, mut titled) = (title(claim), false, false);
        while !over.is_cancelled() {
            let again = match self.show(&mut sign, &spot, title.as_deref()).await {
                Ok(()) => {
                    shown = true;
                    self.surface.again(sign)
                }
                Err(Trouble::Limited(after)) => after,
                Err(Trouble::Refused(_)) => Duration::MAX,
                // It may be there all the same.
                Err(_) => {
                    shown = true;
                    SHOW_AGAIN
                }
            };
            if shown && sign == Sign::Status && !std::mem::replace(&mut titled, true) {
                self.entitle(claim, &spot, title.as_deref()).await;
            }
            if over.run_until_cancelled(sleep(again)).await.is_none() {
                break;
            }
        }
        if shown {
            self.show_no_more(sign, &spot).await;
        }
    }

    fn shown_how(&self, claim: &TurnClaim) -> Option<(Sign, Spot)> {
        let account = claim.thread.account.clone();
        let sign = self.surface.sign(&account, self.clock.now())?;
        let target = Target::from_route(&claim.thread.route)?;
        let ts = match sign {
            Sign::Reaction => claim.messages.last()?.platform_id.clone(),
            Sign::Session | Sign::Status => target.thread_ts?,
        };
        let channel = target.channel;
        Some((sign, Spot { account, channel, ts }))
    }

    /// Shows it. An app that turns out to be no agent is an assistant from then on.
    async fn show(&self, sign: &mut Sign, spot: &Spot, title: Option<&str>) -> Result<(), Trouble> {
        if *sign == Sign::Status && self.surface.thinking.is_empty() {
            return Err(Trouble::Refused("no_text".to_owned()));
        }
        let account = &spot.account;
        let (method, call) = self.surface.call(*sign, spot, true, title);
        let refused = match self.try_call(account, method, &call).await {
            Ok(answer) => {
                self.heed_warning(account, &answer);
                return Ok(());
            }
            Err(Trouble::Refused(code)) if code == "already_reacted" => return Ok(()),
            Err(trouble) => trouble,
        };
        let no_agent = matches!(&refused, Trouble::Refused(code)
            if matches!(errors::look(code).0, Class::Unlisted | Class::Ours));
        if *sign == Sign::Session && no_agent && !self.surface.thinking.is_empty() {
            let (method, call) = self.surface.call(Sign::Status, spot, true, None);
            if self.try_call(account, method, &call).await.is_ok() {
                tracing::info!(%account, "the app is no agent there (its manifest has no agent_view): it gets an assistant's status");
                let until = self.clock.now().plus(NO_AGENT);
                self.surface.no_agents().insert(account.clone(), until);
                *sign = Sign::Status;
                return Ok(());
            }
        }
        self.tell(account, method, &refused);
        Err(refused)
    }

    /// Gives a new thread with an assistant a title; sessions have theirs from the start.
    async fn entitle(&self, claim: &TurnClaim, spot: &Spot, title: Option<&str>) {
        let new = claim.attempt == 1 && claim.thread.conversation_id.is_none();
        let Some(title) = title.filter(|_| new && spot.channel.starts_with('D')) else {
            return;
        };
        let method = "assistant.threads.setTitle";
        let call = json!({ "channel_id": spot.channel, "thread_ts": spot.ts, "title": title });
        if let Err(trouble) = self.try_call(&spot.account, method, &call).await {
            self.tell(&spot.account, method, &trouble);
        }
    }

    /// Takes back what is shown, with patience: what stays there is a lie.
    async fn show_no_more(&self, sign: Sign, spot: &Spot) {
        let (method, call) = self.surface.call(sign, spot, false, None);
        for wait in TAKE_BACK {
            match self.try_call(&spot.account, method, &call).await {
                Ok(_) => return,
                Err(Trouble::Refused(code)) if code == "no_reaction" => return,
                Err(trouble @ Trouble::Refused(_)) => {
                    self.tell(&spot.account, method, &trouble);
                    return;
                }
                Err(Trouble::Limited(after)) => sleep(after.clamp(wait, TAKE_BACK[4])).await,
                Err(_) => sleep(wait).await,
            }
        }
        tracing::warn!(account = %spot.account, method, "Slack still shows that an answer is on its way; it could not be told otherwise");
    }
}

/// What a thread is called: the beginning of the first question.
fn title(claim: &TurnClaim) -> Option<String> {
    let first = claim.messages.first()?;
    let mut words = first.text.split_whitespace();
    let mut title = words.next()?.to_owned();
    for word in words {
        title.push(' ');
        title.push_str(word);
        if title.chars().count() > LONGEST_TITLE {
            break;
        }
    }
    if title.chars().count() > LONGEST_TITLE {
        title = title.chars().take(LONGEST_TITLE - 1).collect::<String>() + "…";
    }
    Some(title)
}
