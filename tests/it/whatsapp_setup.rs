//! Setting a WhatsApp number up: what `whatsapp setup` changes at Meta, and what it never changes unasked.

use serde_json::json;

use crate::harness::{APP, Fault, Finished, NUMBER, WABA};
use crate::whatsapp_check::Place;

fn setup(place: &Place, more: &[&str]) -> Finished {
    place.world.cli(&[&["whatsapp", "setup"], more].concat())
}

#[test]
fn setup_changes_nothing_without_consent() {
    let place = Place::start();
    place
        .graph
        .brain(|graph| graph.subscription = Some(("https://tool.example/hook".to_owned(), Vec::new())));
    let said = setup(&place, &[]).exits(2).said();
    assert!(said.contains("--yes"), "{said}");
    assert!(said.contains("overwrites https://tool.example/hook"), "{said}");
    assert!(
        said.contains(&format!("subscribe the app to the account {WABA}")),
        "{said}"
    );
    assert!(place.graph.posts().is_empty());
}

#[test]
fn setup_asks_on_a_terminal_and_does_as_it_is_told() {
    let place = Place::start();
    let on_terminal = |typed: &str| place.world.cli_on_terminal(&["whatsapp", "setup"], typed);
    // Whatever is not a clear yes is a no, also the end of the input.
    for no in ["n\n", "\n", "no\n", "yy\n", "maybe\n", "\u{4}"] {
        let said = on_terminal(no).exits(1).said();
        assert!(said.contains("What would be changed:"), "{no:?}: {said}");
        assert!(
            said.contains("Make these 2 changes at Meta? [y/N]"),
            "{no:?}: {said}"
        );
        assert!(said.contains("nothing was changed"), "{no:?}: {said}");
        assert!(place.graph.posts().is_empty(), "{no:?}");
    }
    let said = on_terminal("y\n").exits(0).said();
    assert!(said.contains("How it is now:"), "{said}");
    let posts: Vec<String> = place.graph.posts().into_iter().map(|call| call.kind).collect();
    assert_eq!(
        posts,
        [
            format!("POST {APP}/subscriptions"),
            format!("POST {WABA}/subscribed_apps")
        ]
    );
    assert_eq!(place.failed(&[]), []);
    // Where nothing is to be changed, nothing is asked.
    let said = on_terminal("").exits(0).said();
    assert!(!said.contains("[y/N]"), "{said}");
    // And whoever says --yes is not asked.
    place.graph.brain(|graph| graph.subscribers.clear());
    let said = place
        .world
        .cli_on_terminal(&["whatsapp", "setup", "--yes"], "n\n")
        .exits(0)
        .said();
    assert!(!said.contains("[y/N]"), "{said}");
    assert_eq!(place.graph.posts().len(), 3);
}

#[test]
fn setup_lets_messages_come_here_and_keeps_what_the_app_had() {
    let place = Place::start();
    place.graph.brain(|graph| {
        let fields = vec!["account_update".to_owned()];
        graph.subscription = Some(("https://tool.example/hook".to_owned(), fields));
        graph
            .subscribers
            .insert(APP.to_owned(), Some("https://old.example/waba".to_owned()));
        graph.number_callback = Some("https://old.example/number".to_owned());
    });
    let finished = setup(&place, &["--yes"]).exits(0);
    let posts: Vec<String> = place.graph.posts().into_iter().map(|call| call.kind).collect();
    // Messages begin to come when everything else is right.
    assert_eq!(
        posts,
        [
            format!("POST {APP}/subscriptions"),
            format!("POST {NUMBER}"),
            format!("POST {WABA}/subscribed_apps")
        ],
        "{finished:#?}"
    );
    let (subscription, subscribers, own) = place.graph.brain(|graph| {
        (
            graph.subscription.clone(),
            graph.subscribers.clone(),
            graph.number_callback.clone(),
        )
    });
    // The fields that the app had stay.
    let fields = vec!["account_update".to_owned(), "messages".to_owned()];
    assert_eq!(subscription, Some((place.callback.clone(), fields)));
    assert_eq!(subscribers[APP], None);
    assert_eq!(own, None);
    assert_eq!(place.failed(&[]), []);

    // Once more there is nothing to do.
    let said = setup(&place, &["--yes"]).exits(0).said();
    assert!(said.contains("nothing that setup could change"), "{said}");
    assert_eq!(place.graph.posts().len(), 3);
}

#[test]
fn setup_subscribes_an_app_that_was_forgotten() {
    let place = Place::all_set();
    place.graph.brain(|graph| graph.subscribers.clear());
    setup(&place, &["--yes"]).exits(0);
    let posts: Vec<String> = place.graph.posts().into_iter().map(|call| call.kind).collect();
    assert_eq!(posts, [format!("POST {WABA}/subscribed_apps")]);
    let first = &place.graph.posts()[0];
    assert!(first.body.is_empty(), "no override is set by it: {first:?}");
}

/// Another tool has the app's callback and the account's, and our number is set to come here all the same.
#[test]
fn setup_leaves_alone_what_counts_for_no_number_of_ours() {
    let place = Place::all_set();
    place.graph.brain(|graph| {
        graph.number_callback = Some(place.callback.clone());
        graph.subscription = Some((
            "https://tool.example/hook".to_owned(),
            vec!["messages".to_owned()],
        ));
        graph
            .subscribers
            .insert(APP.to_owned(), Some("https://tool.example/waba".to_owned()));
    });
    assert_eq!(place.failed(&[]), []);
    setup(&place, &["--yes"]).exits(0);
    assert!(place.graph.posts().is_empty());
    // Without the number's own, the account's counts, and below it the app's.
    place.graph.brain(|graph| graph.number_callback = None);
    setup(&place, &["--yes"]).exits(0);
    let posts: Vec<String> = place.graph.posts().into_iter().map(|call| call.kind).collect();
    assert_eq!(
        posts,
        [
            format!("POST {APP}/subscriptions"),
            format!("POST {WABA}/subscribed_apps")
        ]
    );
}

/// Meta calls the callback before it takes it.
#[test]
fn setup_stops_where_meta_refuses() {
    let mut place = Place::start();
    place.world.terminate();
    let said = setup(&place, &["--yes"]).exits(1).said();
    assert!(
        said.contains("couldn't be validated") && said.contains("start the daemon"),
        "{said}"
    );
    assert_eq!(place.graph.posts().len(), 1, "nothing more was changed");
    assert!(place.graph.brain(|graph| graph.subscribers.is_empty()));
}

#[test]
fn a_graph_api_that_fails_is_told_and_ends_with_1() {
    let place = Place::all_set();
    place.graph.fault_when(
        usize::MAX,
        Fault::json(
            500,
            json!({"error": {"code": 2, "message": "Service temporarily unavailable"}}),
        ),
        |_| true,
    );
    let failed = place.failed(&[]);
    assert!(
        failed
            .iter()
            .any(|(_, found)| found.contains("temporarily unavailable")),
        "{failed:#?}"
    );
    setup(&place, &["--yes"]).exits(1);
}

#[test]
fn setup_says_what_must_be_configured_first() {
    let mut place = Place::start();
    place.world.config.unset("server.public_url");
    place.world.write_config();
    assert!(
        setup(&place, &["--yes"])
            .exits(2)
            .stderr
            .contains("server.public_url")
    );
    place
        .world
        .config
        .set("server.public_url", "https://bridge.example.com")
        .unset("whatsapp.access_token");
    place.world.write_config();
    assert!(
        setup(&place, &["--yes"])
            .exits(2)
            .stderr
            .contains("whatsapp.access_token")
    );
    place
        .world
        .config
        .without("whatsapp")
        .set("slack.signing_secret", "s");
    place.world.write_config();
    assert!(
        setup(&place, &["--yes"])
            .exits(2)
            .stderr
            .contains("WhatsApp is off")
    );
}
