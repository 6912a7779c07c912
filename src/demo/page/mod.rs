//! The playground: the demo in a browser. On the left a phone, on the right a workspace, between them the bridge, and
//! switches that make its neighbours fail.
//!
//! The page is plain HTML, CSS and JavaScript within the binary. It gets the whole `snapshot` by server-sent events
//! each time anything changes, and acts by small posts (`acts`), which become signed webhooks to the daemon.

mod acts;
mod assets;
mod carrier;
mod snapshot;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use carrier::Post;

use super::Demo;
use super::bridge::{Apart, Bridge};
use super::graph::Graph;
use super::scene::Scene;
use super::slack::Slack;
use super::webhooks::Postman;
use crate::http::origin;
use crate::store::sqlite::{Mode, SqliteStore};
use crate::store::{Settings, Store};

/// How often the database is asked what waits.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Changes within this time go to the page together.
const TOGETHER: Duration = Duration::from_millis(40);

/// The largest body that the page's posts may have, in bytes.
const LARGEST_POST: usize = 64 * 1024;

/// What the page shows and changes.
pub(super) struct Stage {
    scene: Scene,
    slack: Slack,
    graph: Graph,
    postman: Postman,
    daemon: Apart,
    /// The operator's own agent, whose side of the way nobody sees.
    own_agent: bool,
    /// What waits in the database.
    waiting: watch::Sender<u64>,
    /// What was written on the page last.
    last: Mutex<Option<Post>>,
}

impl Stage {
    fn remember(&self, post: Post) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(post);
    }

    fn last(&self) -> Option<Post> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A page that is served. Dropping it ends that.
#[derive(Debug)]
pub struct Page {
    /// Where.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Serves the page of a demo whose daemon is a process of its own; none if it is not. `own_agent` tells that the
/// operator's own agent answers.
pub async fn serve(demo: &Demo, bind: SocketAddr, own_agent: bool) -> std::io::Result<Option<Page>> {
    let Bridge::Apart(daemon) = &demo.daemon else {
        return Ok(None);
    };
    let stage = Arc::new(Stage {
        scene: demo.scene.clone(),
        slack: demo.slack.clone(),
        graph: demo.graph.clone(),
        postman: demo.postman.clone(),
        daemon: daemon.clone(),
        own_agent,
        waiting: watch::Sender::new(0),
        last: Mutex::default(),
    });
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_database(stage.clone(), demo.database()));
    let router = router(stage);
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "the page is not served any more");
        }
    });
    Ok(Some(Page {
        address,
        _tasks: tasks,
    }))
}

fn router(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/events", get(events))
        .route("/say", post(acts::say))
        .route("/again", post(acts::again))
        .route("/forge", post(acts::forge))
        .route("/moods", post(acts::set_moods))
        .route("/bridge", post(acts::bridge))
        .with_state(stage)
        .merge(assets::router())
        .layer(DefaultBodyLimit::max(LARGEST_POST))
        .layer(middleware::from_fn(origin::own_pages_only))
        .layer(middleware::from_fn(assets::harden))
}

/// The snapshot, now and after each change.
async fn events(State(stage): State<Arc<Stage>>) -> Response {
    let seen = Seen {
        entries: stage.scene.journal.follow(),
        ways: stage.scene.ways.follow(),
        moods: stage.scene.follow_moods(),
        life: stage.daemon.follow(),
        waiting: stage.waiting.subscribe(),
    };
    let snapshots = stream::unfold((stage, seen, true), |(stage, mut seen, first)| async move {
        if !first {
            seen.changed().await?;
            tokio::time::sleep(TOGETHER).await;
        }
        seen.mark();
        let event = Event::default().json_data(snapshot::of(&stage));
        Some((event, (stage, seen, false)))
    });
    Sse::new(snapshots)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// What a page has seen.
struct Seen {
    entries: watch::Receiver<Vec<super::journal::Entry>>,
    ways: watch::Receiver<Vec<super::ways::Way>>,
    moods: watch::Receiver<super::scene::Moods>,
    life: watch::Receiver<super::bridge::Life>,
    waiting: watch::Receiver<u64>,
}

impl Seen {
    /// Waits until there is something else to see; none at the end of the demo.
    async fn changed(&mut self) -> Option<()> {
        tokio::select! {
            changed = self.entries.changed() => changed,
            changed = self.ways.changed() => changed,
            changed = self.moods.changed() => changed,
            changed = self.life.changed() => changed,
            changed = self.waiting.changed() => changed,
        }
        .ok()
    }

    fn mark(&mut self) {
        self.entries.mark_unchanged();
        self.ways.mark_unchanged();
        self.moods.mark_unchanged();
        self.life.mark_unchanged();
        self.waiting.mark_unchanged();
    }
}

/// Looks into the daemon's database, as an operator's command does: also while the daemon is away.
async fn watch_database(stage: Arc<Stage>, url: String) {
    let settings = Settings {
        url,
        ..Settings::default()
    };
    let store = loop {
        match SqliteStore::open(&settings, Mode::Command).await {
            Ok(store) => break store,
            Err(error) => tracing::debug!(%error, "the demo's database does not open yet"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    loop {
        if let Ok(backlog) = store.backlog().await {
            stage.waiting.send_if_modified(|waiting| {
                let other = *waiting != backlog.waiting;
                *waiting = backlog.waiting;
                other
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
