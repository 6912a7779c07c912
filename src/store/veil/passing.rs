//! What passes the veil as it is: there is nothing in it that a person or the agent wrote.

use async_trait::async_trait;
use secrecy::SecretString;

use super::Veiled;
use crate::domain::family::FamilyStore;
use crate::domain::installation::{InstallationStore, Installed, KeepError};
use crate::domain::{AccountKey, Time};
use crate::store::StoreError;
use crate::store::operator::ThreadRow;
use crate::store::privacy::{AuditLine, Erased, Erasure, Expired, PrivacyStore, Traces};

#[async_trait]
impl InstallationStore for Veiled {
    async fn put(&self, account: &AccountKey, details: &SecretString, at: Time) -> Result<Time, KeepError> {
        self.inner.put(account, details, at).await
    }

    async fn renew(
        &self,
        account: &AccountKey,
        details: &SecretString,
        since: Time,
    ) -> Result<bool, KeepError> {
        self.inner.renew(account, details, since).await
    }

    async fn list(&self, channel: &str) -> Result<Vec<Installed>, KeepError> {
        self.inner.list(channel).await
    }

    async fn forget(&self, account: &AccountKey, before: Time) -> Result<bool, KeepError> {
        self.inner.forget(account, before).await
    }

    async fn spend(&self, mark: &str, until: Time, now: Time) -> Result<bool, KeepError> {
        self.inner.spend(mark, until, now).await
    }
}

#[async_trait]
impl FamilyStore for Veiled {
    async fn keep_family(&self, account: &AccountKey, family: &str) -> Result<(), KeepError> {
        self.inner.keep_family(account, family).await
    }

    async fn families(&self, channel: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        self.inner.families(channel).await
    }
}

#[async_trait]
impl PrivacyStore for Veiled {
    async fn threads_of(&self, person: &str) -> Result<Vec<ThreadRow>, StoreError> {
        self.inner.threads_of(person).await
    }

    async fn erasable(&self, thread: &str) -> Result<Option<Erased>, StoreError> {
        self.inner.erasable(thread).await
    }

    async fn erase(&self, what: Erasure, now: Time) -> Result<Option<Erased>, StoreError> {
        self.inner.erase(what, now).await
    }

    async fn clear(&self, now: Time) -> Result<Traces, StoreError> {
        self.inner.clear(now).await
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditLine>, StoreError> {
        self.inner.audit(limit).await
    }

    async fn expire(&self, before: Time, from: Option<String>) -> Result<Expired, StoreError> {
        self.inner.expire(before, from).await
    }
}
