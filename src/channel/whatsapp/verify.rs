//! Who may speak to us: Meta's handshake, and the signature of everything else.

use http::HeaderName;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::channel::Rejection;
use crate::channel::signature::{Unverified, Verified};

/// The header that carries `sha256=` and the HMAC-SHA256 of the raw body under the app's secret, in lowercase hex.
const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// What stands before the digits.
const SCHEME: &str = "sha256=";

/// Answers `GET ?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…` with the bare challenge. Meta signs no GET.
pub(super) fn handshake(query: Option<&str>, token: &SecretString) -> Result<String, Rejection> {
    let mut mode = None;
    let mut claimed = None;
    let mut challenge = None;
    for (name, value) in pairs(query.unwrap_or_default()) {
        match name.as_str() {
            "hub.mode" => mode = Some(value),
            "hub.verify_token" => claimed = Some(value),
            "hub.challenge" => challenge = Some(value),
            _ => {}
        }
    }
    let token = token.expose_secret().as_bytes();
    let fits =
        claimed.is_some_and(|claimed| bool::from(claimed.as_bytes().ct_eq(token))) && !token.is_empty();
    match challenge {
        Some(challenge) if fits && mode.as_deref() == Some("subscribe") => Ok(challenge),
        _ => Err(Rejection::Forbidden {
            code: "handshake_refused",
            message: "this is not the handshake of our app: the verify token in Meta's dashboard must be the one \
                      in whatsapp.verify_token",
        }),
    }
}

/// The decoded pairs of a query string.
fn pairs(query: &str) -> Vec<(String, String)> {
    // The address around it is only there because the parser wants a whole one.
    let Ok(mut url) = Url::parse("http://query.invalid/") else {
        return Vec::new();
    };
    url.set_query(Some(query));
    url.query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// Opens a POST whose signature fits one of the secrets. The bytes are taken as they came: Meta signs the body with
/// its escapes, and no other writing of the same JSON fits.
pub(super) fn signature(sealed: Unverified, secrets: &[SecretString]) -> Result<Verified, Rejection> {
    let refuse = |code, message| Err(Rejection::Unauthenticated { code, message });
    let Some(header) = sealed.header(&SIGNATURE) else {
        return refuse(
            "signature_missing",
            "there is no (single) header X-Hub-Signature-256; only Meta may post here",
        );
    };
    let digits = |text: &str| {
        text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    };
    let Some(claimed) = header
        .strip_prefix(SCHEME)
        .filter(|text| digits(text))
        .map(str::to_owned)
    else {
        return refuse(
            "signature_malformed",
            "X-Hub-Signature-256 is not sha256= and 64 lowercase hexadecimal digits",
        );
    };
    sealed.verify(secrets, &[], &claimed).ok_or(Rejection::Unauthenticated {
        code: "signature_invalid",
        message: "the signature does not fit: whatsapp.app_secret must be the secret of the app that posts \
                  (Meta's dashboard, App settings, Basic), and nothing on the way may change the body",
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::channel::signature::sign;

    fn token() -> SecretString {
        SecretString::from("a token & more")
    }

    #[test]
    fn the_handshake_returns_the_challenge_decoded() {
        let query = "hub.mode=subscribe&hub.challenge=11%2B58&hub.verify_token=a+token%20%26+more";
        assert_eq!(handshake(Some(query), &token()).unwrap(), "11+58");
    }

    #[test]
    fn any_other_handshake_is_forbidden() {
        let queries = [
            None,
            Some(""),
            Some("hub.mode=subscribe&hub.challenge=1"),
            Some("hub.mode=subscribe&hub.challenge=1&hub.verify_token="),
            Some("hub.mode=subscribe&hub.challenge=1&hub.verify_token=a+token"),
            Some("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=a+token+%26+more"),
            Some("hub.challenge=1&hub.verify_token=a+token+%26+more"),
            Some("hub.mode=subscribe&hub.verify_token=a+token+%26+more"),
            Some("%zz=%ff&&=&hub.mode"),
        ];
        for query in queries {
            let refused = handshake(query, &token()).unwrap_err();
            assert!(matches!(refused, Rejection::Forbidden { .. }), "{query:?}");
        }
        let empty = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=";
        assert!(
            handshake(Some(empty), &SecretString::from("")).is_err(),
            "no token is no key"
        );
    }

    fn sealed(body: &str, signatures: &[&str]) -> Unverified {
        let mut headers = HeaderMap::new();
        for signature in signatures {
            headers.append(SIGNATURE, signature.parse().unwrap());
        }
        Unverified::new(headers, Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn the_raw_bytes_are_signed_escapes_and_all() {
        let secrets = [SecretString::from("old"), SecretString::from("new")];
        for body in [
            r#"{"t":"\u00e4\u00f6\u00e5"}"#,
            r#"{"t":"\ud83d\ude00 \u0040 \/"}"#,
            r#"{ "t" : "ä@/" }"#,
            "",
        ] {
            let signature = format!("sha256={}", sign(&secrets[1], &[body.as_bytes()]));
            let opened = signature_of(body, &[&signature], &secrets).unwrap();
            assert_eq!(opened.bytes(), body.as_bytes());
            assert!(signature_of(&format!("{body} "), &[&signature], &secrets).is_err());
        }
    }

    fn signature_of(body: &str, headers: &[&str], secrets: &[SecretString]) -> Result<Verified, Rejection> {
        signature(sealed(body, headers), secrets)
    }

    #[test]
    fn every_other_signature_is_refused_with_its_code() {
        let secrets = [SecretString::from("s")];
        let good = format!("sha256={}", sign(&secrets[0], &[b"{}"]));
        let forged = format!("sha256={}", sign(&SecretString::from("x"), &[b"{}"]));
        let upper = good.to_uppercase();
        let bare = good.trim_start_matches("sha256=");
        let cases: [(&[&str], &str); 7] = [
            (&[], "signature_missing"),
            (&[&good, &good], "signature_missing"),
            (&[""], "signature_malformed"),
            (&[bare], "signature_malformed"),
            (&[&upper], "signature_malformed"),
            (&["sha256=00"], "signature_malformed"),
            (&[&forged], "signature_invalid"),
        ];
        for (headers, expected) in cases {
            match signature_of("{}", headers, &secrets) {
                Err(Rejection::Unauthenticated { code, .. }) => assert_eq!(code, expected),
                other => panic!("{headers:?}: {other:?}"),
            }
        }
        assert!(
            signature_of("{}", &[&good], &[]).is_err(),
            "without a secret nobody may speak"
        );
    }
}
