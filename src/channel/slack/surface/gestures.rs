//! What is shown because somebody opened or stopped the bot, or because an earlier process left something there.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::{Sign, Spot, Trouble};
use crate::channel::Aside;
use crate::channel::slack::Slack;
use crate::channel::slack::deliver::Target;
use crate::channel::slack::opening::Gesture;
use crate::domain::AccountKey;

/// How often and how long a suggestion waits for Slack to take it.
const SUGGEST_TRIES: usize = 10;
const SUGGEST_WITHIN: Duration = Duration::from_secs(2);

/// How long a look for a part may wait for that.
const PUT_RIGHT_WITHIN: Duration = Duration::from_secs(2);

impl Slack {
    /// Shows what somebody's opening or stopping asks for.
    pub(in crate::channel::slack) async fn attend(&self, aside: &Aside) {
        let (account, surface) = (&aside.account, &self.surface);
        let Ok(_seat) = surface.asides.try_acquire() else {
            tracing::debug!(%account, "too many opened the bot at once: no suggestions for one of them");
            return;
        };
        match serde_json::from_value(aside.what.clone()) {
            Ok(Gesture::Opened { channel, thread_ts }) => {
                let method = "assistant.threads.setSuggestedPrompts";
                let Some(call) = surface.prompts(&channel, thread_ts.as_deref()) else {
                    return;
                };
                self.suggest(account, method, &call).await;
            }
            Ok(Gesture::Stopped { channel, thread_ts }) => {
                let Some(sign) = surface.sign(account, self.clock.now()) else {
                    return;
                };
                let (account, ts) = (account.clone(), thread_ts);
                self.put_right(sign, &Spot { account, channel, ts }).await;
            }
            Err(error) => tracing::debug!(%account, %error, "an aside that nobody understands"),
        }
    }

    /// Takes back what an earlier process may have left there.
    async fn put_right(&self, sign: Sign, spot: &Spot) {
        let place = self.surface.place(spot);
        // Whoever shows something there takes it back without being told to.
        if let Ok(_alone) = place.try_lock() {
            self.show_no_more(sign, spot).await;
        }
    }

    /// Nothing is on its way where a part is looked for: the daemon may have died before it could say so.
    pub(in crate::channel::slack) async fn show_idle(&self, account: &AccountKey, target: &Target) {
        let sign = self.surface.sign(account, self.clock.now());
        let thread_ts = target.thread_ts.clone().filter(|_| sign != Some(Sign::Reaction));
        if let (Some(sign), Some(ts)) = (sign, thread_ts) {
            let (account, channel) = (account.clone(), target.channel.clone());
            let spot = Spot { account, channel, ts };
            let _ = tokio::time::timeout(PUT_RIGHT_WITHIN, self.put_right(sign, &spot)).await;
        }
    }

    /// Suggests, soon or not at all: the person begins to write.
    async fn suggest(&self, account: &AccountKey, method: &'static str, call: &Value) {
        for _ in 0..SUGGEST_TRIES {
            match self.try_call(account, method, call).await {
                Ok(_) => return,
                Err(Trouble::Limited(after)) if after <= SUGGEST_WITHIN => sleep(after).await,
                Err(trouble) => return self.tell(account, method, &trouble),
            }
        }
    }
}
