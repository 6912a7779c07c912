//! What the platforms call things, as keys.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The longest identifier of a platform that is believed; longer ones are malformed. Meta's business-scoped user
/// ids (two letters, a dot and up to 128 characters) are the longest known.
const LONGEST_ID: usize = 160;

/// Whether a platform's identifier is one that keys may be built of: printable ASCII without a slash, and not too long.
pub fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// One installation on a channel, written `CHANNEL/ACCOUNT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(Arc<str>);

impl AccountKey {
    /// The key of `account` on `channel`; none if the platform's identifier is not a plain one.
    pub fn new(channel: &str, account: &str) -> Option<Self> {
        (is_plain_id(channel) && is_plain_id(account)).then(|| Self(format!("{channel}/{account}").into()))
    }

    /// A key as the store kept it.
    pub fn from_stored(text: &str) -> Option<Self> {
        let (channel, account) = text.split_once('/')?;
        Self::new(channel, account)
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        self.0.split_once('/').map_or("", |(channel, _)| channel)
    }

    /// What the platform calls the account.
    pub fn account(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, account)| account)
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The alias `CHANNEL/ACCOUNT/PART[/PART…]`; none if a part is not a plain identifier.
    pub fn alias(&self, parts: &[&str]) -> Option<AliasKey> {
        let plain = !parts.is_empty() && parts.iter().all(|part| is_plain_id(part));
        plain.then(|| AliasKey(format!("{}/{}", self.0, parts.join("/"))))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One name by which the platform knows a thread. It is also the form of an address that an operator writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasKey(String);

impl AliasKey {
    /// A key as the store kept it.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first name behind the account: the room, where a channel's addresses begin with one.
    pub fn room(&self) -> Option<&str> {
        self.0.split('/').nth(2)
    }
}

impl fmt::Display for AliasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes two deliveries of one message the same: a digest, so that it can outlive the message's text and the
/// person's number.
///
/// 64 bits of SHA-256 are a number, which databases index best. Even beside a hundred million remembered keys, a new
/// one meets one of them by chance in one of 10^11 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DedupKey(i64);

impl DedupKey {
    /// The key of one platform identifier, of one kind, within an account.
    pub fn new(account: &AccountKey, kind: &str, id: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [account.as_str(), kind, id] {
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&digest.finalize()[..8]);
        Self(i64::from_be_bytes(first))
    }

    /// The number that the store keeps.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

impl From<i64> for DedupKey {
    /// A key as the store kept it.
    fn from(stored: i64) -> Self {
        Self(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_built_of_plain_identifiers_only() {
        for bad in ["", "a/b", "a b", "ü", "a\n", &"x".repeat(161)] {
            assert_eq!(AccountKey::new("c", bad), None, "{bad:?}");
        }
        let account = AccountKey::new("c", "T1").unwrap();
        assert_eq!(account.alias(&["C1", "17.5"]).unwrap().as_str(), "c/T1/C1/17.5");
        assert_eq!(account.alias(&["C1", "../x"]), None);
        assert_eq!((account.channel(), account.account()), ("c", "T1"));
    }

    #[test]
    fn dedup_keys_differ_where_their_parts_do() {
        let account = AccountKey::new("c", "T1").unwrap();
        let key = |kind, id| DedupKey::new(&account, kind, id);
        assert_eq!(key("a", "bc"), key("a", "bc"));
        assert_ne!(key("a", "bc"), key("ab", "c"));
    }
}
