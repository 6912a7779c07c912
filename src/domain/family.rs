//! Which accounts belong together, and where a channel keeps what it learns of it.

use async_trait::async_trait;

use super::AccountKey;
use super::installation::KeepError;

/// Keeps the family of each account: those of one contract, say. A platform tells of it in passing, long before it
/// matters, so it must outlive a restart. The store implements it.
#[async_trait]
pub trait FamilyStore: Send + Sync + 'static {
    /// Keeps an account's family, over what was known before. When it has returned, that survives a crash.
    async fn keep_family(&self, account: &AccountKey, family: &str) -> Result<(), KeepError>;

    /// What is known of a channel's accounts.
    async fn families(&self, channel: &str) -> Result<Vec<(AccountKey, String)>, KeepError>;
}
