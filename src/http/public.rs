//! The public listener: the webhooks of the channels that are on, and the probes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::Backend;
use super::accepting::Accepting;
use super::body::{Patience, Room, discard, read};
use super::errors::ApiError;
use super::leaving;
use super::ready::Probe;
use super::visits;
use crate::channel::signature::Unverified;
use crate::channel::{Acknowledgement, Channel, Endpoint, Received, WebhookRequest};
use crate::crash_point::{self, Deed};

/// What the public router serves.
pub struct Public<B> {
    /// The floors below.
    pub backend: Arc<B>,
    /// The channels that are on.
    pub channels: Vec<Arc<dyn Channel>>,
    /// The names of those that are off: whoever calls them is told so.
    pub off: Vec<&'static str>,
    /// The largest body that is read, in bytes.
    pub body_limit: u64,
}

impl<B: Backend> Public<B> {
    /// Builds the router.
    pub fn router(self) -> Router {
        let (mut router, room) = (Router::new(), Room::new());
        for channel in &self.channels {
            for endpoint in channel.endpoints() {
                // axum knows the nine standard methods, and a channel names one of them.
                let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else {
                    continue;
                };
                let desk = Arc::new(Desk {
                    accepting: Accepting::new(self.backend.clone(), channel.clone(), endpoint.path),
                    endpoint: endpoint.clone(),
                    limit: self.body_limit,
                    room: room.clone(),
                });
                let serve = move |request| {
                    let desk = desk.clone();
                    async move { desk.serve(request).await }
                };
                router = router.route(endpoint.path, on(filter, serve));
            }
        }
        for channel in &self.channels {
            for path in channel.visited() {
                let channel = channel.clone();
                router = router.route(path, get(move |request| visits::serve(channel, path, request)));
            }
        }
        let probe = Arc::new(Probe::new(self.backend, self.channels));
        let off = self.off;
        router
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(ready::<B>).with_state(probe))
            .method_not_allowed_fallback(|request| async { unwanted(request, ApiError::MethodNotAllowed) })
            .fallback(move |request: Request| {
                let first = request.uri().path().split('/').nth(1);
                let off = off.iter().find(|name| Some(**name) == first);
                let error = off.map_or(ApiError::NotFound, |name| ApiError::ChannelOff(name));
                async { unwanted(request, error) }
            })
    }
}

/// Answers a request that nobody serves, and takes its body off the wire.
fn unwanted(request: Request, error: ApiError) -> ApiError {
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body);
    error
}

async fn ready<B: Backend>(State(probe): State<Arc<Probe<B>>>) -> Result<String, ApiError> {
    probe.check().await
}

/// Takes in what comes to one route of one channel.
struct Desk<B> {
    accepting: Accepting<B>,
    endpoint: Endpoint,
    limit: u64,
    room: Room,
}

impl<B: Backend> Desk<B> {
    async fn serve(&self, request: Request) -> Response {
        let received = self.receive(request).await;
        match self.accepting.accept(received).await {
            Ok(answer) => {
                let channel = self.accepting.channel.name();
                crash_point::before_at(Deed::Acknowledge, channel);
                let mut response = acknowledge(answer);
                leaving::mark(&mut response, channel);
                response
            }
            Err(error) => error.into_response(),
        }
    }

    /// Reads, verifies and understands a request, in this order.
    async fn receive(&self, request: Request) -> Result<Received, ApiError> {
        let (parts, body) = request.into_parts();
        let held = read(&parts.headers, body, self.limit, Patience::USUAL, &self.room).await?;
        let received = self.accepting.channel.receive(WebhookRequest {
            endpoint: self.endpoint.clone(),
            query: parts.uri.query().map(str::to_owned),
            sealed: Unverified::new(parts.headers, held.bytes.clone()),
        });
        Ok(received?)
    }
}

fn acknowledge(answer: Acknowledgement) -> Response {
    match answer {
        Acknowledgement::Empty => Response::new(Body::empty()),
        Acknowledgement::Text(text) => {
            let mut response = Response::new(Body::from(text));
            let headers = response.headers_mut();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            // The other side chose the text: a browser must not take it for a page.
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::ALLOW;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::fakes::{FakeBackend, FakeChannel, WISH};
    use super::*;
    use crate::store::StoreError;

    struct Site {
        backend: Arc<FakeBackend>,
        router: Router,
    }

    struct Answer {
        status: u16,
        headers: http::HeaderMap,
        text: String,
    }

    impl Answer {
        fn code(&self) -> String {
            let json: serde_json::Value = serde_json::from_str(&self.text).unwrap();
            json["error"]["code"].as_str().unwrap().to_owned()
        }
    }

    impl Site {
        fn new() -> Self {
            let backend = Arc::new(FakeBackend::default());
            let channels: Vec<Arc<dyn Channel>> = vec![Arc::new(FakeChannel)];
            let public = Public {
                backend: backend.clone(),
                channels,
                off: vec!["asleep"],
                body_limit: 16,
            };
            Self {
                backend,
                router: public.router(),
            }
        }

        async fn call(&self, method: &str, uri: &str, wish: &str, body: &'static str) -> Answer {
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .header(WISH, wish)
                .body(Body::from(body))
                .unwrap();
            let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            let text = body.collect().await.unwrap().to_bytes();
            Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                text: String::from_utf8(text.to_vec()).unwrap(),
            }
        }

        fn accepted(&self) -> usize {
            *self.backend.accepted.lock().unwrap()
        }
    }

    #[tokio::test]
    async fn acknowledges_what_was_stored_with_an_empty_200() {
        let site = Site::new();
        let answer = site.call("POST", "/fake/hook", "fine", "{}").await;
        assert_eq!(
            (answer.status, answer.text.as_str(), site.accepted()),
            (200, "", 1)
        );
    }

    #[tokio::test]
    async fn a_handshake_gets_its_text_and_sees_the_query_undecoded() {
        let site = Site::new();
        let answer = site.call("GET", "/fake/hook?a=%20b&a=c", "handshake", "").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "GET?a=%20b&a=c"));
        assert_eq!(answer.headers[CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    #[tokio::test]
    async fn what_the_channel_turns_away_is_never_stored() {
        let site = Site::new();
        for (wish, status, code) in [
            ("unauthenticated", 401, "signature_invalid"),
            ("forbidden", 403, "token_wrong"),
            ("malformed", 400, "no_json"),
        ] {
            let answer = site.call("POST", "/fake/hook", wish, "{}").await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
        }
        assert_eq!(site.accepted(), 0);
    }

    #[tokio::test]
    async fn a_store_that_fails_is_a_503_and_the_next_request_works() {
        let site = Site::new();
        *site.backend.failure.lock().unwrap() = Some(StoreError::Busy);
        let answer = site.call("POST", "/fake/hook", "fine", "{}").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "store_unavailable")
        );
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(site.call("POST", "/fake/hook", "fine", "{}").await.status, 200);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_a_413() {
        let site = Site::new();
        assert_eq!(
            site.call("POST", "/fake/hook", "fine", "1234567890123456")
                .await
                .status,
            200
        );
        let answer = site.call("POST", "/fake/hook", "fine", "12345678901234567").await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    }

    #[tokio::test]
    async fn nothing_is_served_elsewhere() {
        let site = Site::new();
        for (method, uri, status, code) in [
            ("GET", "/", 404, "not_found"),
            ("POST", "/fake/hook/", 404, "not_found"),
            ("POST", "/asleep/hook", 404, "channel_off"),
            ("DELETE", "/fake/hook", 405, "method_not_allowed"),
            ("POST", "/healthz", 405, "method_not_allowed"),
        ] {
            let answer = site.call(method, uri, "fine", "{}").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{method} {uri}"
            );
            assert_eq!(
                answer.headers.contains_key(ALLOW),
                status == 405,
                "{method} {uri}"
            );
        }
        assert_eq!(site.accepted(), 0);
    }

    #[tokio::test]
    async fn is_ready_when_the_store_takes_writes_and_the_agent_is_asked() {
        let site = Site::new();
        assert_eq!(site.call("GET", "/healthz", "", "").await.text, "ok");
        let answer = site.call("GET", "/readyz", "", "").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "ready"));

        *site.backend.refusal.lock().unwrap() =
            Some("agent a1 refuses the key: look at agent.api_key".into());
        let answer = site.call("GET", "/readyz", "", "").await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "agent_refused"));
        assert!(answer.text.contains("agent.api_key"), "{}", answer.text);
    }

    #[tokio::test]
    async fn is_not_ready_while_the_store_takes_no_writes() {
        let site = Site::new();
        *site.backend.failure.lock().unwrap() = Some(StoreError::Closed);
        let answer = site.call("GET", "/readyz", "", "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "store_unavailable")
        );
        // The answer is kept for a moment.
        assert_eq!(site.call("GET", "/readyz", "", "").await.status, 503);
    }

    #[tokio::test]
    async fn counts_each_outcome() {
        let metrics = crate::telemetry::metrics();
        let site = Site::new();
        for wish in ["ignored", "unauthenticated", "handshake"] {
            site.call("POST", "/fake/hook", wish, "{}").await;
        }
        site.call("POST", "/fake/hook", "fine", "far too large a body")
            .await;
        let text = metrics.render();
        for outcome in ["accepted", "ignored", "unauthenticated", "handshake", "too_large"] {
            let wanted = format!(r#"chatbridge_webhooks_total{{channel="fake",outcome="{outcome}"}}"#);
            assert!(text.contains(&wanted), "{wanted} in {text}");
        }
    }
}
