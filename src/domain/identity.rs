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
//! 5. What is said late proves little: a weak identifier that began to lead elsewhere after a message was written is
//!    neither followed nor taken over by that message, and no reply goes there.
//!
//! The platform's word that names changed ([`rename`]) moves a thread to the new ones. A weak old name leads there no
//! longer: its next owner is somebody else.

use std::collections::HashMap;

use super::account::{AccountKey, AliasKey, DedupKey};
use super::clock::Time;
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
    /// The strong identifier that it is bound to, if it is; or, after [`Binding::Loosen`], the weak one.
    pub bound: Option<AliasKey>,
    /// Whether anyone ever wrote on it.
    pub written: bool,
    /// Since when the alias leads there, by the platform's time.
    pub since: Time,
    /// When anything was last said of the thread's names, by the platform's time.
    pub told: Time,
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
        /// Identifiers that lead to somebody else by now: no reply goes there.
        lost: Vec<AliasKey>,
    },
    /// A new thread takes these identifiers.
    Open {
        /// Identifiers to point at it.
        point: Vec<Identifier>,
        /// The strong identifier to bind it to.
        bind: Option<AliasKey>,
        /// Identifiers that lead to somebody else by now: no reply goes there.
        lost: Vec<AliasKey>,
    },
    /// No thread is known and the message may not open one.
    NotForUs,
}

/// Decides which thread a message belongs to that was written at `at`, from what its identifiers lead to.
pub fn resolve(
    claims: &[Identifier],
    opens: Opens,
    known: &HashMap<AliasKey, Known>,
    at: Time,
) -> Resolution {
    let strong = strong_of(claims);
    let mut by_strength: Vec<&Identifier> = claims.iter().collect();
    by_strength.sort_by_key(|claim| std::cmp::Reverse(claim.strength));

    let late = |claim: &Identifier, found: &Known| claim.strength == Strength::Weak && found.since > at;
    let fits = |claim: &Identifier, found: &Known| match (claim.strength, strong, &found.bound) {
        (Strength::Weak, Some(_), _) if late(claim, found) => false,
        (Strength::Weak, Some(claimed), Some(bound)) => claimed == bound || *bound == claim.alias,
        _ => true,
    };
    let hit = by_strength
        .iter()
        .find_map(|claim| known.get(&claim.alias).filter(|found| fits(claim, found)));
    if hit.is_none() && opens == Opens::Nothing {
        return Resolution::NotForUs;
    }

    let (mut point, mut lost) = (Vec::new(), Vec::new());
    for claim in claims {
        match known.get(&claim.alias) {
            Some(other) if hit.is_some_and(|found| found.thread == other.thread) => {}
            Some(other) if late(claim, other) => lost.push(claim.alias.clone()),
            // It may have been left behind since.
            None if claim.strength == Strength::Weak && hit.is_some_and(|found| found.told > at) => {}
            _ => point.push(claim.clone()),
        }
    }
    match hit {
        Some(found) => Resolution::Join {
            thread: found.thread,
            point,
            bind: strong
                .filter(|claimed| found.bound.as_ref() != Some(claimed))
                .cloned(),
            lost,
        },
        None => Resolution::Open {
            point,
            bind: strong.cloned(),
            lost,
        },
    }
}

fn strong_of(claims: &[Identifier]) -> Option<&AliasKey> {
    let strong = claims.iter().find(|claim| claim.strength == Strength::Strong)?;
    Some(&strong.alias)
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
    /// When it happened, by the platform's time.
    pub at: Time,
}

/// What becomes of a thread's bond to a strong identifier when its names change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// It stays as it is.
    Keep,
    /// It is bound to this one.
    To(AliasKey),
    /// It is bound to this weak one until the person's next message. The platform told no new user id, but with a
    /// changed number the user id changes too, so whoever writes from the new number is the same person by its word,
    /// and whoever writes from an older one is not.
    Loosen(AliasKey),
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
        /// What becomes of its bond.
        bind: Binding,
        /// Weak old names: they lead nowhere until somebody writes from them.
        leave: Vec<AliasKey>,
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
    Nothing {
        /// Weak names that are somebody else's now: they lead nowhere until somebody writes from them.
        leave: Vec<AliasKey>,
    },
}

/// Decides what a change of names means that happened at `at`.
pub fn rename(
    old: &[Identifier],
    new: &[Identifier],
    known: &HashMap<AliasKey, Known>,
    at: Time,
) -> Renaming {
    let (old_strong, new_strong) = (strong_of(old), strong_of(new));
    // A number may have changed hands since: it only speaks for a thread that is not bound to somebody else, and to
    // which it led when the names changed.
    let speaks = |claim: &&Identifier, found: &&Known| {
        claim.strength != Strength::Weak
            || found.since <= at
                && (found.bound.is_none()
                    || old_strong.is_none()
                    || found.bound.as_ref() == Some(&claim.alias)
                    || found.bound.as_ref() == old_strong
                    || found.bound.as_ref() == new_strong)
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
        (Some(thread), Some(other)) if thread.thread == other.thread || other.written => {
            nothing(old, new, other.thread, known, at)
        }
        (Some(thread), other) => Renaming::Rename {
            thread: thread.thread,
            point: still_free(new, known, at).collect(),
            bind: binding(thread, new, other),
            leave: left_behind(old, new, known, at),
            adopt: other.map(|early| early.thread),
        },
        (None, Some(other)) => nothing(old, new, other.thread, known, at),
        (None, None) => Renaming::Keep {
            point: old
                .iter()
                .filter(|claim| claim.strength != Strength::Weak)
                .cloned()
                .chain(still_free(new, known, at))
                .collect(),
            bind: new_strong.cloned(),
        },
    }
}

/// The identifiers, without weak ones that began to lead somewhere after `at`.
fn still_free(
    claims: &[Identifier],
    known: &HashMap<AliasKey, Known>,
    at: Time,
) -> impl Iterator<Item = Identifier> {
    let free = move |claim: &&Identifier| {
        claim.strength != Strength::Weak || known.get(&claim.alias).is_none_or(|found| found.since <= at)
    };
    claims.iter().filter(free).cloned()
}

fn binding(thread: &Known, new: &[Identifier], early: Option<&Known>) -> Binding {
    let bound = early.map_or(strong_of(new), |early| early.bound.as_ref());
    let weak = new.iter().find(|claim| claim.strength == Strength::Weak);
    match (bound, weak) {
        (Some(strong), _) if thread.bound.as_ref() != Some(strong) => Binding::To(strong.clone()),
        (None, Some(weak)) if thread.bound.is_some() => Binding::Loosen(weak.alias.clone()),
        _ => Binding::Keep,
    }
}

/// Nothing moves, but what the person has left and what was another's until then leads there no longer.
fn nothing(
    old: &[Identifier],
    new: &[Identifier],
    thread: ThreadId,
    known: &HashMap<AliasKey, Known>,
    at: Time,
) -> Renaming {
    let elsewhere = |claim: &&Identifier| {
        let found = known.get(&claim.alias);
        claim.strength == Strength::Weak
            && found.is_some_and(|found| found.thread != thread && found.since <= at)
    };
    let taken = new.iter().filter(elsewhere).map(|claim| claim.alias.clone());
    Renaming::Nothing {
        leave: left_behind(old, new, known, at)
            .into_iter()
            .chain(taken)
            .collect(),
    }
}

/// The weak old names that are none of the new ones, wherever they led until `at`.
fn left_behind(
    old: &[Identifier],
    new: &[Identifier],
    known: &HashMap<AliasKey, Known>,
    at: Time,
) -> Vec<AliasKey> {
    let led = |alias| known.get(alias).is_some_and(|found: &Known| found.since <= at);
    old.iter()
        .filter(|claim| claim.strength == Strength::Weak && !new.contains(claim))
        .map(|claim| &claim.alias)
        .filter(|alias| led(alias))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
