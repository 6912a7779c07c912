//! What people do besides writing: changes and withdrawals, commands, buttons.

use super::*;
use crate::channel::slack::{COMMANDS, INTERACTIVITY};
use crate::domain::act::{Act, Deed, Edit, Whereabouts, Withdrawal};
use crate::domain::message::{Opens, Treatment};

/// A `message_changed` from one text to another; `fields` go over those of the message.
fn changed(channel: &str, old: &str, new: &str, fields: &Value) -> Value {
    let mut message = event("message", fields);
    message["text"] = json!(new);
    message["edited"] = json!({"user": "U1", "ts": "1766458029.000000"});
    for (key, value) in fields.as_object().unwrap() {
        message[key] = value.clone();
    }
    let mut before = message.clone();
    before["text"] = json!(old);
    envelope(&json!({
        "type": "message", "subtype": "message_changed", "hidden": true, "channel": channel,
        "ts": "1766458029.000500", "event_ts": "1766458029.000500", "message": message, "previous_message": before,
    }))
}

fn edit(body: &Value) -> Edit {
    let received = receive(&slack(|_| {}), body);
    match &received.arrivals[..] {
        [Arrival::Edit(edit)] => edit.clone(),
        _ => panic!("{received:?}"),
    }
}

fn withdrawal(body: &Value) -> Withdrawal {
    let received = receive(&slack(|_| {}), body);
    match &received.arrivals[..] {
        [Arrival::Withdraw(withdrawal)] => withdrawal.clone(),
        _ => panic!("{received:?}"),
    }
}

fn left(body: &Value) -> &'static str {
    let received = receive(&slack(|_| {}), body);
    assert!(received.arrivals.is_empty(), "{received:?}");
    received.dropped[0]
}

#[test]
fn a_change_by_the_writer_is_passed_on() {
    let thread = json!({"thread_ts": "1766450000.000100"});
    let read = edit(&changed("C1", "helo", "hello &amp; more", &thread));
    assert_eq!(read.text, "hello & more");
    assert_eq!(
        read.identifiers[0].alias.as_str(),
        "slack/T1/C1/1766450000.000100"
    );
    assert_eq!(
        (read.platform_id.as_str(), read.edited_at.millis()),
        ("1766458026.240809", 1_766_458_029_000)
    );
    // At the top level a message is found by itself, in a direct message by its channel.
    let top = edit(&changed("C1", "<@UBOT> helo", "<@UBOT> hello", &json!({})));
    assert_eq!(top.text, "hello");
    assert_eq!(top.identifiers[0].alias.as_str(), "slack/T1/C1/1766458026.240809");
    let with_replies = json!({"thread_ts": "1766458026.240809"});
    for fields in [json!({}), with_replies] {
        let direct = edit(&changed("D1", "helo", "hello", &fields));
        assert_eq!(direct.identifiers[0].alias.as_str(), "slack/T1/D1");
    }
}

#[test]
fn what_only_looks_like_a_change_does_nothing() {
    let thread = "1766450000.000100";
    for (fields, why) in [
        (json!({"edited": null}), "an unfurl"),
        (
            json!({"edited": {"user": "U2", "ts": "1766458029.000000"}}),
            "somebody else",
        ),
        (json!({"bot_id": "B1"}), "a bot"),
        (json!({"user": "UBOT"}), "its own post"),
        (json!({"user": null}), "nobody"),
    ] {
        let mut fields = fields;
        fields["thread_ts"] = json!(thread);
        assert_eq!(
            left(&changed("C1", "old", "new", &fields)),
            "message_changed",
            "{why}"
        );
    }
    let same = changed("C1", "same", "same", &json!({"thread_ts": thread}));
    assert_eq!(left(&same), "message_changed");
    assert_eq!(
        left(&changed("C1", "talk", "other talk", &json!({}))),
        "message_changed"
    );
}

#[test]
fn a_message_that_is_taken_back_keeps_its_key() {
    let mut gone =
        message(&json!({"subtype": "message_deleted", "deleted_ts": "1766458026.240809", "channel": "D1"}));
    gone["event"]["previous_message"] = event("message", &json!({}));
    let read = withdrawal(&gone);
    let asked = outcome(&slack(|_| {}), &message(&json!({"channel": "D1"}))).unwrap();
    assert!(asked.keys.contains(&read.keys[0]));
    assert_eq!(read.identifiers, asked.identifiers);
    assert_eq!((read.opens, read.platform_id), (Opens::Thread, asked.platform_id));

    gone["event"]["channel"] = json!("C1");
    gone["event"]["previous_message"]["thread_ts"] = json!("1766450000.000100");
    let reply = withdrawal(&gone);
    assert_eq!(reply.opens, Opens::Nothing);
    assert_eq!(
        reply.identifiers[0].alias.as_str(),
        "slack/T1/C1/1766450000.000100"
    );
    // A root with replies stays as a stone.
    let mut stone = changed(
        "C1",
        "<@UBOT> hello",
        "This message was deleted.",
        &json!({"subtype": "tombstone"}),
    );
    stone["event"]["message"]["user"] = json!("USLACKBOT");
    assert_eq!(withdrawal(&stone).platform_id, "1766458026.240809");
}

#[test]
fn an_edited_mention_is_a_message_and_a_change() {
    let body =
        mention(&json!({"edited": {"user": "U1", "ts": "1766458029.000000"}, "text": "<@UBOT> hello!"}));
    let received = receive(&slack(|_| {}), &body);
    let [Arrival::Message(message), Arrival::Edit(edit)] = &received.arrivals[..] else {
        panic!("{received:?}")
    };
    assert_eq!(message.identifiers, edit.identifiers);
    assert_eq!(
        (edit.text.as_str(), &edit.platform_id),
        ("hello!", &message.platform_id)
    );
}

const RESPOND: &str = "https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1%2F1%2Fx";

fn form(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("team_id", "T1"),
        ("channel_id", "C1"),
        ("channel_name", "general"),
        ("user_id", "U1"),
        ("command", "%2Fask"),
        ("text", "where+is+it%3F"),
        ("response_url", RESPOND),
        ("trigger_id", "1.2.x"),
    ];
    for change in changes {
        fields.retain(|(name, _)| name != &change.0);
        fields.push(*change);
    }
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn command(slack: &Slack, changes: &[(&str, &str)]) -> Received {
    post_to(slack, COMMANDS, form(changes).as_bytes()).unwrap()
}

fn act(received: &Received) -> &Act {
    match &received.arrivals[..] {
        [Arrival::Act(act)] => act,
        _ => panic!("{received:?}"),
    }
}

#[test]
fn a_command_asks_in_a_thread_of_its_own() {
    let received = command(&slack(|_| {}), &[]);
    let [Arrival::Message(inbound)] = &received.arrivals[..] else {
        panic!("{received:?}")
    };
    assert_eq!(
        (inbound.text.as_str(), &inbound.treatment),
        ("where is it?", &Treatment::Ask)
    );
    assert_eq!(inbound.address.as_str(), "slack/T1/C1/U1");
    assert_eq!(
        inbound.route["response_url"],
        "https://hooks.slack.com/commands/T1/1/x"
    );
    assert_eq!(received.answer, crate::channel::Acknowledgement::Empty);
}

#[test]
fn reset_and_help_are_answered_where_they_were_asked() {
    let slack = slack(|_| {});
    let reset = command(&slack, &[("text", "Reset"), ("channel_id", "D1")]);
    let also = act(&reset).account.alias(&["D1"]).unwrap();
    assert_eq!(act(&reset).deed, Deed::Reset { also: vec![also] });
    assert_eq!(act(&reset).say.as_deref(), Some("forgotten &amp; gone"));
    assert_eq!(
        act(&command(&slack, &[("text", "reset")])).deed,
        Deed::Reset { also: vec![] }
    );
    for text in ["help", ""] {
        let help = command(&slack, &[("text", text)]);
        assert_eq!(act(&help).deed, Deed::Explain);
        assert_eq!(act(&help).say.as_deref(), Some("write /ask &lt;question&gt;"));
        assert!(matches!(act(&help).on, Whereabouts::Place { .. }));
    }
}

#[test]
fn a_command_that_is_not_for_us_is_acknowledged() {
    let why = |change: (&'static str, &'static str)| command(&slack(|_| {}), &[change]).dropped[0];
    assert_eq!(why(("command", "%2Fother")), "unknown_command");
    assert_eq!(why(("ssl_check", "1")), "ssl_check");
    assert_eq!(why(("user_id", "")), "malformed_command");
    assert_eq!(why(("team_id", "T%201")), "malformed_command");
    assert_eq!(
        why(("response_url", "https%3A%2F%2Fevil.example%2Fcommands")),
        "response_url_foreign"
    );
    let off = slack(|settings| settings.command = String::new());
    assert_eq!(command(&off, &[]).dropped, ["no_command"]);
    let closed = slack(|settings| settings.deny_users = vec!["U1".to_owned()]);
    assert_eq!(command(&closed, &[]).dropped, ["user_denied"]);
    assert!(matches!(
        post_to(&slack(|_| {}), COMMANDS, b"{}"),
        Err(Rejection::Malformed {
            code: "not_a_form",
            ..
        })
    ));
}

#[test]
fn a_button_without_its_payload_is_malformed() {
    let slack = slack(|_| {});
    for body in ["payload=%7B", "other=1"] {
        assert!(matches!(
            post_to(&slack, INTERACTIVITY, body.as_bytes()),
            Err(Rejection::Malformed { code: "not_json", .. })
        ));
    }
    let received = post_to(
        &slack,
        INTERACTIVITY,
        b"payload=%7B%22type%22%3A%22view_submission%22%7D",
    )
    .unwrap();
    assert_eq!(received.dropped, ["unknown_interaction"]);
}

#[tokio::test]
async fn buttons_stand_below_the_last_part_only() {
    use super::stub::{Stub, in_thread};
    let stub = Stub::start().await;
    let slack = slack(|settings| {
        settings.api_base.clone_from(&stub.base);
        settings.feedback = true;
    });
    stub.introduces();
    slack.installations.fixed.learn(&slack.client, 0).await;
    stub.calls();
    for last in [false, true] {
        let claim = crate::domain::delivery::SendClaim { last, ..in_thread() };
        stub.answers(json!({"ok": true, "ts": "2.5"}));
        slack.send(&claim).await.unwrap();
        let body = &stub.calls()[0].body;
        assert_eq!(body["text"], "fish &amp; chips");
        assert_eq!(body.get("blocks").is_some(), last);
        if last {
            let kinds: Vec<_> = body["blocks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|block| &block["type"])
                .collect();
            assert_eq!(kinds, ["rich_text", "context_actions", "actions"]);
            let said = &body["blocks"][0]["elements"][0]["elements"][0];
            assert_eq!(said, &json!({"type": "text", "text": "fish & chips"}));
        }
    }
}
