//! The part of a page that changes by itself, sent when it has changed.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;

use super::Desk;
use super::view::View;
use crate::http::sessions::Visitor;

/// How often it is looked whether a page has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which page.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    view: String,
}

/// What one page is told.
struct Reader {
    desk: Arc<Desk>,
    view: View,
    visitor: Visitor,
    headers: HeaderMap,
    /// Of what it was sent last.
    digest: Option<u64>,
    over: bool,
}

/// The events of a page: `live` with its part that changes, once it has; `trouble` while the store does not answer;
/// `end` when the session has ended.
pub(super) async fn events(
    State(desk): State<Arc<Desk>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(visitor) = desk.visitor(&headers) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let uri: Option<Uri> = wanted.view.parse().ok();
    let Some(view) = uri.and_then(|uri| View::of(&uri)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let reader = Reader {
        desk,
        view,
        visitor,
        headers,
        digest: None,
        over: false,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

impl Reader {
    /// The next event; none at the end of the session, or of the daemon.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            let console = &self.desk.console;
            if console.stop.is_cancelled() {
                return None;
            }
            if !console.sessions.has(&self.headers, Instant::now()) {
                self.over = true;
                return Some(Event::default().event("end").data("the session has ended"));
            }
            let (kind, words) = match self.desk.live(&self.view, &self.visitor).await {
                Ok(Some(live)) => ("live", live.into_string()),
                Ok(None) => ("trouble", self.view.missing().to_owned()),
                Err(_) => ("trouble", "the store does not answer".to_owned()),
            };
            let digest = digest(kind, &words);
            if self.digest.replace(digest) != Some(digest) {
                return Some(Event::default().event(kind).data(words));
            }
            let nap = tokio::time::sleep(LOOK_EVERY);
            console.stop.run_until_cancelled(nap).await?;
        }
    }
}

fn digest(kind: &str, words: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, words).hash(&mut hasher);
    hasher.finish()
}
