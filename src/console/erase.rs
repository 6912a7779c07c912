//! Erasing, in three steps: what would go, a yes, and what has gone.

mod pages;

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::acts::back;
use super::{Desk, page, words};
use crate::store::StoreError;
use crate::store::privacy::{Erased, Erasure, plain_name};
use pages::{done, of_person};

pub(super) use pages::{audit, confirm, confirm_person, person, search, thread};

/// What the box sends when it is ticked.
const YES: &str = "yes";

/// So many lines of the audit are shown at most.
pub(super) const MOST_LINES: u32 = 200;

/// Whose threads are looked for; empty: nobody's yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    person: String,
}

impl Wanted {
    /// The name as addresses have it; none if nobody was named.
    fn name(&self) -> Option<String> {
        Some(plain_name(&self.person)).filter(|name| !name.is_empty())
    }
}

/// What the form of the second step sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Consent {
    proof: String,
    sure: String,
    person: String,
}

/// Erases a thread, if the box is ticked.
pub(super) async fn erase_thread(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(consent): Form<Consent>,
) -> Response {
    let visitor = match desk.admit(&headers, &consent.proof) {
        Ok(visitor) => visitor,
        Err(refusal) => return *refusal,
    };
    // An id only: an address may have been given to somebody else since the page was looked at.
    if id.contains('/') {
        return page::missing("No thread is known by this name.", Some(&visitor));
    }
    if consent.sure != YES {
        return back(&format!(
            "/console/threads/{}/erase?done=unsure",
            words::encoded(&id)
        ));
    }
    match desk.store().erase(Erasure::Thread(id), desk.now()).await {
        Ok(Some(erased)) => {
            tracing::info!(thread = erased.id.as_deref(), "erased in the console");
            desk.clear_behind();
            done(&[erased], true, &visitor)
        }
        Ok(None) => page::missing("No thread is known by this name.", Some(&visitor)),
        Err(error) => page::trouble(&error, &visitor),
    }
}

/// Erases all threads of a person, if the box is ticked.
pub(super) async fn erase_person(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Form(consent): Form<Consent>,
) -> Response {
    let visitor = match desk.admit(&headers, &consent.proof) {
        Ok(visitor) => visitor,
        Err(refusal) => return *refusal,
    };
    let name = plain_name(&consent.person);
    if name.is_empty() || consent.sure != YES {
        return back(&format!("{}&done=unsure", of_person(&consent.person)));
    }
    let mut erased = Vec::new();
    let outcome = desk.erase_all_of(&name, &mut erased).await;
    if !erased.is_empty() {
        tracing::info!(erasures = erased.len(), "a person was erased in the console");
        desk.clear_behind();
    }
    match outcome {
        Ok(()) if erased.is_empty() => page::missing(
            "Nobody is known by that name. Give it as the addresses have it.",
            Some(&visitor),
        ),
        Err(error) if erased.is_empty() => page::trouble(&error, &visitor),
        Ok(()) => done(&erased, true, &visitor),
        Err(error) => {
            tracing::warn!(%error, "the rest of a person is not erased");
            done(&erased, false, &visitor)
        }
    }
}

impl Desk {
    /// What would go with each thread of a person.
    pub(super) async fn threads_of(&self, wanted: &Wanted) -> Result<Vec<Erased>, StoreError> {
        let mut found = Vec::new();
        if let Some(name) = wanted.name() {
            for thread in self.store().threads_of(&name).await? {
                found.extend(self.store().erasable(&thread.id).await?);
            }
        }
        Ok(found)
    }

    /// Erases a person's threads one by one, then what other threads hold. Whatever comes, `erased` has what has gone.
    async fn erase_all_of(&self, name: &str, erased: &mut Vec<Erased>) -> Result<(), StoreError> {
        let store = self.store();
        for thread in store.threads_of(name).await? {
            erased.extend(store.erase(Erasure::Thread(thread.id), self.now()).await?);
        }
        let elsewhere = store.erase(Erasure::Person(name.to_owned()), self.now()).await?;
        erased.extend(elsewhere.filter(|erased| !erased.is_nothing()));
        Ok(())
    }

    /// Has the traces removed from the database's files, without a visitor waiting for it; what is left of them then,
    /// the janitor removes.
    fn clear_behind(&self) {
        let (store, now) = (self.console.workers.parts().store.clone(), self.now());
        tokio::spawn(async move {
            if let Err(error) = store.clear(now).await {
                tracing::warn!(%error, "traces of what was erased are left; it is tried again later");
            }
        });
    }
}
