//! Which numbers stand in which WhatsApp Business Account.
//!
//! Every webhook says so: `entry[].id` is the account, `metadata.phone_number_id` the number. What is learned is
//! remembered at once and kept in the store a moment later; if the daemon ends in between, the number's next webhook
//! says it again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::NAME;
use crate::domain::AccountKey;
use crate::domain::family::FamilyStore;

/// The account that the **Test** button of Meta's dashboard names: none.
const NO_ACCOUNT: &str = "0";

/// How long until the store is asked once more that did not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// The accounts of the numbers, as far as they are known.
pub(super) struct Accounts {
    known: RwLock<Known>,
    news: Notify,
    kept: Option<Arc<dyn FamilyStore>>,
}

#[derive(Default)]
struct Known {
    /// The account of each number.
    accounts: HashMap<AccountKey, String>,
    /// The numbers whose account is not kept yet.
    news: HashSet<AccountKey>,
}

impl Accounts {
    /// Nothing is known yet. Without a store nothing is kept either.
    pub(super) fn new(kept: Option<Arc<dyn FamilyStore>>) -> Self {
        Self {
            known: RwLock::default(),
            news: Notify::new(),
            kept,
        }
    }

    /// The account that a number stands in.
    pub(super) fn of(&self, number: &AccountKey) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.accounts.get(number).cloned()
    }

    /// A webhook names the account of a number.
    pub(super) fn learn(&self, number: &AccountKey, account: &str) {
        if account == NO_ACCOUNT || self.of(number).as_deref() == Some(account) {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.accounts.insert(number.clone(), account.to_owned());
        known.news.insert(number.clone());
        drop(known);
        self.news.notify_one();
    }

    /// Reads what is kept, and keeps what is learned, until cancelled.
    pub(super) async fn run(&self, cancel: CancellationToken) {
        let Some(store) = &self.kept else {
            return cancel.cancelled().await;
        };
        let work = async {
            while !self.read(&**store).await {
                tokio::time::sleep(AGAIN).await;
            }
            loop {
                while !self.keep(&**store).await {
                    tokio::time::sleep(AGAIN).await;
                }
                self.news.notified().await;
            }
        };
        let _: Option<()> = cancel.run_until_cancelled(work).await;
        self.keep(&**store).await;
    }

    /// Reads what is kept. What a webhook has said meanwhile is newer. False if the store did not answer.
    async fn read(&self, store: &dyn FamilyStore) -> bool {
        match store.families(NAME).await {
            Ok(kept) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                for (number, account) in kept {
                    if known.accounts.get(&number) == Some(&account) {
                        known.news.remove(&number);
                    }
                    known.accounts.entry(number).or_insert(account);
                }
                true
            }
            Err(error) => {
                warn!(%error, "it cannot be read yet which numbers belong together");
                false
            }
        }
    }

    /// Keeps what is not kept yet. False if the store did not take it.
    async fn keep(&self, store: &dyn FamilyStore) -> bool {
        let news: Vec<(AccountKey, String)> = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            let news = std::mem::take(&mut known.news);
            news.into_iter()
                .filter_map(|number| Some((number.clone(), known.accounts.get(&number)?.clone())))
                .collect()
        };
        for (number, account) in &news {
            if let Err(error) = store.keep_family(number, account).await {
                warn!(%error, "it cannot be kept yet which numbers belong together");
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                known.news.extend(news.iter().map(|(number, _)| number.clone()));
                return false;
            }
            info!(
                number = number.account(),
                account, "the number's WhatsApp Business Account is known"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::installation::memory::Memory;

    fn number(id: &str) -> AccountKey {
        AccountKey::new(NAME, id).unwrap()
    }

    #[tokio::test]
    async fn what_a_webhook_says_outlives_a_restart_and_the_latest_counts() {
        let of = |accounts: &Accounts, id: &str| accounts.of(&number(id));
        let store = Arc::new(Memory::default());
        let first = Accounts::new(Some(store.clone()));
        assert_eq!(of(&first, "1"), None);
        first.learn(&number("1"), "WABA-A");
        first.learn(&number("2"), "0");
        *store.failing.lock().unwrap() = true;
        assert!(!first.read(&*store).await && !first.keep(&*store).await);
        *store.failing.lock().unwrap() = false;
        assert!(first.keep(&*store).await, "what was not taken is kept later");

        let second = Accounts::new(Some(store.clone()));
        second.learn(&number("3"), "WABA-B");
        assert!(second.read(&*store).await);
        assert_eq!(of(&second, "1").as_deref(), Some("WABA-A"));
        assert_eq!(of(&second, "2"), None, "the dashboard's test is of no account");
        assert_eq!(of(&second, "3").as_deref(), Some("WABA-B"));
        second.learn(&number("1"), "WABA-B");
        assert!(second.read(&*store).await);
        assert_eq!(
            of(&second, "1").as_deref(),
            Some("WABA-B"),
            "what is kept is older"
        );
        // What is learned last is kept even when the daemon ends at once.
        let ended = CancellationToken::new();
        ended.cancel();
        second.run(ended).await;
        assert_eq!(store.families.lock().unwrap()[&number("1")], "WABA-B");
        assert_eq!(store.families.lock().unwrap()[&number("3")], "WABA-B");
    }
}
