//! Headers of signatures, and Meta's handshake: nothing gets in but what is signed as it should be, and no refusal
//! holds a signature that would have been right.
//!
//! The input is up to four lines: which door (`s`, `w`, `h`), two header values or a query, and the body. `{S}` stands
//! for the right signature, so that the fuzzer need not guess one to come near it.

#![no_main]

use std::sync::{Arc, LazyLock};

use chatbridge::channel::{Acknowledgement, Channel};
use chatbridge_fuzz::{NOW, VERIFY_TOKEN, channel, meta_signature, posts, request, slack_signature};
use http::Method;
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;

static SLACK: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| channel("slack"));
static WHATSAPP: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| channel("whatsapp"));

/// How far Slack's time may be from ours, in seconds.
const WINDOW: i64 = 300;

fn replaced(value: &[u8], right: &str) -> Vec<u8> {
    match value.windows(3).position(|window| window == b"{S}") {
        Some(at) => [&value[..at], right.as_bytes(), &value[at + 3..]].concat(),
        None => value.to_vec(),
    }
}

fn slack(signature: &[u8], at: &[u8], body: &[u8]) {
    let right = slack_signature(at, body);
    let signature = replaced(signature, &right);
    let headers: [(&'static str, &[u8]); 2] = [
        ("x-slack-signature", &signature),
        ("x-slack-request-timestamp", at),
    ];
    let Some(request) = request(&posts(&**SLACK)[0], None, &headers, body) else {
        return;
    };
    let time = std::str::from_utf8(at)
        .ok()
        .filter(|at| at.bytes().all(|byte| byte.is_ascii_digit()));
    let fresh = time
        .and_then(|at| at.parse::<i64>().ok())
        .is_some_and(|at| NOW.abs_diff(at) <= WINDOW as u64);
    judge(
        SLACK.receive(request),
        fresh && signature == right.as_bytes(),
        &right,
    );
}

fn whatsapp(signature: &[u8], body: &[u8]) {
    let right = meta_signature(body);
    let signature = replaced(signature, &right);
    let Some(request) = request(
        &posts(&**WHATSAPP)[0],
        None,
        &[("x-hub-signature-256", &signature)],
        body,
    ) else {
        return;
    };
    judge(WHATSAPP.receive(request), signature == right.as_bytes(), &right);
}

fn judge(
    outcome: Result<chatbridge::channel::Received, chatbridge::channel::Rejection>,
    right: bool,
    signature: &str,
) {
    use chatbridge::channel::Rejection::{Malformed, Unauthenticated};
    match outcome {
        Ok(_) => assert!(right, "let in without the right signature"),
        // The door was opened; what came in was no JSON.
        Err(Malformed { .. }) => assert!(right, "read without the right signature"),
        Err(refusal @ Unauthenticated { .. }) => {
            assert!(!right, "what is signed as it should be is refused");
            let digest = signature.rsplit('=').next().unwrap_or_default();
            assert!(
                !format!("{refusal:?}").contains(digest),
                "a refusal holds the right signature"
            );
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn handshake(query: &[u8]) {
    // Only what HTTP carries: a parser of addresses leaves line ends and tabs out, and none of them gets so far.
    let Ok(target) = PathAndQuery::try_from([b"/?", query].concat()) else {
        return;
    };
    let query = target.query().unwrap_or_default();
    let endpoint = WHATSAPP
        .endpoints()
        .into_iter()
        .find(|endpoint| endpoint.method == Method::GET)
        .expect("GET");
    let request = request(&endpoint, Some(query), &[], b"").expect("no headers");
    if let Ok(received) = WHATSAPP.receive(request) {
        // Each letter of the token may be written in three ways; without all of them it cannot be the token.
        let letters = query.chars().filter(|c| c.is_ascii_alphanumeric()).count();
        assert!(
            letters > VERIFY_TOKEN.len(),
            "a handshake without the token: {query:?}"
        );
        assert!(matches!(received.answer, Acknowledgement::Text(_)) && received.arrivals.is_empty());
        assert!(query.contains("subscribe") || query.contains('%'), "{query:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    match next() {
        b"s" => slack(next(), next(), next()),
        b"w" => whatsapp(next(), next()),
        _ => handshake(next()),
    }
});
