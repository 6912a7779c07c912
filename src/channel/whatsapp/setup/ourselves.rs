//! Our own public address, called as Meta calls it: the handshake, a signed post, and a forged one.

use std::fmt::Write;

use http::header::CONTENT_TYPE;
use rand::RngExt;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::finding::Finding;
use crate::channel::signature::sign;
use crate::outbound::{self, Answer};

/// A webhook that holds nothing, with the escapes that Meta writes: whoever changes them on the way breaks the
/// signature.
const EMPTY_WEBHOOK: &str =
    r#"{"object":"whatsapp_business_account","entry":[],"check":"\u00e4\u0040\/\ud83d\ude00"}"#;

/// What the checks are called.
const HANDSHAKE: &str = "whatsapp handshake";
const SIGNED: &str = "whatsapp signed post";
const FORGED: &str = "whatsapp forged post";

/// Calls the address in the three ways.
pub(super) async fn probe(
    http: &reqwest::Client,
    callback: &str,
    verify_token: &SecretString,
    secrets: &[SecretString],
) -> Vec<Finding> {
    let mut found = vec![handshake(http, callback, verify_token).await];
    let reached = found[0].is_ok();
    if !reached {
        let first = "was not tried: first the handshake must work";
        return vec![
            found.remove(0),
            Finding::skipped(SIGNED, first),
            Finding::skipped(FORGED, first),
        ];
    }
    found.push(signed(http, callback, secrets).await);
    found.push(forged(http, callback).await);
    found
}

async fn handshake(http: &reqwest::Client, callback: &str, verify_token: &SecretString) -> Finding {
    let Ok(mut address) = Url::parse(callback) else {
        let found = format!("{callback} is no address");
        return Finding::failed(HANDSHAKE, found, "correct server.public_url");
    };
    let challenge = random_digits();
    address
        .query_pairs_mut()
        .append_pair("hub.mode", "subscribe")
        .append_pair("hub.challenge", &challenge)
        .append_pair("hub.verify_token", verify_token.expose_secret());
    let answer = match outbound::call(http.get(address)).await {
        Ok(answer) => answer,
        Err(failure) => {
            return Finding::failed(
                HANDSHAKE,
                format!("{callback} {failure}"),
                "start the daemon; then look at DNS, firewall, certificate and proxy. (If only this machine cannot reach \
                 its own public address, Meta may still reach it.)",
            );
        }
    };
    let status = answer.status.as_u16();
    match status {
        200 if answer.body == challenge.as_bytes() => {
            Finding::ok(HANDSHAKE, format!("{callback} returns the challenge"))
        }
        200 => Finding::failed(
            HANDSHAKE,
            format!("something at {callback} answers 200, but not with the challenge"),
            "let the proxy pass /whatsapp/webhook on to the daemon, with its query string",
        ),
        403 => Finding::failed(
            HANDSHAKE,
            format!("{callback} answers 403: the daemon there has another verify token"),
            "restart the daemon with this configuration",
        ),
        _ => Finding::failed(HANDSHAKE, answered(callback, status), remedy(status)),
    }
}

async fn signed(http: &reqwest::Client, callback: &str, secrets: &[SecretString]) -> Finding {
    for secret in secrets {
        let signature = sign(secret, &[EMPTY_WEBHOOK.as_bytes()]);
        let status = match post(http, callback, &signature).await {
            Ok(answer) => answer.status.as_u16(),
            Err(failure) => return Finding::failed(SIGNED, format!("{callback} {failure}"), remedy(0)),
        };
        if status != 200 {
            return Finding::failed(SIGNED, answered(callback, status), remedy(status));
        }
    }
    let found = match secrets.len() {
        1 => "200: what is signed with whatsapp.app_secret is taken".to_owned(),
        count => {
            format!("200: what is signed with any of the {count} secrets of whatsapp.app_secret is taken")
        }
    };
    Finding::ok(SIGNED, found)
}

async fn forged(http: &reqwest::Client, callback: &str) -> Finding {
    let signature = sign(&SecretString::from(random_digits()), &[EMPTY_WEBHOOK.as_bytes()]);
    match post(http, callback, &signature).await {
        Ok(answer) if answer.status.as_u16() == 401 => {
            Finding::ok(FORGED, "401: what somebody else signed is turned away")
        }
        Ok(answer) if answer.status.is_success() => Finding::failed(
            FORGED,
            format!("{callback} takes what is signed with a wrong secret"),
            "see what answers there: it is not this daemon, or a proxy answers in its place",
        ),
        Ok(answer) => {
            let status = answer.status.as_u16();
            Finding::failed(
                FORGED,
                format!("{}, and not 401", answered(callback, status)),
                remedy(status),
            )
        }
        Err(failure) => Finding::failed(FORGED, format!("{callback} {failure}"), remedy(0)),
    }
}

async fn post(http: &reqwest::Client, callback: &str, signature: &str) -> Result<Answer, outbound::Failure> {
    let request = http
        .post(callback)
        .header(CONTENT_TYPE, "application/json")
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .body(EMPTY_WEBHOOK);
    outbound::call(request).await
}

fn answered(callback: &str, status: u16) -> String {
    format!("{callback} answers {status}")
}

/// What to do when our own address answers this; 0 if it answers nothing.
fn remedy(status: u16) -> &'static str {
    match status {
        0 => "start the daemon; then look at the proxy",
        300..=399 => {
            "it redirects, which Meta does not follow: set server.public_url to the address at the end"
        }
        401 => {
            "restart the daemon with this configuration; if that is so, a proxy changes the body: let it pass the raw \
             bytes and the header X-Hub-Signature-256"
        }
        404 => "let the proxy pass /whatsapp/webhook on to the daemon, unchanged",
        413 => "raise the proxy's limit of the body to 4 MiB",
        502..=504 => "start the daemon, and look whether its store can be written: /readyz tells",
        _ => "look at the proxy and at the daemon's log",
    }
}

/// 20 digits that nobody can guess.
fn random_digits() -> String {
    let mut rng = rand::rng();
    (0..20).fold(String::new(), |mut digits, _| {
        let _ = write!(digits, "{}", rng.random_range(0..10));
        digits
    })
}
