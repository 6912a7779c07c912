//! Whoever installs the Slack app, with a browser.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{CLIENT, Config, Page, SlackEvent, World, browse, try_browse, unescape};

/// The address by which the world reaches the daemon, as it is told.
pub(crate) const PUBLIC: &str = "https://bridge.example.com";

/// Others may install the app; there is no static token.
pub(crate) fn open_door(config: &mut Config) {
    config
        .set("server.public_url", PUBLIC)
        .set("slack.client_id", CLIENT.0)
        .set("slack.client_secret", CLIENT.1)
        .unset("slack.bot_token");
}

/// A daemon with an open door, and no installation yet.
pub(crate) fn world() -> World {
    let world = World::with(open_door);
    // Until it is known where the app is installed, what comes waits.
    super::eventually("the installations to be known", || {
        let known = "the app is installed nowhere yet";
        world.daemon().log().contains(known).then_some(())
    });
    world
}

/// A browser that set out: what it was told at `/slack/install`.
pub(crate) struct Browser {
    /// Where it was sent.
    pub(crate) to: String,
    /// The cookie that it got.
    pub(crate) cookie: String,
}

impl Browser {
    /// Opens `/slack/install`.
    pub(crate) fn set_out(world: &World) -> Self {
        let page = browse(&format!("{}/slack/install", world.daemon().public()), "");
        assert_eq!(page.status, 302, "{page:?}");
        let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
        Self {
            to: page.header("location").to_owned(),
            cookie,
        }
    }

    /// A parameter of the address that it was sent to.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let (_, query) = self.to.split_once('?').unwrap();
        let pairs: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        unescape(pairs[name])
    }

    /// The state with which it was sent to Slack.
    pub(crate) fn state(&self) -> String {
        self.parameter("state")
    }

    /// Slack sends it back with this code, and the connection breaks off.
    pub(crate) fn breaks_off(&self, world: &World, code: &str) {
        let query = format!("code={code}&state={}", self.state());
        let address = format!("{}/slack/oauth/callback?{query}", world.daemon().public());
        // An answer that has left before the end is as good.
        let _ = try_browse(&address, &self.cookie);
    }

    /// Slack sends it back with this code.
    pub(crate) fn come_back(&self, world: &World, code: &str) -> Page {
        come_back(
            world,
            &format!("code={code}&state={}", self.state()),
            &self.cookie,
        )
    }
}

/// A browser comes back with this query and cookie.
pub(crate) fn come_back(world: &World, query: &str, cookie: &str) -> Page {
    let address = format!("{}/slack/oauth/callback?{query}", world.daemon().public());
    browse(&address, cookie)
}

/// Installs the app into a workspace, to the good end.
#[track_caller]
pub(crate) fn install(world: &World, team: &str, token: &str) {
    let code = format!("code-for-{token}");
    world.slack.grants(&code, team, token);
    let page = Browser::set_out(world).come_back(world, &code);
    assert_eq!(page.status, 200, "{page:?}");
}

fn authorizations(team: &str) -> Value {
    json!([{"enterprise_id": null, "team_id": team, "user_id": format!("U{team}"), "is_bot": true,
        "is_enterprise_install": false}])
}

/// A direct message in a workspace.
pub(crate) fn dm(team: &str, text: &str) -> SlackEvent {
    SlackEvent::dm(&format!("D{team}"), text)
        .with("team", team)
        .envelope("team_id", team)
        .envelope("authorizations", authorizations(team))
}

/// Something happened to the app in a workspace, at this second.
pub(crate) fn news(team: &str, event: Value, at: u64) -> SlackEvent {
    let mut told = dm(team, "").again().envelope("event_time", at);
    told.0["event"] = event;
    told
}

/// The app was removed.
pub(crate) fn uninstalled(team: &str, at: u64) -> SlackEvent {
    news(team, json!({"type": "app_uninstalled"}), at)
}

/// The bot's token was withdrawn.
pub(crate) fn revoked(team: &str, at: u64) -> SlackEvent {
    let tokens = json!({"oauth": [], "bot": [format!("U{team}")]});
    news(team, json!({"type": "tokens_revoked", "tokens": tokens}), at)
}

/// How many messages were for nobody so far.
pub(crate) fn not_installed(world: &World) -> u64 {
    let labels = [("channel", "slack"), ("outcome", "not_installed")];
    let count = world.metrics().sum("chatbridge_messages_total", &labels);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let count = count as u64;
    count
}

/// A message in this workspace is answered with this token.
#[track_caller]
pub(crate) fn answered(world: &World, team: &str, token: &str, text: &str) {
    world.slack(&dm(team, text));
    let post = world.slack.wait_post(&format!("echo: {text}"));
    assert_eq!((post.channel, post.token), (format!("D{team}"), token.to_owned()));
}

/// A message in this workspace is not for us.
#[track_caller]
pub(crate) fn ignored(world: &World, team: &str) {
    let before = not_installed(world);
    world.slack(&dm(team, "ignored"));
    assert_eq!(not_installed(world), before + 1);
}
