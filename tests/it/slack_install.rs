//! Installing the Slack app into further workspaces: the way there and back.

use serde_json::json;

use crate::harness::slack_door::{Browser, PUBLIC, answered, come_back, ignored, install, world};
use crate::harness::{CLIENT, Fault, SCOPES, World, browse, hex, unix_now};

#[test]
fn two_workspaces_are_answered_each_with_its_own_token() {
    let world = world();
    ignored(&world, "T1");
    install(&world, "T1", "xoxb-one");
    install(&world, "T2", "xoxb-two");
    answered(&world, "T1", "xoxb-one", "from the first");
    answered(&world, "T2", "xoxb-two", "from the second");
    ignored(&world, "T3");
    let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
    assert!(threads.to_string().contains("slack/T2/DT2"), "{threads}");
}

#[test]
fn the_way_to_slack_carries_what_slack_wants_and_ties_the_browser() {
    let world = world();
    let browser = Browser::set_out(&world);
    assert!(
        browser
            .to
            .starts_with(&format!("{}/oauth/v2/authorize?", world.slack.url())),
        "{}",
        browser.to
    );
    assert_eq!(browser.parameter("client_id"), CLIENT.0);
    assert_eq!(
        browser.parameter("redirect_uri"),
        format!("{PUBLIC}/slack/oauth/callback")
    );
    let mut scopes: Vec<String> = browser.parameter("scope").split(',').map(str::to_owned).collect();
    scopes.sort();
    assert_eq!(scopes.join(","), SCOPES);
    assert!(browser.state().len() > 60);
    assert_ne!(browser.state(), Browser::set_out(&world).state());

    let page = browse(&format!("{}/slack/install?team=T7", world.daemon().public()), "");
    assert!(page.header("location").ends_with("&team=T7"), "{page:?}");
    for part in [
        "; HttpOnly",
        "; Secure",
        "; SameSite=Lax",
        "; Max-Age=600",
        "; Path=/slack",
    ] {
        assert!(page.header("set-cookie").contains(part), "{part} in {page:?}");
    }
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.header("set-cookie").contains(&browser.state()));
}

#[test]
fn the_end_is_a_friendly_page_that_can_do_no_harm() {
    let world = world();
    world.slack.grants("c", "T1", "xoxb-one");
    let page = Browser::set_out(&world).come_back(&world, "c");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(
        page.body.contains("Installed") && page.body.contains("T1 &amp; &lt;friends&gt;"),
        "{page:?}"
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    assert!(
        !page.body.contains("<script") && !page.body.contains("xoxb"),
        "{page:?}"
    );
    assert!(page.header("set-cookie").contains("Max-Age=0"), "{page:?}");
    // The app's secret goes in the header, the code and the same address in the form.
    let access = world
        .slack
        .calls()
        .into_iter()
        .find(|call| call.kind == "oauth.v2.access")
        .unwrap();
    let form = String::from_utf8(access.body.to_vec()).unwrap();
    assert!(
        form.contains("code=c") && form.contains("redirect_uri=https%3A%2F%2Fbridge"),
        "{form}"
    );
    assert!(!form.contains(CLIENT.1));
    assert!(!world.daemon().log().contains("xoxb-one"));
}

#[test]
fn a_state_is_good_once_and_in_its_own_browser() {
    let world = world();
    for code in ["c1", "c2", "c3"] {
        world.slack.grants(code, "T1", "xoxb-one");
    }
    let browser = Browser::set_out(&world);
    let other = Browser::set_out(&world);
    let state = browser.state();
    let tampered = state.replace('.', ".1");
    for (query, cookie) in [
        (format!("code=c1&state={state}"), ""),
        (format!("code=c1&state={state}"), other.cookie.as_str()),
        (format!("code=c1&state={state}"), "chatbridge_install="),
        (format!("code=c1&state={tampered}"), &browser.cookie),
        (format!("code=c1&state={state}&state={state}"), &browser.cookie),
        ("code=c1".to_owned(), &browser.cookie),
        ("code=c1&state=".to_owned(), &browser.cookie),
        ("error=access_denied&state=x".to_owned(), &browser.cookie),
        (String::new(), ""),
    ] {
        let page = come_back(&world, &query, cookie);
        assert_eq!(page.status, 400, "{query} {page:?}");
        assert!(
            page.body.contains("This did not work") && page.body.contains("/slack/install"),
            "{page:?}"
        );
    }
    assert_eq!(world.slack.count("oauth.v2.access"), 0);
    assert_eq!(browser.come_back(&world, "c1").status, 200);
    assert_eq!(browser.come_back(&world, "c2").status, 400);
    assert_eq!(world.slack.count("oauth.v2.access"), 1);
}

/// A state made here, in the way of `facts`: a nonce, when it ends, and what proves both and the browser's word.
fn state(end: u64, word: &str) -> String {
    let nonce = format!("nonce{end}");
    let end = end.to_string();
    let proof = hex(
        CLIENT.1,
        &[
            b"chatbridge: state of an installation\0",
            nonce.as_bytes(),
            b".",
            end.as_bytes(),
            b".",
            word.as_bytes(),
        ],
    );
    format!("{nonce}.{end}.{proof}")
}

#[test]
fn a_state_is_good_for_ten_minutes_also_after_a_restart_and_then_no_more() {
    let mut world = world();
    world.slack.grants("c", "T1", "xoxb-one");
    let browser = Browser::set_out(&world);
    let end: u64 = browser.state().split('.').nth(1).unwrap().parse().unwrap();
    let left = end - unix_now();
    assert!((590..=600).contains(&left), "{left}");
    world.crash();
    let back = |end: u64| {
        let query = format!("code=c&state={}", state(end, "word"));
        come_back(&world, &query, "chatbridge_install=word")
    };
    let late = back(unix_now() - 1);
    assert_eq!(late.status, 400);
    assert!(late.body.contains("ten minutes"), "{late:?}");
    assert_eq!(world.slack.count("oauth.v2.access"), 0);
    // The same, made in time, is good: it was the time that was refused.
    assert_eq!(back(unix_now() + 60).status, 200);
    world.slack.grants("c2", "T2", "xoxb-two");
    assert_eq!(browser.come_back(&world, "c2").status, 200);
    world.crash();
    assert_eq!(browser.come_back(&world, "c2").status, 400);
}

#[test]
fn who_does_not_allow_it_or_whom_slack_refuses_reads_why() {
    let world = world();
    let browser = Browser::set_out(&world);
    let query = format!("error=access_denied&state={}", browser.state());
    let page = come_back(&world, &query, &browser.cookie);
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("Not installed") && page.body.contains("/slack/install"),
        "{page:?}"
    );

    let page = Browser::set_out(&world).come_back(&world, "never-given-out");
    assert_eq!(page.status, 400);
    assert!(page.body.contains("used already"), "{page:?}");

    world
        .slack
        .fault("oauth.v2.access", 1, Fault::json(503, json!(null)));
    let page = Browser::set_out(&world).come_back(&world, "c");
    assert_eq!(page.status, 502, "{page:?}");
    world.slack.fault(
        "oauth.v2.access",
        1,
        Fault::json(200, json!({"ok": false, "error": "bad_client_secret"})),
    );
    let page = Browser::set_out(&world).come_back(&world, "c");
    assert_eq!(page.status, 502, "{page:?}");
    world.daemon().wait_log("compare slack.client_id");
    ignored(&world, "T1");
}

#[test]
fn the_door_is_shut_unless_the_client_is_configured() {
    let world = World::start();
    for path in ["/slack/install", "/slack/oauth/callback"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
    let mut world = World::stopped();
    world.config.set("slack.client_id", CLIENT.0);
    world.write_config();
    let said = world.cli(&["check"]).exits(2).said();
    assert!(
        said.contains("slack.client_secret") && said.contains("server.public_url"),
        "{said}"
    );
}
