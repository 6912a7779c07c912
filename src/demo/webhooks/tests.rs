use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use secrecy::SecretString;
use serde_json::Value;

use super::*;
use crate::channel::signature::Unverified;
use crate::channel::{Channel, Endpoint, Received, Rejection, WebhookRequest, registry};
use crate::config;
use crate::domain::SystemClock;
use crate::domain::installation::memory::Memory;
use crate::domain::message::{Arrival, Fate, Inbound, Opens, Treatment};

const SETTINGS: &str = r#"
[slack]
signing_secret = "slack-secret"
bot_token = "xoxb-1"
[whatsapp]
app_secret = "meta-secret"
verify_token = "word"
"#;

fn channel(name: &str) -> Arc<dyn Channel> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = config::parse("test", SETTINGS, []).unwrap();
    let needs = registry::Needs {
        texts: &settings.messages,
        clock: Arc::new(SystemClock),
        public_url: None,
        installations: Arc::new(Memory::default()),
        families: Arc::new(Memory::default()),
    };
    let channels = registry::channels(&settings.channels, &needs).unwrap();
    channels
        .into_iter()
        .find(|channel| channel.name() == name)
        .unwrap()
}

/// What the channel itself makes of a webhook.
fn received(name: &str, signed: Signed) -> Result<Received, Rejection> {
    let headers: HeaderMap = signed
        .headers
        .into_iter()
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();
    channel(name).receive(WebhookRequest {
        endpoint: Endpoint {
            method: Method::POST,
            path: signed.path,
        },
        query: None,
        sealed: Unverified::new(headers, Bytes::from(signed.body)),
    })
}

fn slack_event(event: &Value) -> Received {
    let secret = SecretString::from("slack-secret");
    received("slack", slack::sign(&secret, event.to_string().into_bytes())).unwrap()
}

fn whatsapp(webhook: &Value) -> Received {
    let secret = SecretString::from("meta-secret");
    received("whatsapp", whatsapp::sign(&secret, whatsapp::bytes(webhook))).unwrap()
}

fn message(received: Received) -> Inbound {
    assert!(received.dropped.is_empty(), "{received:?}");
    match received.arrivals.into_iter().next() {
        Some(Arrival::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn events(channel: &str, thread: Option<&str>) -> Vec<Value> {
    let installation = slack::Installation {
        team: "T1".to_owned(),
        bot: "U0BOT".to_owned(),
    };
    let message = slack::Message {
        channel,
        user: "U1",
        thread,
        text: "When are you open?",
    };
    slack::events(&installation, &message)
}

#[test]
fn a_mention_is_read_and_its_twin_is_left() {
    let events = events("C1", None);
    let mention = message(slack_event(&events[0]));
    assert_eq!(mention.text, "When are you open?");
    assert_eq!(
        (mention.opens, mention.treatment),
        (Opens::Thread, Treatment::Ask)
    );
    assert_eq!(slack_event(&events[1]).dropped, ["left_to_mention"]);
}

#[test]
fn replies_and_direct_messages_are_read() {
    let reply = message(slack_event(&events("C1", Some("1766458026.240809"))[0]));
    assert_eq!(reply.opens, Opens::Nothing);
    assert_eq!(reply.address.as_str(), "slack/T1/C1/1766458026.240809");
    let direct = message(slack_event(&events("D1", None)[0]));
    assert_eq!(direct.address.as_str(), "slack/T1/D1");
}

fn number() -> whatsapp::Number {
    whatsapp::Number {
        id: "100".to_owned(),
        display: "15550100100".to_owned(),
    }
}

#[test]
fn a_text_is_read_with_and_without_a_phone_number() {
    let by_phone = whatsapp::Person {
        name: "Zoë".to_owned(),
        phone: Some("15550100142".to_owned()),
        user_id: None,
    };
    let inbound = message(whatsapp(&whatsapp::text(
        &number(),
        &by_phone,
        "Öffnet ihr? 🙂 a/b",
    )));
    assert_eq!(inbound.text, "Öffnet ihr? 🙂 a/b");
    assert_eq!(inbound.address.as_str(), "whatsapp/100/15550100142");
    let by_id = whatsapp::Person {
        phone: None,
        user_id: Some("NO.7fQ2".to_owned()),
        ..by_phone
    };
    let inbound = message(whatsapp(&whatsapp::text(&number(), &by_id, "Hi")));
    assert_eq!(inbound.address.as_str(), "whatsapp/100/NO.7fQ2");
}

#[test]
fn a_status_is_read_as_what_became_of_a_message() {
    let sent = whatsapp::Sent {
        wamid: "wamid.1".to_owned(),
        to: Some("15550100142".to_owned()),
        recipient: None,
        opaque: None,
    };
    let received = whatsapp(&whatsapp::status(&number(), &sent, "delivered"));
    match &received.arrivals[..] {
        [Arrival::Receipt(receipt)] => {
            assert_eq!(
                (&receipt.fate, receipt.platform_id.as_str()),
                (&Fate::Delivered, "wamid.1")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn meta_writes_ascii_only() {
    let bytes = whatsapp::bytes(&Value::from("ä/🙂@"));
    assert_eq!(bytes, br#""\u00e4\/\ud83d\ude42@""#);
}

#[test]
fn another_secret_is_refused() {
    let secret = SecretString::from("guessed");
    let body = events("D1", None)[0].to_string().into_bytes();
    assert!(received("slack", slack::sign(&secret, body.clone())).is_err());
    assert!(received("whatsapp", whatsapp::sign(&secret, body)).is_err());
}
