//! Bad input that is signed: the answers of the contract, no harm, and the next good message works.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    APP_SECRET, Incoming, NUMBER, Person, Reply, SIGNING_SECRET, SlackEvent, World, slack_signature, webhook,
    whatsapp_signature,
};
use crate::webhooks::assert_error;

/// Bodies that are signed and no JSON.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let whole = SlackEvent::dm("D1", "broken").0.to_string().into_bytes();
    let half = whole[..whole.len() / 2].to_vec();
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut invalid = text.replace("broken", "@").into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'@').unwrap();
    invalid[at] = 0xFF;
    vec![
        ("empty", Vec::new()),
        ("words", b"payload".to_vec()),
        ("a form", b"payload=%7B%7D".to_vec()),
        ("cut off", half),
        ("twice", [whole.clone(), whole].concat()),
        ("invalid UTF-8", invalid),
        ("a bare NUL", b"{\"type\":\"\0\"}".to_vec()),
        ("only opening brackets", vec![b'['; 200_000]),
        ("only opening braces", br#"{"a":"#.repeat(100_000)),
        ("a bare NaN", b"{\"type\":NaN}".to_vec()),
    ]
}

#[test]
fn what_is_signed_and_no_json_is_400() {
    let world = World::start();
    for (case, body) in no_json() {
        let signature = slack_signature(SIGNING_SECRET, "0", &body);
        assert_error(&world.post_slack(&body).unwrap(), 400, &[&signature], case);
        let signature = whatsapp_signature(APP_SECRET, &body);
        assert_error(&world.post_whatsapp(&body).unwrap(), 400, &[&signature], case);
    }
    world.still_works("after nonsense");
}

/// JSON at the edge of what JSON is: no 5xx, and what comes next works.
#[test]
fn strange_but_signed_json_does_no_harm() {
    let world = World::start();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_event = format!(r#"{{"type":"event_callback","event":{deep}}}"#);
    let bodies = [
        "[]".to_owned(),
        "null".to_owned(),
        "7".to_owned(),
        r#""text""#.to_owned(),
        deep,
        deep_event,
        // Half of a surrogate pair is JSON by its grammar and no text.
        SlackEvent::dm("D1", "@").0.to_string().replace('@', "\\ud800"),
        webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "@")])
            .to_string()
            .replace('@', "\\udc00"),
        format!(
            r#"{{"type":"event_callback","event":{{"n":{}}}}}"#,
            "9".repeat(5000)
        ),
    ];
    for body in &bodies {
        let shown: String = body.chars().take(80).collect();
        for reply in [
            world.post_slack(body.as_bytes()),
            world.post_whatsapp(body.as_bytes()),
        ] {
            let status = reply.unwrap().status;
            assert_eq!(status, 200, "to {shown}");
        }
    }
    world.still_works("after strange things");
}

#[test]
fn what_is_not_for_us_is_200_and_counted() {
    let world = World::start();
    let unknown = SlackEvent::dm("D1", "unknown kind").with("type", "reaction_removed_by_a_ghost");
    world.slack(&unknown);
    world.slack(&SlackEvent::dm("D1", "unknown envelope").envelope("type", "brand_new"));
    let reply = world.post_slack(b"{}").unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    for body in [
        json!({}),
        json!({"object": "page", "entry": []}),
        json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
            {"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}}]}]}),
    ] {
        world.whatsapp(&body);
    }
    world.still_works("after foreign events");
    assert_eq!(world.agent.asks().len(), 2, "{:?}", world.agent.questions());
    let metrics = world.metrics();
    for (channel, least) in [("slack", 4.0), ("whatsapp", 4.0)] {
        let seen = metrics.sum("chatbridge_webhooks_total", &[("channel", channel)]);
        assert!(seen >= least, "{channel}: {metrics}");
    }
}

/// A NUL is a character like any other to JSON, and none to many databases.
#[test]
fn nul_characters_reach_the_agent_or_are_dropped_and_break_nothing() {
    let world = World::start();
    world.slack(&SlackEvent::dm("D1", "before\0after"));
    world.text(&Person::phone("15550001111"), "vorher\0nachher");
    world.agent.wait_ask("after");
    world.agent.wait_ask("nachher");
    world.slack.wait_post("after");
    world.meta.wait_sent("nachher");
}

/// Raw bodies as Meta writes them: escaped, and signed as escaped. Re-serialising would break the signature
/// (tawn33y/whatsapp-cloud-api#60, Secreto31126/whatsapp-api-js#290).
#[test]
fn the_signature_is_of_the_bytes_that_came() {
    let world = World::start();
    let body = webhook(NUMBER, &[Incoming::text(&Person::phone("15550001111"), "MARK")]).to_string();
    let body = body
        .replace("MARK", r"gr\u00fc\u00dfe \ud83d\ude2e \u0040home \/slash")
        .replace(',', " ,\n ");
    assert_eq!(world.post_whatsapp(body.as_bytes()).unwrap().status, 200);
    world.meta.wait_sent("echo: grüße 😮 @home /slash");
    // Twice the same key: the last one counts, or neither; nothing breaks.
    let twice = SlackEvent::dm("D1", "one")
        .0
        .to_string()
        .replacen('{', r#"{"type":"other","#, 1);
    assert_eq!(world.post_slack(twice.as_bytes()).unwrap().status, 200);
    world.still_works("after escapes");
}

/// Every field once with every wrong type, and once missing.
fn mutations(good: &Value) -> Vec<Value> {
    let wrong = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x y/\u{1f600}\u{0}"),
        json!([]),
        json!([[[]]]),
        json!({}),
        json!({"a": {"b": [1]}}),
        json!("9".repeat(400)),
    ];
    let mut paths = Vec::new();
    walk(good, String::new(), &mut paths);
    let mut all = Vec::new();
    for path in paths {
        for value in &wrong {
            let mut mutant = good.clone();
            *mutant.pointer_mut(&path).unwrap() = value.clone();
            all.push(mutant);
        }
        let (parent, key) = path.rsplit_once('/').unwrap();
        let mut mutant = good.clone();
        if let Some(Value::Object(fields)) = mutant.pointer_mut(parent) {
            fields.remove(key);
            all.push(mutant);
        }
    }
    all
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    if !path.is_empty() {
        paths.push(path.clone());
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| walk(inner, format!("{path}/{key}"), paths)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, inner)| walk(inner, format!("{path}/{at}"), paths));
        }
        _ => {}
    }
}

/// Sends everything from a few threads and expects 200 for all of it: it is signed, and it is an object.
fn all_acknowledged(bodies: &[Value], send: impl Fn(&[u8]) -> Result<Reply, String> + Sync) {
    let send = &send;
    thread::scope(|scope| {
        for share in bodies.chunks(bodies.len().div_ceil(6)) {
            scope.spawn(move || {
                for body in share {
                    let reply = send(body.to_string().as_bytes()).unwrap();
                    assert_eq!(reply.status, 200, "{reply:?} to {body}");
                }
            });
        }
    });
}

#[test]
fn wrong_types_in_every_field_of_a_slack_event_do_no_harm() {
    let world = World::start();
    let bodies = mutations(
        &SlackEvent::mention("C1", "mutant")
            .in_thread("1700000000.000100")
            .0,
    );
    assert!(bodies.len() > 200);
    all_acknowledged(&bodies, |body| world.post_slack(body));
    world.still_works("after mutants");
}

#[test]
fn wrong_types_in_every_field_of_a_whatsapp_webhook_do_no_harm() {
    let world = World::start();
    let person = Person::both("15550001111", "US.1349");
    let message = Incoming::text(&person, "mutant").with("context", json!({"from": "1", "id": "wamid.X"}));
    let mut bodies = mutations(&webhook(NUMBER, &[message]));
    let system = json!({"type": "user_changed_user_id", "body": "x", "previous_user_id": "US.1349", "user_id": "US.2"});
    bodies.extend(mutations(&webhook(
        NUMBER,
        &[Incoming::kind(&person, "system", system)],
    )));
    assert!(bodies.len() > 400);
    all_acknowledged(&bodies, |body| world.post_whatsapp(body));
    world.still_works("after mutants");
}

#[test]
fn a_thousand_messages_in_one_webhook_are_all_asked() {
    let world = World::start();
    let people: Vec<Person> = (0..250)
        .map(|n| Person::phone(&format!("1555100{n:04}")))
        .collect();
    let messages: Vec<Incoming> = (0..1000)
        .map(|n| Incoming::text(&people[n % 250], &format!("#{n:04}.")))
        .collect();
    world.whatsapp(&webhook(NUMBER, &messages));
    world.agent.wait("a thousand messages to be asked", |log| {
        let asked: String = log
            .iter()
            .filter_map(|call| call.json["question"].as_str())
            .collect();
        (0..1000)
            .all(|n| asked.contains(&format!("#{n:04}.")))
            .then_some(())
    });
    world.meta.wait("250 people to be answered", |log| {
        let numbers: std::collections::HashSet<_> = log
            .iter()
            .filter(|call| call.reply.is_some())
            .filter_map(|call| call.json["to"].as_str())
            .collect();
        (numbers.len() == 250).then_some(())
    });
}
