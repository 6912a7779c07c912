//! Logging in with the operator's token, and out.

use std::sync::Arc;
use std::time::Instant;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{HeaderName, RETRY_AFTER, SET_COOKIE};
use http::{Extensions, HeaderMap, StatusCode, Uri};
use maud::html;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::view::View;
use super::{Desk, acts, page, words};
use crate::http::admin::peer_of;
use crate::http::errors::ApiError;
use crate::http::origin;

/// How a proxy tells that the browser came by TLS.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Way {
    to: Option<String>,
}

impl Way {
    /// A page of the console: no other address is followed.
    fn destination(&self) -> String {
        let wanted = self.to.as_deref().filter(|to| {
            let uri: Option<Uri> = to.parse().ok();
            to.starts_with("/console") && uri.is_some_and(|uri| View::of(&uri).is_some())
        });
        wanted.unwrap_or("/console").to_owned()
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Claim {
    token: SecretString,
}

/// Leads to the login whoever has not logged in, and from there back.
pub(super) fn ask(uri: &Uri) -> Response {
    let to = uri
        .path_and_query()
        .map_or("/console", |address| address.as_str());
    let mut login = with_way("/console/login", to);
    if to == "/console" {
        "/console/login".clone_into(&mut login);
    }
    Redirect::to(&login).into_response()
}

/// `PATH?to=…`
fn with_way(path: &str, to: &str) -> String {
    format!("{path}?to={}", words::encoded(to))
}

/// The form.
pub(super) async fn form(
    State(desk): State<Arc<Desk>>,
    Query(way): Query<Way>,
    headers: HeaderMap,
) -> Response {
    if desk.visitor(&headers).is_some() {
        return Redirect::to(&way.destination()).into_response();
    }
    show(StatusCode::OK, None)
}

/// Opens a session for whoever sends the right token.
pub(super) async fn log_in(
    State(desk): State<Arc<Desk>>,
    Query(way): Query<Way>,
    headers: HeaderMap,
    extensions: Extensions,
    Form(claim): Form<Claim>,
) -> Response {
    if !origin::is_own(&headers) {
        return page::forbidden(acts::FOREIGN);
    }
    let (peer, now) = (peer_of(&extensions), Instant::now());
    let console = &desk.console;
    match console.guard.login(peer, claim.token.expose_secret(), now) {
        Ok(()) => {
            tracing::info!(%peer, "somebody has logged in to the console");
            let cookie = console.sessions.open(is_secure(&headers), now);
            ([(SET_COOKIE, cookie)], Redirect::to(&way.destination())).into_response()
        }
        Err(ApiError::TooManyAttempts { retry_after }) => {
            let words = format!("Too many wrong tokens from your address. Try again in {retry_after} s.");
            let mut response = show(StatusCode::TOO_MANY_REQUESTS, Some(&words));
            response.headers_mut().insert(RETRY_AFTER, retry_after.into());
            response
        }
        Err(_) => {
            tracing::warn!(%peer, "a wrong token at the login of the console");
            let words = "This is not the token. It is what admin.token is set to.";
            show(StatusCode::UNAUTHORIZED, Some(words))
        }
    }
}

/// Ends the session.
pub(super) async fn log_out(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Form(form): Form<acts::Proof>,
) -> Response {
    if let Err(refusal) = desk.admit(&headers, &form.proof) {
        return *refusal;
    }
    let cookie = desk.console.sessions.close(&headers, is_secure(&headers));
    ([(SET_COOKIE, cookie)], Redirect::to("/console/login")).into_response()
}

/// Whether the browser came by TLS, as far as a proxy tells.
fn is_secure(headers: &HeaderMap) -> bool {
    headers
        .get(FORWARDED_PROTO)
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn show(status: StatusCode, complaint: Option<&str>) -> Response {
    let body = html! {
        img src="/console/assets/icon.svg" alt="" width="48" height="48";
        h1 { "chatbridge console" }
        form method="post" {
            @if let Some(complaint) = complaint { p class="problem" role="alert" id="complaint" { (complaint) } }
            label for="token" { "Token" }
            input type="password" id="token" name="token" autocomplete="current-password" required autofocus
                aria-describedby=(if complaint.is_some() { "complaint hint" } else { "hint" });
            button class="main" { "Log in" }
            p class="hint" id="hint" { "It is what " code { "admin.token" } " is set to in the configuration." }
        }
    };
    page::frame(status, "Log in", None, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_gone_to() {
        let goes = |to: &str| {
            Way {
                to: Some(to.to_owned()),
            }
            .destination()
        };
        assert_eq!(goes("/console/threads?q=a%20b"), "/console/threads?q=a%20b");
        for elsewhere in [
            "https://evil.example",
            "//evil.example",
            "/consoles",
            "/console/nothing",
            "/console@evil.example",
            "",
        ] {
            assert_eq!(goes(elsewhere), "/console", "{elsewhere}");
        }
        let asked = ask(&"/console/threads?q=a&state=".parse().unwrap());
        assert_eq!(
            asked.headers()["location"],
            "/console/login?to=/console/threads%3Fq%3Da%26state%3D"
        );
    }
}
