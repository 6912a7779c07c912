//! Posting a part: in its channel's pace, with the token of its workspace, renewed if that has come to its end.

use secrecy::SecretString;

use super::deliver::{self, Target};
use super::{Slack, pace};
use crate::channel::{Scope, SendDisposition, SendError, Sent};
use crate::domain::delivery::SendClaim;

impl Slack {
    /// Posts a part in its channel with this token, when it is its turn.
    pub(super) async fn post(&self, token: &SecretString, claim: &SendClaim) -> Result<Sent, SendError> {
        let account = &claim.thread.account;
        let target = Target::from_route(&claim.thread.route).ok_or_else(deliver::unreadable)?;
        let now = self.clock.now();
        if let Some(after) = self.pace.limited(account, deliver::POST, now) {
            let why = "Slack wanted a pause for this workspace";
            return Err(pace::pause("ratelimited", why, Scope::Account, after));
        }
        self.pace.admit(account, &target.channel, claim.delivery, now)?;
        let sent = self.send_with(token, &target, claim).await;
        if let Err(SendError {
            disposition:
                SendDisposition::Pause {
                    scope: Scope::Account,
                    after,
                },
            ..
        }) = &sent
        {
            let until = self.clock.now().plus(*after);
            self.pace.limit(account, deliver::POST, until);
        }
        sent
    }

    /// Sends a part with this token; with another once, if this one has come to its end.
    async fn send_with(
        &self,
        token: &SecretString,
        target: &Target,
        claim: &SendClaim,
    ) -> Result<Sent, SendError> {
        let buttons = self.buttons.as_ref();
        let sent = deliver::send(&self.client, token, target, claim, buttons).await;
        let ended = matches!(&sent, Err(error) if error.code == "token_expired");
        if !ended {
            return sent;
        }
        let account = &claim.thread.account;
        match self.installations.token_after(&self.client, account, token).await {
            Some(Ok(fresh)) => deliver::send(&self.client, &fresh, target, claim, buttons).await,
            Some(Err(error)) => Err(error),
            None => sent,
        }
    }
}
