//! The life of Socket Mode's connections: opened, refused, replaced, dead, closed.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Fault, Lock, SlackEvent, World, again, enveloped, eventually};
use crate::slack_socket::{webhooks, works, world};

fn reconnects(world: &World, reason: &str) -> usize {
    let labels = [("channel", "slack"), ("reason", reason)];
    world.metrics().count("chatbridge_reconnects_total", &labels)
}

#[test]
fn as_many_connections_stand_as_are_configured() {
    for count in [1, 4, 10] {
        let (world, sockets) = world(|config| {
            config.set("slack.socket_connections", count);
        });
        let open = sockets.wait_open(count);
        for line in open {
            let message = enveloped(&SlackEvent::dm(&format!("D{line}"), &format!("over {line}.")));
            assert!(sockets.say_json(line, &message));
            assert_eq!(sockets.wait_ack(&message), line);
            world.slack.wait_post(&format!("echo: over {line}."));
        }
        assert_eq!(sockets.opened(), count);
    }
}

/// Slack refreshes a connection: the next one stands before the old one is left, and what Slack still sends over the
/// old one is taken.
#[test]
fn a_connection_is_replaced_without_a_gap() {
    for reason in ["refresh_requested", "warning", "of_tomorrow"] {
        let (world, sockets) = world(|config| {
            config.set("slack.socket_connections", 1);
        });
        let old = sockets.wait_open(1)[0];
        works(&world, &sockets, "before");
        sockets.goodbye(old, reason);
        let late = enveloped(&SlackEvent::dm("D1", "late"));
        assert!(sockets.say_json(old, &late));
        assert_eq!(sockets.wait_ack(&late), old);
        sockets.wait_opened(2);
        assert!(sockets.is_open(old), "left before the next one stood");
        let both = sockets.wait_open(2);
        for line in both {
            let message = enveloped(&SlackEvent::dm("D2", &format!("{line} of both.")));
            assert!(sockets.say_json(line, &message));
            assert_eq!(sockets.wait_ack(&message), line);
        }
        if reason == "warning" {
            // Slack ends it itself.
            sockets.hang_up(old);
        }
        assert_eq!(sockets.wait_closed(old), reason != "warning");
        works(&world, &sockets, "after");
        let counted = if reason == "of_tomorrow" { "other" } else { reason };
        assert_eq!(reconnects(&world, counted), 1, "{}", world.metrics());
        assert_eq!(sockets.opened(), 2);
    }
}

#[test]
fn all_ten_connections_can_be_replaced() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 10);
    });
    let open = sockets.wait_open(10);
    sockets.goodbye(open[0], "refresh_requested");
    assert!(sockets.wait_closed(open[0]), "it makes room for the next");
    sockets.wait_opened(11);
    sockets.wait_open(10);
    works(&world, &sockets, "after");
}

#[test]
fn a_connection_is_replaced_before_slack_ends_it() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let first = sockets.wait_open(1)[0];
    sockets.lasts(6);
    sockets.hang_up(first);
    sockets.wait_opened(2);
    // The second is told that it lasts for six seconds. Nobody says goodbye.
    sockets.lasts(18060);
    sockets.wait_opened(3);
    assert_eq!(reconnects(&world, "due"), 1);
    assert!(sockets.is_open(1) && sockets.is_open(2));
    works(&world, &sockets, "meanwhile");
    assert!(sockets.wait_closed(1));
}

#[test]
fn a_connection_that_breaks_is_opened_again() {
    let (world, sockets) = world(|_| {});
    let open = sockets.wait_open(2);
    sockets.hang_up(open[0]);
    sockets.wait_opened(3);
    sockets.wait_open(2);
    works(&world, &sockets, "after the break");
    assert_eq!(reconnects(&world, "lost"), 1);
}

/// openclaw#27077, openab#1050: half open, deaf for hours, and called healthy.
#[test]
fn openab_1050_a_dead_connection_is_noticed() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let open = sockets.wait_open(1);
    sockets.wait_ping(open[0]);
    // A quiet one is not a dead one: it answers pings.
    assert_eq!(sockets.opened(), 1);
    sockets.freeze(open[0]);
    sockets.wait_opened(2);
    assert_eq!(reconnects(&world, "silent"), 1);
    works(&world, &sockets, "on the next one");
}

#[test]
fn a_wrong_token_is_told_with_its_remedy_and_stops_nobody_else() {
    let (world, _sockets) = world(|config| {
        config.set("slack.app_token", "xapp-1-wrong");
    });
    world.slack.wait_count("apps.connections.open", 1);
    let ready = eventually("the trouble to be told", || {
        let ready = world.get("/readyz");
        ready.body.contains("invalid_auth").then_some(ready)
    });
    assert_eq!(
        ready.status, 200,
        "webhooks of WhatsApp are still welcome: {ready:?}"
    );
    assert!(ready.body.contains("slack: no connection stands") && ready.body.contains("connections:write"));
    let log = world.daemon().log();
    assert!(
        log.contains("invalid_auth") && log.contains("connections:write"),
        "{log}"
    );
    assert!(!log.contains("xapp-1-wrong"), "{log}");
    world.text(&crate::harness::Person::phone("15550001111"), "whatsapp works");
    world.meta.wait_sent("whatsapp works");
    assert_eq!(
        world.slack.count("apps.connections.open"),
        1,
        "it does not hammer"
    );
}

#[test]
fn without_any_connection_and_other_channel_it_is_not_ready() {
    let (mut world, _sockets) = world(|config| {
        config.set("slack.app_token", "xapp-1-wrong").without("whatsapp");
    });
    world.slack.wait_count("apps.connections.open", 1);
    let ready = world.get("/readyz");
    assert_eq!(
        (ready.status, &ready.json()["error"]["code"]),
        (503, &json!("not_connected"))
    );
    assert_eq!(
        world
            .metrics()
            .count("chatbridge_connections", &[("channel", "slack")]),
        0
    );
    world.terminate();
}

#[test]
fn retry_after_is_obeyed_for_all_connections() {
    let (mut world, sockets) = world(|_| {});
    sockets.wait_open(2);
    world.terminate();
    let limited = Answer::json(429, &json!({"ok": false, "error": "ratelimited"})).with("retry-after", "3");
    world
        .slack
        .fault("apps.connections.open", 1, Fault::Answer(limited));
    let before = world.slack.count("apps.connections.open");
    world.launch();
    sockets.wait_open(2);
    let calls: Vec<_> = world
        .slack
        .calls()
        .into_iter()
        .filter(|call| call.kind == "apps.connections.open")
        .skip(before)
        .collect();
    assert_eq!(calls.len(), 3);
    assert!(
        calls[1].at - calls[0].at >= Duration::from_secs(3),
        "the first came back too early"
    );
    works(&world, &sockets, "after the pause");
}

#[test]
fn trouble_on_the_way_is_tried_again() {
    let (mut world, sockets) = world(|_| {});
    sockets.wait_open(2);
    world.terminate();
    for fault in [
        Fault::json(200, json!({"ok": false, "error": "internal_error"})),
        Fault::json(200, json!({"ok": true})),
        Fault::Close,
        Fault::json(
            200,
            json!({"ok": true, "url": format!("{}/not/a/socket", world.slack.url().replace("http", "ws"))}),
        ),
    ] {
        world.slack.fault("apps.connections.open", 1, fault);
    }
    world.launch();
    sockets.wait_open(2);
    works(&world, &sockets, "at last");
    let log = world.daemon().log();
    for code in [
        "internal_error",
        "unreadable_answer",
        "unreachable",
        "no_websocket",
    ] {
        assert!(log.contains(code), "{code} in {log}");
    }
}

/// A connection counts only once Slack has greeted on it.
#[test]
fn without_a_greeting_no_connection_stands() {
    let (mut world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    sockets.wait_open(1);
    world.terminate();
    sockets.instead_of_hello(json!({"type": "disconnect", "reason": "warning"}).to_string());
    // It says something else, and goes silent.
    let early = enveloped(&SlackEvent::dm("D1", "too early"));
    sockets.instead_of_hello(early.to_string());
    world.launch();
    eventually("the silence to be told", || {
        world.daemon().log().contains("does not greet").then_some(())
    });
    assert!(
        world
            .daemon()
            .log()
            .contains("Slack ends the connection (warning)")
    );
    sockets.wait_open(1);
    assert!(!sockets.acked(&early));
    sockets.deliver(&again(&early));
    world.slack.wait_post("echo: too early");
}

#[test]
fn socket_mode_switched_off_is_told() {
    let (world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let line = sockets.wait_open(1)[0];
    sockets.goodbye(line, "link_disabled");
    assert!(sockets.wait_closed(line));
    eventually("the reason to be told", || {
        world.daemon().log().contains("Enable Socket Mode").then_some(())
    });
    eventually("the loss to show", || {
        world
            .get("/readyz")
            .body
            .contains("slack: no connection stands")
            .then_some(())
    });
    assert_eq!(reconnects(&world, "link_disabled"), 1);
    assert_eq!(sockets.opened(), 1, "it waits before it tries again");
}

/// What was read when SIGTERM comes is committed, acknowledged and answered; what comes later is left to Slack.
#[test]
fn a_stop_finishes_what_was_taken_and_takes_nothing_more() {
    let (mut world, sockets) = world(|config| {
        config.set("slack.socket_connections", 1);
    });
    let line = sockets.wait_open(1)[0];
    let lock = Lock::of(&world);
    let taken = enveloped(&SlackEvent::dm("D1", "taken"));
    assert!(sockets.say_json(line, &taken));
    assert!(sockets.say(line, "{"));
    eventually("the envelope to be read", || {
        (webhooks(&world, "malformed") == 1).then_some(())
    });
    world.daemon().signal("TERM");
    eventually("the stop to begin", || {
        world.daemon().log().contains("SIGTERM").then_some(())
    });
    let late = enveloped(&SlackEvent::dm("D2", "late"));
    sockets.say_json(line, &late);
    lock.release();
    assert!(sockets.wait_closed(line), "it says goodbye");
    assert!(sockets.acked(&taken));
    assert!(!sockets.acked(&late));
    let status = world.daemon_mut().wait_end();
    assert_eq!(status.code(), Some(0), "{}", world.daemon().log());
    world.slack.wait_post("echo: taken");
    world.launch();
    sockets.wait_open(1);
    sockets.deliver(&again(&late));
    world.slack.wait_post("echo: late");
    assert_eq!(world.slack.posts_with("taken").len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_a_connection_that_cannot_be_opened() {
    let (mut world, _sockets) = world(|config| {
        config.set("slack.app_token", "xapp-1-wrong");
    });
    world.slack.wait_count("apps.connections.open", 1);
    world.terminate();
}
