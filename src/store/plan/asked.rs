//! What a batch asks the database about, before anything is decided.

use std::collections::HashSet;

use super::writes::Found;
use crate::domain::act::{Act, Deed, Whereabouts};
use crate::domain::identity::Identifier;
use crate::domain::message::{Admission, Arrival};
use crate::domain::{AliasKey, DeliveryId, ThreadId, Time};

/// The questions of a batch.
#[derive(Debug, Default)]
pub(in crate::store) struct Asked<'b> {
    names: HashSet<&'b str>,
    pub(in crate::store) keys: Vec<i64>,
    /// Deliveries that receipts speak of by our own id.
    pub(in crate::store) by_id: Vec<(ThreadId, i64)>,
    /// Deliveries that are spoken of by the platform's name.
    pub(in crate::store) by_name: Vec<&'b str>,
    /// Messages that may be changed: a name of their thread, and their own.
    pub(in crate::store) messages: Vec<(&'b str, &'b str)>,
    /// Parts that acts are about.
    pub(in crate::store) parts: HashSet<(ThreadId, i64)>,
    /// Answers that are called off, by a name of their thread, and when.
    pub(in crate::store) stops: Vec<(AliasKey, Time)>,
    /// Rooms that are to hear of a part's thread.
    rooms: Vec<(DeliveryId, &'b str)>,
    /// Rooms that are to hear of a thread.
    alerted: Vec<AliasKey>,
}

impl<'b> Asked<'b> {
    /// The questions of these arrivals.
    pub(in crate::store) fn of(batch: impl IntoIterator<Item = &'b Admission>) -> Self {
        let mut asked = Self::default();
        for admission in batch {
            asked.note(&admission.arrival);
        }
        asked
    }

    fn note(&mut self, arrival: &'b Arrival) {
        let keys = match arrival {
            Arrival::Message(inbound) => {
                self.name(&inbound.identifiers);
                &inbound.keys[..]
            }
            Arrival::Identity(change) => {
                self.name(&change.old);
                self.name(&change.new);
                &change.keys
            }
            Arrival::TakeOver(echo) => {
                self.name(&echo.identifiers);
                self.by_name.push(&echo.platform_id);
                &echo.keys
            }
            Arrival::Receipt(receipt) => {
                self.by_id
                    .extend(receipt.delivery.map(|id| (id.thread, id.number)));
                self.by_name.push(&receipt.platform_id);
                &[]
            }
            Arrival::Edit(edit) => {
                self.message(&edit.identifiers, &edit.platform_id);
                &[]
            }
            Arrival::Withdraw(withdrawal) => {
                self.message(&withdrawal.identifiers, &withdrawal.platform_id);
                &withdrawal.keys
            }
            Arrival::Act(act) => {
                self.act(act);
                &act.keys
            }
        };
        self.keys.extend(keys.iter().map(|key| key.as_i64()));
    }

    fn name(&mut self, identifiers: &'b [Identifier]) {
        self.names
            .extend(identifiers.iter().map(|identifier| identifier.alias.as_str()));
    }

    fn message(&mut self, identifiers: &'b [Identifier], platform_id: &'b str) {
        self.name(identifiers);
        for identifier in identifiers {
            self.messages.push((identifier.alias.as_str(), platform_id));
        }
    }

    fn act(&mut self, act: &'b Act) {
        let room = act.alert.as_ref().map(|alert| alert.room.as_str());
        match &act.on {
            Whereabouts::Delivery(part) => {
                self.parts.insert((part.thread, part.number));
                self.rooms.extend(room.map(|room| (*part, room)));
            }
            Whereabouts::Known { identifiers } => {
                self.name(identifiers);
                if act.deed == Deed::Stop {
                    self.stops
                        .extend(identifiers.iter().map(|name| (name.alias.clone(), act.at)));
                }
            }
            Whereabouts::Place { identifiers, .. } => {
                self.name(identifiers);
                self.alerted
                    .extend(room.and_then(|room| act.account.alias(&[room])));
            }
        }
        if let Deed::Reset { also } = &act.deed {
            self.names.extend(also.iter().map(AliasKey::as_str));
        }
    }

    /// The rooms that are to hear of parts that were found.
    pub(in crate::store) fn rooms(&self, found: &Found) -> Vec<AliasKey> {
        let room = |(part, room): &(DeliveryId, &str)| found.parts.get(part)?.account.alias(&[room]);
        self.rooms.iter().filter_map(room).collect()
    }

    /// The names that the batch asks about, these rooms included.
    pub(in crate::store) fn aliases<'a>(&'a self, rooms: &'a [AliasKey]) -> Vec<&'a str> {
        let further = self.alerted.iter().chain(rooms).map(AliasKey::as_str);
        let further = further.filter(|name| !self.names.contains(name));
        self.names.iter().copied().chain(further).collect()
    }
}
