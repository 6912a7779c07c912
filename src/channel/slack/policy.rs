//! Where, and to whom, the operator lets the bot answer.

use super::envelope::{Envelope, Reason, text};
use super::message::Message;
use super::settings::{Connect, Settings};

/// The operator's lists.
pub(super) struct Policy {
    connect: Connect,
    channels: Lists,
    users: Lists,
}

struct Lists {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Lists {
    fn denies(&self, id: &str) -> bool {
        self.deny.iter().any(|denied| denied == id)
    }

    fn admits(&self, id: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|allowed| allowed == id)
    }
}

impl Policy {
    /// The policy of these settings.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            connect: settings.connect.clone(),
            channels: Lists {
                allow: settings.allow_channels.clone(),
                deny: settings.deny_channels.clone(),
            },
            users: Lists {
                allow: settings.allow_users.clone(),
                deny: settings.deny_users.clone(),
            },
        }
    }

    /// Whether a message may be answered at all; if not, why.
    pub(super) fn check(&self, envelope: &Envelope, message: &Message) -> Result<(), Reason> {
        self.check_ids(message.channel, message.user, message.direct)?;
        if self.connect_fits(envelope, message) {
            Ok(())
        } else {
            Err("connect_denied")
        }
    }

    /// Whether this person is answered in this channel; if not, why.
    pub(super) fn check_ids(&self, channel: &str, user: &str, direct: bool) -> Result<(), Reason> {
        // A list of channels says nothing about direct messages: their ids are known only once they exist.
        let channel_fits = direct || self.channels.admits(channel);
        if self.channels.denies(channel) || !channel_fits {
            return Err("channel_denied");
        }
        if self.users.denies(user) || !self.users.admits(user) {
            return Err("user_denied");
        }
        Ok(())
    }

    /// A sender is an outsider if any of the event's fields names another team than the installation's. Where the
    /// whole organisation installed the app, only the channel tells.
    fn connect_fits(&self, envelope: &Envelope, message: &Message) -> bool {
        let teams: Vec<&str> = ["user_team", "source_team", "team"]
            .iter()
            .filter_map(|key| text(message.event, key))
            .collect();
        let outsiders = |home: &str| {
            teams
                .iter()
                .filter(|team| **team != home)
                .copied()
                .collect::<Vec<_>>()
        };
        let foreign = envelope.team.map(outsiders).unwrap_or_default();
        match &self.connect {
            Connect::Allow => true,
            Connect::Deny => !envelope.shared && foreign.is_empty(),
            Connect::Only(listed) => {
                let is_listed = |team: &str| listed.iter().any(|item| item == team);
                if envelope.team.is_none() {
                    return !envelope.shared || teams.iter().any(|team| is_listed(team));
                }
                // In a shared conversation, whoever does not say where they come from is nobody's own.
                foreign.iter().all(|team| is_listed(team)) && (!envelope.shared || !teams.is_empty())
            }
        }
    }
}
