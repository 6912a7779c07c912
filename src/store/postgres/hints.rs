//! What replicas tell one another, and what each looks after now and then.
//!
//! After a commit that made work which another replica may have to begin, a hint goes out (`NOTIFY`). A hint may be
//! lost, and there are poolers that let none through: the workers ask the table every second whatever they hear. Hints
//! are sent on their own, after the commit and seldom, because a transaction that notifies makes others wait for its
//! commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::clock::DatabaseClock;
use super::connect::{self, Readers};
use super::writer::Shared;
use crate::domain::{Clock, Time};
use crate::store::StoreError;
use crate::store::rows;

/// The name under which replicas hear of one another.
const CHANNEL: &str = "chatbridge_work";

/// Hints go out so often at most.
const SELDOM: Duration = Duration::from_millis(5);

/// How long before listening is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(15);

pub(super) const TELL: &str = "SELECT pg_notify($1, '')";

pub(super) const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A reading of the clock that took so long is worth nothing, unless there is none better.
const BLURRED: Duration = Duration::from_millis(250);

/// Sends hints.
pub(super) async fn tell(shared: Arc<Shared>, readers: Readers) {
    loop {
        shared.news.notified().await;
        if let Err(error) = readers.fetch(sqlx::query(TELL).bind(CHANNEL)).await {
            tracing::debug!(%error, "a hint to the other replicas was not sent");
        }
        tokio::time::sleep(SELDOM).await;
    }
}

/// Hears hints.
pub(super) async fn listen(readers: Readers, heard: Arc<Notify>) {
    let mut said = false;
    loop {
        if let Err(error) = hear(&readers, &heard).await {
            if said {
                tracing::debug!(%error, "still no hints from the other replicas");
            } else {
                tracing::info!(%error, "no hints from the other replicas; the table is asked every second");
            }
            said = true;
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn hear(readers: &Readers, heard: &Notify) -> Result<(), sqlx::Error> {
    let connect = PgListener::connect_with(readers.pool());
    let mut listener = match tokio::time::timeout(connect::CONNECT, connect).await {
        Ok(listener) => listener?,
        Err(_) => return Err(sqlx::Error::PoolTimedOut),
    };
    listener.listen(CHANNEL).await?;
    loop {
        listener.try_recv().await?.ok_or(sqlx::Error::PoolClosed)?;
        heard.notify_one();
    }
}

/// Reads the clock, and keeps the lanes that are ours, a few times in each lease.
pub(super) async fn keep(shared: Arc<Shared>, readers: Readers, clock: Arc<DatabaseClock>, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 4).await;
        match read_clock(&readers).await {
            Ok((at, shown, took)) if took < BLURRED => clock.set(at, shown),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the database's clock cannot be read");
                continue;
            }
        }
        if let Err(error) = shared.lanes.keep(&readers, clock.now()).await {
            tracing::debug!(%error, "the lanes are not looked after");
        }
    }
}

/// Reads the database's clock: what it showed, at which instant, and how long it took to ask.
pub(super) async fn read_clock(readers: &Readers) -> Result<(Instant, Time, Duration), StoreError> {
    // The first time includes making a connection.
    let mut best: Option<(Instant, Time, Duration)> = None;
    for _ in 0..3 {
        let asked = Instant::now();
        let row = readers.fetch_optional(sqlx::query(NOW)).await?;
        let took = asked.elapsed();
        let shown = row.map(|row| rows::time(&row, 0)).transpose()?;
        let shown = shown.ok_or(StoreError::Closed)?;
        if best.is_none_or(|(_, _, best)| took < best) {
            best = Some((asked + took / 2, shown, took));
        }
        if took < Duration::from_millis(5) {
            break;
        }
    }
    best.ok_or(StoreError::Closed)
}
