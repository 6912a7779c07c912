//! The store on SQLite.
//!
//! One task writes (`writer`), a few connections read. The database runs with a write-ahead log, and nobody is told of a
//! commit before a sync made it last (`syncs`): what was acknowledged survives a power cut. Statements that belong together are sent to SQLite as one
//! text, because each text is a trip to another thread; their rows come back with a number in front that tells which
//! statement they are of.

mod accept;
mod acts;
pub(super) mod backup;
mod changes;
mod claims;
pub(super) mod connect;
mod families;
mod figures;
mod fresh;
mod installations;
mod privacy;
mod reads;
mod sends;
mod statements;
mod syncs;
mod transaction;
mod turns;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{Mutex, mpsc, oneshot};

pub use super::Mode;
pub(super) use connect::{look, path_of};
use fresh::Fresh;
use ops::{Change, Letter, Op, Outcome, Wanted};
pub use statements::statements;
use writer::Job;

use super::operator::{
    AccountRow, Answered, DeadLetter, DeadQuery, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow,
};
use super::seal::Keyring;
use super::{Backlog, Claims, LaneDue, Quota, Settings, Store, StoreError, Swept, Work};
use super::{claimed, ends, moving, ops, plan, rows, sql};
use crate::domain::delivery::{SendClaim, Settlement};
use crate::domain::message::{Accepted, Admission};
use crate::domain::routing::Routes;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};
use crate::domain::{ClaimToken, Time};

/// So many writes may wait; a webhook beyond that is refused, so that the platform keeps it and delivers it again.
const QUEUE: usize = 4096;

/// The numbers that decide how the store writes.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// So many writes share a commit at most; 1 makes each write a transaction of its own, with a sync of its own.
    pub batch: usize,
    /// So many keys stay in memory (some 40 bytes each) before the older half goes over into the large table.
    pub fresh_keys: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            batch: 512,
            fresh_keys: 65_536,
        }
    }
}

/// The store on a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: SqlitePool,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    submit: mpsc::WeakSender<Job>,
    writer: Mutex<Option<oneshot::Receiver<()>>>,
    migrated: usize,
    keys: Keyring,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the database, makes it if it is absent, and brings it up to date.
    pub async fn open(settings: &Settings, mode: Mode) -> Result<Self, StoreError> {
        Self::open_tuned(settings, mode, Tuning::default()).await
    }

    /// The same with other numbers: for comparisons and tests.
    pub async fn open_tuned(settings: &Settings, mode: Mode, tuning: Tuning) -> Result<Self, StoreError> {
        let path = connect::path_of(&settings.url)?;
        let lock = connect::lock(&path, mode)?;
        let mut conn = connect::writer(&path).await?;
        let migrated = connect::prepare(&path, &mut conn)
            .await
            .map_err(|error| error.in_file(&path))?;
        moving::sqlite::refuse_unfinished(&path, &mut conn).await?;
        let keys = Keyring::load(&settings.secret_key, &path, mode == Mode::Serve)?;
        if mode == Mode::Serve {
            installations::reseal(&mut conn, &keys).await?;
        }
        let readers = connect::readers(&path);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let fresh = Fresh::load(&mut conn, tuning.fresh_keys).await?;
        let log = if tuning.batch > 1 {
            connect::leave_sync(&mut conn).await?;
            syncs::of_log(&path)
        } else {
            syncs::by_sqlite()
        };
        let writer =
            writer::start(conn, fresh, log, queue, tuning.batch).map_err(|error| StoreError::Open {
                path: path.display().to_string(),
                reason: format!("no thread for the writer: {error}"),
            })?;
        Ok(Self {
            path,
            readers,
            submit: jobs.downgrade(),
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(writer)),
            migrated,
            keys,
            _lock: lock,
        })
    }

    /// The database file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// How many migrations ran when it was opened.
    pub fn migrated(&self) -> usize {
        self.migrated
    }

    /// Hands a write over and waits until it is on the disk.
    async fn write(&self, op: Op) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.submit.upgrade().ok_or(StoreError::Closed)?;
        jobs.send(Job { op, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        drop(jobs);
        self.located(answer.await.map_err(|_| StoreError::Closed)?)
    }

    /// Damage that is found while the store is open is told as at the start: with the file and the remedy.
    fn located<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| error.in_file(&self.path))
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
impl Store for SqliteStore {
    async fn accept(&self, batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.submit.upgrade().ok_or(StoreError::Closed)?;
        // Not waited for: what cannot be taken now is the platform's to keep.
        jobs.try_send(Job {
            op: Op::Accept(batch),
            reply,
        })
        .map_err(|_| StoreError::Busy)?;
        drop(jobs);
        outcome!(
            self.located(answer.await.map_err(|_| StoreError::Closed)?)?,
            Accepted
        )
    }

    async fn lanes(&self, work: Work) -> Result<Vec<LaneDue>, StoreError> {
        self.located(reads::lanes(&self.readers, work).await)
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
        self.located(reads::backlog(&self.readers).await)
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.change(Change::CheckWritable).await.map(drop)
    }

    async fn threads(&self, query: ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
        self.located(reads::threads(&self.readers, &query).await)
    }

    async fn thread(&self, name: &str) -> Result<Option<ThreadDetail>, StoreError> {
        self.located(reads::thread(&self.readers, name).await)
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
        self.located(reads::dead(&self.readers, &query).await)
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

    async fn prolong(
        &self,
        work: Work,
        keys: Vec<ClaimKey>,
        until: Time,
    ) -> Result<HashSet<ClaimToken>, StoreError> {
        outcome!(self.write(Op::Renew { work, keys, until }).await?, Held)
    }

    async fn answered(&self, since: Time) -> Result<Vec<Answered>, StoreError> {
        figures::answered(&self.readers, since).await
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        figures::accounts(&self.readers).await
    }

    async fn close(&self) {
        // The last connection to leave copies the log into the database and removes it: let that be the writer.
        self.readers.close().await;
        self.jobs.lock().await.take();
        if let Some(writer) = self.writer.lock().await.take() {
            let _ = writer.await;
        }
    }
}
