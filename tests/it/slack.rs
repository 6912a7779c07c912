//! Slack: a message comes in, the answer goes out, in its place and harmless.

use serde_json::json;

use crate::harness::{SlackEvent, World, eventually};

#[test]
fn a_mention_is_answered_in_its_thread() {
    let world = World::start();
    let mention = SlackEvent::mention("C1", "where is my parcel?");
    world.slack(&mention);
    let post = world.slack.wait_post("echo: where is my parcel?");
    assert_eq!(
        (post.channel.as_str(), post.thread_ts),
        ("C1", Some(mention.ts()))
    );
    // Nothing of the agent's words is to be unfurled, and the delivery can be found again.
    assert_eq!(
        (&post.json["unfurl_links"], &post.json["unfurl_media"]),
        (&json!(false), &json!(false))
    );
    assert!(
        post.json["metadata"]["event_type"]
            .as_str()
            .is_some_and(|kind| !kind.is_empty())
    );
    let payload = post.json["metadata"]["event_payload"].as_object().unwrap();
    assert!(
        payload
            .values()
            .any(|id| id.as_str().is_some_and(|id| id.len() >= 16)),
        "{payload:?}"
    );

    let ask = world.agent.wait_ask("where is my parcel?");
    for (field, value) in [
        ("question", "where is my parcel?"),
        ("agentId", "agent-main"),
        ("messageType", "TEXT"),
        ("responseFormat", "PLAIN"),
        ("integrationType", "SLACK"),
    ] {
        assert_eq!(ask.json[field], value, "{}", ask.json);
    }
    for absent in ["conversationId", "ip", "country"] {
        assert!(
            ask.json.get(absent).is_none_or(serde_json::Value::is_null),
            "{absent}: {}",
            ask.json
        );
    }
}

#[test]
fn a_mention_within_a_thread_is_answered_there_and_the_conversation_goes_on() {
    let world = World::start();
    let root = "1700000000.000100";
    let first = SlackEvent::mention("C1", "first").in_thread(root);
    world.slack(&first);
    assert_eq!(world.slack.wait_post("first").thread_ts.as_deref(), Some(root));
    world.slack(&SlackEvent::mention("C1", "second").in_thread(root));
    assert_eq!(world.slack.wait_post("second").thread_ts.as_deref(), Some(root));
    assert_eq!(world.agent.wait_ask("second").json["conversationId"], "c1");
    // Another thread is another conversation.
    world.slack(&SlackEvent::mention("C1", "elsewhere"));
    assert!(world.agent.wait_ask("elsewhere").json["conversationId"].is_null());
}

#[test]
fn direct_messages_are_answered_where_they_stand() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "top level"));
    assert_eq!(world.slack.wait_post("top level").thread_ts, None);
    world.slack(&SlackEvent::dm("D1", "and again"));
    assert_eq!(world.slack.wait_post("and again").thread_ts, None);
    assert_eq!(world.agent.wait_ask("and again").json["conversationId"], "c1");
    let root = "1700000000.000200";
    world.slack(&SlackEvent::dm("D1", "threaded").in_thread(root));
    assert_eq!(world.slack.wait_post("threaded").thread_ts.as_deref(), Some(root));
    assert!(world.agent.wait_ask("threaded").json["conversationId"].is_null());
}

#[test]
fn nothing_that_the_agent_wrote_comes_alive() {
    let world = World::start();
    world
        .agent
        .answer_with(|_| "5 < 7 & 7 > 5 <!channel> <@U123> <https://a.example|b> &lt; *bold*".to_owned());
    world.slack(&SlackEvent::dm("D1", "escape"));
    let post = world.slack.wait_post("bold");
    let expected =
        "5 &lt; 7 &amp; 7 &gt; 5 &lt;!channel&gt; &lt;@U123&gt; &lt;https://a.example|b&gt; &amp;lt; ";
    assert!(post.text.starts_with(expected), "{}", post.text);
    assert!(
        post.json["mrkdwn"] == false || !post.text.contains("*bold*"),
        "markup comes alive: {}",
        post.json
    );
    assert_ne!(post.json["link_names"], true);
    assert_ne!(post.json["parse"], "full");
}

#[test]
fn the_agent_reads_what_the_person_wrote() {
    let world = World::start();
    world.slack(&SlackEvent::mention("C1", "is 5 &lt; 7 &amp;&amp; 7 &gt; 5?"));
    assert_eq!(
        world.agent.wait_ask("is 5").json["question"],
        "is 5 < 7 && 7 > 5?"
    );
}

#[test]
fn a_long_answer_comes_in_parts_of_at_most_4000_characters_in_order() {
    let world = World::start();
    let words: Vec<String> = (0..1800).map(|n| format!("w{n:04}")).collect();
    let answer = words
        .chunks(12)
        .map(|line| line.join(" "))
        .collect::<Vec<_>>()
        .join("\n\n");
    assert!(answer.len() > 10_000);
    world.agent.answer_with(move |question| {
        if question == "long" {
            answer.clone()
        } else {
            "&<>".repeat(1500)
        }
    });
    world.slack(&SlackEvent::dm("D1", "long"));
    world.slack.wait_post("w1799");
    let posts = world.slack.posts();
    assert!((3..=4).contains(&posts.len()), "{} parts", posts.len());
    assert!(
        posts
            .iter()
            .all(|post| post.text.chars().count() <= 4000 && post.channel == "D1")
    );
    let joined = posts
        .iter()
        .map(|post| post.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(joined.split_whitespace().collect::<Vec<_>>(), words);

    // The limit is of the text as posted: escapes count.
    world.slack(&SlackEvent::dm("D2", "dense"));
    eventually("all of the escaped text", || {
        let posts: Vec<_> = world
            .slack
            .posts()
            .into_iter()
            .filter(|post| post.channel == "D2")
            .collect();
        for post in &posts {
            assert!(post.text.chars().count() <= 4000);
            let rest = post
                .text
                .replace("&amp;", "")
                .replace("&lt;", "")
                .replace("&gt;", "");
            assert_eq!(rest, "", "an escape is cut in two");
        }
        let joined: String = posts.iter().map(|post| post.text.as_str()).collect();
        (joined == "&amp;&lt;&gt;".repeat(1500)).then_some(())
    });
}

#[test]
fn code_and_lists_stay_whole_where_they_fit() {
    let world = World::start();
    let words = "Some words that lead up to it. ".repeat(80);
    let code = format!("```\n{}```", "let x = 1;\n\n".repeat(180));
    let items: Vec<String> = (1..=90)
        .map(|n| format!("{n}. an item with a number\n"))
        .collect();
    let list = items.concat();
    let list = list.trim_end().to_owned();
    let answer = format!("{words}\n\n{code}\n\n{words}\n\n{list}\n\nThat is all.");
    world.agent.answer_with(move |_| answer.clone());
    world.slack(&SlackEvent::dm("D1", "blocks"));
    world.slack.wait_post("That is all.");
    let posts = world.slack.posts();
    assert!(posts.iter().all(|post| post.text.chars().count() <= 4000));
    for block in [code, list] {
        assert!(
            posts.iter().any(|post| post.text.contains(&block)),
            "torn: {block}"
        );
    }
}

#[test]
fn sources_are_listed_or_left_out() {
    for (links, listed) in [("list", true), ("off", false)] {
        let world = World::with(|config| {
            config.set("agent.links", links);
        });
        world.agent.cite(&["https://shop.example/returns?a=1&b=2"]);
        world.slack(&SlackEvent::dm("D1", "sources"));
        let post = world.slack.wait_post("echo: sources");
        assert_eq!(
            post.text.contains("https://shop.example/returns?a=1&amp;b=2"),
            listed,
            "{}",
            post.text
        );
    }
}

#[test]
fn the_words_of_a_message_with_files_are_asked() {
    let world = World::start();
    let files = json!([{"id": "F1", "name": "image.png", "mimetype": "image/png", "size": 10}]);
    world.slack(
        &SlackEvent::dm("D1", "see the picture")
            .with("subtype", "file_share")
            .with("files", files),
    );
    world.slack.wait_post("see the picture");
}

/// In Slack Connect the top-level team can be a workspace in which the app is not installed.
#[test]
fn the_installation_is_the_one_of_the_authorization() {
    let world = World::start();
    let shared = SlackEvent::mention("C1", "shared")
        .envelope("team_id", "T_SOURCE")
        .with("team", "T_SOURCE");
    world.slack(&shared.clone().envelope("is_ext_shared_channel", true));
    world.slack.wait_post("shared");
    let threads = world.cli(&["threads", "list", "--json"]).exits(0).json();
    assert_eq!(threads[0]["account"], "T1", "{threads}");
    assert_eq!(
        threads[0]["address"],
        format!("slack/T1/C1/{}", shared.ts()),
        "{threads}"
    );
}

#[test]
fn a_workspace_without_a_token_is_acknowledged_and_counted() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "identity is known by now"));
    world.slack.wait_post("identity is known by now");
    let foreign = json!([{"enterprise_id": null, "team_id": "T2", "user_id": "U0B", "is_bot": true,
        "is_enterprise_install": false}]);
    world.slack(
        &SlackEvent::dm("D2", "foreign")
            .envelope("team_id", "T2")
            .envelope("authorizations", foreign),
    );
    world.still_works("afterwards");
    assert!(world.agent.asks_with("foreign").is_empty());
    let metrics = world.metrics();
    let counted = ["webhooks", "messages"].map(|what| {
        metrics.sum(
            &format!("chatbridge_{what}_total"),
            &[("channel", "slack"), ("outcome", "not_installed")],
        )
    });
    assert!(counted.iter().sum::<f64>() >= 1.0, "{metrics}");
}

#[test]
fn routes_choose_the_agent_by_place() {
    let world = World::with(|config| {
        config.append("[[routes]]\nchannel = \"slack\"\nplace = \"C2\"\nagent_id = \"agent-two\"");
        config.append("[[routes]]\nchannel = \"whatsapp\"\nagent_id = \"agent-phone\"");
    });
    world.slack(&SlackEvent::mention("C1", "in one"));
    world.slack(&SlackEvent::mention("C2", "in two"));
    world.still_works("by routes");
    for (text, agent) in [
        ("in one", "agent-main"),
        ("in two", "agent-two"),
        ("whatsapp by routes", "agent-phone"),
    ] {
        assert_eq!(world.agent.wait_ask(text).json["agentId"], agent);
    }
}

#[test]
fn the_static_token_is_used_for_every_call() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "token"));
    world.slack.wait_post("token");
    assert!(world.slack.count("auth.test") >= 1, "the bot learns who it is");
    assert!(
        world
            .slack
            .calls()
            .iter()
            .all(|call| call.token() == Some("xoxb-test-token"))
    );
}
