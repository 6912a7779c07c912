//! The store: everything that is remembered, and the truth about what is to be done.
//!
//! [`Store`] is the whole of what the rest of the crate knows of the database. Each method is one whole transaction;
//! when it has returned, what it did survives a crash and a power cut. All SQL stands below this folder.
//!
//! Work is a row for each thread that has something to do, of one of two kinds ([`Work`]): a turn to ask, a part to
//! send. The row carries when it is due, and, while somebody works on it, the claim's token; a claim that is not
//! settled until its lease ends is due again by itself.

mod claimed;
mod ends;
mod error;
mod look;
pub mod moving;
pub mod operator;
mod ops;
mod plan;
pub mod postgres;
pub mod privacy;
mod rows;
mod seal;
mod sql;
pub mod sqlite;
pub mod veil;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

pub use error::StoreError;
pub use look::{Found, Look, look};
pub use seal::is_key;
pub use sqlite::backup::Backup;

use crate::domain::delivery::{SendClaim, Settlement};
use crate::domain::family::FamilyStore;
use crate::domain::installation::InstallationStore;
use crate::domain::message::{Accepted, Admission, Lane};
use crate::domain::routing::Routes;
use crate::domain::settings;
use crate::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, TurnClaim};
use crate::domain::{ClaimToken, Clock, Time};
use operator::{
    AccountRow, Answered, DeadLetter, DeadQuery, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow,
};
use privacy::PrivacyStore;
use veil::Veiled;

/// The two kinds of work that a thread can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Messages wait for the agent.
    Turn,
    /// Parts wait to be sent.
    Send,
}

/// How much work to claim from a lane at most.
#[derive(Debug, Clone)]
pub struct Quota {
    /// The lane.
    pub lane: Lane,
    /// At most so many threads.
    pub most: u32,
}

/// A lane and when its next work is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneDue {
    /// The lane.
    pub lane: Lane,
    /// When its earliest work is due; none if it has none.
    pub due_at: Option<Time>,
}

/// What was claimed, and when the lanes asked about have more.
#[derive(Debug)]
pub struct Claims<C> {
    /// The claims.
    pub claims: Vec<C>,
    /// The lanes that were asked about.
    pub lanes: Vec<LaneDue>,
}

/// What waits: for an answer, or for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages without an answer yet, and parts that are not sent yet.
    pub waiting: u64,
    /// When the oldest of them was accepted or made.
    pub oldest: Option<Time>,
    /// Those parts of which nobody knows at the moment whether they were sent.
    pub unknown: u64,
    /// Messages that are dead letters.
    pub dead_messages: u64,
    /// Parts that are dead letters.
    pub dead_deliveries: u64,
}

/// What the janitor removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Keys that were too old to be needed.
    pub keys: u64,
    /// Where to go on; none at the end.
    pub next: Option<i64>,
}

/// What the daemon remembers. Each method is one transaction.
#[async_trait]
pub trait Store: InstallationStore + FamilyStore + PrivacyStore {
    /// Stores what arrived: keys, threads, messages and the work that follows from them. Returns what became of each,
    /// in the order given, after it is on the disk.
    async fn accept(&self, batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError>;

    /// The lanes that have work, and when it is due.
    async fn lanes(&self, work: Work) -> Result<Vec<LaneDue>, StoreError>;

    /// Claims turns that are due, until `lease_until`.
    async fn claim_turns(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<TurnClaim>, StoreError>;

    /// Records the agent's answer: the conversation, the parts to send, the messages answered. Returns the claim of
    /// the first part if it was asked for and nothing of the thread was waiting before it.
    async fn complete_turn(
        &self,
        claim: TurnClaim,
        done: CompletedTurn,
    ) -> Result<Option<SendClaim>, StoreError>;

    /// Puts a claimed turn back.
    async fn defer_turn(&self, claim: ClaimKey, deferral: Deferral) -> Result<(), StoreError>;

    /// Ends the claimed messages without an answer.
    async fn bury_turn(&self, claim: TurnClaim, burial: Burial) -> Result<(), StoreError>;

    /// Claims parts that are due to be sent, until `lease_until`, and records the attempts.
    async fn claim_sends(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        lease_until: Time,
    ) -> Result<Claims<SendClaim>, StoreError>;

    /// Records what became of a claimed part. Returns the claim of the thread's next part if it was asked for.
    async fn settle(&self, claim: SendClaim, settlement: Settlement)
    -> Result<Option<SendClaim>, StoreError>;

    /// Makes due what waits for this name to be released. Returns how many threads.
    async fn release(&self, work: Work, held: &str, now: Time) -> Result<u64, StoreError>;

    /// Takes over what a process that is gone had claimed, and puts waiting turns in the lanes that the routes now
    /// name. Called once, before any work begins, by the only process that works. A part that was being sent is
    /// looked for at `look_at` at the earliest. Returns how many claims were taken over.
    async fn recover(&self, routes: &Routes, now: Time, look_at: Time) -> Result<u64, StoreError>;

    /// Looks through a few thousand keys, beginning at `from`, and removes those recorded in an hour before
    /// `keys_before`.
    async fn sweep(&self, keys_before: Time, from: i64) -> Result<Swept, StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// Whether the store takes writes now.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Threads, the latest first.
    async fn threads(&self, query: ThreadQuery) -> Result<Vec<ThreadRow>, StoreError>;

    /// One thread by its id or an address, with its messages and deliveries.
    async fn thread(&self, name: &str) -> Result<Option<ThreadDetail>, StoreError>;

    /// Changes a thread, named by its id or an address. Returns its row; none if nobody is known by that name (a
    /// pause makes the thread if the name is an address).
    async fn change_thread(
        &self,
        name: &str,
        change: ThreadChange,
        now: Time,
    ) -> Result<Option<ThreadRow>, StoreError>;

    /// Dead letters, the oldest first.
    async fn dead(&self, query: DeadQuery) -> Result<Vec<DeadLetter>, StoreError>;

    /// Puts a dead letter back to work. False if there is none by that id.
    async fn replay(&self, id: &str, routes: &Routes, now: Time) -> Result<bool, StoreError>;

    /// Forgets a dead letter. False if there is none by that id.
    async fn purge(&self, id: &str, now: Time) -> Result<bool, StoreError>;

    /// Makes claims hold until `until` that are still the caller's. Returns their tokens.
    async fn prolong(
        &self,
        work: Work,
        keys: Vec<ClaimKey>,
        until: Time,
    ) -> Result<HashSet<ClaimToken>, StoreError>;

    /// How long a claim holds, where others may take it over: it must be renewed while its work goes on. None where
    /// this process works alone.
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// The clock that all who work on this store share, if they are several.
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    /// Waits until another process tells that there may be work. It may tell nothing: the table is the truth.
    async fn hinted(&self) {
        std::future::pending::<()>().await;
    }

    /// The answers whose first part was delivered since this moment, counted by channel, hour and time to answer, in
    /// that order.
    async fn answered(&self, since: Time) -> Result<Vec<Answered>, StoreError>;

    /// The accounts where people have written, in the order of their keys.
    async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError>;

    /// Finishes what is under way and closes the files.
    async fn close(&self);
}

/// Why a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To serve, and brought up to date. On SQLite: alone.
    Serve,
    /// For a command, beside a daemon that may be running. Brought up to date too, if nobody serves it.
    Command,
}

/// Opens the store that `store.url` names.
pub async fn open(settings: &Settings, mode: Mode) -> Result<Arc<dyn Store>, StoreError> {
    if settings.is_postgres() {
        let store = postgres::PostgresStore::open(settings, mode).await?;
        if mode == Mode::Serve {
            tracing::info!(database = store.name(), lease = ?settings.lease, "database");
        }
        return Ok(Arc::new(Veiled::new(Arc::new(store), settings)?));
    }
    let store = sqlite::SqliteStore::open(settings, mode).await?;
    if mode == Mode::Serve {
        tracing::info!(path = %store.path().display(), "database");
    }
    Ok(Arc::new(Veiled::new(Arc::new(store), settings)?))
}

/// Brings the database up to date. Returns its name, and how many migrations ran.
pub async fn migrate(settings: &Settings) -> Result<(String, usize), StoreError> {
    if settings.is_postgres() {
        let store = postgres::PostgresStore::open(settings, Mode::Command).await?;
        let done = (store.name().to_owned(), store.migrated());
        store.close().await;
        return Ok(done);
    }
    let store = sqlite::SqliteStore::open(settings, Mode::Command).await?;
    let done = (store.path().display().to_string(), store.migrated());
    store.close().await;
    Ok(done)
}

/// Copies a SQLite database into a new file, whoever uses it meanwhile.
pub async fn backup(settings: &Settings, file: &Path) -> Result<Backup, StoreError> {
    if settings.is_postgres() {
        return Err(StoreError::Backup {
            file: file.display().to_string(),
            reason: "a PostgreSQL database is copied by its own means; run: pg_dump --format=custom --file=FILE URL, \
                     with the URL of store.url"
                .to_owned(),
        });
    }
    sqlite::backup::backup(settings, file).await
}

/// How much of the copy that [`backup`] is making into this file is written so far, in bytes; none if none is being made.
pub fn backup_so_far(file: &Path) -> Option<u64> {
    sqlite::backup::so_far(file)
}

/// Section `store` of the configuration.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The database: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`. It may hold a password.
    pub url: String,
    /// How long the claims of a replica hold that is not heard of: afterwards others take its work over. Only on
    /// PostgreSQL.
    #[serde(default = "lease", deserialize_with = "settings::duration")]
    pub lease: Duration,
    /// What encrypts tokens: 32 bytes in base64. The first encrypts, all decrypt. If there is none, one is made in a file
    /// beside the database.
    #[serde(default, deserialize_with = "settings::secrets")]
    pub secret_key: Vec<SecretString>,
    /// What encrypts the text of messages and answers: 32 bytes in base64. The first encrypts, all decrypt. If there is
    /// none, texts are stored as they are.
    #[serde(default, deserialize_with = "settings::secrets")]
    pub text_key: Vec<SecretString>,
    /// After so many days the text of what has ended is removed. If none, it stays.
    #[serde(default)]
    pub retention_days: Option<u32>,
}

/// The usual [`Settings::lease`].
fn lease() -> Duration {
    Duration::from_secs(15)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            lease: lease(),
            secret_key: Vec::new(),
            text_key: Vec::new(),
            retention_days: None,
        }
    }
}

impl Settings {
    /// How long the text of what has ended stays; none: for good.
    pub fn retention(&self) -> Option<Duration> {
        Some(Duration::from_hours(24 * u64::from(self.retention_days?)))
    }

    /// Whether the database is a PostgreSQL server.
    pub fn is_postgres(&self) -> bool {
        ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| self.url.starts_with(scheme))
    }
}
