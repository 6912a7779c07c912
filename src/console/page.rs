//! What all pages share: the frame, the headers that keep them harmless, and the pages that tell of something wrong.

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode, Uri};
use maud::{DOCTYPE, Markup, html};

use super::view::{Notice, View};
use super::{Desk, dead, erase, threads};
use crate::http::sessions::Visitor;
use crate::store::StoreError;

/// Only what the pages themselves bring may be loaded, run, called, styled or sent to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Path, type, content. Nothing of them is secret.
const ASSETS: [(&str, &str, &str); 3] = [
    (
        "/console/assets/console.css",
        "text/css; charset=utf-8",
        concat!(include_str!("../page.css"), include_str!("assets/console.css")),
    ),
    (
        "/console/assets/console.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/console.js"),
    ),
    (
        "/console/assets/icon.svg",
        "image/svg+xml",
        include_str!("assets/icon.svg"),
    ),
];

/// The pages of the navigation.
const PAGES: [(&str, &str); 5] = [
    ("/console", "Overview"),
    ("/console/threads", "Threads"),
    ("/console/dead", "Dead letters"),
    ("/console/accounts", "Accounts"),
    ("/console/settings", "Settings"),
];

/// The files of the pages.
pub(super) fn assets() -> Router {
    ASSETS
        .iter()
        .fold(Router::new(), |router, (path, kind, content)| {
            router.route(
                path,
                get(move || async move { ([(CONTENT_TYPE, *kind)], *content) }),
            )
        })
}

/// Adds the headers to every answer.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(ALWAYS);
    response
}

/// A page, with its part that changes by itself.
pub(super) fn shell(desk: &Desk, view: &View, uri: &Uri, visitor: &Visitor, live: &Markup) -> Response {
    let (title, current) = match view {
        View::Overview => ("Overview", PAGES[0].0),
        View::Threads(_) => ("Threads", PAGES[1].0),
        View::Thread(_) => ("Thread", PAGES[1].0),
        View::EraseThread(_) => ("Erase a thread", PAGES[1].0),
        View::ErasePerson(_) => ("Erase a person", PAGES[1].0),
        View::Erased => ("What was erased", PAGES[1].0),
        View::Dead(_) => ("Dead letters", PAGES[2].0),
        View::Accounts => ("Accounts", PAGES[3].0),
        View::Settings => ("Settings", PAGES[4].0),
    };
    let address = uri
        .path_and_query()
        .map_or("/console", |address| address.as_str());
    let body = html! {
        h1 { (title) }
        @if let Some((kind, words)) = notice(uri) { p class=(kind) role="status" { (words) } }
        @match view {
            View::Threads(filter) => { (threads::form(desk, filter)) }
            View::Dead(filter) => { (dead::form(filter)) }
            View::ErasePerson(wanted) => { (erase::search(wanted)) }
            _ => {}
        }
        div id=(if view.follows() { "live" } else { "still" }) data-view=(address) { (live) }
        @match view {
            View::Threads(_) => { (threads::further()) }
            View::EraseThread(id) => {
                @let thread = format!("/console/threads/{id}");
                (erase::confirm(&format!("{thread}/erase"), None, &thread, visitor))
            }
            View::ErasePerson(wanted) => { (erase::confirm_person(wanted, visitor)) }
            _ => {}
        }
        @if view.follows() { p class="linked" { span id="link" { "as of the loading of this page" } } }
    };
    frame(StatusCode::OK, title, Some((visitor, current)), &body)
}

/// What an act that was just done is called, and how it looks.
fn notice(uri: &Uri) -> Option<(&'static str, &'static str)> {
    let axum::extract::Query(Notice { done }) = axum::extract::Query::try_from_uri(uri).ok()?;
    let words = match done?.as_str() {
        "pause" => "The thread is paused: the bot is silent there.",
        "resume" => "The thread is open: the bot answers there.",
        "reset" => "The thread is reset: the next question opens a new conversation.",
        "replay" => "Back to work: it is tried again now.",
        "purge" => "The dead letter is forgotten.",
        "gone" => "It was not there any more. Somebody may have acted already.",
        "unsure" => return Some(("problem", "Nothing is erased: tick the box first.")),
        _ => return None,
    };
    Some(("notice", words))
}

/// A page for what is not there.
pub(super) fn missing(words: &str, visitor: Option<&Visitor>) -> Response {
    let body = html! {
        h1 { "Not found" }
        p { (words) " " a href="/console" { "To the overview" } }
    };
    let inside = visitor.map(|visitor| (visitor, ""));
    frame(StatusCode::NOT_FOUND, "Not found", inside, &body)
}

/// A page for a request that another server's page, or an old one of ours, has made.
pub(super) fn forbidden(words: &str) -> Response {
    let body = html! {
        h1 { "Not done" }
        p { (words) " " a href="/console" { "To the overview" } }
    };
    frame(StatusCode::FORBIDDEN, "Not done", None, &body)
}

/// A page for a store that fails.
pub(super) fn trouble(error: &StoreError, visitor: &Visitor) -> Response {
    tracing::warn!(%error, "the console cannot read the store");
    let body = html! {
        h1 { "The store does not answer" }
        p class="problem" { "Nothing can be shown or changed now; messages wait at the platforms. The log says more." }
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    frame(status, "Trouble", Some((visitor, "")), &body)
}

/// The frame of every page; with the navigation for whoever is logged in.
pub(super) fn frame(
    status: StatusCode,
    title: &str,
    inside: Option<(&Visitor, &str)>,
    body: &Markup,
) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · chatbridge" }
                link rel="icon" href="/console/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console/assets/console.css";
                script type="module" src="/console/assets/console.js" {}
            }
            body class=(if inside.is_some() { "inside" } else { "outside" }) {
                @if let Some((visitor, current)) = inside {
                    a class="skip" href="#main" { "To the content" }
                    header { (navigation(visitor, current)) }
                }
                main id="main" tabindex="-1" { (body) }
            }
        }
    };
    let html = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, html, page.into_string()).into_response()
}

fn navigation(visitor: &Visitor, current: &str) -> Markup {
    html! {
        p class="brand" {
            img src="/console/assets/icon.svg" alt="" width="28" height="28";
            "chatbridge"
        }
        nav aria-label="Pages" {
            ul {
                @for (path, name) in PAGES {
                    li { a href=(path) aria-current=[(path == current).then_some("page")] { (name) } }
                }
            }
        }
        form class="leave" method="post" action="/console/logout" {
            (proof(visitor))
            button { "Log out" }
        }
        p class="version" { "Version " (env!("CARGO_PKG_VERSION")) }
    }
}

/// What each form sends along.
pub(super) fn proof(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="proof" value=(visitor.proof); }
}
