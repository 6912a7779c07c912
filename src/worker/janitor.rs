//! The janitor: removes what has served its time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Parts;
use crate::domain::{Clock, Time};
use crate::store::Store;
use crate::store::privacy::Traces;

/// How long keys are kept: longer than the seven days for which Meta delivers again, and the 24 hours of Slack's
/// delayed events.
const KEEP_KEYS: Duration = Duration::from_hours(10 * 24);

/// How often it comes by.
const EVERY: Duration = Duration::from_mins(10);

/// How soon after the start.
const FIRST: Duration = Duration::from_secs(10);

/// So many steps at most at each visit; the next one goes on from there.
const STEPS: usize = 200;

/// How often it looks through all threads for old texts.
const EXPIRE_EVERY: Duration = Duration::from_hours(24);

/// So many lines of the audit at most are told of at a visit.
const AUDITED: u32 = 100;

/// Who comes by.
pub(super) struct Janitor {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// How long the text of what has ended stays; none: for good.
    retention: Option<Duration>,
    keys_from: i64,
    texts: Texts,
    /// The latest line of the audit that was told of.
    audited: Option<i64>,
}

/// How far the search for old texts has come.
#[derive(Default)]
struct Texts {
    /// Behind which thread to go on.
    from: Option<String>,
    /// When the round under way began.
    began: Option<Time>,
    /// When the next round begins; at once at first.
    due: Time,
    removed: u64,
    letters: u64,
}

impl Janitor {
    pub(super) fn of(parts: &Parts) -> Self {
        Self::new(parts.store.clone(), parts.clock.clone(), parts.retention)
    }

    fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, retention: Option<Duration>) -> Self {
        Self {
            store,
            clock,
            retention,
            keys_from: i64::MIN,
            texts: Texts::default(),
            audited: None,
        }
    }

    /// Comes by until cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut pause = FIRST;
        while cancel
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            self.visit().await;
            pause = EVERY;
        }
    }

    async fn visit(&mut self) {
        self.sweep().await;
        if let Some(retention) = self.retention {
            self.expire(retention).await;
        }
        self.clear().await;
        self.tell_audit().await;
    }

    /// Removes old keys, in small steps.
    async fn sweep(&mut self) {
        let before = self.clock.now().minus(KEEP_KEYS);
        let mut removed = 0;
        for _ in 0..STEPS {
            match self.store.sweep(before, self.keys_from).await {
                Ok(swept) => {
                    removed += swept.keys;
                    self.keys_from = swept.next.unwrap_or(i64::MIN);
                    if swept.next.is_none() {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, "old keys could not be removed; it is tried again later");
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "old keys removed");
        }
    }

    /// Removes old texts, in small steps; once a day all threads are gone through.
    async fn expire(&mut self, retention: Duration) {
        let now = self.clock.now();
        if self.texts.began.is_none() && now < self.texts.due {
            return;
        }
        let began = *self.texts.began.get_or_insert(now);
        for _ in 0..STEPS {
            match self
                .store
                .expire(now.minus(retention), self.texts.from.take())
                .await
            {
                Ok(expired) => {
                    self.texts.removed += expired.texts;
                    self.texts.letters += expired.letters;
                    self.texts.from = expired.next;
                    if self.texts.from.is_none() {
                        let Texts { removed, letters, .. } = self.texts;
                        info!(removed, dead_letters = letters, "old texts removed");
                        self.texts = Texts {
                            due: began.plus(EXPIRE_EVERY),
                            ..Texts::default()
                        };
                        break;
                    }
                }
                Err(error) => {
                    // From the beginning: where it was is of no account, for what is done is not done again.
                    warn!(%error, "old texts could not be removed; it is tried again later");
                    break;
                }
            }
        }
    }

    /// Finishes what an erasure could not finish, because others were in the way.
    async fn clear(&self) {
        match self.store.clear(self.clock.now()).await {
            Ok(Traces::None | Traces::Server) => {}
            Ok(Traces::Left) => {
                warn!(
                    "the database's files still hold traces of what was erased: something reads or writes all the time; it is \
                     tried again later"
                );
            }
            Err(error) => {
                warn!(%error, "the database's files still hold traces of what was erased; it is tried again later");
            }
        }
    }

    /// Brings into the log what was erased, also by commands, which have no log.
    async fn tell_audit(&mut self) {
        let lines = match self.store.audit(AUDITED).await {
            Ok(lines) => lines,
            Err(error) => {
                warn!(%error, "the audit cannot be read; it is tried again later");
                return;
            }
        };
        let told = self.audited;
        self.audited = lines.first().map(|line| line.seq).or(Some(0));
        // What was there before the start was told of then.
        let Some(told) = told else { return };
        for line in lines.iter().rev().filter(|line| line.seq > told) {
            info!(
                what = line.what,
                thread = line.thread,
                messages = line.messages,
                deliveries = line.deliveries,
                names = line.names,
                ratings = line.ratings,
                at = line.at,
                "erased at an operator's request"
            );
        }
    }
}

#[cfg(test)]
mod tests;
