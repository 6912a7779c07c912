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

/// Comes by until cancelled.
pub(super) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, cancel: CancellationToken) {
    let mut pause = FIRST;
    while cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        sweep(&*store, &*clock).await;
        pause = EVERY;
    }
}

/// Removes old keys, in small steps.
async fn sweep(store: &dyn Store, clock: &dyn Clock) {
    let before = clock.now().minus(KEEP_KEYS);
    let mut removed = 0;
    loop {
        match store.sweep(before).await {
            Ok(swept) if swept.keys == 0 => break,
            Ok(swept) => removed += swept.keys,
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
