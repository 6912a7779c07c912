//! Which replica sends where.
//!
//! What a platform limits (a room, a pair, a number, an installation), and how long it wants to be left alone, is known
//! to whoever sends there. So all that is sent for one account is sent by one replica at a time: the owner of its lane.
//! It keeps the lane as long as it lives and something was sent there lately; when it is gone, whoever has something to
//! send takes the lane over once the lease has ended. Questions to the agent are not bound that way.
//!
//! A lane is no lock: two replicas that both took it for theirs for a moment would send different threads' parts, each
//! in order, and only too fast.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connect::Readers;
use super::tx::Tx;
use crate::domain::Time;
use crate::domain::message::Lane;
use crate::store::StoreError;
use crate::store::rows::{self, Cells};

/// The lanes that nobody has, or whose owner's lease is over, become ours. `lanes, owner, until, now`
pub(super) const OWN: &str = "
    WITH mine AS (
        INSERT INTO lanes (lane, owner, until) SELECT l, $2, $3 FROM unnest($1::text[]) AS l ORDER BY 1
            ON CONFLICT (lane) DO UPDATE SET owner = excluded.owner, until = excluded.until
               WHERE lanes.owner = excluded.owner OR lanes.until <= $4
        RETURNING lane
    )
    SELECT l.lane, m.lane IS NOT NULL, n.until FROM unnest($1::text[]) AS l (lane)
      LEFT JOIN mine AS m ON m.lane = l.lane LEFT JOIN lanes AS n ON n.lane = l.lane";

/// `until, owner, lanes`
pub(super) const KEEP: &str =
    "UPDATE lanes SET until = $1 WHERE owner = $2 AND lane = ANY($3) RETURNING lane";

/// `owner, lanes`
pub(super) const LEAVE: &str = "DELETE FROM lanes WHERE owner = $1 AND lane = ANY($2)";

/// A lane in which nothing was sent for so long is given up: longer than any platform remembers what it counted.
const IDLE: Duration = Duration::from_mins(10);

/// A lane of another is asked for so often at most.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The lanes as this replica knows them.
#[derive(Debug)]
pub(super) struct Lanes {
    owner: String,
    lease: Duration,
    known: Mutex<HashMap<Lane, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    mine: bool,
    /// Until when its owner has it.
    until: Time,
    asked: Instant,
    used: Instant,
}

impl Lanes {
    pub(super) fn new(owner: String, lease: Duration) -> Self {
        Self {
            owner,
            lease,
            known: Mutex::default(),
        }
    }

    /// The name of this replica.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Lane, Known>> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this replica sends there now.
    pub(super) fn is_mine(&self, lane: &str, now: Time) -> bool {
        self.known()
            .get(lane)
            .is_some_and(|known| known.mine && known.until > now)
    }

    /// When the lane of another is free at the latest, if nothing is heard of that one any more.
    pub(super) fn free_at(&self, lane: &str, now: Time) -> Time {
        self.known().get(lane).map_or(now, |known| known.until.max(now))
    }

    /// Takes the lanes that can be had, within the transaction, and looks after those that are ours already. What is
    /// written down here counts only if the transaction does; if not, the database says so at the next time.
    pub(super) async fn own(&self, tx: &mut Tx<'_>, wanted: &[Lane], now: Time) -> Result<(), StoreError> {
        let ask: BTreeSet<&str> = {
            let mut known = self.known();
            let mut ask = BTreeSet::new();
            for lane in wanted {
                let due = known.get_mut(lane).is_none_or(|known| {
                    known.used = Instant::now();
                    if known.mine {
                        known.until <= now.plus(self.lease / 2)
                    } else {
                        known.asked.elapsed() >= ASK_AGAIN
                    }
                });
                if due {
                    ask.insert(&**lane);
                }
            }
            ask
        };
        if ask.is_empty() {
            return Ok(());
        }
        let until = now.plus(self.lease);
        let own = sqlx::query(OWN)
            .bind(ask.iter().copied().collect::<Vec<_>>())
            .bind(&self.owner)
            .bind(until.millis())
            .bind(now.millis());
        let answer = tx.fetch(own).await?;
        let mut known = self.known();
        let instant = Instant::now();
        for row in answer {
            let mine = row.flag(1)?;
            let theirs = rows::optional_time(&row, 2)?.unwrap_or(until);
            known.insert(
                row.text(0)?.into(),
                Known {
                    mine,
                    until: if mine { until } else { theirs },
                    asked: instant,
                    used: instant,
                },
            );
        }
        Ok(())
    }

    /// Forgets what was believed: the transaction that it came from did not count.
    pub(super) fn doubt(&self) {
        self.known().clear();
    }

    /// Keeps what was used lately, gives up the rest.
    pub(super) async fn keep(&self, readers: &Readers, now: Time) -> Result<(), StoreError> {
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        self.known().retain(|lane, known| {
            let used = known.used.elapsed() < IDLE;
            if known.mine {
                if used { &mut kept } else { &mut left }.push(lane.to_string());
            }
            used
        });
        if !left.is_empty() {
            let leave = sqlx::query(LEAVE).bind(&self.owner).bind(left);
            readers.fetch(leave).await?;
        }
        if kept.is_empty() {
            return Ok(());
        }
        let until = now.plus(self.lease);
        let keep = sqlx::query(KEEP)
            .bind(until.millis())
            .bind(&self.owner)
            .bind(&kept);
        let held: BTreeSet<String> = readers
            .fetch(keep)
            .await?
            .iter()
            .map(|row| Ok(row.text(0)?.to_owned()))
            .collect::<Result<_, StoreError>>()?;
        let mut known = self.known();
        for lane in kept {
            if let Some(known) = known.get_mut(&*lane) {
                known.mine &= held.contains(&lane);
                known.until = if known.mine { until } else { known.until };
            }
        }
        Ok(())
    }

    /// Leaves everything to the others.
    pub(super) async fn leave(&self, readers: &Readers) {
        let known = std::mem::take(&mut *self.known());
        let mine = known.into_iter().filter(|(_, known)| known.mine);
        let mine: Vec<String> = mine.map(|(lane, _)| lane.to_string()).collect();
        if !mine.is_empty() {
            let leave = sqlx::query(LEAVE).bind(&self.owner).bind(mine);
            if let Err(error) = readers.fetch(leave).await {
                tracing::debug!(%error, "the lanes of this replica are free when their lease ends");
            }
        }
    }
}
