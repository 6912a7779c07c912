//! Slack's side of an installation: codes and refresh tokens for tokens.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::slack_stub::{SlackStub, arguments, refuse};
use super::stub::{Answer, Call};

/// The app's client id and secret.
pub(crate) const CLIENT: (&str, &str) = ("1234567890.1234567890123", "client-secret-93c1");

/// The scopes that the features need.
pub(crate) const SCOPES: &str =
    "app_mentions:read,channels:history,chat:write,commands,groups:history,im:history,mpim:history";

/// What Slack granted.
pub(crate) struct Grants {
    /// The scopes of all tokens.
    pub(super) scopes: String,
    codes: HashMap<String, Value>,
    renewals: HashMap<String, Value>,
    /// Token: workspace and bot user.
    bots: HashMap<String, (String, String)>,
    dead: HashMap<String, String>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            scopes: SCOPES.to_owned(),
            codes: HashMap::new(),
            renewals: HashMap::new(),
            bots: HashMap::new(),
            dead: HashMap::new(),
        }
    }
}

impl Grants {
    /// The workspace and the bot of a token that was granted.
    pub(super) fn bot(&self, token: &str) -> Option<(String, String)> {
        self.bots.get(token).cloned()
    }

    /// Why a token is refused.
    pub(super) fn refusal(&self, token: &str) -> Option<&str> {
        self.dead.get(token).map(String::as_str)
    }

    /// `oauth.v2.access`: a code is good once, and so is a refresh token.
    pub(super) fn access(&mut self, call: &Call) -> Answer {
        use base64::Engine;

        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
        let authorization = call
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if authorization != Some(&format!("Basic {basic}")) {
            return refuse("bad_client_secret");
        }
        let arguments = arguments(call);
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let granted = if text("grant_type") == "refresh_token" {
            self.renewals
                .remove(text("refresh_token"))
                .ok_or("invalid_refresh_token")
        } else if text("redirect_uri").ends_with("/slack/oauth/callback") {
            self.codes.remove(text("code")).ok_or("invalid_code")
        } else {
            Err("bad_redirect_uri")
        };
        match granted {
            Ok(answer) => Answer::json(200, &answer),
            Err(code) => refuse(code),
        }
    }
}

impl SlackStub {
    /// Whoever comes with `code` gets `token` for a workspace, in which the bot is `UTEAM`.
    pub(crate) fn grants(&self, code: &str, team: &str, token: &str) {
        self.grants_with(code, team, token, json!({}));
    }

    /// The same, with further fields of the answer.
    pub(crate) fn grants_with(&self, code: &str, team: &str, token: &str, more: Value) {
        let bot_user = format!("U{team}");
        let mut answer = json!({"ok": true, "access_token": token, "token_type": "bot", "scope": SCOPES,
            "bot_user_id": bot_user, "app_id": "A1", "team": {"id": team, "name": format!("{team} & <friends>")},
            "enterprise": null, "authed_user": {"id": "U1"}, "is_enterprise_install": false});
        answer
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.brain(|slack| {
            slack.grants.codes.insert(code.to_owned(), answer);
            slack
                .grants
                .bots
                .insert(token.to_owned(), (team.to_owned(), bot_user));
        });
    }

    /// Whoever comes with `refresh` gets `token`, which ends after twelve hours, and another refresh token.
    pub(crate) fn renews(&self, refresh: &str, team: &str, token: &str) {
        let answer = json!({"ok": true, "access_token": token, "token_type": "bot", "expires_in": 43_200,
            "refresh_token": format!("{refresh}-next"), "team": {"id": team}});
        self.brain(|slack| {
            slack.grants.renewals.insert(refresh.to_owned(), answer);
            slack
                .grants
                .bots
                .insert(token.to_owned(), (team.to_owned(), format!("U{team}")));
        });
    }

    /// The token is refused from now on.
    pub(crate) fn kill(&self, token: &str, code: &str) {
        self.brain(|slack| slack.grants.dead.insert(token.to_owned(), code.to_owned()));
    }

    /// All tokens have these scopes from now on.
    pub(crate) fn scopes(&self, scopes: &str) {
        self.brain(|slack| scopes.clone_into(&mut slack.grants.scopes));
    }
}
