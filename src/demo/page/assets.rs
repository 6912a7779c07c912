//! The files of the page, and the headers that keep it harmless.

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("assets/index.html")),
    (
        "/base.css",
        CSS,
        concat!(include_str!("../../page.css"), include_str!("assets/base.css")),
    ),
    ("/phone.css", CSS, include_str!("assets/phone.css")),
    ("/workspace.css", CSS, include_str!("assets/workspace.css")),
    ("/bridge.css", CSS, include_str!("assets/bridge.css")),
    ("/main.js", SCRIPT, include_str!("assets/main.js")),
    ("/dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("/phone.js", SCRIPT, include_str!("assets/phone.js")),
    ("/workspace.js", SCRIPT, include_str!("assets/workspace.js")),
    ("/bridge.js", SCRIPT, include_str!("assets/bridge.js")),
    ("/map.js", SCRIPT, include_str!("assets/map.js")),
    ("/icon.svg", SVG, include_str!("assets/icon.svg")),
];

/// Only what the page itself brings may be loaded, run, called or styled.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// The files.
pub(super) fn router() -> Router {
    let served = |router: Router, (path, kind, content): &(&'static str, &'static str, &'static str)| {
        let (kind, content) = (*kind, *content);
        router.route(
            path,
            get(move || async move { ([(CONTENT_TYPE, kind)], content) }),
        )
    };
    FILES
        .iter()
        .fold(Router::new(), served)
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is nothing here.") })
}

/// Adds the headers to every answer.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(ALWAYS);
    response
}
