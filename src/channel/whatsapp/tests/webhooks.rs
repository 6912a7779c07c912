//! Webhooks in, arrivals out.

use super::*;
use crate::channel::Acknowledgement;
use crate::domain::identity::Strength;
use crate::domain::message::{Arrival, Fate, Inbound, Opens, Treatment};
use crate::domain::{AccountKey, DeliveryId};

pub(super) fn message(id: &str, text: &str) -> Value {
    json!({"id": id, "from": "16505551234", "from_user_id": "US.1", "timestamp": "1790812700",
        "type": "text", "text": {"body": text}})
}

pub(super) fn inbound(received: &Received) -> Vec<&Inbound> {
    received
        .arrivals
        .iter()
        .filter_map(|arrival| match arrival {
            Arrival::Message(inbound) => Some(inbound),
            _ => None,
        })
        .collect()
}

#[test]
fn the_handshake_is_answered_without_any_signature() {
    let (channel, _) = build(settings());
    let ask = |query| channel.receive(request(Method::GET, Some(query), HeaderMap::new(), b""));
    let received = ask("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify%20me").unwrap();
    assert_eq!(received.answer, Acknowledgement::Text("1158201444".to_owned()));
    assert!(received.arrivals.is_empty() && received.dropped.is_empty());
    let refused = ask("hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong");
    assert!(matches!(refused, Err(Rejection::Forbidden { .. })));
}

#[test]
fn nothing_unsigned_is_read() {
    let (channel, _) = build(settings());
    let refused = channel.receive(request(Method::POST, None, HeaderMap::new(), b"{}"));
    assert!(matches!(
        refused,
        Err(Rejection::Unauthenticated {
            code: "signature_missing",
            ..
        })
    ));
    // An empty secret is none: anyone can sign with it.
    let (open, _) = build(Settings {
        app_secret: vec![SecretString::from("")],
        ..settings()
    });
    let mut headers = HeaderMap::new();
    let signature = format!("sha256={}", sign(&SecretString::from(""), &[b"{}"]));
    headers.insert("x-hub-signature-256", signature.parse().unwrap());
    let refused = open.receive(request(Method::POST, None, headers, b"{}"));
    assert!(matches!(
        refused,
        Err(Rejection::Unauthenticated {
            code: "signature_invalid",
            ..
        })
    ));
}

#[test]
fn what_is_signed_but_not_json_is_malformed() {
    let (channel, _) = build(settings());
    for body in ["", "{", "<html>", "{\"object\":"] {
        assert!(
            matches!(post(&*channel, body.as_bytes()), Err(Rejection::Malformed { .. })),
            "{body}"
        );
    }
    let endless = "[".repeat(200_000);
    assert!(matches!(
        post(&*channel, endless.as_bytes()),
        Err(Rejection::Malformed { .. })
    ));
    // It is JSON, and nothing of ours.
    let deep = format!("{endless}1{}", "]".repeat(200_000));
    assert_eq!(
        post(&*channel, deep.as_bytes()).unwrap().dropped,
        ["other_object"]
    );
    assert!(matches!(
        post(&*channel, b"{\"a\":\"\xff\"}"),
        Err(Rejection::Malformed { .. })
    ));
}

#[test]
fn a_text_is_asked() {
    let received = received(&json!({"messages": [message("wamid.A/b=", "Hi")]}));
    assert!(received.dropped.is_empty());
    let [hi] = inbound(&received)[..] else {
        panic!("{received:?}")
    };
    assert_eq!((hi.text.as_str(), &hi.treatment), ("Hi", &Treatment::Ask));
    assert_eq!(hi.account.as_str(), "whatsapp/100");
    assert_eq!(hi.address.as_str(), "whatsapp/100/16505551234");
    assert_eq!(hi.route, json!({"to": "16505551234", "recipient": "US.1"}));
    assert_eq!(
        (hi.country.as_deref(), &hi.place, hi.opens),
        (Some("US"), &None, Opens::Thread)
    );
    assert_eq!(
        (hi.platform_id.as_str(), hi.sent_at.secs()),
        ("wamid.A/b=", 1_790_812_700)
    );
    let strengths: Vec<Strength> = hi.identifiers.iter().map(|id| id.strength).collect();
    assert_eq!(strengths, [Strength::Strong, Strength::Weak]);
    assert_eq!(hi.keys.len(), 1);
}

#[test]
fn a_second_delivery_has_the_same_key_and_another_number_another() {
    let key = |value: &Value| inbound(&received(value))[0].keys.clone();
    let first = key(&json!({"messages": [message("1", "Hi")]}));
    assert_eq!(first, key(&json!({"messages": [message("1", "Hi")]})));
    assert_ne!(first, key(&json!({"messages": [message("2", "Hi")]})));
}

#[test]
fn other_content_is_noticed_and_a_caption_asked() {
    let of_kind = |kind: &str, object: Value| {
        let mut message = message("1", "");
        message["type"] = kind.into();
        message[kind] = object;
        let received = received(&json!({"messages": [message]}));
        let inbound = inbound(&received)[0];
        (inbound.text.clone(), inbound.treatment.clone())
    };
    let noticed = |reason| {
        let notice = Some("Only text, please.".to_owned());
        (String::new(), Treatment::Ignore { reason, notice })
    };
    let silent = |reason| (String::new(), Treatment::Ignore { reason, notice: None });
    assert_eq!(of_kind("image", json!({"id": "9"})), noticed("image"));
    assert_eq!(
        of_kind("audio", json!({"id": "9", "voice": true})),
        noticed("audio")
    );
    assert_eq!(
        of_kind("location", json!({"latitude": 1.5, "longitude": 2})),
        ("Location: (1.5, 2)".to_owned(), Treatment::Ask)
    );
    assert_eq!(of_kind("contacts", json!([{"phones": []}])), noticed("contacts"));
    assert_eq!(
        of_kind("unsupported", json!({"type": "poll"})),
        noticed("unsupported")
    );
    assert_eq!(
        of_kind("reaction", json!({"message_id": "x", "emoji": "👍"})),
        silent("reaction")
    );
    assert_eq!(of_kind("hologram", json!({})), silent("unknown_type"));
    assert_eq!(of_kind("text", json!({"body": " \n "})), silent("empty"));
    assert_eq!(
        of_kind("image", json!({"id": "9", "caption": "This?"})),
        (
            "This?".to_owned(),
            Treatment::AskAndTell("Only text, please.".to_owned())
        )
    );
}

#[test]
fn no_notice_is_sent_where_its_text_is_empty() {
    let (channel, _) = build_with(settings(), " ");
    let body = webhook(&json!({"messages": [{"id": "1", "from": "16505551234", "type": "sticker"}]}));
    let received = post(&*channel, body.to_string().as_bytes()).unwrap();
    let expected = Treatment::Ignore {
        reason: "sticker",
        notice: None,
    };
    assert_eq!(inbound(&received)[0].treatment, expected);
}

#[test]
fn one_bad_item_never_drops_its_siblings() {
    let mut messages: Vec<Value> = (0..1000)
        .map(|n| message(&format!("wamid.{n}"), &n.to_string()))
        .collect();
    let broken = [
        json!(null),
        json!("text"),
        json!({}),
        json!({"id": 7, "type": "text", "from": "16505551234", "text": {"body": "x"}}),
        json!({"id": "x", "type": "text", "text": {"body": "x"}}),
        json!({"id": "x", "type": ["text"], "from": "16505551234"}),
        json!({"id": "x", "type": "text", "from": "16505551234", "text": null}),
        json!({"id": "x y", "type": "text", "from": "16505551234", "text": {"body": "x"}}),
        json!({"id": "x", "type": "system", "system": 1}),
    ];
    for (index, item) in broken.iter().enumerate() {
        messages[index * 100] = item.clone();
    }
    let received = received(&json!({"messages": messages,
        "statuses": [{"id": "wamid.S", "status": "sent"}, 5], "contacts": {"not": "a list"}}));
    assert_eq!(received.dropped, vec!["malformed_item"; broken.len() + 1]);
    let texts: Vec<&str> = inbound(&received)
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts.len(), 1000 - broken.len());
    assert!(
        texts.is_sorted_by_key(|text| text.parse::<u32>().unwrap()),
        "and their order stays"
    );
    assert_eq!(received.arrivals.len(), texts.len() + 1);
}

#[test]
fn every_entry_and_change_is_read_and_a_broken_one_left() {
    let one = webhook(&json!({"messages": [message("1", "one")]}));
    let mut entry = webhook(&json!({"messages": [message("2", "two")]}))["entry"][0].clone();
    let change = entry["changes"][0].clone();
    entry["changes"] = json!([null, {"field": "messages"}, {"field": "account_update", "value": {}}, change]);
    let body =
        json!({"object": "whatsapp_business_account", "entry": [7, one["entry"][0], {"changes": 1}, entry]});
    let (channel, _) = build(settings());
    let received = post(&*channel, body.to_string().as_bytes()).unwrap();
    assert_eq!(inbound(&received).len(), 2);
    let bad = "malformed_item";
    assert_eq!(received.dropped, [bad, bad, bad, bad, "other_field"]);
}

#[test]
fn what_is_not_for_us_is_dropped_with_its_reason() {
    let (channel, _) = build(Settings {
        phone_number_ids: vec!["200".to_owned()],
        ..settings()
    });
    let dropped = |body: &Value| {
        let received = post(&*channel, body.to_string().as_bytes()).unwrap();
        assert!(received.arrivals.is_empty());
        received.dropped
    };
    assert_eq!(
        dropped(&webhook(&json!({"messages": [message("1", "Hi")]}))),
        ["other_number"]
    );
    assert_eq!(dropped(&json!({"object": "page", "entry": []})), ["other_object"]);
    for body in [json!([]), json!(null), json!("x"), json!({})] {
        assert_eq!(dropped(&body), ["other_object"]);
    }
    for (field, reason) in [("standby", "standby"), ("user_preferences", "other_field")] {
        let mut body = webhook(&json!({}));
        body["entry"][0]["changes"][0]["field"] = field.into();
        assert_eq!(dropped(&body), [reason]);
    }
    let mut served = webhook(&json!({"messages": [message("1", "Hi")]}));
    served["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "200".into();
    assert_eq!(
        post(&*channel, served.to_string().as_bytes())
            .unwrap()
            .arrivals
            .len(),
        1
    );
}

#[test]
fn groups_system_words_and_errors_leave_no_trace() {
    let mut group = message("1", "Hi");
    group["group_id"] = "G".into();
    let system = json!({"id": "2", "type": "system", "system": {"type": "customer_identity_changed"}});
    let received = received(&json!({"messages": [group, system], "errors": [{"code": 130_429}]}));
    assert!(received.arrivals.is_empty());
    assert_eq!(received.dropped, ["group", "system", "account_error"]);
    assert_eq!(super::received(&json!({})).dropped, ["empty_change"]);
}

#[test]
fn a_change_of_names_is_no_message() {
    let received = received(
        &json!({"messages": [{"id": "wamid.T", "timestamp": "1790812700", "type": "system",
        "system": {"type": "user_changed_user_id", "previous_user_id": "IN.OLD", "user_id": "IN.NEW"}}]}),
    );
    let [Arrival::Identity(change)] = &received.arrivals[..] else {
        panic!("{received:?}")
    };
    assert_eq!(change.old[0].alias.as_str(), "whatsapp/100/IN.OLD");
    assert_eq!(change.new[0].alias.as_str(), "whatsapp/100/IN.NEW");
    assert_eq!(
        (change.address.as_str(), change.keys.len()),
        ("whatsapp/100/IN.NEW", 1)
    );
}

#[test]
fn statuses_become_receipts_of_the_right_delivery() {
    let delivery = DeliveryId::new(crate::domain::ThreadId::new(), 1);
    let received = received(&json!({"statuses": [
        {"id": "wamid.1", "status": "delivered", "timestamp": "1790812700", "recipient_id": "16505551234",
            "biz_opaque_callback_data": delivery.to_string(), "pricing": {"billable": false}},
        {"id": "wamid.2", "status": "deleted"},
    ]}));
    assert_eq!(received.dropped, ["other_status"]);
    let [Arrival::Receipt(receipt)] = &received.arrivals[..] else {
        panic!("{received:?}")
    };
    assert_eq!(
        (receipt.delivery, &receipt.fate),
        (Some(delivery), &Fate::Delivered)
    );
    assert_eq!(
        (receipt.at.secs(), receipt.billable),
        (1_790_812_700, Some(false))
    );
    assert_eq!(receipt.account.as_str(), "whatsapp/100");
}

#[test]
fn one_post_is_put_in_order_of_its_times() {
    let at = |id: &str, timestamp: Value| {
        let mut message = message(id, id);
        message["timestamp"] = timestamp;
        message
    };
    let received = received(&json!({"messages": [
        at("late", json!("1790812705")), at("a", json!("1790812700")), at("b", json!(1_790_812_700)),
        at("none", json!("soon")), at("future", json!("9999999999")), at("absurd", json!(12)),
    ]}));
    let order: Vec<(&str, Time)> = inbound(&received)
        .iter()
        .map(|m| (m.text.as_str(), m.sent_at))
        .collect();
    let ids: Vec<&str> = order.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, ["a", "b", "late", "none", "future", "absurd"]);
    assert!(
        order[3..].iter().all(|(_, at)| *at == NOW),
        "a time that cannot be is the present"
    );
}

#[test]
fn numbers_belong_together_by_their_account_and_until_it_is_known_by_their_token() {
    let (channel, _) = build(settings());
    let family = |number: &str| channel.family(&AccountKey::new("whatsapp", number).unwrap());
    let access = |number: &str| channel.access(&AccountKey::new("whatsapp", number).unwrap());
    assert_eq!(family("100"), family("200"));
    assert_eq!(family("100"), access("100"));
    let tell = |number: &str, account: Value| {
        let mut body = webhook(&json!({"messages": [message("1", "Hi")]}));
        body["entry"][0]["id"] = account;
        body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = number.into();
        post(&*channel, body.to_string().as_bytes()).unwrap();
    };
    tell("100", json!("7"));
    assert_ne!(family("100"), family("200"));
    tell("200", json!(7));
    assert_eq!(family("100"), family("200"));
    for nonsense in [json!("0"), json!(null), json!([]), json!("a/b"), json!("")] {
        tell("100", nonsense);
    }
    assert_eq!(family("100"), family("200"));
    tell("200", json!("8"));
    assert_ne!(family("100"), family("200"));
    assert_eq!(access("100"), access("200"), "the token stays the same");
}

#[test]
fn half_an_emoji_and_nul_characters_cost_nobody_a_message() {
    let (channel, _) = build(settings());
    let body = webhook(&json!({"messages": [message("1", "LONE"), message("2", "a\0b")]})).to_string();
    let received = post(&*channel, body.replace("LONE", "cut \\ud83d").as_bytes()).unwrap();
    let texts: Vec<&str> = inbound(&received)
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["cut \u{fffd}", "ab"]);
}
