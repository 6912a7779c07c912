//! Second opinions: `slack_sdk`, Slack's own library for Python, and pywa, one for WhatsApp, on what we sign, send and
//! read.
//!
//! `tests/run` installs both and names their interpreter in `CHATBRIDGE_SECOND_OPINION`. Without one these tests say
//! that they were skipped.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use chatbridge::channel::signature::{Unverified, sign};
use chatbridge::channel::{Channel, WebhookRequest, whatsapp};
use chatbridge::domain::message::{Arrival, Fate, Treatment};
use chatbridge::domain::{Clock, SystemClock};
use http::{HeaderMap, Method};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::fixtures::recorded;
use crate::harness::{
    APP_SECRET, Fault, SIGNING_SECRET, SlackEvent, VERIFY_TOKEN, World, unix_now, whatsapp_signature,
};

/// Asks a script of `tests/second-opinion`; it must agree. False where there is no interpreter to ask.
#[track_caller]
fn agrees(script: &str, mode: &[&str], question: &Value) -> bool {
    let Some(python) = std::env::var_os("CHATBRIDGE_SECOND_OPINION") else {
        println!("skipped: CHATBRIDGE_SECOND_OPINION names no Python that has the libraries");
        return false;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/second-opinion")
        .join(script);
    let mut command = Command::new(python);
    for (name, _) in std::env::vars() {
        if name.to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    let mut child = command
        .arg(script)
        .args(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "the second opinion differs:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn slack_sdk_agrees_with_our_signatures() {
    let timestamp = unix_now().to_string();
    let bodies = [
        "",
        "{}",
        r#"{"type":"event_callback","text":"ä € 😀 \u00e4 \/ <@U1>"}"#,
        "token=a+b%20c&text=%C3%A4&response_url=https%3A%2F%2Fhooks.slack.com%2F",
        " \n\t\"\\ ",
    ];
    let vectors: Vec<Value> = bodies
        .iter()
        .flat_map(|body| {
            [SIGNING_SECRET, "8f742231b10e8888abcd99yyyzzz85a5", "ä 😀"].map(|secret| (body, secret))
        })
        .map(|(body, secret)| {
            let key = SecretString::from(secret);
            let parts: [&[u8]; 4] = [b"v0:", timestamp.as_bytes(), b":", body.as_bytes()];
            json!({"secret": secret, "timestamp": timestamp, "body": body,
                "signature": format!("v0={}", sign(&key, &parts))})
        })
        .collect();
    agrees("slack_sdk_check.py", &["signatures"], &json!(vectors));
}

#[test]
fn slack_sdk_sends_events_and_would_make_the_calls_that_answer_them() {
    let world = World::start();
    let mention = SlackEvent::mention("C0SDK", "hello channel");
    // One answer gets lost on the way, so that it is looked for.
    world.slack.fault("chat.postMessage", 1, Fault::ActThenClose);
    let url = format!("{}/slack/events", world.daemon().public());
    let send = |events: &[&Value]| {
        let order = json!({"url": url, "secret": SIGNING_SECRET, "events": events});
        agrees("slack_sdk_check.py", &["send"], &order)
    };
    if !send(&[&mention.0]) {
        return;
    }
    // The reply waits for the first answer: a burst would be one turn.
    world.slack.wait_posts(1);
    let reply = SlackEvent::message("C0SDK", "hello thread").in_thread(&mention.ts());
    let direct = SlackEvent::dm("D0SDK", "hello *direct* <http://example.com|link> & more");
    send(&[&reply.0, &direct.0]);
    world.slack.wait_posts(3);
    world.wait_idle();
    let header = |call: &crate::harness::Call, name: &str| {
        let value = call.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let calls: Vec<Value> = world
        .slack
        .calls()
        .iter()
        .map(|call| {
            json!({"method": call.kind, "path": call.path, "query": call.query,
                "body": String::from_utf8_lossy(&call.body), "content_type": header(call, "content-type"),
                "authorization": header(call, "authorization")})
        })
        .collect();
    for method in ["auth.test", "chat.postMessage", "conversations.replies"] {
        assert!(
            calls.iter().any(|call| call["method"] == method),
            "{method}: {calls:#?}"
        );
    }
    agrees("slack_sdk_check.py", &["calls"], &json!(calls));
}

/// The channel as a daemon has it, with nothing but what it must be given.
fn whatsapp_channel() -> Arc<dyn Channel> {
    let secrets = format!(
        "[whatsapp]\napp_secret = \"{APP_SECRET}\"\nverify_token = \"{VERIFY_TOKEN}\"\naccess_token = \"t\"\n\
         [agent]\nagent_id = \"a\"\n"
    );
    let settings = chatbridge::config::parse("test", &secrets, []).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    whatsapp::channel(
        settings.channels.whatsapp.unwrap(),
        &settings.messages,
        clock,
        None,
    )
    .unwrap()
}

/// How we read a webhook.
fn reading(channel: &Arc<dyn Channel>, body: &str) -> Vec<Value> {
    let mut headers = HeaderMap::new();
    let signature = whatsapp_signature(APP_SECRET, body.as_bytes());
    headers.insert("x-hub-signature-256", signature.parse().unwrap());
    let post = |endpoint: &chatbridge::channel::Endpoint| endpoint.method == Method::POST;
    let request = WebhookRequest {
        endpoint: channel.endpoints().into_iter().find(post).unwrap(),
        query: None,
        sealed: Unverified::new(headers, Bytes::copy_from_slice(body.as_bytes())),
    };
    let received = channel.receive(request).unwrap();
    received.arrivals.iter().map(told).collect()
}

fn told(arrival: &Arrival) -> Value {
    // The last part of `whatsapp/NUMBER/NAME`.
    let names = |identifiers: &[chatbridge::domain::identity::Identifier]| -> Vec<String> {
        identifiers
            .iter()
            .filter_map(|identifier| identifier.alias.as_str().rsplit('/').next())
            .map(str::to_owned)
            .collect()
    };
    if let Arrival::Message(message) = arrival {
        let reason = if let Treatment::Ignore { reason, .. } = &message.treatment {
            Some(*reason)
        } else {
            None
        };
        json!({"what": "message", "id": message.platform_id, "account": message.account.account(),
            "names": names(&message.identifiers), "asked": reason.is_none(), "reason": reason, "text": message.text})
    } else if let Arrival::Receipt(receipt) = arrival {
        let code = match &receipt.fate {
            Fate::Failed { code, .. } => Some(code),
            _ => None,
        };
        json!({"what": "status", "id": receipt.platform_id, "fate": receipt.fate.stage().1, "code": code})
    } else if let Arrival::Identity(change) = arrival {
        json!({"what": "change", "id": null, "old": names(&change.old), "new": names(&change.new)})
    } else {
        json!({"what": "something else", "id": null})
    }
}

#[test]
fn pywa_reads_the_recorded_webhooks_as_we_do() {
    let Some(fixtures) = recorded("whatsapp") else {
        return;
    };
    let channel = whatsapp_channel();
    let question: Vec<Value> = fixtures
        .iter()
        .map(|(name, body)| {
            let body = body.to_string();
            json!({"name": name, "ours": reading(&channel, &body), "body": body})
        })
        .collect();
    agrees("pywa_check.py", &[], &json!(question));
}

/// The manifests for Kubernetes and Compose have only fields that there are, and name only what is there.
#[test]
fn the_manifests_of_deploy_name_what_there_is() {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy");
    agrees("deployment_check.py", &[deploy.to_str().unwrap()], &json!(null));
}
