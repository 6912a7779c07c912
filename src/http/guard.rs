//! Who may speak to the admin listener: whoever has the operator's token, or a session that it has opened.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::errors::ApiError;

/// So many wrong tokens of one address within [`WINDOW`], and it is not listened to until the window is over.
const MOST_WRONG: u32 = 10;
/// The window, counted from the first wrong token.
const WINDOW: Duration = Duration::from_mins(1);
/// So many addresses are remembered at most.
const MOST_ADDRESSES: usize = 10_000;

/// The operator's token, and who has tried wrong ones.
pub struct Guard {
    /// A digest: comparing digests tells nothing of the token's length either.
    token: Option<[u8; 32]>,
    wrong: Mutex<HashMap<IpAddr, Wrong>>,
}

struct Wrong {
    since: Instant,
    count: u32,
}

impl Guard {
    /// A guard for this token.
    pub fn new(token: Option<&SecretString>) -> Self {
        Self {
            token: token.map(|token| digest(token.expose_secret())),
            wrong: Mutex::default(),
        }
    }

    /// Lets a request pass, or says why not. `claimed` is its `Authorization` header.
    pub fn admit(&self, peer: IpAddr, claimed: Option<&str>, now: Instant) -> Result<(), ApiError> {
        let peer = peer.to_canonical();
        let Some(token) = &self.token else {
            let words = "without admin.token only this machine is served: set one, and send it as Authorization: Bearer";
            return if peer.is_loopback() {
                Ok(())
            } else {
                Err(ApiError::Unauthorized(words))
            };
        };
        self.listen(network(peer), now)?;
        let Some(claimed) = claimed.and_then(bearer) else {
            return Err(ApiError::Unauthorized(
                "send the token of admin.token as Authorization: Bearer",
            ));
        };
        self.compare(network(peer), claimed, token, now)
    }

    /// Checks a token that was typed into a form. Wrong ones count like those of [`admit`](Self::admit).
    pub fn login(&self, peer: IpAddr, claimed: &str, now: Instant) -> Result<(), ApiError> {
        let peer = network(peer.to_canonical());
        self.listen(peer, now)?;
        match &self.token {
            Some(token) => self.compare(peer, claimed, token, now),
            None => Err(ApiError::Unauthorized("there is no admin.token")),
        }
    }

    fn compare(&self, peer: IpAddr, claimed: &str, token: &[u8; 32], now: Instant) -> Result<(), ApiError> {
        if digest(claimed).ct_eq(token).into() {
            return Ok(());
        }
        self.note(peer, now);
        Err(ApiError::Unauthorized("this is not the token of admin.token"))
    }

    /// Refuses who has tried too often.
    fn listen(&self, peer: IpAddr, now: Instant) -> Result<(), ApiError> {
        let Ok(wrong) = self.wrong.lock() else {
            return Ok(());
        };
        let Some(tries) = wrong.get(&peer).filter(|tries| tries.count >= MOST_WRONG) else {
            return Ok(());
        };
        let left = WINDOW.saturating_sub(now.saturating_duration_since(tries.since));
        if left.is_zero() {
            return Ok(());
        }
        Err(ApiError::TooManyAttempts {
            retry_after: left.as_secs() + u64::from(left.subsec_nanos() > 0),
        })
    }

    fn note(&self, peer: IpAddr, now: Instant) {
        let Ok(mut wrong) = self.wrong.lock() else { return };
        if wrong.len() >= MOST_ADDRESSES && !wrong.contains_key(&peer) {
            wrong.retain(|_, tries| now.saturating_duration_since(tries.since) < WINDOW);
            let oldest = wrong
                .iter()
                .min_by_key(|(_, tries)| tries.since)
                .map(|(peer, _)| *peer);
            if let Some(oldest) = oldest.filter(|_| wrong.len() >= MOST_ADDRESSES) {
                wrong.remove(&oldest);
            }
        }
        let tries = wrong.entry(peer).or_insert(Wrong { since: now, count: 0 });
        if now.saturating_duration_since(tries.since) >= WINDOW {
            *tries = Wrong { since: now, count: 0 };
        }
        tries.count += 1;
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// An IPv6 customer has a /64 to choose addresses from: it counts as one.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn far(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn code(result: Result<(), ApiError>) -> u16 {
        result.map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    #[test]
    fn without_a_token_only_this_machine_is_served() {
        let guard = Guard::new(None);
        let now = Instant::now();
        assert_eq!(code(guard.admit(HOME, None, now)), 200);
        assert_eq!(
            code(guard.admit("::ffff:127.0.0.1".parse().unwrap(), None, now)),
            200
        );
        assert_eq!(code(guard.admit(far(1), Some("Bearer x"), now)), 401);
    }

    #[test]
    fn the_token_opens_from_anywhere_and_nothing_else_does() {
        let guard = Guard::new(Some(&"right".into()));
        let now = Instant::now();
        for (claimed, wanted) in [
            (Some("Bearer right"), 200),
            (Some("bearer right"), 200),
            (None, 401),
            (Some("right"), 401),
            (Some("Basic right"), 401),
            (Some("Bearer righ"), 401),
            (Some("Bearer "), 401),
        ] {
            assert_eq!(code(guard.admit(far(1), claimed, now)), wanted, "{claimed:?}");
            assert_eq!(code(guard.admit(HOME, claimed, now)), wanted, "{claimed:?}");
        }
    }

    #[test]
    fn ten_wrong_tokens_close_the_door_for_a_minute_to_that_address_only() {
        let guard = Guard::new(Some(&"right".into()));
        let start = Instant::now();
        for second in 0..10 {
            assert_eq!(
                code(guard.admit(far(1), Some("Bearer wrong"), start + Duration::from_secs(second))),
                401
            );
        }
        let later = start + Duration::from_secs(20);
        let refused = guard.admit(far(1), Some("Bearer right"), later).unwrap_err();
        assert!(
            matches!(refused, ApiError::TooManyAttempts { retry_after: 40 }),
            "{refused:?}"
        );
        assert_eq!(code(guard.admit(far(2), Some("Bearer right"), later)), 200);
        assert_eq!(
            code(guard.admit(far(1), Some("Bearer right"), start + WINDOW)),
            200
        );
        assert_eq!(
            code(guard.admit(far(1), Some("Bearer wrong"), start + WINDOW)),
            401
        );
    }

    #[test]
    fn a_form_and_a_header_share_the_tries() {
        let guard = Guard::new(Some(&"right".into()));
        let now = Instant::now();
        assert_eq!(code(guard.login(far(1), "right", now)), 200);
        for _ in 0..5 {
            assert_eq!(code(guard.login(far(1), "wrong", now)), 401);
            assert_eq!(code(guard.admit(far(1), Some("Bearer wrong"), now)), 401);
        }
        assert_eq!(code(guard.login(far(1), "right", now)), 429);
        assert_eq!(code(Guard::new(None).login(HOME, "", now)), 401);
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one() {
        let guard = Guard::new(Some(&"right".into()));
        let now = Instant::now();
        let at = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, last, 2, 3, 4]);
        for n in 0..10 {
            assert_eq!(code(guard.admit(at(n), Some("Bearer wrong"), now)), 401);
        }
        assert_eq!(code(guard.admit(at(99), Some("Bearer right"), now)), 429);
        let next_door = "2001:db8:0:2::1".parse().unwrap();
        assert_eq!(code(guard.admit(next_door, Some("Bearer right"), now)), 200);
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let guard = Guard::new(Some(&"right".into()));
        let now = Instant::now();
        for n in 0..u32::try_from(MOST_ADDRESSES).unwrap() + 5 {
            let _ = guard.admit(IpAddr::from(n.to_be_bytes()), Some("Bearer wrong"), now);
        }
        assert_eq!(guard.wrong.lock().unwrap().len(), MOST_ADDRESSES);
    }
}
