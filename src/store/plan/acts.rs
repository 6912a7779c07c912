//! What edits, withdrawals and acts mean: the part of the [plan](super) that is about what people do besides
//! writing.

use serde_json::json;

use super::Plan;
use super::writes::{NoticeWrite, OpenMessage, RevisionWrite, ThreadWrite};
use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::act::{Act, Alert, Deed, Edit, Whereabouts, Withdrawal};
use crate::domain::identity::{self, Binding, Identifier, Resolution, Strength};
use crate::domain::message::{Accepted, Opens};
use crate::domain::routing::send_lane;
use crate::domain::thread::ThreadState;
use crate::domain::{DeliveryId, ThreadId, Time};

/// What stands in an alert for the address of the thread that it is about.
const THREAD: &str = "{thread}";

impl Plan {
    /// A message says something else now, if its turn has not begun.
    pub(in crate::store) fn edit(&mut self, edit: &Edit, at: Time) -> Accepted {
        let Some(message) = self.open_message(&edit.identifiers, &edit.platform_id) else {
            return Accepted::Unknown;
        };
        if message.edited_at.is_some_and(|last| last > edit.edited_at) {
            return Accepted::Duplicate;
        }
        self.revise(&message, Some(edit.text.clone()), Some(edit.edited_at), at);
        Accepted::Done("edited")
    }

    /// A message is taken back, if its turn has not begun; what is still on its way comes too late.
    pub(in crate::store) fn withdraw(&mut self, withdrawal: &Withdrawal, at: Time) -> Accepted {
        let known = self.thread_of(&withdrawal.identifiers).is_some();
        if known || withdrawal.opens == Opens::Thread {
            self.take_keys(&withdrawal.keys, at);
        }
        let Some(message) = self.open_message(&withdrawal.identifiers, &withdrawal.platform_id) else {
            return Accepted::Unknown;
        };
        self.revise(&message, None, None, at);
        Accepted::Ignored("deleted")
    }

    fn thread_of(&self, identifiers: &[Identifier]) -> Option<ThreadId> {
        let find = |name: &Identifier| self.found.aliases.get(&name.alias).map(|(thread, _)| *thread);
        identifiers.iter().find_map(find)
    }

    /// The message of this name, if it waits and its turn has not begun. The names may lead to several threads: one
    /// that was known by its number only when the message came, say, and one of the user id.
    fn open_message(&self, identifiers: &[Identifier], platform_id: &str) -> Option<OpenMessage> {
        let threads = identifiers
            .iter()
            .filter_map(|name| self.found.aliases.get(&name.alias));
        threads
            .map(|(thread, _)| *thread)
            .find_map(|thread| self.open_message_on(thread, platform_id))
    }

    fn open_message_on(&self, thread: ThreadId, platform_id: &str) -> Option<OpenMessage> {
        let stored = self.found.open.iter();
        let mut stored =
            stored.filter(|message| message.id.thread == thread && message.platform_id == platform_id);
        // It may have come in this very batch.
        let fresh = self.messages.iter().rev().find(|message| {
            message.id.thread == thread && message.platform_id == platform_id && message.state == "pending"
        });
        let fresh = fresh.map(|message| OpenMessage {
            id: message.id,
            platform_id: platform_id.to_owned(),
            edited_at: None,
        });
        let mut message = stored.next().cloned().or(fresh)?;
        match self.revisions.get(&message.id) {
            Some(RevisionWrite { text: None, .. }) => return None,
            Some(earlier) => message.edited_at = earlier.edited_at,
            None => {}
        }
        Some(message)
    }

    fn revise(&mut self, message: &OpenMessage, text: Option<String>, edited_at: Option<Time>, at: Time) {
        let revision = RevisionWrite {
            text,
            edited_at: edited_at.or(message.edited_at),
            at,
        };
        self.revisions.insert(message.id, revision);
    }

    /// A button was pressed or a command given.
    pub(in crate::store) fn act(&mut self, act: &Act, at: Time) -> Accepted {
        if let Whereabouts::Delivery(part) = &act.on {
            let ours = self.found.parts.get(part);
            // Of the same account; or pressed in the very room, which two accounts may share.
            let meant = ours.is_some_and(|ours| {
                let shared = ours.account.channel() == act.account.channel()
                    && act
                        .room
                        .as_deref()
                        .is_some_and(|room| ours.address.room() == Some(room));
                ours.account == act.account || shared
            });
            if !meant {
                return Accepted::Unknown;
            }
        }
        if let Whereabouts::Known { identifiers } = &act.on
            && self.thread_of(identifiers).is_none()
        {
            return Accepted::Unknown;
        }
        if !self.take_keys(&act.keys, at) {
            return Accepted::Duplicate;
        }
        let Some((thread, account, address)) = self.whereabouts(act, at) else {
            return Accepted::Unknown;
        };
        let stopped = if act.deed == Deed::Stop {
            match self.stop(thread, act.at, at) {
                Accepted::Unknown => return Accepted::Unknown,
                stopped => Some(stopped),
            }
        } else {
            None
        };
        if !self.do_deed(act, thread, at) {
            return Accepted::Duplicate;
        }
        if let Some(text) = act.say.as_ref().filter(|text| !text.is_empty()) {
            self.say(thread, text.clone(), &account, at);
        }
        if let Some(alert) = &act.alert {
            self.alert(alert, &account, &address, at);
        }
        stopped.unwrap_or(Accepted::Done(act.deed.label()))
    }

    /// The thread that an act concerns, its account and its address.
    fn whereabouts(&mut self, act: &Act, at: Time) -> Option<(ThreadId, AccountKey, AliasKey)> {
        let (identifiers, address, place, route) = match &act.on {
            Whereabouts::Delivery(part) => {
                let ours = self.found.parts.get(part)?;
                return Some((part.thread, ours.account.clone(), ours.address.clone()));
            }
            Whereabouts::Known { identifiers } => {
                let thread = self.thread_of(identifiers)?;
                let address = self.found.threads.get(&thread)?.address.clone();
                return Some((thread, act.account.clone(), address));
            }
            Whereabouts::Place {
                identifiers,
                address,
                place,
                route,
            } => (identifiers, address, place, route),
        };
        let thread = match identity::resolve(identifiers, Opens::Thread, &self.known(identifiers), act.at) {
            Resolution::Join {
                thread, point, bind, ..
            } => {
                self.point(thread, &point, bind.map_or(Binding::Keep, Binding::To), act.at);
                thread
            }
            Resolution::Open { point, bind, .. } => {
                let thread = self.open(address);
                self.point(thread, &point, bind.map_or(Binding::Keep, Binding::To), act.at);
                thread
            }
            Resolution::NotForUs => return None,
        };
        let write = ThreadWrite {
            account: act.account.clone(),
            place: place.clone(),
            address: address.clone(),
            route: route.to_string(),
            country: None,
            inbound_at: act.at,
            at,
        };
        self.write_thread(thread, write, route.clone(), act.at);
        Some((thread, act.account.clone(), address.clone()))
    }

    /// Does it. False if it was done already.
    fn do_deed(&mut self, act: &Act, thread: ThreadId, at: Time) -> bool {
        match &act.deed {
            Deed::Explain | Deed::Stop => {}
            Deed::Reset { also } => {
                let further = also
                    .iter()
                    .filter_map(|alias| self.found.aliases.get(alias).map(|(thread, _)| *thread));
                self.resets.extend(further);
                self.resets.push(thread);
            }
            Deed::CallPerson => {
                let Some(now) = self.found.threads.get_mut(&thread) else {
                    return false;
                };
                if now.is_paused(at) && now.paused_until.is_none() {
                    return false;
                }
                now.state = ThreadState::Paused;
                now.paused_until = None;
                self.silenced.push((thread, at));
            }
            Deed::Rate { person, helpful } => {
                let turn = match &act.on {
                    Whereabouts::Delivery(part) => self.found.parts.get(part).and_then(|part| part.turn),
                    Whereabouts::Known { .. } | Whereabouts::Place { .. } => None,
                };
                let Some(turn) = turn else { return false };
                let (helpful, when) = (i64::from(*helpful), act.at.millis());
                // The last word of a person counts, in one statement too.
                self.ratings
                    .retain(|row| row[0] != json!(thread) || row[1] != turn || row[2] != *person);
                self.ratings.push(json!([thread, turn, person, helpful, when]));
            }
        }
        true
    }

    /// Calls off what was written on a thread until `until`, if there is anything to call off.
    fn stop(&mut self, thread: ThreadId, until: Time, at: Time) -> Accepted {
        let stored = self.found.stoppable.remove(&(thread, until));
        // It may have come in this very batch.
        let fresh = self.messages.iter().any(|message| {
            message.id.thread == thread && message.state == "pending" && message.sent_at <= until
        });
        if !fresh && !stored.is_some_and(|stored| stored.waits) {
            return Accepted::Unknown;
        }
        self.stops.push((thread, until, at));
        Accepted::Stopped(stored.and_then(|stored| stored.asking))
    }

    /// What a thread gets to read whatever else it heard lately: somebody asked for it.
    fn say(&mut self, thread: ThreadId, text: String, account: &AccountKey, at: Time) {
        let Some(now) = self.found.threads.get_mut(&thread) else {
            return;
        };
        now.last_part += 1;
        self.notices.push(NoticeWrite {
            id: DeliveryId::new(thread, now.last_part),
            body: text,
            lane: send_lane(account),
            at,
        });
        self.spoken.insert(thread, at);
    }

    fn alert(&mut self, alert: &Alert, account: &AccountKey, about: &AliasKey, at: Time) {
        let Some(alias) = account.alias(&[&alert.room]) else {
            return;
        };
        let known = self.found.aliases.get(&alias).map(|(thread, _)| *thread);
        let thread = known.unwrap_or_else(|| {
            let thread = self.open(&alias);
            let name = Identifier {
                alias: alias.clone(),
                strength: Strength::Root,
            };
            self.point(thread, &[name], Binding::Keep, at);
            let write = ThreadWrite {
                account: account.clone(),
                place: Some(alert.room.clone()),
                address: alias.clone(),
                route: alert.route.to_string(),
                country: None,
                inbound_at: Time::default(),
                at,
            };
            self.write_thread(thread, write, alert.route.clone(), at);
            thread
        });
        self.say(thread, alert.text.replace(THREAD, about.as_str()), account, at);
    }
}
