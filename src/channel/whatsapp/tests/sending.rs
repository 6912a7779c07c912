//! Parts out, against a stub of the Graph API.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::channel::{LookUp, Scope, SendDisposition, SendError, Sent};
use crate::domain::delivery::{DeliveryKind, SendClaim};
use crate::domain::message::Route;
use crate::domain::thread::Thread;
use crate::domain::turn::ClaimKey;
use crate::domain::{AccountKey, ClaimToken, DeliveryId, ThreadId};

/// What the stub was asked: path, authorization and body.
type Asked = (String, String, Value);

/// The Graph API, giving one answer to everything.
#[derive(Clone)]
struct Stub {
    answer: (StatusCode, String),
    asked: mpsc::UnboundedSender<Asked>,
}

async fn messages(
    State(stub): State<Stub>,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    stub.asked
        .send((uri.path().to_owned(), token.to_owned(), body))
        .unwrap();
    stub.answer.into_response()
}

/// Starts a stub; returns its address and what it is asked.
async fn graph(status: u16, body: &str) -> (String, mpsc::UnboundedReceiver<Asked>) {
    let (asked, questions) = mpsc::unbounded_channel();
    let stub = Stub {
        answer: (StatusCode::from_u16(status).unwrap(), body.to_owned()),
        asked,
    };
    let router = Router::new()
        .route("/{version}/{number}/messages", post(messages))
        .with_state(stub);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, questions)
}

fn claim(route: Route) -> SendClaim {
    let account = AccountKey::new("whatsapp", "100").unwrap();
    let thread = ThreadId::new();
    SendClaim {
        key: ClaimKey {
            thread,
            token: ClaimToken::new(),
            lane: account.as_str().into(),
        },
        thread: Thread {
            id: thread,
            place: None,
            address: account.alias(&["16505551234"]).unwrap(),
            account,
            conversation_id: None,
            route,
            country: None,
            last_inbound_at: NOW,
            answer_id: None,
        },
        delivery: DeliveryId::new(ThreadId::new(), 1),
        kind: DeliveryKind::Answer,
        body: "An answer.".to_owned(),
        last: true,
        attempt: 2,
        pauses: 0,
        unknown: false,
        asked_at: None,
        created_at: NOW,
        last_attempt_at: None,
    }
}

async fn send_to(api_base: &str, claim: &SendClaim) -> Result<Sent, SendError> {
    let (channel, _) = build(Settings {
        api_base: api_base.to_owned(),
        ..settings()
    });
    channel.send(claim).await
}

/// What becomes of a send that is answered like this.
async fn answered(status: u16, body: &str) -> Result<Sent, SendError> {
    let (address, _questions) = graph(status, body).await;
    send_to(&address, &claim(json!({"to": "16505551234"}))).await
}

const TAKEN: &str = r#"{"messaging_product":"whatsapp","contacts":[],"messages":[{"id":"wamid.OUT"}]}"#;

#[tokio::test]
async fn a_part_is_posted_to_the_latest_names_of_the_person() {
    for route in [
        json!({"to": "16505551234"}),
        json!({"recipient": "US.1"}),
        json!({"to": "16505551234", "recipient": "US.1"}),
    ] {
        let (address, mut questions) = graph(200, TAKEN).await;
        let claim = claim(route.clone());
        let sent = send_to(&address, &claim).await.unwrap();
        assert_eq!(sent.platform_id.as_deref(), Some("wamid.OUT"));

        let (path, token, body) = questions.recv().await.unwrap();
        assert_eq!(
            (path.as_str(), token.as_str()),
            ("/v26.0/100/messages", "Bearer system user's token")
        );
        let mut expected = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "type": "text",
            "text": {"body": "An answer.", "preview_url": false},
            "biz_opaque_callback_data": claim.delivery.to_string(),
        });
        for (name, value) in route.as_object().unwrap() {
            expected[name] = value.clone();
        }
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_number_may_have_a_token_of_its_own() {
    let (api_base, mut questions) = graph(200, TAKEN).await;
    let number = |id: &str, token: Option<&str>| Number {
        phone_number_id: id.to_owned(),
        access_token: token.map(SecretString::from),
        app_secret: Vec::new(),
        agent_id: None,
    };
    let numbers = vec![number("100", Some("its own")), number("200", None)];
    let (channel, _) = build(Settings {
        api_base,
        numbers,
        access_token: None,
        ..settings()
    });
    let mut claim = claim(json!({"to": "16505551234"}));
    channel.send(&claim).await.unwrap();
    assert_eq!(questions.recv().await.unwrap().1, "Bearer its own");

    claim.thread.account = AccountKey::new("whatsapp", "200").unwrap();
    let held = channel.send(&claim).await.unwrap_err();
    assert_eq!(
        (held.code.as_str(), held.disposition),
        ("no_access_token", SendDisposition::Hold)
    );
    assert!(held.message.contains("whatsapp.access_token"), "{held}");
    assert!(questions.try_recv().is_err(), "nothing is posted without a token");
}

#[tokio::test]
async fn a_thread_on_which_nobody_wrote_cannot_be_reached() {
    let (address, mut questions) = graph(200, TAKEN).await;
    let dead = send_to(&address, &claim(json!({}))).await.unwrap_err();
    assert_eq!(
        (dead.code.as_str(), dead.disposition),
        ("no_route", SendDisposition::Dead)
    );
    assert!(questions.try_recv().is_err());
}

#[tokio::test]
async fn refusals_are_judged_by_metas_code_whatever_the_status() {
    let error = |code: i64| {
        json!({"error": {"message": "(#1) title", "code": code, "error_data": {"details": "Details."}}})
            .to_string()
    };
    for (status, code, expected) in [
        (401, 190, SendDisposition::HoldAccess),
        (500, 131_042, SendDisposition::HoldFamily),
        (400, 131_047, SendDisposition::Dead),
        (200, 131_026, SendDisposition::Dead),
        (500, 131_000, SendDisposition::Unknown),
        (400, 131_000, SendDisposition::Retry { after: None }),
        (
            400,
            131_056,
            SendDisposition::Pause {
                scope: Scope::Thread,
                after: Duration::from_secs(1),
            },
        ),
    ] {
        let refused = answered(status, &error(code)).await.unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.disposition),
            (code.to_string().as_str(), expected)
        );
    }
    let refused = answered(400, &error(131_047)).await.unwrap_err();
    assert!(
        refused.message.contains("24 hours") && refused.message.contains("Details."),
        "{refused}"
    );
    let throttled = answered(400, &error(130_429)).await.unwrap_err().disposition;
    assert!(
        matches!(
            throttled,
            SendDisposition::Pause {
                scope: Scope::Account,
                ..
            }
        ),
        "{throttled:?}"
    );
}

#[tokio::test]
async fn an_answer_that_says_nothing_leaves_it_open_whether_the_part_was_sent() {
    for (status, body) in [
        (200, "<html>"),
        (200, ""),
        (200, r#"{"messages":[]}"#),
        (200, r#"{"messages":[{"id":""}]}"#),
        (200, &TAKEN[..40]),
        (502, "<html>Bad Gateway</html>"),
        (500, "{}"),
    ] {
        let open = answered(status, body).await.unwrap_err();
        assert_eq!(open.disposition, SendDisposition::Unknown, "{status} {body}");
    }
    let paused = answered(429, "slow down").await.unwrap_err().disposition;
    assert!(matches!(
        paused,
        SendDisposition::Pause {
            scope: Scope::Account,
            ..
        }
    ));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_leaves_it_open_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"mess")
            .await
            .unwrap();
    });
    let open = send_to(&address, &claim(json!({"to": "16505551234"})))
        .await
        .unwrap_err();
    assert_eq!(
        (open.code.as_str(), open.disposition),
        ("no_answer", SendDisposition::Unknown)
    );
    server.await.unwrap();
}

#[tokio::test]
async fn what_could_not_connect_was_certainly_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = send_to(&address, &claim(json!({"to": "16505551234"})))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.disposition),
        ("unreachable", SendDisposition::Retry { after: None })
    );
    assert!(
        !refused.message.contains("127.0.0.1") && !refused.message.contains("token"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_unknown_send_waits_for_its_status_and_then_goes_by_the_policy() {
    let (channel, clock) = build(Settings {
        unknown: UnknownPolicy::Park,
        ..settings()
    });
    let mut claim = claim(json!({"to": "16505551234"}));
    assert_eq!(
        channel.look_up(&claim).await,
        LookUp::Later(Duration::from_secs(30))
    );
    clock.advance(Duration::from_secs(20));
    assert_eq!(
        channel.look_up(&claim).await,
        LookUp::Later(Duration::from_secs(10))
    );
    claim.last_attempt_at = Some(NOW.plus(Duration::from_secs(15)));
    assert_eq!(
        channel.look_up(&claim).await,
        LookUp::Later(Duration::from_secs(25))
    );
    clock.advance(Duration::from_secs(25));
    assert_eq!(
        channel.look_up(&claim).await,
        LookUp::Unknowable(UnknownPolicy::Park)
    );
}

#[tokio::test]
async fn the_channel_says_what_it_is() {
    let (channel, _) = build(settings());
    assert_eq!(
        (channel.name(), channel.integration_type()),
        ("whatsapp", "WHATSAPP")
    );
    assert_eq!(channel.turn_wait(None), Duration::from_millis(1200));
    assert_eq!(channel.reply_window(), Some(Duration::from_hours(24)));
    let methods: Vec<Method> = channel
        .endpoints()
        .into_iter()
        .map(|endpoint| endpoint.method)
        .collect();
    assert_eq!(methods, [Method::GET, Method::POST]);
    assert_eq!(channel.render("*Hi*", &[]), ["\u{200c}*Hi*"]);

    let cancel = tokio_util::sync::CancellationToken::new();
    cancel.cancel();
    channel.run(cancel).await;
}
