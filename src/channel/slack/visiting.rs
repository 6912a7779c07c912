//! People who come with a browser to install the app.

use crate::channel::visit::{Page, Visit};

use super::{INSTALL, Slack, oauth};

impl Slack {
    /// Sends whoever sets out to Slack, and keeps the installation of whoever comes back.
    pub(super) async fn receive_visitor(&self, visit: &Visit) -> Page {
        let Some(oauth) = &self.oauth else {
            return Page::unknown(visit);
        };
        if visit.path == INSTALL {
            return oauth.set_out(visit, self.clock.now());
        }
        match oauth
            .come_back(visit, &self.client, &*self.store, self.clock.now())
            .await
        {
            Ok(made) => self.keep(oauth, made).await,
            Err(page) => page,
        }
    }

    /// Keeps what somebody installed, and says so.
    async fn keep(&self, oauth: &oauth::OAuth, made: oauth::Made) -> Page {
        let oauth::Made { account, grant, at } = made;
        let page = oauth.installed(&grant);
        match self.installations.put(account.clone(), grant, at).await {
            Ok(()) => {
                tracing::info!(%account, "the app was installed");
                page
            }
            Err(error) => {
                tracing::error!(%account, %error, "an installation was made and cannot be kept");
                oauth::unavailable()
            }
        }
    }
}
