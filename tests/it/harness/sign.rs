//! The platforms' signatures, written a second time and independently of the daemon's.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// `X-Slack-Signature` of a body sent at `timestamp`.
pub(crate) fn slack_signature(secret: &str, timestamp: &str, body: &[u8]) -> String {
    format!("v0={}", hex(secret, &[b"v0:", timestamp.as_bytes(), b":", body]))
}

/// `X-Hub-Signature-256` of a body.
pub(crate) fn whatsapp_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex(secret, &[body]))
}

/// The HMAC-SHA256 of all parts, in hex.
pub(crate) fn hex(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    let mut text = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The vector of Slack's documentation ("Verifying requests from Slack").
#[test]
fn the_documented_vector_holds() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    assert_eq!(
        slack_signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body.as_bytes()),
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    );
}
