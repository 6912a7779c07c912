//! Who has logged in with the operator's token: a cookie with a random name, and in memory what it stands for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::COOKIE;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The cookie's name.
const NAME: &str = "chatbridge_session";
/// How long a session lasts without a request.
const IDLE: Duration = Duration::from_hours(1);
/// How long it lasts at most.
const LONGEST: Duration = Duration::from_hours(12);
/// So many sessions are kept at most; the one that was used longest ago makes room.
const MOST: usize = 1000;

/// The sessions of this process; they end with it.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Clone)]
struct Session {
    since: Instant,
    used: Instant,
    proof: String,
}

/// A session that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// What each form of the session's pages sends along: another server's page does not know it.
    pub proof: String,
}

impl Visitor {
    /// Whether a form sent the right proof.
    pub fn proves(&self, claimed: &str) -> bool {
        self.proof.as_bytes().ct_eq(claimed.as_bytes()).into()
    }
}

impl Sessions {
    /// Opens a session and returns the cookie for it. `secure` tells that the browser came by TLS.
    pub fn open(&self, secure: bool, now: Instant) -> String {
        let (name, proof) = (secret(), secret());
        let mut sessions = self.sessions();
        sessions.retain(|_, session| session.lives(now));
        if sessions.len() >= MOST
            && let Some(oldest) = sessions
                .iter()
                .min_by_key(|(_, session)| session.used)
                .map(|(name, _)| *name)
        {
            sessions.remove(&oldest);
        }
        let session = Session {
            since: now,
            used: now,
            proof,
        };
        sessions.insert(digest(&name), session);
        cookie(&name, LONGEST.as_secs(), secure)
    }

    /// The session that a request's cookie names, if it lasts still. It counts as used.
    pub fn of(&self, headers: &HeaderMap, now: Instant) -> Option<Visitor> {
        let name = digest(named(headers)?);
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&name)?;
        if !session.lives(now) {
            sessions.remove(&name);
            return None;
        }
        session.used = now;
        Some(Visitor {
            proof: session.proof.clone(),
        })
    }

    /// Whether the session that a request's cookie names lasts still. It does not count as used.
    pub fn has(&self, headers: &HeaderMap, now: Instant) -> bool {
        named(headers).is_some_and(|name| {
            let sessions = self.sessions();
            sessions
                .get(&digest(name))
                .is_some_and(|session| session.lives(now))
        })
    }

    /// Ends the session that a request's cookie names. Returns the cookie that takes its place.
    pub fn close(&self, headers: &HeaderMap, secure: bool) -> String {
        if let Some(name) = named(headers) {
            self.sessions().remove(&digest(name));
        }
        cookie("", 0, secure)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE && now.saturating_duration_since(self.since) < LONGEST
    }
}

fn cookie(name: &str, age: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={name}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

fn named(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter();
    let mut pairs = pairs
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// Only digests are kept: who reads the memory of the process cannot log in with them.
fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

fn secret() -> String {
    let bytes: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("other=1; {pair}; more=2").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let cookie = headers(&sessions.open(false, start));
        let visitor = sessions.of(&cookie, start).unwrap();
        assert!(visitor.proves(&visitor.proof.clone()) && !visitor.proves(""));
        let mut now = start;
        while now + IDLE / 2 < start + LONGEST {
            now += IDLE / 2;
            assert_eq!(sessions.of(&cookie, now), Some(visitor.clone()));
        }
        assert_eq!(sessions.of(&cookie, start + LONGEST), None);
        let idle = headers(&sessions.open(false, start));
        assert_eq!(sessions.of(&idle, start + IDLE), None);
    }

    #[test]
    fn a_session_ends_by_logging_out() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (mine, other) = (
            headers(&sessions.open(true, now)),
            headers(&sessions.open(true, now)),
        );
        assert!(sessions.close(&mine, true).contains("Max-Age=0"));
        assert!(sessions.of(&mine, now).is_none() && !sessions.has(&mine, now));
        assert!(sessions.has(&other, now) && !sessions.has(&other, now + IDLE));
        assert!(sessions.of(&other, now).is_some());
        assert!(sessions.of(&HeaderMap::new(), now).is_none());
    }

    #[test]
    fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let cookie = Sessions::default().open(true, Instant::now());
        for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!Sessions::default().open(false, Instant::now()).contains("Secure"));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = headers(&sessions.open(false, now));
        for n in 0..MOST {
            sessions.open(false, now + Duration::from_millis(u64::try_from(n).unwrap() + 1));
        }
        assert_eq!(sessions.sessions().len(), MOST);
        assert!(sessions.of(&first, now).is_none());
    }
}
