//! Webhooks with something wrong anywhere in them: never a panic, never a message of nobody.

use proptest::prelude::*;

use super::webhooks::{inbound, message};
use super::*;
use crate::channel::json::sprinkled;
use crate::domain::message::Arrival;

/// A webhook with one item of every sort.
fn everything() -> Value {
    webhook(&json!({
        "contacts": [{"profile": {"name": "Ann"}, "wa_id": "16505551234", "user_id": "US.1"}],
        "messages": [
            message("1", "Hi"),
            {"id": "2", "from": "16505551234", "type": "interactive", "timestamp": 1_790_812_700,
                "interactive": {"type": "list_reply", "list_reply": {"id": "r", "title": "Row"}}},
            {"id": "3", "from_user_id": "US.2", "type": "image", "image": {"id": "9", "caption": "?"}},
            {"id": "4", "from": "16505551234", "type": "system", "system": {"type": "user_changed_number",
                "body": "User changed from US.1 to US.3", "wa_id": "12195555358"}},
        ],
        "statuses": [{"id": "5", "status": "failed", "errors": [{"code": 131_047, "title": "t",
            "error_data": {"details": "d"}}], "pricing": {"billable": true}}],
        "errors": [{"code": 1}],
    }))
}

/// Replaces the `nth` value inside `value`, counted from the outside, by another.
fn replace(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth == 0 {
        *value = with.clone();
        *nth = usize::MAX;
        return;
    }
    *nth -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| step(item, nth, with)),
        Value::Object(fields) => fields.values_mut().for_each(|item| step(item, nth, with)),
        _ => {}
    }
}

fn step(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth != usize::MAX {
        replace(value, nth, with);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 1, "x", {"id": "y"}])),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[A-Z]{2}\\.[0-9]{1,5}|[0-9]{5,12}|sent|system|text|9{20}".prop_map(Value::from),
    ]
}

/// A database takes no NUL, and nobody means one: whatever holds it reads as if it held none, in words, ids and keys.
#[test]
fn a_nul_anywhere_is_as_good_as_none() {
    let (channel, _) = build(settings());
    let read = |body: &Value| format!("{:?}", post(&*channel, body.to_string().as_bytes()));
    let flow = json!({"id": "6", "from": "16505551234", "type": "interactive", "timestamp": "1790812700",
        "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow",
            "response_json": "{\"size\\u0000\":\"4\\u00002\"}"}}});
    for body in [everything(), webhook(&json!({"messages": [flow]}))] {
        let received = read(&sprinkled(&body));
        assert!(
            received.contains("Message(") && !received.contains("\\0"),
            "{received}"
        );
        assert_eq!(received, read(&body));
    }
}

proptest! {
    #[test]
    fn wrong_types_anywhere_never_harm(nth in prop::collection::vec((0usize..90, any_value()), 1..4)) {
        let mut body = everything();
        for (mut nth, with) in nth {
            replace(&mut body, &mut nth, &with);
        }
        let (channel, _) = build(settings());
        let received = post(&*channel, body.to_string().as_bytes()).unwrap();
        prop_assert!(received.arrivals.len() <= 5);
        for message in inbound(&received) {
            prop_assert!(!message.identifiers.is_empty() && !message.keys.is_empty());
            prop_assert!(message.route.get("to").or(message.route.get("recipient")).is_some());
        }
    }

    #[test]
    fn what_is_wrong_in_one_item_costs_no_other(
        item in 0usize..6,
        nth in prop::collection::vec((0usize..20, any_value()), 1..4),
    ) {
        let mut body = everything();
        let value = &mut body["entry"][0]["changes"][0]["value"];
        let item = match item {
            4 => &mut value["statuses"][0],
            5 => &mut value["errors"][0],
            message => &mut value["messages"][message],
        };
        let whole = item["id"].clone();
        for (mut nth, with) in nth {
            replace(item, &mut nth, &with);
        }
        let (channel, _) = build(settings());
        let received = post(&*channel, body.to_string().as_bytes()).unwrap();
        let ids: Vec<_> = inbound(&received).iter().map(|message| message.platform_id.clone()).collect();
        for id in ["1", "2", "3"] {
            prop_assert!(whole == id || ids.iter().any(|other| other == id), "{id} is lost: {received:?}");
        }
        let told = |told: fn(&Arrival) -> bool| received.arrivals.iter().any(told);
        prop_assert!(whole == "4" || told(|arrival| matches!(arrival, Arrival::Identity(_))));
        prop_assert!(whole == "5" || told(|arrival| matches!(arrival, Arrival::Receipt(_))));
    }

    #[test]
    fn bytes_changed_anywhere_never_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut body = everything().to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if !whole {
            body.truncate(cut.index(body.len()));
        }
        let (channel, _) = build(settings());
        match post(&*channel, &body) {
            Ok(_) | Err(Rejection::Malformed { .. }) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
