//! Texts that nobody reads in the database.
//!
//! [`Veiled`] stands before any store: it encrypts what people and the agent wrote on its way in (`store.text_key`) and
//! decrypts it on its way out. Names, numbers and ids stay readable, because the store looks things up by them. The
//! cipher is the one that tokens are sealed with.
//!
//! Without a key nothing is encrypted. A text that looks as if it were sealed is then marked as plain, so that nobody can
//! write one that the store would fail to open.
//!
//! Work whose text does not open, because its key is not configured, is put back and waits: nothing of it is lost.

mod passing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use secrecy::ExposeSecret;

use super::operator::{
    AccountRow, Answered, DeadLetter, DeadQuery, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow,
};
use super::seal::Keyring;
use super::{Backlog, Claims, LaneDue, Quota, Settings, Store, StoreError, Swept, Work};
use crate::domain::delivery::{SendClaim, SendOutcome, Settlement};
use crate::domain::message::{Accepted, Admission, Arrival, Treatment};
use crate::domain::routing::Routes;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};
use crate::domain::{ClaimToken, Clock, Time};

/// What stands before a sealed text.
pub(super) const SEALED: &str = "chatbridge-sealed:";

/// What stands before a text that only looks sealed.
const PLAIN: &str = "chatbridge-plain:";

/// What a sealed text is bound to, so that a sealed token does not open as a text.
const WHAT: &str = "text";

/// What an operator reads where no key opens a text.
const CLOSED: &str = "[encrypted with a key that store.text_key does not list]";

/// How long work waits whose text does not open; a restart tries it at once.
const AGAIN: Duration = Duration::from_mins(1);

/// What such work waits for, and its code.
const HELD: &str = "text_key";

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

    fn seal(&self, text: &mut String) -> Result<(), StoreError> {
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

    fn seal_arrival(&self, arrival: &mut Arrival) -> Result<(), StoreError> {
        match arrival {
            Arrival::Message(inbound) => {
                self.seal(&mut inbound.text)?;
                match &mut inbound.treatment {
                    Treatment::AskAndTell(text)
                    | Treatment::Ignore {
                        notice: Some(text), ..
                    } => self.seal(text),
                    Treatment::Ask | Treatment::Ignore { notice: None, .. } => Ok(()),
                }
            }
            Arrival::Edit(edit) => self.seal(&mut edit.text),
            Arrival::Act(act) => act.say.as_mut().map_or(Ok(()), |text| self.seal(text)),
            Arrival::Receipt(_) | Arrival::Identity(_) | Arrival::Withdraw(_) | Arrival::TakeOver(_) => {
                Ok(())
            }
        }
    }

    fn open_turn(&self, claim: &mut TurnClaim) -> Result<(), StoreError> {
        for message in &mut claim.messages {
            self.open(&mut message.text)?;
            // The question can be asked without it.
            message.quoted = message
                .quoted
                .take()
                .and_then(|mut quoted| self.open(&mut quoted).is_ok().then_some(quoted));
        }
        Ok(())
    }

    /// Puts a turn back whose text does not open.
    async fn keep_turn(&self, claim: TurnClaim, now: Time) -> Result<(), StoreError> {
        let deferral = Deferral {
            until: now.plus(AGAIN),
            counts: false,
            ambiguous: claim.ambiguous,
            held: Some(HELD.to_owned()),
        };
        self.inner.defer_turn(claim.key, deferral).await
    }

    /// Puts a part back whose text does not open.
    async fn keep_send(&self, claim: SendClaim, now: Time) -> Result<(), StoreError> {
        let again = now.plus(AGAIN);
        let outcome = if claim.unknown {
            SendOutcome::Unknown {
                look_at: again,
                code: HELD.to_owned(),
            }
        } else {
            SendOutcome::Again {
                at: again,
                counts: false,
                code: HELD.to_owned(),
                held: Some(HELD.to_owned()),
            }
        };
        let settlement = Settlement {
            outcome,
            at: now,
            claim_next: false,
            lease_until: now,
        };
        self.inner.settle(claim, settlement).await.map(drop)
    }

    /// The next part of a thread, if it opens.
    async fn next(&self, claim: Option<SendClaim>, now: Time) -> Option<SendClaim> {
        let mut claim = claim?;
        if self.open(&mut claim.body).is_ok() {
            return Some(claim);
        }
        complain(1, self.keep_send(claim, now).await);
        None
    }
}

/// Tells that texts do not open. What could not be put back either is due again when its lease ends.
fn complain(threads: usize, kept: Result<(), StoreError>) {
    tracing::error!(threads, error = %StoreError::TextKey, "what waits cannot be read; it is kept and waits");
    if let Err(error) = kept {
        tracing::warn!(%error, "it waits until its lease ends");
    }
}

#[async_trait]
impl Store for Veiled {
    async fn accept(&self, mut batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError> {
        for admission in &mut batch {
            self.seal_arrival(&mut admission.arrival)?;
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
        let mut claims = self.inner.claim_turns(quotas, now, lease_until).await?;
        let (mut opened, mut closed) = (Vec::with_capacity(claims.claims.len()), Vec::new());
        for mut claim in claims.claims {
            if self.open_turn(&mut claim).is_ok() {
                opened.push(claim);
            } else {
                closed.push(claim);
            }
        }
        claims.claims = opened;
        let (count, mut kept) = (closed.len(), Ok(()));
        for claim in closed {
            kept = kept.and(self.keep_turn(claim, now).await);
        }
        if count > 0 {
            complain(count, kept);
        }
        Ok(claims)
    }

    async fn complete_turn(
        &self,
        claim: TurnClaim,
        mut done: CompletedTurn,
    ) -> Result<Option<SendClaim>, StoreError> {
        for part in &mut done.parts {
            self.seal(part)?;
        }
        let at = done.at;
        let next = self.inner.complete_turn(claim, done).await?;
        Ok(self.next(next, at).await)
    }

    async fn defer_turn(&self, claim: ClaimKey, deferral: Deferral) -> Result<(), StoreError> {
        self.inner.defer_turn(claim, deferral).await
    }

    async fn bury_turn(&self, claim: TurnClaim, mut burial: Burial) -> Result<(), StoreError> {
        if let Some(apology) = &mut burial.apology {
            self.seal(&mut apology.text)?;
        }
        self.inner.bury_turn(claim, burial).await
    }

    async fn claim_sends(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<SendClaim>, StoreError> {
        let mut claims = self.inner.claim_sends(quotas, now, lease_until).await?;
        let mut opened = Vec::with_capacity(claims.claims.len());
        for claim in claims.claims {
            opened.extend(self.next(Some(claim), now).await);
        }
        claims.claims = opened;
        Ok(claims)
    }

    async fn settle(
        &self,
        claim: SendClaim,
        settlement: Settlement,
    ) -> Result<Option<SendClaim>, StoreError> {
        let at = settlement.at;
        let next = self.inner.settle(claim, settlement).await?;
        Ok(self.next(next, at).await)
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

    async fn dead(&self, query: DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
        self.inner.dead(query).await
    }

    async fn replay(&self, id: &str, routes: &Routes, now: Time) -> Result<bool, StoreError> {
        self.inner.replay(id, routes, now).await
    }

    async fn purge(&self, id: &str, now: Time) -> Result<bool, StoreError> {
        self.inner.purge(id, now).await
    }

    async fn answered(&self, since: Time) -> Result<Vec<Answered>, StoreError> {
        self.inner.answered(since).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        self.inner.accounts().await
    }

    async fn prolong(
        &self,
        work: Work,
        keys: Vec<ClaimKey>,
        until: Time,
    ) -> Result<HashSet<ClaimToken>, StoreError> {
        self.inner.prolong(work, keys, until).await
    }

    fn lease(&self) -> Option<Duration> {
        self.inner.lease()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.inner.clock()
    }

    async fn hinted(&self) {
        self.inner.hinted().await;
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
