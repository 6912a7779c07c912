//! Requests before and after their sender is known for sure, as two types: nobody reads a body that nobody vouches for.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Headers and body of a request that may come from anyone. The body can only be had by [`Unverified::verify`].
#[derive(Debug)]
pub struct Unverified {
    headers: HeaderMap,
    body: Bytes,
}

/// A body whose sender is known for sure: the holder of the secret signed it, or it came over a connection that says
/// who is at its other end.
#[derive(Debug)]
pub struct Verified {
    body: Bytes,
    signer: usize,
}

impl Verified {
    /// A body that came over a connection which we opened ourselves, to an address that the platform handed out for our
    /// secret token. The connection vouches for it; nothing that comes over it is signed. Not for anything that was
    /// posted to us.
    pub(in crate::channel) fn by_our_connection(body: Bytes) -> Self {
        Self { body, signer: 0 }
    }

    /// Which of the secrets it was signed with: its place among those that [`Unverified::verify`] got.
    pub fn signer(&self) -> usize {
        self.signer
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl Unverified {
    /// Seals a request.
    pub fn new(headers: HeaderMap, body: Bytes) -> Self {
        Self { headers, body }
    }

    /// A header, if it is there once and is text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let only = values.next()?;
        if values.next().is_some() {
            None
        } else {
            only.to_str().ok()
        }
    }

    /// Opens the request if `signature` (lowercase hex) is the HMAC-SHA256 of `prefix` and the body under any of the
    /// secrets. The comparison takes the same time wherever they differ.
    pub fn verify(self, secrets: &[SecretString], prefix: &[&[u8]], signature: &str) -> Option<Verified> {
        let claimed = decode_hex(signature)?;
        // No early return: which of the secrets fits shows in no time either.
        let mut signer = None;
        for (index, secret) in secrets.iter().enumerate() {
            let mut mac = keyed(secret);
            for part in prefix {
                mac.update(part);
            }
            mac.update(&self.body);
            if mac.verify_slice(&claimed).is_ok() {
                signer = signer.or(Some(index));
            }
        }
        let body = self.body;
        signer.map(|signer| Verified { body, signer })
    }
}

/// The signature of `parts` in lowercase hex: for those who play the platform (`simulate`, `demo`, tests).
pub fn sign(secret: &SecretString, parts: &[&[u8]]) -> String {
    use std::fmt::Write;

    let mut mac = keyed(secret);
    for part in parts {
        mac.update(part);
    }
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any length of key")
}

/// Exactly 64 lowercase hex digits.
fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(body: &str) -> Unverified {
        Unverified::new(HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn opens_for_any_live_secret_and_no_other() {
        let (old, new) = (SecretString::from("old"), SecretString::from("new"));
        let signature = sign(&old, &[b"p:", b"body"]);
        let live = [new.clone(), old];
        assert_eq!(
            sealed("body")
                .verify(&live, &[b"p:"], &signature)
                .unwrap()
                .bytes(),
            b"body"
        );
        assert!(sealed("body").verify(&[new], &[b"p:"], &signature).is_none());
        assert!(sealed("bodY").verify(&live, &[b"p:"], &signature).is_none());
        assert!(sealed("body").verify(&[], &[b"p:"], &signature).is_none());
    }

    #[test]
    fn takes_only_lowercase_hex_of_the_right_length() {
        let secret = [SecretString::from("s")];
        let signature = sign(&secret[0], &[b"body"]);
        for bad in [
            "",
            "00",
            &signature.to_uppercase(),
            &format!("{signature}0"),
            &"ü".repeat(32),
        ] {
            assert!(sealed("body").verify(&secret, &[], bad).is_none(), "{bad}");
        }
    }
}
