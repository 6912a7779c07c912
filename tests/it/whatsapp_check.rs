//! What `check` sees of a WhatsApp number at Meta and at our own door.

use serde_json::{Value, json};

use crate::harness::{APP, Finished, GraphStub, NUMBER, VERIFY_TOKEN, WABA, World};

/// A running daemon, its public address, and a Graph API.
pub(crate) struct Place {
    /// The daemon, without Slack.
    pub(crate) world: World,
    /// Meta.
    pub(crate) graph: GraphStub,
    /// Where webhooks should go.
    pub(crate) callback: String,
}

impl Place {
    /// A daemon of which Meta knows nothing yet.
    pub(crate) fn start() -> Self {
        let graph = GraphStub::start();
        let mut world = World::stopped();
        world
            .config
            .without("slack")
            .set("whatsapp.phone_number_ids", json!([NUMBER]));
        world.launch();
        let public = world.daemon().public().to_owned();
        world
            .config
            .set("server.public_url", format!("{public}/"))
            .set("whatsapp.api_base", graph.url());
        world.write_config();
        Self {
            world,
            graph,
            callback: format!("{public}/whatsapp/webhook"),
        }
    }

    /// The same, with everything set up.
    pub(crate) fn all_set() -> Self {
        let place = Self::start();
        place.graph.brain(|graph| graph.all_set(&place.callback));
        place
    }

    /// What `check` finds.
    fn check(&self, more: &[&str]) -> (Finished, Vec<Value>) {
        let finished = self.world.cli(&[&["check", "--json"], more].concat());
        let checks = finished.json().as_array().unwrap().clone();
        (finished, checks)
    }

    /// The checks that failed, of WhatsApp: name and what was found.
    #[track_caller]
    pub(crate) fn failed(&self, more: &[&str]) -> Vec<(String, String)> {
        let (finished, checks) = self.check(more);
        let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
        let failed: Vec<(String, String)> = checks
            .iter()
            .filter(|check| check["outcome"] == "failed")
            .inspect(|check| assert!(check["remedy"].is_string(), "{check}"))
            .map(|check| (text(check, "name"), text(check, "found")))
            .collect();
        finished.exits(i32::from(!failed.is_empty()));
        failed
    }

    /// The only check that failed.
    #[track_caller]
    fn only_failure(&self) -> (String, String) {
        let mut failed = self.failed(&[]);
        assert_eq!(failed.len(), 1, "{failed:#?}");
        failed.remove(0)
    }
}

#[test]
fn everything_set_up_passes_every_check() {
    let place = Place::all_set();
    let (finished, checks) = place.check(&[]);
    let of_whatsapp = |check: &&Value| {
        let name = check["name"].as_str().unwrap();
        name == "configuration" || name.starts_with("whatsapp")
    };
    let outcomes: Vec<String> = checks
        .iter()
        .filter(of_whatsapp)
        .map(|check| {
            format!(
                "{} {}",
                check["outcome"].as_str().unwrap(),
                check["name"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "ok configuration".to_owned(),
        "ok whatsapp token".to_owned(),
        format!("ok whatsapp app {APP}"),
        format!("ok whatsapp number {NUMBER}"),
        format!("ok whatsapp account {WABA}"),
        format!("ok whatsapp subscription {WABA}"),
        format!("ok whatsapp callback {NUMBER}"),
        "ok whatsapp handshake".to_owned(),
        "ok whatsapp signed post".to_owned(),
        "ok whatsapp forged post".to_owned(),
    ];
    assert_eq!(outcomes, expected, "{finished:#?}");
    finished.exits(0);
    let said = place.world.cli(&["check"]).exits(0).stdout;
    for words in [
        "+1 555-000-0000",
        "\"Example\"",
        "quality GREEN",
        "throughput STANDARD",
        "valid for ever",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(place.graph.posts().is_empty(), "check changes nothing");
    // The posts to ourselves left nothing behind.
    assert_eq!(
        place.world.cli(&["threads", "list", "--json"]).exits(0).json(),
        json!([])
    );
}

/// The dashboard's test goes to the app directly: it works, and real messages do not come.
#[test]
fn an_app_that_is_not_subscribed_to_the_account_is_named() {
    let place = Place::all_set();
    place.graph.brain(|graph| graph.subscribers.clear());
    let (name, found) = place.only_failure();
    assert_eq!(name, format!("whatsapp subscription {WABA}"));
    assert!(
        found.contains("not subscribed")
            && found.contains("Test works")
            && found.contains("real messages never"),
        "{found}"
    );
    // Another app's subscription does not help.
    place
        .graph
        .brain(|graph| graph.subscribers.insert("999".to_owned(), None));
    assert_eq!(place.only_failure().0, name);
}

#[test]
fn a_forgotten_override_is_named_with_the_level_that_wins() {
    let place = Place::all_set();
    let of = |level: &str| format!("set for the {level}");
    place.graph.brain(|graph| {
        let old = "https://old.example/waba".to_owned();
        graph.subscribers.insert(APP.to_owned(), Some(old));
    });
    let (name, found) = place.only_failure();
    assert_eq!(name, format!("whatsapp callback {NUMBER}"));
    assert!(
        found.contains("https://old.example/waba") && found.contains(&of("account")),
        "{found}"
    );
    // The number's wins over the account's.
    place
        .graph
        .brain(|graph| graph.number_callback = Some("https://old.example/number".to_owned()));
    let (_, found) = place.only_failure();
    assert!(
        found.contains("https://old.example/number") && found.contains(&of("number")),
        "{found}"
    );
    assert!(found.contains("forgotten override"), "{found}");
    // One that leads here does no harm, whatever the account and the app say.
    place
        .graph
        .brain(|graph| graph.number_callback = Some(place.callback.clone()));
    assert_eq!(place.failed(&[]), []);
}

#[test]
fn a_callback_or_a_field_of_the_app_that_is_wrong_is_named() {
    let place = Place::all_set();
    place.graph.brain(|graph| {
        graph.subscription = Some(("https://else.example/".to_owned(), vec!["messages".to_owned()]));
    });
    let (name, found) = place.only_failure();
    assert_eq!(name, format!("whatsapp callback {NUMBER}"));
    assert!(
        found.contains("https://else.example/") && found.contains("set for the app"),
        "{found}"
    );
    place.graph.brain(|graph| {
        graph.subscription = Some((place.callback.clone(), vec!["account_update".to_owned()]));
    });
    let (name, found) = place.only_failure();
    assert_eq!(name, format!("whatsapp app {APP}"));
    assert!(found.contains("field messages"), "{found}");
}

#[test]
fn a_token_is_judged_by_its_permissions_and_its_end() {
    let place = Place::all_set();
    place.graph.brain(|graph| graph.scopes.truncate(1));
    let (name, found) = place.only_failure();
    assert_eq!(name, "whatsapp token");
    assert!(found.contains("whatsapp_business_management"), "{found}");
    place.graph.brain(|graph| {
        graph.scopes = vec!["whatsapp_business_messaging", "whatsapp_business_management"];
        graph.expires_at = 4_102_444_800;
    });
    assert_eq!(place.failed(&[]), []);
    let tomorrow = crate::harness::unix_now() + 23 * 3600;
    place.graph.brain(|graph| graph.expires_at = tomorrow);
    assert!(place.only_failure().1.contains("24 hours"));
}

#[test]
fn a_dead_token_is_named_and_never_shown() {
    let mut place = Place::all_set();
    place.world.config.set("whatsapp.access_token", "EAA-dead-token");
    place.world.write_config();
    let failed = place.failed(&[]);
    assert_eq!(failed[0].0, "whatsapp token", "{failed:#?}");
    let said = place.world.cli(&["check"]).exits(1).said();
    assert!(said.contains("does not accept the access token"), "{said}");
    for secret in [
        "EAA-dead-token",
        "EAAsecret",
        crate::harness::APP_SECRET,
        VERIFY_TOKEN,
    ] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[test]
fn a_wrong_app_secret_shows_at_meta_and_at_our_own_door() {
    let mut place = Place::all_set();
    place.world.config.set("whatsapp.app_secret", "another-secret");
    place.world.write_config();
    let failed: Vec<String> = place.failed(&[]).into_iter().map(|(name, _)| name).collect();
    // The running daemon still has the right one, so that it refuses what the wrong one signed.
    assert_eq!(
        failed,
        [format!("whatsapp app {APP}"), "whatsapp signed post".to_owned()]
    );
    // Of several secrets one may be another app's.
    let secrets = json!(["another-secret", crate::harness::APP_SECRET]);
    place.world.config.set("whatsapp.app_secret", secrets);
    place.world.write_config();
    assert_eq!(place.failed(&[]).len(), 1);
}

#[test]
fn a_daemon_that_does_not_answer_is_named() {
    let mut place = Place::all_set();
    place.world.config.set("whatsapp.verify_token", "another-token");
    place.world.write_config();
    let (name, found) = place.only_failure();
    assert_eq!(name, "whatsapp handshake");
    assert!(found.contains("403"), "{found}");
    place.world.terminate();
    let (name, found) = place.only_failure();
    assert_eq!(name, "whatsapp handshake");
    assert!(found.contains("could not be reached"), "{found}");
}

#[test]
fn without_a_public_address_it_is_told_where_the_messages_go() {
    let mut place = Place::all_set();
    place.world.config.unset("server.public_url");
    place.world.write_config();
    let (finished, checks) = place.check(&[]);
    let name = format!("whatsapp callback {NUMBER}");
    let callback = checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(callback["outcome"], "skipped");
    assert!(
        callback["found"].as_str().unwrap().contains(&place.callback),
        "{callback}"
    );
    finished.exits(1);
    assert!(place.only_failure().1.contains("server.public_url"));
}

#[test]
fn a_blocked_number_is_named_with_metas_reason() {
    let place = Place::all_set();
    place.graph.brain(|graph| {
        graph.health["can_send_message"] = "BLOCKED".into();
        graph.health["entities"][1]["errors"] = json!([{"error_code": 141_006,
            "error_description": "There is an error with your payment method.", "possible_solution": "Add a new one."}]);
    });
    let (name, found) = place.only_failure();
    assert_eq!(name, format!("whatsapp number {NUMBER}"));
    assert!(found.contains("payment method. Add a new one."), "{found}");
}

/// Older numbers' health may not name account and app; then flags do, or the token's own grants.
#[test]
fn ids_come_from_flags_where_the_api_does_not_tell() {
    let place = Place::all_set();
    place
        .graph
        .brain(|graph| graph.health = json!({"can_send_message": "AVAILABLE"}));
    let (finished, checks) = place.check(&[]);
    let skipped = checks
        .iter()
        .filter(|check| check["outcome"] == "skipped")
        .count();
    assert!(skipped > 0, "{finished:#?}");
    for flags in [vec!["--app-id", APP], vec!["--app-id", APP, "--waba-id", WABA]] {
        let (finished, checks) = place.check(&flags);
        assert!(
            checks.iter().all(|check| check["outcome"] == "ok"),
            "{flags:?}: {finished:#?}"
        );
    }
    let wrong = ["--app-id", APP, "--waba-id", "777"];
    let failed = place.failed(&wrong);
    assert_eq!(failed[0].0, "whatsapp account 777", "{failed:#?}");
    place.world.cli(&["check", "--waba-id", "7/../8"]).exits(2);
}

#[test]
fn numbers_that_are_not_configured_are_found_through_the_account() {
    let mut place = Place::all_set();
    place.world.config.unset("whatsapp.phone_number_ids");
    place.world.write_config();
    let (finished, checks) = place.check(&["--app-id", APP]);
    let name = format!("whatsapp callback {NUMBER}");
    assert!(
        checks
            .iter()
            .any(|check| check["name"] == name && check["outcome"] == "ok"),
        "{finished:#?}"
    );
}

#[test]
fn a_number_with_a_token_of_its_own_is_looked_at_with_it() {
    let mut place = Place::all_set();
    let number =
        format!("[[whatsapp.numbers]]\nphone_number_id = \"{NUMBER}\"\naccess_token = \"EAA-test-token\"");
    place.world.config.unset("whatsapp.access_token").append(&number);
    place.world.write_config();
    assert_eq!(place.failed(&[]), []);
    place
        .world
        .config
        .set("whatsapp.access_token", "EAA-dead-token")
        .unset("whatsapp.phone_number_ids");
    place.world.write_config();
    let failed = place.failed(&["--app-id", APP, "--waba-id", WABA]);
    assert!(
        failed.iter().any(|(name, _)| name == "whatsapp token"),
        "{failed:#?}"
    );
    assert!(
        !failed.iter().any(|(name, _)| name.contains(NUMBER)),
        "{failed:#?}"
    );
}
