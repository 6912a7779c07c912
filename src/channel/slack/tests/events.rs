//! The table of Slack's events, row by row.

use super::*;
use crate::channel::Acknowledgement;
use crate::channel::slack::INTERACTIVITY;
use crate::domain::identity::Strength;
use crate::domain::message::{Opens, Treatment};

fn dropped(body: &Value) -> &'static str {
    outcome(&slack(|_| {}), body).unwrap_err()
}

fn taken(body: &Value) -> Inbound {
    outcome(&slack(|_| {}), body).unwrap()
}

#[test]
fn the_challenge_is_answered() {
    let body = json!({"token": "x", "challenge": "3eZbrw1aBm2r", "type": "url_verification"});
    let received = receive(&slack(|_| {}), &body);
    assert_eq!(received.answer, Acknowledgement::Text("3eZbrw1aBm2r".to_owned()));
    assert!(received.arrivals.is_empty() && received.dropped.is_empty());
    assert_eq!(
        dropped(&json!({"type": "url_verification", "challenge": 7})),
        "challenge_missing"
    );
}

#[test]
fn what_is_signed_and_not_for_us_is_acknowledged() {
    for (body, reason) in [
        (
            json!({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1}),
            "app_rate_limited",
        ),
        (json!({"type": "something_new"}), "unknown_type"),
        (json!({}), "unknown_type"),
        (json!([1]), "not_an_object"),
        (json!("text"), "not_an_object"),
        (json!(null), "not_an_object"),
        (
            json!({"type": "event_callback", "team_id": "T1"}),
            "malformed_event",
        ),
        (
            envelope(&json!({"type": "app_home_opened", "user": "U1"})),
            "unknown_event",
        ),
        (envelope(&json!({"type": "app_uninstalled"})), "app_uninstalled"),
        (
            envelope(&json!({"type": "tokens_revoked", "tokens": {"bot": ["U1"]}})),
            "tokens_revoked",
        ),
        (envelope(&json!({"type": ["message"]})), "unknown_event"),
    ] {
        assert_eq!(dropped(&body), reason, "{body}");
    }
}

#[test]
fn what_is_not_json_is_malformed() {
    let slack = slack(|_| {});
    let endless = b"[".repeat(100_000);
    for body in [
        &b""[..],
        b"{",
        b"token=x&challenge=y",
        b"\xff\xfe",
        b"{} {}",
        &endless,
    ] {
        let rejection = post(&slack, body).unwrap_err();
        assert!(
            matches!(rejection, Rejection::Malformed { code: "not_json", .. }),
            "{rejection:?}"
        );
    }
}

/// It is JSON all the same; refused, it would come again and be lost in the end.
#[test]
fn what_no_text_can_hold_costs_no_message() {
    let slack = slack(|_| {});
    let event = json!({"type": "message", "channel_type": "im", "channel": "D1", "user": "U1", "ts": "1766450000.000100",
        "text": "cut LONE", "blocks": "DEEP", "size": "HUGE"});
    let body = envelope(&event).to_string();
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    let body = body
        .replace("LONE", "\\ud83d")
        .replace("\"DEEP\"", &deep)
        .replace("\"HUGE\"", "1e999");
    let received = post(&slack, body.as_bytes()).unwrap();
    let [Arrival::Message(message)] = &received.arrivals[..] else {
        panic!("{received:?}")
    };
    assert_eq!(message.text, "cut \u{fffd}");
    // A button's payload is JSON within a form.
    let payload = r#"{"type":"block_actions","user":{"name":"\ud83d"}}"#;
    let mut form = reqwest::Url::parse("http://form.invalid/").unwrap();
    form.query_pairs_mut().append_pair("payload", payload);
    assert!(post_to(&slack, INTERACTIVITY, form.query().unwrap().as_bytes()).is_ok());
}

#[test]
fn a_mention_opens_a_thread_below_it() {
    let inbound = taken(&mention(&json!({})));
    assert_eq!(
        (inbound.text.as_str(), &inbound.treatment),
        ("hello", &Treatment::Ask)
    );
    assert_eq!(inbound.opens, Opens::Thread);
    assert_eq!(inbound.account.as_str(), "slack/T1");
    assert_eq!(inbound.address.as_str(), "slack/T1/C1/1766458026.240809");
    assert_eq!(inbound.identifiers.len(), 1);
    assert_eq!(inbound.identifiers[0].alias, inbound.address);
    assert_eq!(inbound.identifiers[0].strength, Strength::Root);
    assert_eq!(inbound.place.as_deref(), Some("C1"));
    assert_eq!(
        inbound.route,
        json!({"channel": "C1", "thread_ts": "1766458026.240809"})
    );
    assert_eq!(inbound.platform_id, "1766458026.240809");
    assert_eq!(inbound.sent_at.millis(), 1_766_458_026_240);
    assert_eq!(inbound.keys.len(), 3);
}

#[test]
fn a_mention_in_a_thread_belongs_to_the_thread() {
    let inbound = taken(&mention(&json!({"thread_ts": "1766450000.000100"})));
    assert_eq!(inbound.address.as_str(), "slack/T1/C1/1766450000.000100");
    assert_eq!(
        inbound.route,
        json!({"channel": "C1", "thread_ts": "1766450000.000100"})
    );
    assert_eq!(inbound.opens, Opens::Thread);
}

#[test]
fn a_direct_message_is_asked_without_a_mention() {
    for fields in [
        json!({"channel": "D1", "channel_type": "im"}),
        json!({"channel": "D1", "channel_type": null}),
    ] {
        let inbound = taken(&message(&fields));
        assert_eq!(inbound.address.as_str(), "slack/T1/D1");
        assert_eq!(inbound.route, json!({"channel": "D1"}));
        assert_eq!(
            (inbound.opens, inbound.treatment),
            (Opens::Thread, Treatment::Ask)
        );
    }
    let reply =
        json!({"channel": "D1", "channel_type": "im", "thread_ts": "1766450000.000100", "text": "<@U2> hi"});
    let inbound = taken(&message(&reply));
    assert_eq!(inbound.address.as_str(), "slack/T1/D1/1766450000.000100");
    assert_eq!(
        inbound.route,
        json!({"channel": "D1", "thread_ts": "1766450000.000100"})
    );
    assert_eq!(inbound.text, "@U2 hi");
}

#[test]
fn a_reply_counts_in_a_known_thread_only() {
    for kind in ["channel", "group", "mpim"] {
        let reply = json!({"channel_type": kind, "thread_ts": "1766450000.000100"});
        let inbound = taken(&message(&reply));
        assert_eq!(
            (inbound.opens, inbound.treatment),
            (Opens::Nothing, Treatment::Ask)
        );
        assert_eq!(inbound.address.as_str(), "slack/T1/C1/1766450000.000100");
        assert_eq!(
            dropped(&message(&json!({"channel_type": kind}))),
            "left_to_mention"
        );
    }
}

#[test]
fn a_reply_to_somebody_else_is_left_to_them() {
    let thread = "1766450000.000100";
    let reply = |text: &str| message(&json!({"thread_ts": thread, "text": text}));
    assert_eq!(dropped(&reply("<@U2> what do you think?")), "mentions_other");
    assert_eq!(dropped(&reply("<!subteam^S1|@sales> please")), "mentions_other");
    assert_eq!(taken(&reply("<@UBOT> ask <@U2>")).text, "ask @U2");
    assert_eq!(taken(&reply("<!here> anyone?")).text, "@here anyone?");
}

#[test]
fn threads_are_followed_only_if_the_operator_wants_it() {
    let quiet = slack(|settings| settings.follow_threads = false);
    let thread = json!({"thread_ts": "1766450000.000100"});
    assert_eq!(outcome(&quiet, &message(&thread)).unwrap_err(), "not_followed");
    assert_eq!(
        outcome(&quiet, &mention(&thread)).unwrap().treatment,
        Treatment::Ask
    );
    let direct = json!({"channel": "D1", "channel_type": "im", "thread_ts": "1766450000.000100"});
    assert_eq!(
        outcome(&quiet, &message(&direct)).unwrap().treatment,
        Treatment::Ask
    );
}

#[test]
fn the_twins_of_a_mention_share_a_key_though_not_their_event() {
    let thread = "1766450000.000100";
    let mut first = mention(&json!({"thread_ts": thread}));
    first["event_id"] = json!("Ev1");
    let mut second = message(&json!({"thread_ts": thread, "text": "<@UBOT> hello"}));
    second["event_id"] = json!("Ev2");
    let (first, second) = (taken(&first), taken(&second));
    assert_ne!(first.keys[0], second.keys[0]);
    assert_eq!(first.keys[1..], second.keys[1..]);
    assert_eq!((first.opens, second.opens), (Opens::Thread, Opens::Nothing));
}

#[test]
fn an_edited_mention_has_the_keys_of_the_first() {
    let mut edited =
        mention(&json!({"edited": {"user": "U1", "ts": "1766458029.000000"}, "text": "<@UBOT> hello!"}));
    edited["event_id"] = json!("Ev2");
    let (first, edited) = (taken(&mention(&json!({}))), taken(&edited));
    assert_ne!(first.keys[0], edited.keys[0]);
    assert_eq!(first.keys[1], edited.keys[1]);
}

#[test]
fn another_channel_workspace_or_time_has_other_keys() {
    let base = taken(&mention(&json!({"client_msg_id": null})));
    assert_eq!(base.keys.len(), 2);
    for fields in [
        json!({"channel": "C2", "client_msg_id": null}),
        json!({"ts": "1.2", "client_msg_id": null}),
    ] {
        assert_ne!(taken(&mention(&fields)).keys[1], base.keys[1]);
    }
    let mut elsewhere = mention(&json!({"client_msg_id": null}));
    elsewhere["authorizations"][0]["team_id"] = json!("T2");
    let elsewhere = taken(&elsewhere);
    assert_eq!(elsewhere.account.as_str(), "slack/T2");
    assert!(base.keys.iter().all(|key| !elsewhere.keys.contains(key)));
}

#[test]
fn bots_news_and_oneself_are_ignored() {
    let thread = "1766450000.000100";
    for (fields, reason) in [
        (json!({"bot_id": "B1"}), "bot"),
        (
            json!({"bot_id": "B1", "user": "UBOT", "thread_ts": thread}),
            "bot",
        ),
        (json!({"bot_profile": {"id": "B1"}}), "bot"),
        (json!({"subtype": "bot_message", "user": null}), "bot"),
        (json!({"user": "UBOT", "thread_ts": thread}), "own"),
        (
            json!({"user": "UBOT", "channel": "D1", "channel_type": "im"}),
            "own",
        ),
        (
            json!({"user": "USLACK", "channel": "D1", "channel_type": "im"}),
            "slackbot",
        ),
        (
            json!({"subtype": "message_changed", "hidden": true, "message": {"user": "U1"}}),
            "message_changed",
        ),
        (
            json!({"subtype": "message_deleted", "deleted_ts": "1.2", "previous_message": {"text": "talk"}}),
            "message_deleted",
        ),
        (
            json!({"subtype": "assistant_app_thread", "channel": "D1", "channel_type": "im"}),
            "assistant_app_thread",
        ),
        (json!({"subtype": "message_replied"}), "message_replied"),
        (json!({"subtype": "tombstone"}), "tombstone"),
        (json!({"subtype": "ekm_access_denied"}), "ekm_access_denied"),
        (json!({"subtype": "channel_join"}), "channel_news"),
        (json!({"subtype": "group_topic"}), "channel_news"),
        (json!({"subtype": "something_new"}), "unknown_subtype"),
        (json!({"subtype": 7}), "unknown_subtype"),
        (json!({"hidden": true, "thread_ts": thread}), "hidden"),
    ] {
        assert_eq!(dropped(&message(&fields)), reason, "{fields}");
    }
    assert_eq!(dropped(&mention(&json!({"bot_id": "B1"}))), "bot");
}

#[test]
fn a_persons_text_is_text_whatever_its_subtype() {
    let thread = "1766450000.000100";
    for subtype in ["file_share", "thread_broadcast", "me_message"] {
        let inbound = taken(&message(&json!({"subtype": subtype, "thread_ts": thread})));
        assert_eq!(inbound.treatment, Treatment::Ask);
    }
    let broadcast = json!({"subtype": "thread_broadcast", "root": {"ts": thread}});
    assert_eq!(
        taken(&message(&broadcast)).address.as_str(),
        format!("slack/T1/C1/{thread}")
    );
}

#[test]
fn of_a_message_with_files_the_text_is_asked() {
    let files = json!([{"id": "F1", "name": "x.png"}]);
    let inbound = taken(&mention(&json!({"files": files})));
    assert_eq!(
        (inbound.text.as_str(), inbound.treatment),
        (
            "hello",
            Treatment::AskAndTell("the file &lt;was&gt; not read".to_owned())
        )
    );

    let bare =
        json!({"files": files, "text": "", "channel": "D1", "channel_type": "im", "subtype": "file_share"});
    let notice = Some("I read text only &amp; no files".to_owned());
    assert_eq!(
        taken(&message(&bare)).treatment,
        Treatment::Ignore {
            reason: "only_files",
            notice
        }
    );
}

#[test]
fn a_bare_mention_is_recorded_and_may_still_be_given_words() {
    let bare = taken(&mention(&json!({"text": " <@UBOT> "})));
    assert_eq!(
        bare.treatment,
        Treatment::Ignore {
            reason: "empty",
            notice: None
        }
    );
    assert_eq!(bare.text, "");
    let mut edited = mention(&json!({"text": "<@UBOT> hello", "edited": {"user": "U1"}}));
    edited["event_id"] = json!("Ev2");
    let edited = taken(&edited);
    assert!(edited.keys.iter().all(|key| !bare.keys.contains(key)));
}

#[test]
fn the_installation_is_the_first_authorization() {
    let mut shared = mention(&json!({}));
    shared["team_id"] = json!("T_SOURCE");
    assert_eq!(taken(&shared).account.as_str(), "slack/T1");

    let mut grid = mention(&json!({}));
    grid["authorizations"][0]["enterprise_id"] = json!("E1");
    assert_eq!(taken(&grid).account.as_str(), "slack/T1");
    grid["authorizations"][0]["is_enterprise_install"] = json!(true);
    grid["authorizations"][0]["team_id"] = json!(null);
    assert_eq!(taken(&grid).account.as_str(), "slack/E1");

    let mut bare = mention(&json!({}));
    bare.as_object_mut().unwrap().remove("authorizations");
    // Nobody has said yet who the bot is: its mention stays a word.
    assert_eq!(
        (taken(&bare).account.as_str(), taken(&bare).text.as_str()),
        ("slack/T1", "@UBOT hello")
    );
}

#[test]
fn what_lacks_the_least_is_malformed_and_acknowledged() {
    for fields in [
        json!({"user": null}),
        json!({"channel": null}),
        json!({"ts": null}),
        json!({"ts": "soon"}),
        json!({"ts": 1_766_458_026.5}),
        json!({"thread_ts": 5}),
        json!({"thread_ts": "never"}),
        json!({"channel": "C/1"}),
        json!({"channel": "C\u{1}1"}),
        json!({"user": ["U1"]}),
    ] {
        assert_eq!(dropped(&mention(&fields)), "malformed_event", "{fields}");
    }
    let mut body = mention(&json!({}));
    body["authorizations"][0]["team_id"] = json!("T 1");
    assert_eq!(dropped(&body), "malformed_event");
}
