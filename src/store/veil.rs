//! Texts that nobody reads in the database.
//!
//! [`Veiled`] stands before any store: it encrypts what people and the agent wrote on its way in (`store.text_key`) and
//! decrypts it on its way out. Names, numbers and ids stay readable, because the store looks things up by them. The
//! cipher is the one that tokens are sealed with.
//!
//! Without a key nothing is encrypted. A text that looks as if it were sealed is then marked as plain, so that nobody can
//! write one that the store would fail to open.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use secrecy::{ExposeSecret, SecretString};

use super::operator::{DeadLetter, DeadQuery, Erased, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow};
use super::seal::Keyring;
use super::{Backlog, Claims, Expired, LaneDue, Quota, Settings, Store, StoreError, Swept, Work};
use crate::domain::Time;
use crate::domain::account::AccountKey;
use crate::domain::delivery::{SendClaim, Settlement};
use crate::domain::installation::{Installed, InstallationStore, KeepError};
use crate::domain::message::{Accepted, Admission, Arrival, Treatment};
use crate::domain::routing::Routes;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};

/// What stands before a sealed text.
const SEALED: &str = "chatbridge-sealed:";

/// What stands before a text that only looks sealed.
const PLAIN: &str = "chatbridge-plain:";

/// What a sealed text is bound to, so that a sealed token does not open as a text.
const WHAT: &str = "text";

/// What an operator reads where no key opens a text.
const CLOSED: &str = "[encrypted with a key that store.text_key does not list]";

/// A store whose texts are encrypted.
pub struct Veiled {
    inner: Arc<dyn Store>,
    keys: Keyring,
}

impl Veiled {
    /// Puts the veil before a store.
    pub fn new(inner: Arc<dyn Store>, settings: &Settings) -> Result<Self, StoreError> {
        let keys = Keyring::configured("store.text_key", &settings.text_key)?;
        Ok(Self { inner, keys })
    }

    fn close(&self, text: &mut String) -> Result<(), StoreError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.keys.is_empty() {
            if text.starts_with(SEALED) || text.starts_with(PLAIN) {
                text.insert_str(0, PLAIN);
            }
            return Ok(());
        }
        let sealed = self.keys.seal(WHAT, text)?;
        SEALED.clone_into(text);
        BASE64.encode_string(sealed, text);
        Ok(())
    }

    fn open(&self, text: &mut String) -> Result<(), StoreError> {
        if let Some(plain) = text.strip_prefix(PLAIN) {
            *text = plain.to_owned();
        } else if let Some(sealed) = text.strip_prefix(SEALED) {
            let sealed = BASE64.decode(sealed).map_err(|_| StoreError::TextKey)?;
            let opened = self.keys.open(WHAT, &sealed).ok_or(StoreError::TextKey)?;
            opened.expose_secret().clone_into(text);
        }
        Ok(())
    }

    fn close_arrival(&self, arrival: &mut Arrival) -> Result<(), StoreError> {
        match arrival {
            Arrival::Message(inbound) => {
                self.close(&mut inbound.text)?;
                match &mut inbound.treatment {
                    Treatment::AskAndTell(text)
                    | Treatment::Ignore {
                        notice: Some(text), ..
                    } => self.close(text),
                    Treatment::Ask | Treatment::Ignore { notice: None, .. } => Ok(()),
                }
            }
            Arrival::Edit(edit) => self.close(&mut edit.text),
            Arrival::Act(act) => act.say.as_mut().map_or(Ok(()), |text| self.close(text)),
            Arrival::Receipt(_) | Arrival::Identity(_) | Arrival::Withdraw(_) | Arrival::TakeOver(_) => {
                Ok(())
            }
        }
    }

    fn open_send(&self, mut claim: SendClaim) -> Result<SendClaim, StoreError> {
        self.open(&mut claim.body)?;
        Ok(claim)
    }

    fn open_turn(&self, mut claim: TurnClaim) -> Result<TurnClaim, StoreError> {
        for message in &mut claim.messages {
            self.open(&mut message.text)?;
            message
                .quoted
                .as_mut()
                .map_or(Ok(()), |quoted| self.open(quoted))?;
        }
        Ok(claim)
    }
}

/// Applies to each claim what opens it.
fn each<C>(
    claims: Claims<C>,
    open: impl Fn(C) -> Result<C, StoreError>,
) -> Result<Claims<C>, StoreError> {
    Ok(Claims {
        claims: claims.claims.into_iter().map(open).collect::<Result<_, _>>()?,
        lanes: claims.lanes,
    })
}

#[async_trait]
impl Store for Veiled {
    async fn accept(&self, mut batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError> {
        for admission in &mut batch {
            self.close_arrival(&mut admission.arrival)?;
        }
        self.inner.accept(batch).await
    }

    async fn lanes(&self, work: Work) -> Result<Vec<LaneDue>, StoreError> {
        self.inner.lanes(work).await
    }

    async fn claim_turns(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<TurnClaim>, StoreError> {
        let claims = self.inner.claim_turns(quotas, now, lease_until).await?;
        each(claims, |claim| self.open_turn(claim))
    }

    async fn complete_turn(
        &self,
        claim: TurnClaim,
        mut done: CompletedTurn,
    ) -> Result<Option<SendClaim>, StoreError> {
        for part in &mut done.parts {
            self.close(part)?;
        }
        let next = self.inner.complete_turn(claim, done).await?;
        next.map(|claim| self.open_send(claim)).transpose()
    }

    async fn defer_turn(&self, claim: ClaimKey, deferral: Deferral) -> Result<(), StoreError> {
        self.inner.defer_turn(claim, deferral).await
    }

    async fn bury_turn(&self, claim: TurnClaim, mut burial: Burial) -> Result<(), StoreError> {
        if let Some(apology) = &mut burial.apology {
            self.close(&mut apology.text)?;
        }
        self.inner.bury_turn(claim, burial).await
    }

    async fn claim_sends(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<SendClaim>, StoreError> {
        let claims = self.inner.claim_sends(quotas, now, lease_until).await?;
        each(claims, |claim| self.open_send(claim))
    }

    async fn settle(
        &self,
        claim: SendClaim,
        settlement: Settlement,
    ) -> Result<Option<SendClaim>, StoreError> {
        let next = self.inner.settle(claim, settlement).await?;
        next.map(|claim| self.open_send(claim)).transpose()
    }

    async fn release(&self, work: Work, held: &str, now: Time) -> Result<u64, StoreError> {
        self.inner.release(work, held, now).await
    }

    async fn recover(&self, routes: &Routes, now: Time, look_at: Time) -> Result<u64, StoreError> {
        self.inner.recover(routes, now, look_at).await
    }

    async fn sweep(&self, keys_before: Time, from: i64) -> Result<Swept, StoreError> {
        self.inner.sweep(keys_before, from).await
    }

    async fn expire(&self, before: Time, from: Option<String>) -> Result<Expired, StoreError> {
        self.inner.expire(before, from).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.inner.backlog().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.inner.check_writable().await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
        self.inner.threads(query).await
    }

    async fn thread(&self, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
        let mut detail = self.inner.thread(name).await?;
        for item in detail.iter_mut().flat_map(|detail| &mut detail.history) {
            if self.open(&mut item.text).is_err() {
                CLOSED.clone_into(&mut item.text);
            }
        }
        Ok(detail)
    }

    async fn change_thread(
        &self,
        name: &str,
        change: ThreadChange,
        now: Time,
    ) -> Result<Option<ThreadRow>, StoreError> {
        self.inner.change_thread(name, change, now).await
    }

    async fn erase(&self, name: &str, now: Time) -> Result<Option<Erased>, StoreError> {
        self.inner.erase(name, now).await
    }

    async fn dead(&self, query: DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead(query).await
    }

    async fn replay(&self, id: &str, routes: &Routes, now: Time) -> Result<bool, StoreError> {
        self.inner.replay(id, routes, now).await
    }

    async fn purge(&self, id: &str, now: Time) -> Result<bool, StoreError> {
        self.inner.purge(id, now).await
    }

    async fn backup(&self, file: &Path) -> Result<u64, StoreError> {
        self.inner.backup(file).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

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
