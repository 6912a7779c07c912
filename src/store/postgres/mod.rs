//! The store on PostgreSQL, for one daemon or many equal ones.
//!
//! Each replica writes in batches, as on SQLite: one statement for each step, whatever the size of the batch. Replicas
//! keep out of one another's way by rows that they lock: a thread's own row for whatever is decided about the thread, a
//! row of work while it is claimed. A claim has a lease by the database's clock and a token; a replica that is gone
//! leaves claims behind that others take over when the lease has ended, and whoever comes too late presents a token
//! that no longer counts.
//!
//! Nothing here needs more than a database and a user who owns tables in it: no extension, no temporary table, no
//! setting or lock that outlives a transaction. So it also runs behind a pooler.

mod accept;
mod acts;
mod changes;
mod claims;
mod clock;
pub(super) mod connect;
mod families;
mod figures;
mod hints;
mod installations;
mod lanes;
mod privacy;
mod queues;
mod reads;
mod sends;
mod statements;
mod stops;
mod turns;
pub(super) mod tx;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio_util::task::AbortOnDropHandle;

pub(super) use connect::look;
pub use statements::statements;

use clock::DatabaseClock;
use connect::Readers;
use lanes::Lanes;
use queues::{Senders, Submit};
use writer::{Job, Shared, Writer};

use super::moving;
use super::operator::{
    AccountRow, Answered, DeadLetter, DeadQuery, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow,
};
use super::ops::{Change, Letter, Op, Outcome, Wanted};
use super::seal::Keyring;
use super::{Backlog, Claims, LaneDue, Mode, Quota, Settings, Store, StoreError, Swept, Work};
use crate::domain::delivery::{SendClaim, Settlement};
use crate::domain::message::{Accepted, Admission};
use crate::domain::routing::Routes;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};
use crate::domain::{ClaimToken, Clock, ThreadId, Time};

/// So many writes share a commit at most.
const BATCH: usize = 512;

/// The store on a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    name: String,
    readers: Readers,
    shared: Arc<Shared>,
    jobs: Mutex<Option<Senders>>,
    submit: Submit,
    writers: Mutex<Vec<AbortOnDropHandle<()>>>,
    background: Mutex<Vec<AbortOnDropHandle<()>>>,
    clock: Arc<DatabaseClock>,
    heard: Arc<Notify>,
    lease: Duration,
    keys: Keyring,
    migrated: usize,
}

impl PostgresStore {
    /// Opens the database and brings it up to date.
    pub async fn open(settings: &Settings, mode: Mode) -> Result<Self, StoreError> {
        let options = connect::options(&settings.url)?;
        let mut conn = connect::connect(&options).await?;
        let migrated = connect::prepare(&options, &mut conn).await?;
        moving::postgres::refuse_unfinished(&connect::name(&options), &mut conn).await?;
        let keys = Keyring::configured("store.secret_key", &settings.secret_key)?;
        if mode == Mode::Serve {
            connect::warn_of_loss(&mut conn).await?;
            installations::reseal(&mut conn, &keys).await?;
        }
        let readers = Readers::new(&options);
        let (at, shown, _) = hints::read_clock(&readers).await?;
        let clock = Arc::new(DatabaseClock::new(at, shown));
        let (jobs, queues) = queues::open();
        let lease = settings.lease;
        let shared = Arc::new(Shared {
            lanes: Lanes::new(ThreadId::new().to_string(), lease),
            news: Notify::new(),
            batch: BATCH,
            full: AtomicBool::new(false),
            options,
        });
        let mut conn = Some(conn);
        let writer = |queue| {
            let writer = Writer::new(shared.clone(), queue, conn.take());
            AbortOnDropHandle::new(tokio::spawn(writer.run()))
        };
        let writers: Vec<_> = queues.into_iter().map(writer).collect();
        let heard = Arc::new(Notify::new());
        let mut background = vec![tokio::spawn(hints::tell(shared.clone(), readers.clone()))];
        if mode == Mode::Serve {
            background.push(tokio::spawn(hints::listen(readers.clone(), heard.clone())));
            let keep = hints::keep(shared.clone(), readers.clone(), clock.clone(), lease);
            background.push(tokio::spawn(keep));
        }
        Ok(Self {
            name: connect::name(&shared.options),
            readers,
            shared,
            submit: jobs.submit(),
            jobs: Mutex::new(Some(jobs)),
            writers: Mutex::new(writers),
            background: Mutex::new(background.into_iter().map(AbortOnDropHandle::new).collect()),
            clock,
            heard,
            lease,
            keys,
            migrated,
        })
    }

    /// The database's name for messages: without user and password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many migrations ran when it was opened.
    pub fn migrated(&self) -> usize {
        self.migrated
    }

    /// Hands a write over and waits until it is on the disk.
    async fn write(&self, op: Op) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.submit.way(&op)?;
        jobs.send(Job { op, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        drop(jobs);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn change(&self, change: Change) -> Result<Outcome, StoreError> {
        self.write(Op::Change(change)).await
    }
}

/// Takes the value out of the outcome that an operation has by construction.
macro_rules! outcome {
    ($result:expr, $variant:ident) => {
        match $result {
            Outcome::$variant(value) => Ok(value),
            _ => Err(StoreError::Closed),
        }
    };
}

#[async_trait]
impl Store for PostgresStore {
    async fn accept(&self, batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let op = Op::Accept(batch);
        let jobs = self.submit.way(&op)?;
        // Not waited for: what cannot be taken now is the platform's to keep.
        jobs.try_send(Job { op, reply }).map_err(|_| StoreError::Busy)?;
        drop(jobs);
        outcome!(answer.await.map_err(|_| StoreError::Closed)??, Accepted)
    }

    async fn lanes(&self, work: Work) -> Result<Vec<LaneDue>, StoreError> {
        reads::lanes(&self.readers, work, self.shared.lanes.owner()).await
    }

    async fn claim_turns(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<TurnClaim>, StoreError> {
        outcome!(
            self.write(Op::ClaimTurns(Wanted {
                quotas,
                now,
                lease_until
            }))
            .await?,
            Turns
        )
    }

    async fn complete_turn(
        &self,
        claim: TurnClaim,
        done: CompletedTurn,
    ) -> Result<Option<SendClaim>, StoreError> {
        outcome!(self.write(Op::CompleteTurn(claim, done)).await?, Next).map(|next| next.map(|claim| *claim))
    }

    async fn defer_turn(&self, claim: ClaimKey, deferral: Deferral) -> Result<(), StoreError> {
        self.write(Op::DeferTurn(claim, deferral)).await.map(drop)
    }

    async fn bury_turn(&self, claim: TurnClaim, burial: Burial) -> Result<(), StoreError> {
        self.write(Op::BuryTurn(claim, burial)).await.map(drop)
    }

    async fn claim_sends(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<SendClaim>, StoreError> {
        outcome!(
            self.write(Op::ClaimSends(Wanted {
                quotas,
                now,
                lease_until
            }))
            .await?,
            Sends
        )
    }

    async fn settle(
        &self,
        claim: SendClaim,
        settlement: Settlement,
    ) -> Result<Option<SendClaim>, StoreError> {
        outcome!(self.write(Op::Settle(claim, settlement)).await?, Next).map(|next| next.map(|claim| *claim))
    }

    async fn release(&self, work: Work, held: &str, now: Time) -> Result<u64, StoreError> {
        outcome!(
            self.change(Change::Release {
                work,
                held: held.to_owned(),
                now
            })
            .await?,
            Count
        )
    }

    async fn recover(&self, routes: &Routes, now: Time, look_at: Time) -> Result<u64, StoreError> {
        outcome!(
            self.change(Change::Recover {
                routes: routes.clone(),
                now,
                look_at
            })
            .await?,
            Count
        )
    }

    async fn sweep(&self, keys_before: Time, from: i64) -> Result<Swept, StoreError> {
        outcome!(self.change(Change::Sweep { keys_before, from }).await?, Swept)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        reads::backlog(&self.readers).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.change(Change::CheckWritable).await.map(drop)
    }

    async fn threads(&self, query: ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
        reads::threads(&self.readers, &query).await
    }

    async fn thread(&self, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
        reads::thread(&self.readers, name).await
    }

    async fn change_thread(
        &self,
        name: &str,
        change: ThreadChange,
        now: Time,
    ) -> Result<Option<ThreadRow>, StoreError> {
        outcome!(
            self.change(Change::Thread {
                name: name.to_owned(),
                change,
                now
            })
            .await?,
            Thread
        )
    }

    async fn dead(&self, query: DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
        reads::dead(&self.readers, &query).await
    }

    async fn replay(&self, id: &str, routes: &Routes, now: Time) -> Result<bool, StoreError> {
        let Some(letter) = Letter::named(id) else {
            return Ok(false);
        };
        outcome!(
            self.change(Change::Replay {
                letter,
                routes: routes.clone(),
                now
            })
            .await?,
            Flag
        )
    }

    async fn purge(&self, id: &str, now: Time) -> Result<bool, StoreError> {
        let Some(letter) = Letter::named(id) else {
            return Ok(false);
        };
        outcome!(self.change(Change::Purge { letter, now }).await?, Flag)
    }

    async fn answered(&self, since: Time) -> Result<Vec<Answered>, StoreError> {
        figures::answered(&self.readers, since).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        figures::accounts(&self.readers).await
    }

    async fn prolong(
        &self,
        work: Work,
        keys: Vec<ClaimKey>,
        until: Time,
    ) -> Result<HashSet<ClaimToken>, StoreError> {
        outcome!(self.write(Op::Renew { work, keys, until }).await?, Held)
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.lease)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(self.clock.clone())
    }

    async fn hinted(&self) {
        self.heard.notified().await;
    }

    async fn close(&self) {
        self.jobs.lock().await.take();
        for writer in self.writers.lock().await.drain(..) {
            let _ = writer.await;
        }
        self.shared.lanes.leave(&self.readers).await;
        self.background.lock().await.clear();
        self.readers.pool().close().await;
    }
}
