//! Where the app is installed: by the static token, and at our own door.
//!
//! What was installed at our door is kept in the store and goes before the static token where both serve one place.
//! Until the store was read and `auth.test` has answered, what comes is accepted and waits.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::channel::{Farewell, Scope, SendDisposition, SendError};
use crate::domain::installation::{InstallationStore, KeepError};
use crate::domain::{AccountKey, Clock, Time};

use super::NAME;
use super::client::{Client, Credentials};
use super::grant::Grant;
use super::granted::{Granted, Means};
use super::holds::Holds;
use super::installation::{Served, StaticToken};

/// How long between two tries to read the installations.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// For how long a delivery waits that comes before they were read.
const NOT_YET: Duration = Duration::from_secs(1);

/// How often it is looked which token ends soon and which installation may be tried again.
const ROUND: Duration = Duration::from_secs(5);

/// All installations.
pub(super) struct Installations {
    pub(super) fixed: StaticToken,
    credentials: Option<Credentials>,
    store: Arc<dyn InstallationStore>,
    clock: Arc<dyn Clock>,
    /// None until they were read.
    kept: RwLock<Map>,
    /// One change at a time: what the store has and what is here must not part.
    changing: Mutex<()>,
    pub(super) holds: Holds,
    revive: mpsc::UnboundedSender<AccountKey>,
    revived: Mutex<mpsc::UnboundedReceiver<AccountKey>>,
}

/// An installation that the store keeps.
#[derive(Clone)]
enum Kept {
    /// With a token.
    Open(Arc<Granted>),
    /// Nobody can read it: the key is not there, or a newer chatbridge wrote it. With since when it counts.
    Shut(Time),
    /// It has come to its end.
    Gone,
}

type Map = Option<HashMap<AccountKey, Kept>>;

impl Installations {
    pub(super) fn new(
        token: Option<SecretString>,
        credentials: Option<Credentials>,
        store: Arc<dyn InstallationStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (revive, revived) = mpsc::unbounded_channel();
        Self {
            fixed: StaticToken::new(token),
            credentials,
            store,
            clock,
            kept: RwLock::new(None),
            changing: Mutex::new(()),
            holds: Holds::default(),
            revive,
            revived: Mutex::new(revived),
        }
    }

    fn kept(&self) -> RwLockReadGuard<'_, Map> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, Map> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, account: &AccountKey) -> Option<Kept> {
        self.kept().as_ref()?.get(account).cloned()
    }

    /// Whether this account's messages are for us.
    pub(super) fn serve(&self, account: &AccountKey) -> Served {
        match self.find(account) {
            Some(Kept::Open(granted)) => return Served::Yes(Arc::new(granted.grant().installation)),
            // Its messages wait like its deliveries: both go on once it can be read, or is made anew.
            Some(Kept::Shut(_)) => return Served::NotYet,
            Some(Kept::Gone) | None => {}
        }
        match self.fixed.serve(account) {
            Served::No if self.kept().is_none() => Served::NotYet,
            served => served,
        }
    }

    /// The installation that an end concerns: an organisation's is told under the name of one of its workspaces, which
    /// has none of its own then.
    pub(super) fn concerned<'a>(
        &self,
        account: &'a AccountKey,
        organisation: Option<&'a AccountKey>,
    ) -> &'a AccountKey {
        let kept = self.kept();
        let known = |account: &AccountKey| kept.as_ref().is_some_and(|kept| kept.contains_key(account));
        match organisation {
            Some(organisation) if !known(account) && known(organisation) => organisation,
            _ => account,
        }
    }

    /// Whether this token still speaks for this account: another installation may have been made meanwhile.
    pub(super) fn speaks(&self, account: &AccountKey, token: &SecretString) -> bool {
        match self.find(account) {
            Some(Kept::Open(granted)) => granted.grant().token.expose_secret() == token.expose_secret(),
            _ => true,
        }
    }

    /// Whether it was installed at our door.
    pub(super) fn is_granted(&self, account: &AccountKey) -> bool {
        matches!(self.find(account), Some(Kept::Open(_)))
    }

    /// The bot's name in this installation, if it is known.
    pub(super) fn bot_user(&self, account: &AccountKey) -> Option<String> {
        match self.serve(account) {
            Served::Yes(installation) => installation.bot_user.clone(),
            Served::NotYet | Served::No => None,
        }
    }

    fn means<'a>(&'a self, client: &'a Client) -> Means<'a> {
        Means {
            client,
            credentials: self.credentials.as_ref(),
            store: &*self.store,
            now: self.clock.now(),
        }
    }

    /// The token that speaks for this account now.
    pub(super) async fn token(
        &self,
        client: &Client,
        account: &AccountKey,
    ) -> Result<SecretString, SendError> {
        match self.find(account) {
            Some(Kept::Open(granted)) => return granted.token(&self.means(client)).await,
            Some(Kept::Shut(_)) => return Err(shut(account)),
            Some(Kept::Gone) | None => {}
        }
        if let Some(token) = self.fixed.token(account) {
            return token;
        }
        if self.kept().is_none() {
            return Err(SendError {
                code: "installations_unread".to_owned(),
                message: "the installations have not been read yet".to_owned(),
                disposition: SendDisposition::Pause {
                    scope: Scope::Account,
                    after: NOT_YET,
                },
            });
        }
        Err(SendError {
            code: "not_installed".to_owned(),
            message: format!(
                "there is no token for {account}; install the app there, at /slack/install or by setting slack.bot_token"
            ),
            disposition: SendDisposition::Hold,
        })
    }

    /// Another token than this one, which Slack says has come to its end. None if there is no way to one.
    pub(super) async fn token_after(
        &self,
        client: &Client,
        account: &AccountKey,
        ended: &SecretString,
    ) -> Option<Result<SecretString, SendError>> {
        let Some(Kept::Open(granted)) = self.find(account) else {
            return None;
        };
        Some(granted.token_after(&self.means(client), ended).await)
    }

    /// Keeps an installation that was just made; what was held for it goes on.
    pub(super) async fn put(&self, account: AccountKey, grant: Grant, at: Time) -> Result<(), KeepError> {
        let _change = self.changing.lock().await;
        let since = self.store.put(&account, &grant.to_details(), at).await?;
        let granted = Arc::new(Granted::new(account.clone(), since, grant));
        self.kept_mut()
            .get_or_insert_default()
            .insert(account.clone(), Kept::Open(granted));
        self.let_go(&account);
        Ok(())
    }

    /// Forgets an installation that came to an end, unless it was made later than that.
    pub(super) async fn end(&self, farewell: &Farewell) -> Result<(), KeepError> {
        let Farewell { account, before } = farewell;
        let change = self.changing.lock().await;
        let forgotten = self.store.forget(account, *before).await?;
        if let Some(kept) = self.kept_mut().as_mut().and_then(|kept| kept.get_mut(account)) {
            let since = match kept {
                Kept::Open(granted) => granted.since,
                Kept::Shut(since) => *since,
                Kept::Gone => *before,
            };
            if since < *before {
                *kept = Kept::Gone;
            }
        }
        drop(change);
        if forgotten {
            tracing::warn!(%account, "the app was removed there: its token is forgotten; it can be installed again");
        }
        // The static token may have ended with it; Slack tells.
        self.fixed.doubt(account);
        Ok(())
    }

    /// An installation may be tried again at once.
    pub(super) fn let_go(&self, account: &AccountKey) {
        self.holds.release(account);
        self.revive_now(account.clone());
    }

    fn revive_now(&self, account: AccountKey) {
        // Nobody listens any more only while the daemon ends.
        let _ = self.revive.send(account);
    }

    /// Waits for an installation that may be tried again.
    pub(super) async fn revived(&self) -> AccountKey {
        match self.revived.lock().await.recv().await {
            Some(account) => account,
            None => std::future::pending().await,
        }
    }

    /// Reads what is kept.
    pub(super) async fn load(&self) -> Result<usize, KeepError> {
        let _change = self.changing.lock().await;
        let mut kept = HashMap::new();
        for installed in self.store.list(NAME).await? {
            let grant = installed.details.as_ref().and_then(Grant::from_details);
            let entry = if let Some(grant) = grant {
                let granted = Granted::new(installed.account.clone(), installed.since, grant);
                Kept::Open(Arc::new(granted))
            } else {
                tracing::error!(account = %installed.account, "{}", shut(&installed.account).message);
                Kept::Shut(installed.since)
            };
            kept.insert(installed.account, entry);
        }
        let count = kept.len();
        // Somebody may have installed it meanwhile: what is here is newer.
        kept.extend(self.kept_mut().take().unwrap_or_default());
        *self.kept_mut() = Some(kept);
        Ok(count)
    }

    /// Reads the installations, asks whose the static token is, renews tokens and tries again what is refused, until
    /// cancelled.
    pub(super) async fn run(&self, client: &Client, cancel: CancellationToken) {
        tokio::join!(
            self.keep_up(client, &cancel),
            cancel.run_until_cancelled(self.fixed.run(client, |account| self.let_go(account)))
        );
    }

    async fn keep_up(&self, client: &Client, cancel: &CancellationToken) {
        let mut read = false;
        loop {
            let nap = if read {
                // Not cut short: a refresh token is good once, and what it was given for is not to be lost.
                self.round(client).await;
                ROUND
            } else {
                match self.load().await {
                    Ok(count) => {
                        self.welcome(count);
                        read = true;
                        Duration::ZERO
                    }
                    Err(error) => {
                        tracing::error!(%error, "the installations cannot be read yet");
                        READ_AGAIN
                    }
                }
            };
            if cancel
                .run_until_cancelled(tokio::time::sleep(nap))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    fn welcome(&self, count: usize) {
        if count > 0 {
            tracing::info!(installations = count, "read where the app is installed");
        } else if self.credentials.is_some() && self.fixed.is_none() {
            tracing::info!("the app is installed nowhere yet: open /slack/install below server.public_url");
        } else if self.fixed.is_none() {
            tracing::warn!(
                "slack.bot_token is not set: every Slack event is ignored (not_installed); \
                 install the app (Slack app settings, Install App) and set it to the token that starts with xoxb-"
            );
        }
    }

    async fn round(&self, client: &Client) {
        let now = self.clock.now();
        for account in self.holds.due(now) {
            self.revive_now(account);
        }
        let due: Vec<Arc<Granted>> = self
            .kept()
            .iter()
            .flat_map(HashMap::values)
            .filter_map(|kept| match kept {
                Kept::Open(granted) if granted.grant().is_due(now) => Some(granted.clone()),
                _ => None,
            })
            .collect();
        for granted in due {
            // It has logged what went wrong; whoever needs the token meets it too.
            let _ = granted.token(&self.means(client)).await;
        }
    }
}

fn shut(account: &AccountKey) -> SendError {
    SendError {
        code: "token_unreadable".to_owned(),
        message: format!(
            "the token of {account} cannot be decrypted: put the key that encrypted it back into store.secret_key (or the \
             .key file beside the database) and start again, or install the app there again"
        ),
        disposition: SendDisposition::Hold,
    }
}
