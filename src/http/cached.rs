//! An answer that is kept for a moment, so that many askers cost one look.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

/// The latest answer. Who asks while somebody looks waits for what that one finds.
#[derive(Debug)]
pub struct Cached<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Cached<T> {
    /// Nothing yet.
    #[expect(clippy::new_without_default, reason = "it is always made by name")]
    pub fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The answer of the last second, else what `look` finds.
    pub async fn get(&self, look: impl Future<Output = T>) -> T {
        self.get_at(Instant::now(), look).await
    }

    async fn get_at(&self, now: Instant, look: impl Future<Output = T>) -> T {
        let mut kept = self.0.lock().await;
        if let Some((at, answer)) = &*kept
            && now.saturating_duration_since(*at) < KEPT
        {
            return answer.clone();
        }
        let answer = look.await;
        *kept = Some((now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_once_a_second() {
        let (cached, start) = (Cached::new(), Instant::now());
        assert_eq!(cached.get_at(start, async { 1 }).await, 1);
        assert_eq!(
            cached
                .get_at(start + Duration::from_millis(999), async { 2 })
                .await,
            1
        );
        assert_eq!(cached.get_at(start + KEPT, async { 3 }).await, 3);
    }
}
