//! Slack: which events are asked, which are left alone, and which are the same message twice.

use std::thread;

use serde_json::json;

use crate::harness::{SlackEvent, World};

/// Opens a thread and waits for its first answer. Returns its root.
fn opened(world: &World) -> String {
    let root = SlackEvent::mention("C1", "opening");
    world.slack(&root);
    world.slack.wait_post("echo: opening");
    root.ts()
}

/// A mention in the thread, answered after everything that came before it in that thread.
fn marker(world: &World, root: &str) {
    world.slack(&SlackEvent::mention("C1", "marker").in_thread(root));
    world.slack.wait_post("marker");
}

#[test]
fn a_thread_that_the_bot_takes_part_in_is_followed() {
    let world = World::start();
    let root = opened(&world);
    world.slack(&SlackEvent::message("C1", "no mention").in_thread(&root).by("U2"));
    assert_eq!(
        world.slack.wait_post("no mention").thread_ts.as_deref(),
        Some(root.as_str())
    );
    assert_eq!(world.agent.wait_ask("no mention").json["conversationId"], "c1");
}

#[test]
fn other_talk_in_a_channel_is_left_alone() {
    let world = World::start();
    let root = opened(&world);
    world.slack(&SlackEvent::message("C1", "top level talk"));
    world.slack(&SlackEvent::message("C1", "in a strange thread").in_thread("1700000000.000900"));
    world.slack(&SlackEvent::message("C2", "same root elsewhere").in_thread(&root));
    marker(&world, &root);
    world.still_works("afterwards");
    assert_eq!(world.agent.asks().len(), 4, "{:?}", world.agent.questions());
}

#[test]
fn threads_are_not_followed_where_the_operator_says_so() {
    let world = World::with(|config| {
        config.set("slack.follow_threads", false);
    });
    let root = opened(&world);
    world.slack(&SlackEvent::message("C1", "no mention").in_thread(&root));
    marker(&world, &root);
    assert_eq!(world.agent.asks().len(), 2, "{:?}", world.agent.questions());
}

/// cc-connect#1822: one mention comes as `app_mention` and as `message`.
#[test]
fn cc_connect_1822_a_mention_and_its_twin_are_one_turn_in_either_order() {
    let world = World::start();
    let mut roots = Vec::new();
    for n in 0..6 {
        let mention = SlackEvent::mention("C1", &format!("top {n}"));
        let twin = mention.twin();
        let (first, second) = if n % 2 == 0 {
            (&mention, &twin)
        } else {
            (&twin, &mention)
        };
        world.slack(first);
        world.slack(second);
        roots.push(mention.ts());
    }
    for (n, root) in roots.iter().enumerate() {
        world.slack.wait_post(&format!("top {n}"));
        marker(&world, root);
        // In a thread that is followed each of the two would be asked by itself.
        let mention = SlackEvent::mention("C1", &format!("within {n}")).in_thread(root);
        let twin = mention.twin();
        let (first, second) = if n % 2 == 0 {
            (&mention, &twin)
        } else {
            (&twin, &mention)
        };
        world.slack(first);
        world.slack(second);
        world.slack.wait_post(&format!("within {n}"));
        marker(&world, root);
    }
    world.still_works("afterwards");
    for n in 0..6 {
        assert_eq!(world.agent.times_asked(&format!("top {n}")), 1);
        assert_eq!(world.agent.times_asked(&format!("within {n}")), 1);
    }
}

#[test]
fn a_mention_and_its_twin_at_the_same_instant_are_one_turn() {
    let world = World::start();
    for n in 0..15 {
        let mention = SlackEvent::mention("C1", &format!("pair {n}."));
        let twin = mention.twin();
        thread::scope(|scope| {
            scope.spawn(|| world.slack(&mention));
            scope.spawn(|| world.slack(&twin));
        });
        world.slack.wait_post(&format!("pair {n}."));
        marker(&world, &mention.ts());
        assert_eq!(world.agent.times_asked(&format!("pair {n}.")), 1);
    }
}

/// typeclaw#49: one gesture as two messages with different time stamps.
#[test]
fn typeclaw_49_one_client_message_is_asked_once() {
    let world = World::start();
    let first = SlackEvent::dm("D1", "gesture").with("client_msg_id", "the-same");
    let second = SlackEvent::dm("D1", "gesture").with("client_msg_id", "the-same");
    world.slack(&first);
    world.slack(&second);
    world.slack(&SlackEvent::dm("D1", "later"));
    world.slack.wait_post("later");
    assert_eq!(world.agent.times_asked("gesture"), 1);
}

/// junior#481, posthog#59517: an edited mention comes as a new one.
#[test]
fn junior_481_an_edited_mention_is_asked_once() {
    let world = World::start();
    let mention = SlackEvent::mention("C1", "original");
    world.slack(&mention);
    world.slack.wait_post("original");
    let edited = json!({"user": "U1", "ts": mention.ts()});
    world.slack(
        &mention
            .clone()
            .again()
            .with("text", "<@U0BOT> corrected")
            .with("edited", edited.clone()),
    );
    marker(&world, &mention.ts());
    assert!(world.agent.asks_with("corrected").is_empty());

    // Here the edit is what added the mention.
    let added = SlackEvent::mention("C1", "mention added by an edit").with("edited", edited);
    world.slack(&added);
    world.slack.wait_post("mention added by an edit");
}

/// CopilotKit#6717, python-slack-sdk#390: the bot answers itself, or other bots, without end.
#[test]
fn copilotkit_6717_the_bot_answers_no_bot() {
    let world = World::start();
    let root = opened(&world);
    let reply = |text: &str| SlackEvent::message("C1", text).in_thread(&root);
    let not_asked = [
        // Its own posts come as plain messages, without a subtype.
        reply("own post").by("U0BOT").with("bot_id", "B0BOT"),
        reply("own post without bot id").by("U0BOT"),
        reply("other bot").by("U9").with("bot_id", "B9"),
        reply("classic bot")
            .with("subtype", "bot_message")
            .with("bot_id", "B8")
            .without("user"),
        SlackEvent::mention("C1", "mentioned by a bot")
            .in_thread(&root)
            .with("bot_id", "B9"),
        reply("system text").by("USLACK"),
        SlackEvent::dm("D1", "own direct message")
            .by("U0BOT")
            .with("bot_id", "B0BOT"),
        SlackEvent::dm("D1", "system direct message").by("USLACK"),
    ];
    for event in &not_asked {
        world.slack(event);
    }
    marker(&world, &root);
    world.still_works("afterwards");
    assert_eq!(world.agent.asks().len(), 4, "{:?}", world.agent.questions());
}

/// CopilotKit#6717: `message_changed` after an unfurl started a loop.
#[test]
fn copilotkit_6717_changes_and_notices_are_no_messages() {
    let world = World::start();
    let root = opened(&world);
    let reply = |text: &str| SlackEvent::message("C1", text).in_thread(&root);
    let inner =
        json!({"type": "message", "user": "U1", "text": "changed", "ts": root, "edited": {"user": "U1"}});
    let changed = reply("changed")
        .with("subtype", "message_changed")
        .with("message", inner.clone());
    world.slack(
        &changed
            .clone()
            .with("hidden", true)
            .without("user")
            .without("text"),
    );
    world.slack(
        &changed
            .with("channel_type", "im")
            .with("channel", "D1")
            .without("thread_ts"),
    );
    let deleted = reply("deleted")
        .with("subtype", "message_deleted")
        .with("previous_message", inner);
    world.slack(&deleted.with("deleted_ts", root.as_str()));
    for subtype in [
        "assistant_app_thread",
        "message_replied",
        "channel_join",
        "channel_leave",
        "channel_topic",
        "channel_purpose",
        "channel_name",
        "channel_archive",
        "tombstone",
        "ekm_access_denied",
        "something_new",
    ] {
        world.slack(&reply(subtype).with("subtype", subtype));
        world.slack(&SlackEvent::dm("D1", subtype).with("subtype", subtype));
    }
    marker(&world, &root);
    world.still_works("afterwards");
    assert_eq!(world.agent.asks().len(), 4, "{:?}", world.agent.questions());
}

#[test]
fn broadcasts_and_me_messages_are_words_of_a_person() {
    let world = World::start();
    let root = opened(&world);
    let reply = |text: &str| SlackEvent::message("C1", text).in_thread(&root);
    let broadcast = json!({"ts": root, "thread_ts": root, "text": "opening", "user": "U1"});
    world.slack(
        &reply("broadcast")
            .with("subtype", "thread_broadcast")
            .with("root", broadcast),
    );
    assert_eq!(
        world.slack.wait_post("broadcast").thread_ts.as_deref(),
        Some(root.as_str())
    );
    world.slack(&reply("waves").with("subtype", "me_message"));
    world.slack.wait_post("waves");
}

#[test]
fn group_direct_messages_need_a_mention_or_a_followed_thread() {
    let world = World::start();
    let group = |text: &str| SlackEvent::message("G1", text).with("channel_type", "mpim");
    world.slack(&group("talk among people"));
    let mention = SlackEvent::mention("G1", "the bot please");
    world.slack(&mention);
    assert_eq!(
        world.slack.wait_post("the bot please").thread_ts,
        Some(mention.ts())
    );
    world.slack(&group("followed").in_thread(&mention.ts()));
    world.slack.wait_post("followed");
    assert!(world.agent.asks_with("talk among people").is_empty());
}

#[test]
fn events_of_an_installation_are_acknowledged() {
    let world = World::start();
    let uninstalled = json!({"type": "event_callback", "team_id": "T9", "api_app_id": "A1", "event_id": "Ev1",
        "event_time": 1_599_616_881, "event": {"type": "app_uninstalled"}});
    let limited = json!({"token": "x", "type": "app_rate_limited", "team_id": "T1",
        "minute_rate_limited": 1_518_467_820, "api_app_id": "A1"});
    let revoked = json!({"type": "event_callback", "team_id": "T9", "event_id": "Ev2", "event_time": 1_599_616_881,
        "event": {"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": ["U0BOT"]}}});
    for body in [uninstalled, limited, revoked] {
        assert_eq!(
            world.post_slack(body.to_string().as_bytes()).unwrap().status,
            200,
            "{body}"
        );
    }
    world.still_works("afterwards");
}
