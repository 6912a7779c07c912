//! What the platform itself tells of people: that they are called otherwise now, that a colleague wrote to them.

use super::{Plan, address_without, without};
use crate::domain::identity::{self, Binding, Identifier, IdentityChange, Renaming, Resolution};
use crate::domain::message::{Accepted, Opens, TakeOver};
use crate::domain::thread::ThreadState;
use crate::domain::{AliasKey, ThreadId, Time};
use crate::store::plan::writes::{DeliveryNow, PauseWrite, ThreadWrite};

impl Plan {
    pub(in crate::store) fn rename(&mut self, change: &IdentityChange, at: Time) -> Accepted {
        if !self.take_keys(&change.keys, at) {
            return Accepted::Duplicate;
        }
        let all: Vec<Identifier> = change.old.iter().chain(&change.new).cloned().collect();
        match identity::rename(&change.old, &change.new, &self.known(&all), change.at) {
            Renaming::Rename {
                thread,
                point,
                bind,
                leave,
                adopt,
            } => {
                self.point(thread, &point, bind, change.at);
                self.leave(&leave);
                self.reroute(thread, change, &point, at);
                if let Some(early) = adopt {
                    self.adopt(early, thread);
                }
                Accepted::Applied {
                    found: false,
                    billed: false,
                }
            }
            Renaming::Keep { point, bind } => {
                let thread = self.open(&change.address);
                self.point(thread, &point, bind.map_or(Binding::Keep, Binding::To), change.at);
                self.reroute(thread, change, &point, at);
                Accepted::Unknown
            }
            Renaming::Nothing { leave } => {
                self.leave(&leave);
                Accepted::Unknown
            }
        }
    }

    /// Replies go to the new names, unless something newer was said already; never to one that is somebody else's.
    fn reroute(&mut self, thread: ThreadId, change: &IdentityChange, point: &[Identifier], at: Time) {
        let lost = change.new.iter().filter(|name| !point.contains(name));
        let lost: Vec<AliasKey> = lost.map(|name| name.alias.clone()).collect();
        let route = without(&change.route, &lost);
        let write = ThreadWrite {
            account: change.account.clone(),
            place: None,
            address: address_without(&change.address, &change.new, &lost),
            route: String::new(),
            country: None,
            inbound_at: Time::default(),
            at,
        };
        self.write_thread(thread, write, route, change.at);
    }

    /// These names lead nowhere any more, and no reply goes there.
    fn leave(&mut self, leave: &[AliasKey]) {
        for alias in leave {
            let led = self.found.aliases.remove(alias);
            self.aliases.remove(alias);
            self.left.push(alias.clone());
            self.take_from(led.map(|(thread, _)| thread), alias);
        }
    }

    fn adopt(&mut self, early: ThreadId, thread: ThreadId) {
        for found in self.found.aliases.values_mut().filter(|found| found.0 == early) {
            found.0 = thread;
        }
        if let Some(write) = self.threads.remove(&early) {
            self.threads.insert(thread, write);
        }
        let moved = self.found.threads.get(&early).cloned();
        if let (Some(early), Some(now)) = (moved, self.found.threads.get_mut(&thread)) {
            now.route = early.route;
            now.address = early.address;
            now.routed_at = early.routed_at;
        }
        self.aliases
            .values_mut()
            .filter(|row| row.0 == early)
            .for_each(|row| row.0 = thread);
        self.adoptions.push((early, thread));
    }

    /// A colleague answers there: the bot is silent for a while, also where nobody has written yet.
    pub(in crate::store) fn take_over(&mut self, echo: &TakeOver, at: Time) -> Accepted {
        let ours = |delivery: &DeliveryNow| {
            delivery.account == echo.account && delivery.platform_id.as_deref() == Some(&echo.platform_id)
        };
        if !self.take_keys(&echo.keys, at) {
            return Accepted::Duplicate;
        }
        if self.found.deliveries.iter().any(ours) {
            return Accepted::Ignored("own_echo");
        }
        let known = self.known(&echo.identifiers);
        let thread = match identity::resolve(&echo.identifiers, Opens::Thread, &known, echo.at) {
            Resolution::Join { thread, .. } => thread,
            Resolution::Open { point, bind, lost } => {
                let address = address_without(&echo.address, &echo.identifiers, &lost);
                let thread = self.open(&address);
                self.point(thread, &point, bind.map_or(Binding::Keep, Binding::To), echo.at);
                let write = ThreadWrite {
                    account: echo.account.clone(),
                    place: None,
                    address,
                    route: String::new(),
                    country: None,
                    inbound_at: Time::default(),
                    at,
                };
                self.write_thread(thread, write, without(&echo.route, &lost), echo.at);
                thread
            }
            Resolution::NotForUs => return Accepted::Unknown,
        };
        let until = echo.at.plus(echo.pause);
        if let Some(now) = self.found.threads.get_mut(&thread).filter(|_| until > at) {
            let for_good = now.state == ThreadState::Paused && now.paused_until.is_none();
            if !for_good {
                now.state = ThreadState::Paused;
                now.paused_until = now.paused_until.max(Some(until));
            }
            self.pauses.push(PauseWrite { thread, until, at });
        }
        Accepted::Ignored("echo")
    }
}
