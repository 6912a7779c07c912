//! What a store keeps of installations and families, in memory: for tests.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{InstallationStore, Installed, KeepError};
use crate::domain::family::FamilyStore;
use crate::domain::{AccountKey, Time};

/// The store; it fails as long as it is told to.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) kept: Mutex<HashMap<AccountKey, Installed>>,
    pub(crate) failing: Mutex<bool>,
    spent: Mutex<Vec<String>>,
    pub(crate) families: Mutex<HashMap<AccountKey, String>>,
}

impl Memory {
    fn work(&self) -> Result<(), KeepError> {
        if *self.failing.lock().unwrap() {
            return Err(KeepError("told to fail".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl InstallationStore for Memory {
    async fn put(&self, account: &AccountKey, details: &SecretString, at: Time) -> Result<Time, KeepError> {
        self.work()?;
        let installed = Installed {
            account: account.clone(),
            since: at,
            details: Some(details.clone()),
        };
        self.kept.lock().unwrap().insert(account.clone(), installed);
        Ok(at)
    }

    async fn renew(
        &self,
        account: &AccountKey,
        details: &SecretString,
        since: Time,
    ) -> Result<bool, KeepError> {
        self.work()?;
        let mut kept = self.kept.lock().unwrap();
        match kept.get_mut(account).filter(|installed| installed.since == since) {
            Some(installed) => {
                installed.details = Some(details.clone());
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn list(&self, _: &str) -> Result<Vec<Installed>, KeepError> {
        self.work()?;
        Ok(self.kept.lock().unwrap().values().cloned().collect())
    }

    async fn forget(&self, account: &AccountKey, before: Time) -> Result<bool, KeepError> {
        self.work()?;
        let mut kept = self.kept.lock().unwrap();
        let meant = kept
            .get(account)
            .is_some_and(|installed| installed.since < before);
        Ok(meant && kept.remove(account).is_some())
    }

    async fn spend(&self, mark: &str, _: Time, _: Time) -> Result<bool, KeepError> {
        self.work()?;
        let mut spent = self.spent.lock().unwrap();
        let fresh = !spent.iter().any(|other| other == mark);
        spent.push(mark.to_owned());
        Ok(fresh)
    }
}

#[async_trait]
impl FamilyStore for Memory {
    async fn keep_family(&self, account: &AccountKey, family: &str) -> Result<(), KeepError> {
        self.work()?;
        let mut families = self.families.lock().unwrap();
        families.insert(account.clone(), family.to_owned());
        Ok(())
    }

    async fn families(&self, _: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        self.work()?;
        let families = self.families.lock().unwrap();
        Ok(families.clone().into_iter().collect())
    }
}
