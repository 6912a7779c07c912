//! The operator's pages, at `/console` on the admin listener: what goes on, who wrote, what failed, and how all is set.
//!
//! Each page is a `View`, named by its address. The server renders all of it, with `maud`, which
//! escapes whatever it is not told to trust. What changes by itself stands in one part of the page (`live`); a
//! small script gets that part anew by server-sent events when it has changed. Without the script everything works
//! but this. Whoever has logged in with the operator's token may see the pages (`login`) and act (`acts`).

mod accounts;
mod acts;
mod chart;
mod dead;
mod erase;
mod figures;
mod live;
mod login;
mod overview;
mod page;
mod settings;
mod thread;
mod threads;
mod view;
mod words;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, Uri};
use tokio_util::sync::CancellationToken;

use crate::channel::Channel;
use crate::domain::Time;
use crate::http::cached::Cached;
use crate::http::guard::Guard;
use crate::http::sessions::{Sessions, Visitor};
use crate::store::{Store, StoreError};
use crate::worker::Workers;
use figures::Figures;
use view::View;

/// The largest form that is read, in bytes.
const LARGEST_FORM: usize = 64 * 1024;

/// A key of the configuration, as the console shows it.
#[derive(Debug, Clone)]
pub struct SettingLine {
    /// The key's full name.
    pub key: String,
    /// Its value, if it has one and may be seen.
    pub value: Option<String>,
    /// Whether there is a value that is not shown.
    pub hidden: bool,
    /// Where the value was written; empty if there is none.
    pub origin: String,
    /// What the key does.
    pub doc: &'static str,
}

/// What the pages show and change.
pub struct Console {
    /// Who knows what is held, and with what they work.
    pub workers: Arc<Workers>,
    /// Who may log in.
    pub guard: Arc<Guard>,
    /// Who has.
    pub sessions: Arc<Sessions>,
    /// The configuration.
    pub settings: Vec<SettingLine>,
    /// Ends the events when the daemon stops.
    pub stop: CancellationToken,
}

/// The console, and what several of its readers share.
struct Desk {
    console: Console,
    figures: Cached<Option<Arc<Figures>>>,
}

impl Console {
    /// The routes below `/console`.
    pub fn router(self) -> Router {
        let desk = Arc::new(Desk {
            console: self,
            figures: Cached::new(),
        });
        Router::new()
            .route("/console", get(show))
            .route("/console/{*page}", get(show))
            .route("/console/login", get(login::form).post(login::log_in))
            .route("/console/logout", post(login::log_out))
            .route("/console/events", get(live::events))
            .route("/console/threads/{id}/erase", get(show).post(erase::erase_thread))
            .route("/console/erase", get(show).post(erase::erase_person))
            .route("/console/threads/{id}/{change}", post(acts::change_thread))
            .route("/console/dead/{id}/{act}", post(acts::act_on_letter))
            .with_state(desk)
            .merge(page::assets())
            .layer(DefaultBodyLimit::max(LARGEST_FORM))
            .layer(middleware::from_fn(page::harden))
    }
}

/// Any of the pages.
async fn show(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(visitor) = desk.visitor(&headers) else {
        return login::ask(&uri);
    };
    let Some(view) = View::of(&uri) else {
        return page::missing("There is no such page.", Some(&visitor));
    };
    match desk.live(&view, &visitor).await {
        Ok(Some(live)) => page::shell(&desk, &view, &uri, &visitor, &live),
        Ok(None) => page::missing(view.missing(), Some(&visitor)),
        Err(error) => page::trouble(&error, &visitor),
    }
}

impl Desk {
    fn store(&self) -> &dyn Store {
        self.console.workers.parts().store.as_ref()
    }

    fn channels(&self) -> &[Arc<dyn Channel>] {
        &self.console.workers.parts().channels
    }

    fn now(&self) -> Time {
        self.console.workers.parts().clock.now()
    }

    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        self.console.sessions.of(headers, Instant::now())
    }

    /// What the store counts, of the last second at the latest.
    async fn figures(&self) -> Result<Arc<Figures>, StoreError> {
        let mut failed = None;
        let look = async {
            match Figures::read(self.store(), self.now()).await {
                Ok(figures) => Some(Arc::new(figures)),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        };
        let figures = self.figures.get(look).await;
        figures.ok_or(failed.unwrap_or(StoreError::Busy))
    }
}
