//! What a channel must keep of the places where it is installed, and where it keeps it.

#[cfg(test)]
pub(crate) mod memory;

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

use super::{AccountKey, Time};

/// An installation, as it is kept.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The workspace, organisation or number.
    pub account: AccountKey,
    /// Since when, by the platform's clock; never before the end of an earlier installation.
    pub since: Time,
    /// The channel's own words about it, tokens included, in whatever form it likes; nobody else reads them. None if
    /// they are sealed under a key that the store has not got.
    pub details: Option<SecretString>,
}

/// Why something was not kept or not found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct KeepError(pub String);

/// Keeps installations. The store implements it and seals the details; a channel that is installed by others asks
/// for it.
///
/// Each method is one transaction; when it has returned, what it did survives a crash.
#[async_trait]
pub trait InstallationStore: Send + Sync + 'static {
    /// Keeps an installation that was just made, over an earlier one. Returns since when it counts: `at`, but not
    /// before the end of an earlier one, which may have come to an end within the same second.
    async fn put(&self, account: &AccountKey, details: &SecretString, at: Time) -> Result<Time, KeepError>;

    /// Replaces the details of the installation that counts since `since`. False if it is gone, or another one by now.
    async fn renew(
        &self,
        account: &AccountKey,
        details: &SecretString,
        since: Time,
    ) -> Result<bool, KeepError>;

    /// All installations of a channel.
    async fn list(&self, channel: &str) -> Result<Vec<Installed>, KeepError>;

    /// Forgets an installation that was made before this moment; a later one stays. True if one was there.
    async fn forget(&self, account: &AccountKey, before: Time) -> Result<bool, KeepError>;

    /// Uses up a mark that is good once. False if it was used up before. It is remembered until `until`.
    async fn spend(&self, mark: &str, until: Time, now: Time) -> Result<bool, KeepError>;
}
