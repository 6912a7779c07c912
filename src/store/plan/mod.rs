//! What a batch of arrivals means: decisions in memory, between one read and one write.
//!
//! The batch is gone through in order; what an earlier arrival decided is seen by a later one, as if each had been
//! written before the next was read.

mod acts;
pub(super) mod asked;
mod names;
pub(super) mod rows;
pub(super) mod writes;

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::identity::{self, Binding, Identifier, Known, Resolution};
use crate::domain::message::{Accepted, Admission, Arrival, Fate, Inbound, Receipt, Route, Treatment};
use crate::domain::routing::send_lane;
use crate::domain::thread::ThreadState;
use crate::domain::{DedupKey, DeliveryId, MessageId, ThreadId, Time};
use writes::{
    DeliveryNow, Found, MessageWrite, NoticeWrite, PauseWrite, ReceiptWrite, RevisionWrite, ThreadNow,
    ThreadWrite, TurnWrite,
};

/// A person hears a notice at most once in this time and thread, whatever kinds of message came.
pub(in crate::store) const NOTICE_EVERY: Duration = Duration::from_hours(24);

/// Everything that a batch writes.
#[derive(Debug, Default)]
pub(in crate::store) struct Plan {
    pub(in crate::store) found: Found,
    pub(in crate::store) keys: Vec<(DedupKey, Time)>,
    pub(in crate::store) aliases: HashMap<AliasKey, (ThreadId, i64, Time)>,
    pub(in crate::store) threads: HashMap<ThreadId, ThreadWrite>,
    pub(in crate::store) messages: Vec<MessageWrite>,
    pub(in crate::store) turns: HashMap<ThreadId, TurnWrite>,
    pub(in crate::store) notices: Vec<NoticeWrite>,
    pub(in crate::store) receipts: Vec<ReceiptWrite>,
    /// Threads that lost a name to another, and where their replies go without it.
    pub(in crate::store) reroutes: HashMap<ThreadId, String>,
    /// Threads whose address leads to another by now, and that address.
    pub(in crate::store) readdressed: HashMap<ThreadId, AliasKey>,
    /// Threads of early names, and the threads that take their names over.
    pub(in crate::store) adoptions: Vec<(ThreadId, ThreadId)>,
    /// Messages that people changed or took back.
    pub(in crate::store) revisions: HashMap<MessageId, RevisionWrite>,
    /// Threads that something is said on though nobody wrote there.
    pub(in crate::store) spoken: HashMap<ThreadId, Time>,
    /// Threads whose conversation is forgotten.
    pub(in crate::store) resets: Vec<ThreadId>,
    /// Threads on which the bot falls silent until somebody resumes it.
    pub(in crate::store) silenced: Vec<(ThreadId, Time)>,
    /// Threads whose answers are called off: what was written until the first time, at the second.
    pub(in crate::store) stops: Vec<(ThreadId, Time, Time)>,
    /// What people say of answers, as rows.
    pub(in crate::store) ratings: Vec<serde_json::Value>,
    /// Aliases that lead nowhere any more.
    pub(in crate::store) left: Vec<AliasKey>,
    pub(in crate::store) pauses: Vec<PauseWrite>,
}

impl Plan {
    pub(in crate::store) fn new(found: Found) -> Self {
        Self {
            found,
            ..Self::default()
        }
    }

    /// Decides about one arrival.
    pub(in crate::store) fn admit(&mut self, admission: &Admission) -> Accepted {
        match &admission.arrival {
            Arrival::Message(inbound) => self.message(inbound, admission),
            Arrival::Receipt(receipt) => self.receipt(receipt),
            Arrival::Identity(change) => self.rename(change, admission.at),
            Arrival::Edit(edit) => self.edit(edit, admission.at),
            Arrival::Withdraw(withdrawal) => self.withdraw(withdrawal, admission.at),
            Arrival::Act(act) => self.act(act, admission.at),
            Arrival::TakeOver(take_over) => self.take_over(take_over, admission.at),
        }
    }

    fn message(&mut self, inbound: &Inbound, admission: &Admission) -> Accepted {
        let resolution = identity::resolve(
            &inbound.identifiers,
            inbound.opens,
            &self.known(&inbound.identifiers),
            inbound.sent_at,
        );
        if resolution == Resolution::NotForUs {
            return Accepted::Ignored("unknown_thread");
        }
        if !self.take_keys(&inbound.keys, admission.at) {
            return Accepted::Duplicate;
        }
        let (thread, point, bind, lost) = match resolution {
            Resolution::Join {
                thread,
                point,
                bind,
                lost,
            } => (thread, point, bind, lost),
            Resolution::Open { point, bind, lost } => {
                let address = address_without(&inbound.address, &inbound.identifiers, &lost);
                (self.open(&address), point, bind, lost)
            }
            Resolution::NotForUs => return Accepted::Ignored("unknown_thread"),
        };
        self.point(
            thread,
            &point,
            bind.map_or(Binding::Keep, Binding::To),
            inbound.sent_at,
        );
        self.touch(thread, inbound, &lost, admission.at);
        self.record(thread, inbound, admission)
    }

    fn record(&mut self, thread: ThreadId, inbound: &Inbound, admission: &Admission) -> Accepted {
        let Some(now) = self.found.threads.get_mut(&thread) else {
            return Accepted::Ignored("unknown_thread");
        };
        now.last_seq += 1;
        let seq = now.last_seq;
        let (state, code, outcome) = match &inbound.treatment {
            Treatment::Ignore { reason, .. } => ("ignored", Some(*reason), Accepted::Ignored(reason)),
            _ if now.is_paused(admission.at) => ("handed", None, Accepted::Handed),
            Treatment::Ask | Treatment::AskAndTell(_) => ("pending", None, Accepted::Queued),
        };
        self.messages.push(MessageWrite {
            id: MessageId::new(thread, seq),
            platform_id: inbound.platform_id.clone(),
            text: inbound.text.clone(),
            quotes: inbound.quotes.clone(),
            state,
            code,
            sent_at: inbound.sent_at,
            at: admission.at,
        });
        if outcome == Accepted::Queued {
            self.queue(thread, seq, admission);
        }
        if let Treatment::Ignore {
            notice: Some(text), ..
        }
        | Treatment::AskAndTell(text) = &inbound.treatment
        {
            self.notice(thread, text, &inbound.account, admission.at);
        }
        outcome
    }

    fn queue(&mut self, thread: ThreadId, seq: i64, admission: &Admission) {
        let turn = self.turns.entry(thread).or_insert_with(|| TurnWrite {
            lane: admission.lane.clone(),
            first: seq,
            wait: admission.wait,
            max_wait: admission.max_wait,
            at: admission.at,
        });
        turn.at = turn.at.max(admission.at);
    }

    fn notice(&mut self, thread: ThreadId, text: &str, account: &AccountKey, at: Time) {
        let Some(now) = self.found.threads.get_mut(&thread) else {
            return;
        };
        let lately = now.noticed_at.is_some_and(|last| at.since(last) < NOTICE_EVERY);
        if lately || text.is_empty() || now.is_paused(at) {
            return;
        }
        now.noticed_at = Some(at);
        now.last_part += 1;
        let id = DeliveryId::new(thread, now.last_part);
        self.notices.push(NoticeWrite {
            id,
            body: text.to_owned(),
            lane: send_lane(account),
            at,
        });
    }

    fn receipt(&mut self, receipt: &Receipt) -> Accepted {
        let names = |delivery: &&mut DeliveryNow| {
            delivery.account == receipt.account
                && (receipt.delivery == Some(delivery.id)
                    || delivery.platform_id.as_deref() == Some(&receipt.platform_id))
        };
        let Some(delivery) = self.found.deliveries.iter_mut().find(names) else {
            return Accepted::Unknown;
        };
        let (stage, _) = receipt.fate.stage();
        if stage <= delivery.stage {
            return Accepted::Duplicate;
        }
        let found = delivery.state == "unknown" && !matches!(receipt.fate, Fate::Failed { .. });
        delivery.stage = stage;
        if found {
            "sent".clone_into(&mut delivery.state);
        }
        let billed = receipt.billable == Some(true) && !delivery.billed;
        delivery.billed |= billed;
        self.receipts.push(ReceiptWrite {
            delivery: delivery.id,
            receipt: receipt.clone(),
        });
        Accepted::Applied { found, billed }
    }

    pub(in crate::store) fn known(&self, identifiers: &[Identifier]) -> HashMap<AliasKey, Known> {
        let look = |identifier: &Identifier| {
            let (thread, since) = *self.found.aliases.get(&identifier.alias)?;
            let now = self.found.threads.get(&thread)?;
            let known = Known {
                thread,
                bound: now.bound.clone(),
                written: now.last_seq > 0,
                since,
                told: now.routed_at,
            };
            Some((identifier.alias.clone(), known))
        };
        identifiers.iter().filter_map(look).collect()
    }

    /// Takes all keys; true if none was taken before.
    pub(in crate::store) fn take_keys(&mut self, keys: &[DedupKey], at: Time) -> bool {
        let mut fresh = true;
        for key in keys {
            if self.found.keys.insert(*key) {
                self.keys.push((*key, at));
            } else {
                fresh = false;
            }
        }
        fresh
    }

    pub(in crate::store) fn open(&mut self, address: &AliasKey) -> ThreadId {
        let thread = ThreadId::new();
        let now = ThreadNow {
            bound: None,
            last_seq: 0,
            last_part: 0,
            state: ThreadState::Open,
            noticed_at: None,
            route: Route::Null,
            address: address.clone(),
            routed_at: Time::default(),
            paused_until: None,
        };
        self.found.threads.insert(thread, now);
        thread
    }

    pub(in crate::store) fn point(
        &mut self,
        thread: ThreadId,
        point: &[Identifier],
        bind: Binding,
        since: Time,
    ) {
        for identifier in point {
            let before = self
                .found
                .aliases
                .insert(identifier.alias.clone(), (thread, since));
            let loser = before.map(|(other, _)| other).filter(|other| *other != thread);
            self.take_from(loser, &identifier.alias);
            self.aliases.insert(
                identifier.alias.clone(),
                (thread, identifier.strength.as_i64(), since),
            );
        }
        if let Some(now) = self.found.threads.get_mut(&thread) {
            match bind {
                Binding::Keep => {}
                Binding::To(name) | Binding::Loosen(name) => now.bound = Some(name),
            }
        }
    }

    /// A thread that lost a name sends nothing there any more: it is somebody else's.
    fn take_from(&mut self, loser: Option<ThreadId>, alias: &AliasKey) {
        let Some(loser) = loser else { return };
        let Some(now) = self.found.threads.get_mut(&loser) else {
            return;
        };
        if now.address == *alias {
            self.readdressed.insert(loser, alias.clone());
        }
        if let Some(route) = identity::route_without(&now.route, alias) {
            now.route = route;
            let text = now.route.to_string();
            match self.threads.get_mut(&loser) {
                Some(write) => write.route = text,
                None => drop(self.reroutes.insert(loser, text)),
            }
        }
    }

    fn touch(&mut self, thread: ThreadId, inbound: &Inbound, lost: &[AliasKey], at: Time) {
        let inbound_at = self
            .threads
            .get(&thread)
            .map_or(inbound.sent_at, |w| w.inbound_at.max(inbound.sent_at));
        let write = ThreadWrite {
            account: inbound.account.clone(),
            place: inbound.place.clone(),
            address: address_without(&inbound.address, &inbound.identifiers, lost),
            route: String::new(),
            country: inbound.country.clone(),
            inbound_at,
            at,
        };
        self.write_thread(thread, write, without(&inbound.route, lost), inbound.sent_at);
    }

    /// Writes a thread with its route and address, or with those that it has if they are newer.
    pub(in crate::store) fn write_thread(
        &mut self,
        thread: ThreadId,
        mut write: ThreadWrite,
        route: Route,
        said_at: Time,
    ) {
        let Some(now) = self.found.threads.get_mut(&thread) else {
            return;
        };
        if said_at >= now.routed_at {
            now.route = route;
            now.address = write.address;
            now.routed_at = said_at;
        }
        write.route = now.route.to_string();
        write.address = now.address.clone();
        self.reroutes.remove(&thread);
        self.threads.insert(thread, write);
    }
}

/// A route without what leads to somebody else.
fn without<'a>(route: &Route, lost: impl IntoIterator<Item = &'a AliasKey>) -> Route {
    lost.into_iter().fold(route.clone(), |route, alias| {
        identity::route_without(&route, alias).unwrap_or(route)
    })
}

/// An address that is the thread's own: if the one it was given leads to somebody else by now, another of its names.
fn address_without(address: &AliasKey, names: &[Identifier], lost: &[AliasKey]) -> AliasKey {
    let mut own = names
        .iter()
        .map(|name| &name.alias)
        .filter(|alias| !lost.contains(alias));
    let own = if lost.contains(address) { own.next() } else { None };
    own.unwrap_or(address).clone()
}

/// The address of a thread whose only name went over to another, such as `CHANNEL/ACCOUNT/NAME/former-5e6f7a8b`.
pub(in crate::store) fn former(thread: &ThreadId, lost: &AliasKey) -> String {
    let id = thread.to_string();
    let short = &id[id.len().saturating_sub(8)..];
    format!("{lost}/former-{short}")
}
