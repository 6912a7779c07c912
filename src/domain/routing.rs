//! Which agent answers where.

use std::sync::Arc;

use serde::Deserialize;

use super::account::AccountKey;
use super::message::Lane;

/// One rule: what it leaves open matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The channel's name.
    pub channel: Option<String>,
    /// The account on the channel.
    pub account: Option<String>,
    /// The room within the account.
    pub place: Option<String>,
    /// The agent that answers there.
    pub agent_id: String,
}

/// The rules in order; the first that matches wins.
#[derive(Debug, Clone)]
pub struct Routes {
    rules: Vec<Rule>,
    default: Arc<str>,
}

impl Routes {
    /// These rules, and the agent that answers where none matches.
    pub fn new(rules: Vec<Rule>, default: &str) -> Self {
        Self {
            rules,
            default: default.into(),
        }
    }

    /// The agent that answers in this place of this account.
    pub fn agent(&self, account: &AccountKey, place: Option<&str>) -> &str {
        let fits = |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        self.rules
            .iter()
            .find(|rule| {
                fits(&rule.channel, Some(account.channel()))
                    && fits(&rule.account, Some(account.account()))
                    && fits(&rule.place, place)
            })
            .map_or(&*self.default, |rule| &rule.agent_id)
    }

    /// The lane of this place's turns: one for each agent and account, so that a slow agent or a busy account
    /// delays no other.
    pub fn turn_lane(&self, account: &AccountKey, place: Option<&str>) -> Lane {
        format!("{}|{account}", self.agent(account, place)).into()
    }

    /// The agent whose lane this is.
    pub fn agent_of_lane(lane: &str) -> &str {
        // The agent's id is the operator's text and may hold the mark; the account cannot.
        lane.rsplit_once('|').map_or("", |(agent, _)| agent)
    }
}

/// The lane of an account's deliveries.
pub fn send_lane(account: &AccountKey) -> Lane {
    account.as_str().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rule = |channel: Option<&str>, place: Option<&str>, agent: &str| Rule {
            channel: channel.map(Into::into),
            account: None,
            place: place.map(Into::into),
            agent_id: agent.into(),
        };
        let routes = Routes::new(
            vec![rule(Some("c"), Some("P1"), "one"), rule(Some("c"), None, "two")],
            "else",
        );
        let account = AccountKey::new("c", "A").unwrap();
        assert_eq!(routes.agent(&account, Some("P1")), "one");
        assert_eq!(routes.agent(&account, None), "two");
        assert_eq!(
            routes.agent(&AccountKey::new("d", "A").unwrap(), Some("P1")),
            "else"
        );
        assert_eq!(Routes::agent_of_lane(&routes.turn_lane(&account, None)), "two");
    }
}
