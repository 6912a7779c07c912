//! What can be done on the pages.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use serde::Deserialize;

use super::{Desk, login, page};
use crate::http::origin;
use crate::http::sessions::Visitor;
use crate::store::StoreError;
use crate::store::operator::{DeadQuery, ThreadChange};

/// What is said to a form that another server's page has sent.
pub(super) const FOREIGN: &str = "This was not sent by a page of this console, so it is not done.";

/// The name that stands for all dead letters.
const ALL: &str = "all";

/// What every form sends along.
#[derive(Debug, Deserialize)]
pub(super) struct Proof {
    #[serde(default)]
    pub(super) proof: String,
}

impl Desk {
    /// Lets a form act that one of this session's own pages has sent.
    pub(super) fn admit(&self, headers: &HeaderMap, proof: &str) -> Result<Visitor, Box<Response>> {
        if !origin::is_own(headers) {
            return Err(page::forbidden(FOREIGN).into());
        }
        let Some(visitor) = self.visitor(headers) else {
            return Err(login::ask(&http::Uri::from_static("/console")).into());
        };
        if visitor.proves(proof) {
            Ok(visitor)
        } else {
            Err(page::forbidden(FOREIGN).into())
        }
    }
}

/// Pauses, resumes or resets a thread.
pub(super) async fn change_thread(
    State(desk): State<Arc<Desk>>,
    Path((id, change)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<Proof>,
) -> Response {
    let visitor = match desk.admit(&headers, &form.proof) {
        Ok(visitor) => visitor,
        Err(refusal) => return *refusal,
    };
    // An id only: a pause by an address would make the thread.
    if id.contains('/') {
        return page::missing("No thread is known by this name.", Some(&visitor));
    }
    let wanted = match change.as_str() {
        "pause" => ThreadChange::Pause,
        "resume" => ThreadChange::Resume,
        "reset" => ThreadChange::Reset,
        _ => return page::missing("A thread cannot be changed in this way.", Some(&visitor)),
    };
    let now = desk.now();
    match desk.store().change_thread(&id, wanted, now).await {
        Ok(Some(row)) => {
            tracing::info!(thread = row.id, change, "changed in the console");
            back(&format!("/console/threads/{}?done={change}", row.id))
        }
        Ok(None) => page::missing("No thread is known by this name.", Some(&visitor)),
        Err(error) => page::trouble(&error, &visitor),
    }
}

/// Replays or purges a dead letter, or replays all.
pub(super) async fn act_on_letter(
    State(desk): State<Arc<Desk>>,
    Path((id, act)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<Proof>,
) -> Response {
    let visitor = match desk.admit(&headers, &form.proof) {
        Ok(visitor) => visitor,
        Err(refusal) => return *refusal,
    };
    let done = match act.as_str() {
        "replay" if id == ALL => desk.replay_all().await,
        "replay" => desk.replay(&id).await,
        "purge" => desk.store().purge(&id, desk.now()).await,
        _ => return page::missing("This cannot be done to a dead letter.", Some(&visitor)),
    };
    match done {
        Ok(true) => {
            tracing::info!(letter = id, act, "done in the console");
            back(&format!("/console/dead?done={act}"))
        }
        Ok(false) => back("/console/dead?done=gone"),
        Err(error) => page::trouble(&error, &visitor),
    }
}

impl Desk {
    async fn replay(&self, id: &str) -> Result<bool, StoreError> {
        let routes = &self.console.workers.parts().routes;
        self.store().replay(id, routes, self.now()).await
    }

    /// Replays all that is dead now. True if anything was.
    async fn replay_all(&self) -> Result<bool, StoreError> {
        let all = DeadQuery {
            limit: u32::MAX,
            ..DeadQuery::default()
        };
        let mut any = false;
        for letter in self.store().dead(all).await? {
            any |= self.replay(&letter.id).await?;
        }
        Ok(any)
    }
}

/// Leads to a page after a form.
pub(super) fn back(to: &str) -> Response {
    Redirect::to(to).into_response()
}
