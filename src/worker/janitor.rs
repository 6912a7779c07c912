//! The janitor: removes what has served its time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain::Clock;
use crate::store::Store;

/// How long keys are kept: longer than the seven days for which Meta delivers again, and the 24 hours of Slack's
/// delayed events.
const KEEP_KEYS: Duration = Duration::from_hours(10 * 24);

/// How often it comes by.
const EVERY: Duration = Duration::from_mins(10);

/// How soon after the start.
const FIRST: Duration = Duration::from_secs(10);

/// So many steps at most at each visit; the next one goes on from there.
const STEPS: usize = 200;

/// Comes by until cancelled.
pub(super) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, cancel: CancellationToken) {
    let mut pause = FIRST;
    let mut from = i64::MIN;
    while cancel
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        from = sweep(&*store, &*clock, from).await;
        pause = EVERY;
    }
}

/// Removes old keys, in small steps. Returns where to go on.
async fn sweep(store: &dyn Store, clock: &dyn Clock, mut from: i64) -> i64 {
    let before = clock.now().minus(KEEP_KEYS);
    let mut removed = 0;
    for _ in 0..STEPS {
        match store.sweep(before, from).await {
            Ok(swept) => {
                removed += swept.keys;
                from = swept.next.unwrap_or(i64::MIN);
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
    from
}
