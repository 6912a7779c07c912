//! Posting a part: in its channel's pace, with the token of its workspace, renewed if that has come to its end.

use secrecy::SecretString;

use super::client::Trouble;
use super::deliver::{self, Target};
use super::{LOOK_AGAIN, Slack, pace};
use crate::channel::{LookUp, Scope, SendDisposition, SendError, Sent, UnknownPolicy};
use crate::domain::delivery::SendClaim;

impl Slack {
    /// Sends a part, unless Slack refuses the installation and it is not time to try again.
    pub(super) async fn deliver(&self, claim: &SendClaim) -> Result<Sent, SendError> {
        let account = &claim.thread.account;
        let (installations, holds) = (&self.installations, &self.installations.holds);
        holds.admit(account, self.clock.now())?;
        let token = match installations.token(&self.client, account).await {
            Ok(token) => token,
            Err(error) => {
                // Slack does not renew the token: that is asked no more often than anything else that it refuses.
                if error.disposition == SendDisposition::Hold && installations.is_granted(account) {
                    holds.refused(account, &error, self.clock.now());
                }
                return Err(error);
            }
        };
        let sent = self.post(&token, claim).await;
        match &sent {
            Err(error)
                if error.disposition == SendDisposition::Hold && installations.speaks(account, &token) =>
            {
                holds.refused(account, error, self.clock.now());
            }
            Ok(_) if holds.release(account) => installations.let_go(account),
            _ => {}
        }
        sent
    }

    /// Looks whether a part that may have been sent is there.
    pub(super) async fn look_for(&self, claim: &SendClaim) -> LookUp {
        let account = &claim.thread.account;
        let Some(target) = Target::from_route(&claim.thread.route) else {
            return LookUp::Unknowable(UnknownPolicy::Resend);
        };
        let (method, now) = (target.read_method(), self.clock.now());
        if let Some(after) = self.pace.limited(account, method, now) {
            return deliver::verdict(Trouble::Limited(after), deliver::waited(claim, now));
        }
        let limited = |after| {
            let until = self.clock.now().plus(after);
            self.pace.limit(account, method, until);
        };
        match self.installations.token(&self.client, account).await {
            Ok(token) => {
                let look = deliver::look_up(&self.client, &token, &target, claim, now, limited);
                tokio::join!(look, self.show_idle(&claim.thread.account, &target)).0
            }
            // Without a token nothing can be sent again either: there is time.
            Err(_) => LookUp::Later(LOOK_AGAIN),
        }
    }

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
