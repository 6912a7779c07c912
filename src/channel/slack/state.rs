//! The state of an installation: proof that whoever comes back from Slack is who set out here.
//!
//! It is `NONCE.EXPIRY.SIGNATURE`. The signature covers a word that only the browser that set out has, in a cookie;
//! so a state that somebody else obtained is worth nothing. It is good for ten minutes, which is also how long
//! Slack's code is. Using it up is the store's affair.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::channel::signature::sign;
use crate::domain::Time;

/// How long a state is good.
pub(super) const GOOD_FOR: Duration = Duration::from_mins(10);

/// What is signed, beside the parts: a signature made for something else is none here.
const PURPOSE: &[u8] = b"chatbridge: state of an installation\0";

/// A state, and the word for the browser.
pub(super) struct Issued {
    /// For Slack, which hands it back.
    pub(super) state: String,
    /// For the browser's cookie.
    pub(super) word: String,
}

/// A state that is ours and that this browser set out with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proven {
    /// Its name, to be used up.
    pub(super) nonce: String,
    /// When it ends.
    pub(super) end: Time,
}

/// Why a state is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not ours, or another browser's.
    Foreign,
    /// Its time is over.
    Expired,
}

/// Makes a state.
pub(super) fn issue(secret: &SecretString, now: Time) -> Issued {
    let random = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    let (nonce, word) = (random(), random());
    let expiry = now.plus(GOOD_FOR).secs().to_string();
    let signature = signature(secret, &nonce, &expiry, &word);
    Issued {
        state: format!("{nonce}.{expiry}.{signature}"),
        word,
    }
}

/// Checks the state that came back with this browser's word.
pub(super) fn prove(secret: &SecretString, state: &str, word: &str, now: Time) -> Result<Proven, Refusal> {
    let mut parts = state.split('.');
    let (Some(nonce), Some(expiry), Some(claimed), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Foreign);
    };
    let wanted = signature(secret, nonce, expiry, word);
    if word.is_empty() || !bool::from(wanted.as_bytes().ct_eq(claimed.as_bytes())) {
        return Err(Refusal::Foreign);
    }
    let end = expiry
        .parse()
        .map(Time::from_secs)
        .map_err(|_| Refusal::Foreign)?;
    if now.secs() >= end.secs() {
        return Err(Refusal::Expired);
    }
    Ok(Proven {
        nonce: nonce.to_owned(),
        end,
    })
}

fn signature(secret: &SecretString, nonce: &str, expiry: &str, word: &str) -> String {
    let parts: [&[u8]; 6] = [
        PURPOSE,
        nonce.as_bytes(),
        b".",
        expiry.as_bytes(),
        b".",
        word.as_bytes(),
    ];
    sign(secret, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_766_458_030);

    #[test]
    fn a_state_is_good_for_its_browser_and_ten_minutes() {
        let secret = SecretString::from("s");
        let Issued { state, word } = issue(&secret, NOW);
        let prove = |secret: &str, state: &str, word: &str, after: u64| {
            let at = NOW.plus(Duration::from_secs(after));
            prove(&secret.into(), state, word, at).map(|proven| proven.nonce)
        };
        let nonce = state.split('.').next().unwrap().to_owned();
        assert_eq!(prove("s", &state, &word, 0), Ok(nonce.clone()));
        assert_eq!(prove("s", &state, &word, 599), Ok(nonce));
        assert_eq!(prove("s", &state, &word, 600), Err(Refusal::Expired));
        let other = issue(&secret, NOW);
        let later = state.replace(".17664", ".17764");
        let upper = state.to_uppercase();
        for (secret, state, word) in [
            ("t", state.as_str(), word.as_str()),
            ("s", &state, &other.word),
            ("s", &other.state, &word),
            ("s", &state, ""),
            ("s", &later, &word),
            ("s", &upper, &word),
            ("s", &state[..state.len() - 1], &word),
            ("s", "", &word),
            ("s", "..", &word),
            ("s", "a.b.c.d", &word),
        ] {
            assert_eq!(prove(secret, state, word, 0), Err(Refusal::Foreign), "{state}");
        }
    }
}
