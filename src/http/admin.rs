//! The admin listener: the metrics, for whoever has the operator's token or has logged in with it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use tower::Layer;

use super::Backend;
use super::cached::Cached;
use super::errors::ApiError;
use super::guard::Guard;
use super::sessions::Sessions;
use crate::domain::Clock;
use crate::telemetry::{self, DEAD_LETTERS, OLDEST_WAITING, UNKNOWN, WAITING};

/// How long the store may take to say what waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// What Prometheus calls its text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the admin router serves.
pub struct Admin<B> {
    /// The floors below.
    pub backend: Arc<B>,
    /// The time, to tell how long messages have waited.
    pub clock: Arc<dyn Clock>,
    /// Who may speak to it.
    pub guard: Arc<Guard>,
    /// Who has logged in.
    pub sessions: Arc<Sessions>,
    /// Further pages, which see for themselves who may read them.
    pub pages: Option<Router>,
}

/// The admin router as a connection from one address sees it.
pub type AdminService = middleware::AddExtension<Router, SocketAddr>;

impl<B: Backend> Admin<B> {
    /// Builds the router; [`for_peer`] makes it the service of a connection.
    pub fn router(self) -> Router {
        let door = Arc::new(Door {
            guard: self.guard,
            sessions: self.sessions,
        });
        let gauges = Arc::new(Gauges {
            backend: self.backend,
            clock: self.clock,
            read: Cached::new(),
        });
        let guarded = Router::new()
            .route("/metrics", get(show_metrics::<B>).with_state(gauges))
            .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
            .fallback(|| async { ApiError::NotFound })
            .layer(middleware::from_fn_with_state(door, admit));
        match self.pages {
            Some(pages) => pages.fallback_service(guarded),
            None => guarded,
        }
    }
}

struct Door {
    guard: Arc<Guard>,
    sessions: Arc<Sessions>,
}

/// The router for a connection from this address.
pub fn for_peer(router: &Router, peer: SocketAddr) -> AdminService {
    Extension(peer).layer(router.clone())
}

/// Whose connection a request came by. Without an address (there always is one) it counts as a stranger's.
pub fn peer_of(extensions: &http::Extensions) -> IpAddr {
    extensions
        .get::<SocketAddr>()
        .map_or(IpAddr::from([0, 0, 0, 0]), SocketAddr::ip)
}

async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let now = Instant::now();
    if door.sessions.of(request.headers(), now).is_some() {
        return next.run(request).await;
    }
    let peer = peer_of(request.extensions());
    let claimed = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    match door.guard.admit(peer, claimed, now) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The gauges that are read from the store when somebody asks.
struct Gauges<B> {
    backend: Arc<B>,
    clock: Arc<dyn Clock>,
    read: Cached<()>,
}

impl<B: Backend> Gauges<B> {
    async fn refresh(&self) {
        match tokio::time::timeout(PATIENCE, self.backend.backlog()).await {
            Ok(Ok(backlog)) => {
                let age = backlog
                    .oldest
                    .map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
                let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
                metrics::gauge!(WAITING).set(number(backlog.waiting));
                metrics::gauge!(UNKNOWN).set(number(backlog.unknown));
                metrics::gauge!(DEAD_LETTERS, "kind" => "message").set(number(backlog.dead_messages));
                metrics::gauge!(DEAD_LETTERS, "kind" => "delivery").set(number(backlog.dead_deliveries));
                metrics::gauge!(OLDEST_WAITING).set(age.as_secs_f64());
            }
            Ok(Err(error)) => tracing::warn!(%error, "the store does not say what waits"),
            Err(_) => tracing::warn!("the store does not say in time what waits"),
        }
    }
}

async fn show_metrics<B: Backend>(State(gauges): State<Arc<Gauges<B>>>) -> Response {
    gauges.read.get(gauges.refresh()).await;
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], telemetry::metrics().render()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::header::COOKIE;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::fakes::FakeBackend;
    use super::*;
    use crate::domain::Time;
    use crate::domain::clock::ManualClock;

    fn router(token: Option<&str>) -> Router {
        telemetry::metrics();
        let clock = Arc::new(ManualClock::at(Time::from_secs(160)));
        Admin {
            backend: Arc::new(FakeBackend::default()),
            clock,
            guard: Arc::new(Guard::new(token.map(Into::into).as_ref())),
            sessions: Arc::default(),
            pages: None,
        }
        .router()
    }

    async fn get_from(router: &Router, peer: &str, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = Request::builder().uri(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let service = for_peer(router, peer.parse().unwrap());
        let (parts, body) = service
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
            .into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn shows_what_waits_among_the_metrics() {
        let (status, text) = get_from(&router(None), "127.0.0.1:5", "/metrics", None).await;
        assert_eq!(status, 200);
        assert!(text.contains("chatbridge_waiting_messages 3"), "{text}");
        assert!(text.contains("chatbridge_oldest_waiting_seconds 60"), "{text}");
        assert!(text.contains("chatbridge_unknown_deliveries 1"), "{text}");
        assert!(
            text.contains("chatbridge_dead_letters{kind=\"message\"} 2"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn asks_strangers_for_the_token_whatever_they_want() {
        for (token, peer) in [(None, "192.0.2.1:5"), (Some("right"), "127.0.0.1:5")] {
            for path in ["/metrics", "/nothing"] {
                let (status, text) = get_from(&router(token), peer, path, None).await;
                assert_eq!(status, 401, "{peer} {path}");
                assert!(text.contains(r#""code":"unauthorized""#), "{text}");
            }
        }
        assert_eq!(
            get_from(&router(Some("right")), "192.0.2.1:5", "/metrics", Some("right"))
                .await
                .0,
            200
        );
        assert_eq!(
            get_from(&router(Some("right")), "192.0.2.1:5", "/nothing", Some("right"))
                .await
                .0,
            404
        );
    }

    #[tokio::test]
    async fn whoever_has_logged_in_needs_no_token() {
        let sessions = Arc::new(Sessions::default());
        let cookie = sessions.open(false, Instant::now());
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let router = Admin {
            backend: Arc::new(FakeBackend::default()),
            clock: Arc::new(ManualClock::at(Time::from_secs(160))),
            guard: Arc::new(Guard::new(Some(&"right".into()))),
            sessions,
            pages: None,
        }
        .router();
        for (cookie, status) in [(cookie.as_str(), 200), ("chatbridge_session=guessed", 401)] {
            let request = Request::builder().uri("/metrics").header(COOKIE, cookie);
            let service = for_peer(&router, "192.0.2.1:5".parse().unwrap());
            let response = service
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{cookie}");
        }
    }

    #[tokio::test]
    async fn stops_listening_after_ten_wrong_tokens() {
        let router = router(Some("right"));
        for _ in 0..10 {
            assert_eq!(
                get_from(&router, "192.0.2.1:5", "/metrics", Some("wrong"))
                    .await
                    .0,
                401
            );
        }
        assert_eq!(
            get_from(&router, "192.0.2.1:6", "/metrics", Some("right"))
                .await
                .0,
            429
        );
        assert_eq!(
            get_from(&router, "192.0.2.2:5", "/metrics", Some("right"))
                .await
                .0,
            200
        );
    }
}
