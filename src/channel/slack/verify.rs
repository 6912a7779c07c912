//! Slack's signature: who may speak to us.
//!
//! `v0=` and the hex HMAC-SHA256 of `v0:TIMESTAMP:BODY` under the app's signing secret, over the raw bytes
//! (docs.slack.dev, "Verifying requests from Slack").

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use crate::channel::Rejection;
use crate::channel::signature::{Unverified, Verified};
use crate::domain::Time;

/// The header that holds the signature.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");

/// The header that holds the time of signing, in seconds since the epoch.
pub(super) const TIMESTAMP: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

/// The version in front of what is signed and of the signature; Slack has only ever had this one.
const VERSION: &str = "v0";

/// How far the time of signing may be from ours, either way, in seconds: an older request may be a replay.
const WINDOW_SECS: u64 = 300;

/// Checks signatures under the live secrets.
pub(super) struct Verifier {
    secrets: Vec<SecretString>,
    /// Whether what comes in comes over a socket, so that there need not be a secret.
    by_socket: bool,
}

impl Verifier {
    /// A verifier for these secrets. An empty one is none: anybody could sign with it. Without any secret,
    /// everything is turned away; with Socket Mode that is as it should be.
    pub(super) fn new(secrets: Vec<SecretString>, by_socket: bool) -> Self {
        let secrets: Vec<_> = secrets
            .into_iter()
            .filter(|secret| !secret.expose_secret().is_empty())
            .collect();
        if secrets.is_empty() && !by_socket {
            tracing::warn!(
                "slack.signing_secret is empty: every request is turned away; copy it from the app's Basic Information page"
            );
        }
        Self { secrets, by_socket }
    }

    /// Opens a request that Slack signed within the last five minutes.
    pub(super) fn open(&self, sealed: Unverified, now: Time) -> Result<Verified, Rejection> {
        if self.by_socket && self.secrets.is_empty() {
            return Err(BY_SOCKET);
        }
        let signature = sealed.header(&SIGNATURE).ok_or(MISSING)?.to_owned();
        let timestamp = sealed.header(&TIMESTAMP).ok_or(UNDATED)?.to_owned();
        let signed_at = seconds(&timestamp).ok_or(MISDATED)?;
        if now.secs().abs_diff(signed_at) > WINDOW_SECS {
            return Err(STALE);
        }
        let digest = signature
            .strip_prefix(VERSION)
            .and_then(|rest| rest.strip_prefix('='))
            .ok_or(FORGED)?;
        let prefix = [VERSION.as_bytes(), b":", timestamp.as_bytes(), b":"];
        sealed.verify(&self.secrets, &prefix, digest).ok_or(FORGED)
    }
}

/// Digits only: what `parse` also takes (a sign) no clock of Slack's writes.
fn seconds(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

const BY_SOCKET: Rejection = Rejection::Unauthenticated {
    code: "socket_mode",
    message: "this daemon gets its events by Socket Mode; to take webhooks, set slack.signing_secret",
};
const MISSING: Rejection = Rejection::Unauthenticated {
    code: "signature_missing",
    message: "the header X-Slack-Signature is missing or there twice; only Slack's signed requests are taken",
};
const UNDATED: Rejection = Rejection::Unauthenticated {
    code: "timestamp_missing",
    message: "the header X-Slack-Request-Timestamp is missing or there twice",
};
const MISDATED: Rejection = Rejection::Unauthenticated {
    code: "timestamp_invalid",
    message: "the header X-Slack-Request-Timestamp is not a number of seconds",
};
const STALE: Rejection = Rejection::Unauthenticated {
    code: "timestamp_stale",
    message: "the request was signed more than five minutes from now; is this machine's clock right?",
};
const FORGED: Rejection = Rejection::Unauthenticated {
    code: "signature_invalid",
    message: "the signature does not fit; compare slack.signing_secret with the app's Basic Information page",
};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    /// The example of docs.slack.dev: secret, time, body and the signature that must come out.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SIGNED_AT: i64 = 1_531_420_618;
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE_OF_IT: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn request(headers: &[(&'static str, &str)], body: &str) -> Unverified {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Unverified::new(map, Bytes::copy_from_slice(body.as_bytes()))
    }

    fn open(
        secrets: &[&str],
        headers: &[(&'static str, &str)],
        body: &str,
        now: i64,
    ) -> Result<usize, &'static str> {
        let secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let verifier = Verifier::new(secrets, false);
        match verifier.open(request(headers, body), Time::from_secs(now)) {
            Ok(body) => Ok(body.bytes().len()),
            Err(Rejection::Unauthenticated { code, .. }) => Err(code),
            Err(other) => panic!("{other:?}"),
        }
    }

    const SIGNED: [(&str, &str); 2] = [
        ("x-slack-signature", SIGNATURE_OF_IT),
        ("x-slack-request-timestamp", "1531420618"),
    ];

    #[test]
    fn the_documented_example_passes() {
        assert_eq!(open(&[SECRET], &SIGNED, BODY, SIGNED_AT), Ok(362));
        assert_eq!(open(&["another", SECRET], &SIGNED, BODY, SIGNED_AT), Ok(362));
    }

    #[test]
    fn five_minutes_either_way_and_no_second_more() {
        for (now, outcome) in [
            (SIGNED_AT + 300, Ok(362)),
            (SIGNED_AT - 300, Ok(362)),
            (SIGNED_AT + 301, Err("timestamp_stale")),
            (SIGNED_AT - 301, Err("timestamp_stale")),
        ] {
            assert_eq!(open(&[SECRET], &SIGNED, BODY, now), outcome, "{now}");
        }
    }

    #[test]
    fn without_a_secret_everything_is_turned_away() {
        assert_eq!(open(&[], &SIGNED, BODY, SIGNED_AT), Err("signature_invalid"));
        // Signed with the empty secret, which is none.
        let forged = crate::channel::signature::sign(&SecretString::from(""), &[b"v0:1531420618:", b"{}"]);
        let headers = [("x-slack-signature", format!("v0={forged}"))];
        let headers = [(headers[0].0, headers[0].1.as_str()), SIGNED[1]];
        assert_eq!(open(&[""], &headers, "{}", SIGNED_AT), Err("signature_invalid"));
    }

    #[test]
    fn with_socket_mode_no_webhook_is_taken_unless_there_is_a_secret() {
        let opened = |secrets: Vec<SecretString>| {
            let verifier = Verifier::new(secrets, true);
            verifier.open(request(&SIGNED, BODY), Time::from_secs(SIGNED_AT))
        };
        assert_eq!(opened(Vec::new()).unwrap_err(), BY_SOCKET);
        assert!(opened(vec![SecretString::from(SECRET)]).is_ok());
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let digest = &SIGNATURE_OF_IT[3..];
        let v1 = format!("v1={digest}");
        let time = SIGNED[1];
        for (headers, code) in [
            (vec![], "signature_missing"),
            (vec![time], "signature_missing"),
            (vec![SIGNED[0]], "timestamp_missing"),
            (vec![SIGNED[0], SIGNED[0], time], "signature_missing"),
            (vec![SIGNED[0], time, time], "timestamp_missing"),
            (
                vec![SIGNED[0], ("x-slack-request-timestamp", "")],
                "timestamp_invalid",
            ),
            (
                vec![SIGNED[0], ("x-slack-request-timestamp", "+1531420618")],
                "timestamp_invalid",
            ),
            (
                vec![SIGNED[0], ("x-slack-request-timestamp", "99999999999999999999")],
                "timestamp_invalid",
            ),
            (
                vec![SIGNED[0], ("x-slack-request-timestamp", "1531420619")],
                "signature_invalid",
            ),
            (vec![("x-slack-signature", digest), time], "signature_invalid"),
            (vec![("x-slack-signature", &v1), time], "signature_invalid"),
            (vec![("x-slack-signature", "v0="), time], "signature_invalid"),
        ] {
            assert_eq!(
                open(&[SECRET], &headers, BODY, SIGNED_AT),
                Err(code),
                "{headers:?}"
            );
        }
        assert_eq!(
            open(&[SECRET], &SIGNED, &BODY[1..], SIGNED_AT),
            Err("signature_invalid")
        );
    }
}
