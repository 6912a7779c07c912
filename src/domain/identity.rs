//! Whose message is it? The one rule set that must never mix two people up.
//!
//! A channel only says what a message claims: identifiers by strength. The store looks up which of them are known,
//! asks [`resolve`] and writes what it decides, all in the accepting transaction. The rules are those of the
//! WhatsApp facts (§2), in the general terms of strength:
//!
//! 1. The strongest identifier that is known says which thread it is.
//! 2. A weak one (a phone number: it can change hands) that leads to a thread already bound to a *different* strong
//!    one (a user id) does not: a new thread is opened and takes the weak identifier over.
//! 3. A weak one that leads to a thread without any strong one binds it: that is how a thread known by its number
//!    only learns the user id.
//! 4. Where two identifiers lead to two threads, nothing is merged: the stronger one's thread wins, and takes the
//!    weaker identifier over.

use std::collections::HashMap;

use super::account::{AccountKey, AliasKey, DedupKey};
use super::ids::ThreadId;
use super::message::{Opens, Route};

/// How much an identifier proves. Greater is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// It can change hands and vanish: a phone number.
    Weak,
    /// It names the person, but for a whole group of businesses.
    Shared,
    /// It names exactly one person: a user id.
    Strong,
    /// It is the thread: the only name it has and will have.
    Root,
}

impl Strength {
    /// The number that the store keeps.
    pub fn as_i64(self) -> i64 {
        match self {
            Self::Weak => 1,
            Self::Shared => 2,
            Self::Strong => 3,
            Self::Root => 4,
        }
    }
}

/// One identifier that a message claims for its thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// The name.
    pub alias: AliasKey,
    /// What it proves.
    pub strength: Strength,
}

/// What the store knows of a thread that an alias led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The thread.
    pub thread: ThreadId,
    /// The strong identifier that it is bound to, if it is.
    pub bound: Option<AliasKey>,
    /// Whether anyone ever wrote on it.
    pub written: bool,
}

/// What to do about a message's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It belongs to this thread; these identifiers now lead there too (new ones, or taken from another thread),
    /// and it is now bound to this one.
    Join {
        /// The thread.
        thread: ThreadId,
        /// Identifiers to point at it.
        point: Vec<Identifier>,
        /// The strong identifier to bind it to, if that changes.
        bind: Option<AliasKey>,
    },
    /// A new thread takes these identifiers.
    Open {
        /// Identifiers to point at it.
        point: Vec<Identifier>,
        /// The strong identifier to bind it to.
        bind: Option<AliasKey>,
    },
    /// No thread is known and the message may not open one.
    NotForUs,
}

/// Decides which thread a message belongs to, from what its identifiers lead to.
pub fn resolve(claims: &[Identifier], opens: Opens, known: &HashMap<AliasKey, Known>) -> Resolution {
    let strong = claims
        .iter()
        .find(|claim| claim.strength == Strength::Strong)
        .map(|claim| &claim.alias);
    let mut by_strength: Vec<&Identifier> = claims.iter().collect();
    by_strength.sort_by_key(|claim| std::cmp::Reverse(claim.strength));

    let fits = |claim: &Identifier, found: &Known| match (claim.strength, strong, &found.bound) {
        (Strength::Weak, Some(claimed), Some(bound)) => claimed == bound,
        _ => true,
    };
    let hit = by_strength
        .iter()
        .find_map(|claim| known.get(&claim.alias).filter(|found| fits(claim, found)));

    match hit {
        Some(found) => {
            let elsewhere = |claim: &&Identifier| {
                known
                    .get(&claim.alias)
                    .is_none_or(|other| other.thread != found.thread)
            };
            Resolution::Join {
                thread: found.thread,
                point: claims.iter().filter(elsewhere).cloned().collect(),
                bind: strong
                    .filter(|claimed| found.bound.as_ref() != Some(claimed))
                    .cloned(),
            }
        }
        None if opens == Opens::Thread => Resolution::Open {
            point: claims.to_vec(),
            bind: strong.cloned(),
        },
        None => Resolution::NotForUs,
    }
}

/// A route without an identifier that leads to somebody else now; none if the identifier is not in it.
///
/// A route is the channel's own, but by agreement it holds an identifier as a field whose value is the alias's last
/// part. What is taken out is never written to again.
pub fn route_without(route: &Route, lost: &AliasKey) -> Option<Route> {
    let value = lost.as_str().rsplit('/').next()?;
    let mut fields = route.as_object()?.clone();
    let before = fields.len();
    fields.retain(|_, field| field.as_str() != Some(value));
    (fields.len() < before).then(|| fields.into())
}

/// The platform's word that a person is now called otherwise.
#[derive(Debug, Clone)]
pub struct IdentityChange {
    /// The installation that it concerns.
    pub account: AccountKey,
    /// What makes a second delivery of it recognisable.
    pub keys: Vec<DedupKey>,
    /// The names until now, strongest first.
    pub old: Vec<Identifier>,
    /// The names from now on, strongest first.
    pub new: Vec<Identifier>,
    /// Where replies go from now on.
    pub route: Route,
    /// The address from now on.
    pub address: AliasKey,
}

/// What to do about a change of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renaming {
    /// This thread goes on under the new names. If `adopt` is set, that thread holds nothing but names which came
    /// too early, and all its names now lead here, and its binding and route become this one's.
    Rename {
        /// The thread.
        thread: ThreadId,
        /// Identifiers to point at it.
        point: Vec<Identifier>,
        /// The strong identifier to bind it to, if that changes.
        bind: Option<AliasKey>,
        /// A thread of early names to take in.
        adopt: Option<ThreadId>,
    },
    /// Nobody by the old names is known: the new ones are kept together with the old ones, for a change that
    /// comes late.
    Keep {
        /// Identifiers to point at a new, unwritten thread.
        point: Vec<Identifier>,
        /// The strong identifier to bind it to.
        bind: Option<AliasKey>,
    },
    /// It is applied already, or the person wrote under the new name before it came: nothing is merged.
    Nothing,
}

/// Decides what a change of names means.
pub fn rename(old: &[Identifier], new: &[Identifier], known: &HashMap<AliasKey, Known>) -> Renaming {
    let strong = |claims: &[Identifier]| {
        claims
            .iter()
            .find(|claim| claim.strength == Strength::Strong)
            .map(|claim| claim.alias.clone())
    };
    let (old_strong, new_strong) = (strong(old), strong(new));
    // A number may have changed hands since: it only speaks for a thread that is not bound to somebody else.
    let speaks = |claim: &&Identifier, found: &&Known| {
        claim.strength != Strength::Weak
            || found.bound.is_none()
            || old_strong.is_none()
            || found.bound == old_strong
            || found.bound == new_strong
    };
    let before = old
        .iter()
        .find_map(|claim| known.get(&claim.alias).filter(|found| speaks(&claim, found)));
    let after = new
        .iter()
        .filter(|claim| claim.strength != Strength::Weak)
        .find_map(|claim| known.get(&claim.alias));

    match (before, after) {
        // Moved on already: the thread is bound to a later name than both.
        (Some(thread), Some(other)) if thread.thread == other.thread => Renaming::Nothing,
        (Some(_), Some(other)) if other.written => Renaming::Nothing,
        (Some(thread), other) => Renaming::Rename {
            thread: thread.thread,
            point: new.to_vec(),
            bind: other.map_or(new_strong, |early| early.bound.clone()),
            adopt: other.map(|early| early.thread),
        },
        (None, Some(_)) => Renaming::Nothing,
        (None, None) => Renaming::Keep {
            point: old
                .iter()
                .filter(|claim| claim.strength != Strength::Weak)
                .chain(new)
                .cloned()
                .collect(),
            bind: new_strong,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountKey {
        AccountKey::new("w", "1").unwrap()
    }

    fn name(id: &str) -> Identifier {
        let strength = match id.as_bytes()[0] {
            b'p' => Strength::Weak,
            b'g' => Strength::Shared,
            _ => Strength::Strong,
        };
        Identifier {
            alias: account().alias(&[id]).unwrap(),
            strength,
        }
    }

    fn names(ids: &[&str]) -> Vec<Identifier> {
        ids.iter().map(|id| name(id)).collect()
    }

    fn known(rows: &[(&str, ThreadId, Option<&str>)]) -> HashMap<AliasKey, Known> {
        let entry = |(id, thread, bound): &(&str, ThreadId, Option<&str>)| {
            (
                name(id).alias,
                Known {
                    thread: *thread,
                    bound: bound.map(|b| name(b).alias),
                    written: true,
                },
            )
        };
        rows.iter().map(entry).collect()
    }

    #[test]
    fn a_known_user_id_wins_over_a_number_that_leads_elsewhere() {
        let (a, b) = (ThreadId::new(), ThreadId::new());
        let found = known(&[("uA", a, Some("uA")), ("p1", b, Some("uB"))]);
        let expected = Resolution::Join {
            thread: a,
            point: names(&["p1"]),
            bind: None,
        };
        assert_eq!(resolve(&names(&["uA", "p1"]), Opens::Thread, &found), expected);
    }

    #[test]
    fn a_recycled_number_opens_a_new_thread() {
        let found = known(&[("p1", ThreadId::new(), Some("uA"))]);
        let expected = Resolution::Open {
            point: names(&["uB", "p1"]),
            bind: Some(name("uB").alias),
        };
        assert_eq!(resolve(&names(&["uB", "p1"]), Opens::Thread, &found), expected);
    }

    #[test]
    fn a_thread_known_by_its_number_learns_the_user_id() {
        let a = ThreadId::new();
        let found = known(&[("p1", a, None)]);
        let expected = Resolution::Join {
            thread: a,
            point: names(&["uA"]),
            bind: Some(name("uA").alias),
        };
        assert_eq!(resolve(&names(&["uA", "p1"]), Opens::Thread, &found), expected);
    }

    #[test]
    fn a_route_forgets_what_leads_to_somebody_else() {
        let route = serde_json::json!({ "to": "p1", "recipient": "uA" });
        assert_eq!(
            route_without(&route, &name("p1").alias),
            Some(serde_json::json!({ "recipient": "uA" }))
        );
        assert_eq!(route_without(&route, &name("p2").alias), None);
        assert_eq!(route_without(&Route::Null, &name("p1").alias), None);
    }

    #[test]
    fn a_reply_in_an_unknown_thread_opens_nothing() {
        assert_eq!(
            resolve(&names(&["uA"]), Opens::Nothing, &HashMap::new()),
            Resolution::NotForUs
        );
    }

    #[test]
    fn a_change_of_names_points_the_new_ones_at_the_old_thread_once() {
        let a = ThreadId::new();
        let found = known(&[("uA", a, Some("uA")), ("p1", a, Some("uA"))]);
        let change = rename(&names(&["uA", "p1"]), &names(&["uZ", "p2"]), &found);
        let point = names(&["uZ", "p2"]);
        assert_eq!(
            change,
            Renaming::Rename {
                thread: a,
                point,
                bind: Some(name("uZ").alias),
                adopt: None
            }
        );

        let again = known(&[
            ("uA", a, Some("uZ")),
            ("uZ", a, Some("uZ")),
            ("p1", a, Some("uZ")),
        ]);
        assert_eq!(
            rename(&names(&["uA", "p1"]), &names(&["uZ", "p2"]), &again),
            Renaming::Nothing
        );
    }

    #[test]
    fn a_later_change_may_come_first() {
        let (a, early) = (ThreadId::new(), ThreadId::new());
        // uB → uC came while nobody knew uB: both names wait on a thread that nobody wrote on.
        let mut found = known(&[
            ("uA", a, Some("uA")),
            ("uB", early, Some("uC")),
            ("uC", early, Some("uC")),
        ]);
        for entry in found.values_mut().filter(|entry| entry.thread == early) {
            entry.written = false;
        }
        let change = rename(&names(&["uA"]), &names(&["uB"]), &found);
        let bind = Some(name("uC").alias);
        assert_eq!(
            change,
            Renaming::Rename {
                thread: a,
                point: names(&["uB"]),
                bind,
                adopt: Some(early)
            }
        );
    }

    #[test]
    fn nothing_is_merged_when_the_person_wrote_under_the_new_name_first() {
        let (a, b) = (ThreadId::new(), ThreadId::new());
        let found = known(&[("uA", a, Some("uA")), ("uB", b, Some("uB"))]);
        assert_eq!(
            rename(&names(&["uA"]), &names(&["uB"]), &found),
            Renaming::Nothing
        );
    }
}
