//! Whatever is signed, however odd: an answer, never a panic.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::channel::json::sprinkled;

/// Any JSON, biased towards what Slack's fields hold.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
        "[<>@#!|^&;:.a-zUTCD0-9\0/]{0,20}".prop_map(|value| json!(value)),
        prop::sample::select(vec![
            "message",
            "app_mention",
            "im",
            "",
            "T1",
            "D1",
            "1.5",
            "bot_message",
            "USLACK"
        ])
        .prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,10}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn seeds() -> Vec<Value> {
    let thread = "1766450000.000100";
    vec![
        mention(&json!({})),
        message(&json!({"thread_ts": thread, "subtype": "thread_broadcast", "root": {"ts": thread}})),
        message(
            &json!({"channel": "D1", "channel_type": "im", "files": [{"id": "F1"}], "text": "<@U2|x> &lt;"}),
        ),
        envelope(&json!({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": ["U1"]}})),
        json!({"type": "url_verification", "challenge": "c", "token": "x"}),
        json!({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1}),
    ]
}

/// The paths of all values.
fn paths(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, child)| (index.to_string(), child))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        found.extend(paths(child).iter().map(|path| format!("/{key}{path}")));
    }
    found
}

/// Whatever comes out is fit to be stored.
fn check(outcome: Result<Received, Rejection>) {
    match outcome {
        Err(rejection) => assert!(matches!(rejection, Rejection::Malformed { .. }), "{rejection:?}"),
        Ok(received) => {
            for arrival in received.arrivals {
                let Arrival::Message(message) = arrival else {
                    panic!("{arrival:?}")
                };
                assert!(!message.keys.is_empty() && !message.identifiers.is_empty());
                assert!(message.address.as_str().starts_with("slack/"));
                assert!(!message.text.contains('\0') && !message.platform_id.is_empty());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_value_in_any_place(seed in any::<Index>(), changes in prop::collection::vec((any::<Index>(), any_json()), 1..4)) {
        let slack = slack(|_| {});
        let mut body = seed.get(&seeds()).clone();
        for (place, value) in changes {
            let path = place.get(&paths(&body)).clone();
            *body.pointer_mut(&path).unwrap() = value;
        }
        check(post(&slack, body.to_string().as_bytes()));
        // The next good message works.
        let next = outcome(&slack, &mention(&json!({})));
        prop_assert!(next.is_ok());
    }

    #[test]
    fn any_byte_in_any_place(seed in any::<Index>(), cut in any::<Index>(), flips in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4)) {
        let mut body = seed.get(&seeds()).to_string().into_bytes();
        for (place, byte) in flips {
            let at = place.index(body.len());
            body[at] = byte;
        }
        let slack = slack(|_| {});
        check(post(&slack, &body));
        body.truncate(cut.index(body.len()));
        check(post(&slack, &body));
    }
}

#[test]
fn recorded_webhooks_cut_short_are_malformed() {
    let Some(files) = recorded() else {
        println!("skipped: there is no folder of recorded webhooks");
        return;
    };
    let slack = slack(|_| {});
    for (name, body) in files {
        for cut in (0..body.len() - 1).step_by(37) {
            let rejection = post(&slack, &body[..cut]).unwrap_err();
            assert!(
                matches!(rejection, Rejection::Malformed { .. }),
                "{name} cut at {cut}"
            );
        }
    }
}

/// A database takes no NUL, and nobody means one: whatever holds it reads as if it held none, in words, ids and keys.
#[test]
fn a_nul_anywhere_is_as_good_as_none() {
    let slack = slack(|settings| settings.feedback = true);
    let mut bodies = seeds();
    let edited = json!({"edited": {"user": "U1", "ts": "1766458029.000000"}});
    bodies.push(mention(&edited));
    bodies.extend(
        recorded()
            .into_iter()
            .flatten()
            .filter_map(|(_, body)| serde_json::from_slice(&body).ok()),
    );
    let read = |body: &Value| format!("{:?}", post(&slack, body.to_string().as_bytes()));
    for body in bodies {
        let received = read(&sprinkled(&body));
        assert!(!received.contains("\\0"), "{received}");
        assert_eq!(received, read(&body), "{body}");
    }
    let fields = [
        ("team_id", "T1"),
        ("channel_id", "C1"),
        ("user_id", "U1"),
        ("command", "/ask"),
        ("text", "where is it?"),
        ("response_url", "https://hooks.slack.com/commands/T1/1/x"),
        ("trigger_id", "1.2.x"),
    ];
    let payload = json!({"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "channel": {"id": "C1"},
        "trigger_id": "1.2.x", "actions": [{"action_id": "feedback", "value": "x", "action_ts": "1.2"}]});
    for text in ["where is it?", "reset", "help"] {
        let mut forms = [String::new(), String::new()];
        for (name, value) in fields {
            let value = if name == "text" { text } else { value };
            let value = value
                .replace('/', "%2F")
                .replace(' ', "+")
                .replace('?', "%3F")
                .replace(':', "%3A");
            forms[0].push_str(&[name, "=", &value, "&"].concat());
            forms[1].push_str(&[name, "=%00", &value, "%00&"].concat());
        }
        let [plain, with] =
            forms.map(|form| format!("{:?}", post_to(&slack, super::super::COMMANDS, form.as_bytes())));
        assert!(!with.contains("\\0") && !plain.contains("arrivals: []"), "{with}");
        assert_eq!(with, plain);
    }
    let pressed = |payload: &Value| {
        let mut form = reqwest::Url::parse("http://form.invalid/").unwrap();
        form.query_pairs_mut()
            .append_pair("payload", &payload.to_string());
        let body = form.query().unwrap().to_owned();
        format!(
            "{:?}",
            post_to(&slack, super::super::INTERACTIVITY, body.as_bytes())
        )
    };
    assert_eq!(pressed(&sprinkled(&payload)), pressed(&payload));
}
