//! The channel as the rest of the crate meets it.

mod fixtures;
mod mutations;
mod sending;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Number, Settings, WEBHOOK, channel};
use crate::channel::signature::{Unverified, sign};
use crate::channel::{Channel, Endpoint, Received, Rejection, UnknownPolicy, WebhookRequest};
use crate::domain::Time;
use crate::domain::clock::ManualClock;
use crate::domain::texts::Texts;

/// The present in these tests: 2026-10-01.
const NOW: Time = Time::from_secs(1_790_812_800);

const SECRET: &str = "app secret";

fn settings() -> Settings {
    Settings {
        app_secret: vec![SecretString::from(SECRET)],
        verify_token: SecretString::from("verify me"),
        access_token: Some(SecretString::from("system user's token")),
        phone_number_ids: Vec::new(),
        api_base: "http://127.0.0.1:9/".to_owned(),
        api_version: "v26.0".to_owned(),
        turn_wait: None,
        reconcile_wait: Duration::from_secs(30),
        unknown: UnknownPolicy::Resend,
        echo_pause: Duration::from_mins(30),
        window_template: None,
        numbers: Vec::<Number>::new(),
    }
}

fn build_with(settings: Settings, only_text: &str) -> (Arc<dyn Channel>, Arc<ManualClock>) {
    // The daemon's main does this; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let texts = Texts {
        unavailable: String::new(),
        only_text: only_text.to_owned(),
        too_old: String::new(),
        file_not_read: only_text.to_owned(),
        person_called: String::new(),
        forgotten: String::new(),
        stopped: "stopped & done".to_owned(),
        thinking: "thinks & thinks".to_owned(),
        suggestions: "Ask:".to_owned(),
        help: String::new(),
        helpful: String::new(),
        not_helpful: String::new(),
        call_person: String::new(),
    };
    let clock = Arc::new(ManualClock::at(NOW));
    (channel(settings, &texts, clock.clone(), None).unwrap(), clock)
}

fn build(settings: Settings) -> (Arc<dyn Channel>, Arc<ManualClock>) {
    build_with(settings, "Only text, please.")
}

fn request(method: Method, query: Option<&str>, headers: HeaderMap, body: &[u8]) -> WebhookRequest {
    WebhookRequest {
        endpoint: Endpoint {
            method,
            path: WEBHOOK,
        },
        query: query.map(str::to_owned),
        sealed: Unverified::new(headers, Bytes::copy_from_slice(body)),
    }
}

/// Posts a body as Meta does.
fn post(channel: &dyn Channel, body: &[u8]) -> Result<Received, Rejection> {
    let signature = sign(&SecretString::from(SECRET), &[body]);
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-hub-signature-256",
        format!("sha256={signature}").parse().unwrap(),
    );
    channel.receive(request(Method::POST, None, headers, body))
}

/// A webhook of one change, for the number `100`.
fn webhook(value: &Value) -> Value {
    let mut value = value.clone();
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({"display_phone_number": "15550001111", "phone_number_id": "100"});
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
}

/// What the channel makes of such a webhook.
fn received(value: &Value) -> Received {
    let (channel, _) = build(settings());
    post(&*channel, webhook(value).to_string().as_bytes()).unwrap()
}
