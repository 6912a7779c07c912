//! What is asked of Slack's Web API, and what its answers lead to.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::stub::{Stub, bearer, claim, in_thread, introduced};
use super::*;
use crate::channel::{LookUp, Scope, SendDisposition};

#[tokio::test]
async fn a_part_is_posted_in_its_thread_with_nothing_alive() {
    let (stub, slack) = introduced().await;
    let claim = in_thread();
    stub.answers(json!({"ok": true, "channel": "C1", "ts": "1766458031.000200"}));
    let sent = slack.send(&claim).await.unwrap();
    assert_eq!(sent.platform_id.as_deref(), Some("1766458031.000200"));
    let [call] = &stub.calls()[..] else {
        panic!("one call")
    };
    assert_eq!(
        (call.http_method.as_str(), call.method.as_str()),
        ("POST", "chat.postMessage")
    );
    assert_eq!(bearer(call), "Bearer xoxb-1");
    assert_eq!(call.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(
        call.body,
        json!({
            "channel": "C1", "thread_ts": "1.5", "text": "fish &amp; chips",
            "mrkdwn": false, "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false,
            "metadata": {
                "event_type": "chatbridge_delivery",
                "event_payload": {"delivery": claim.delivery.to_string()},
            },
        })
    );
}

#[tokio::test]
async fn a_direct_message_is_answered_at_its_top_level() {
    let (stub, slack) = introduced().await;
    stub.answers(json!({"ok": true, "ts": "2.5"}));
    slack.send(&claim("T1", json!({"channel": "D1"}))).await.unwrap();
    let body = &stub.calls()[0].body;
    assert_eq!((&body["channel"], body.get("thread_ts")), (&json!("D1"), None));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let pause = |secs| SendDisposition::Pause {
        scope: Scope::Account,
        after: Duration::from_secs(secs),
    };
    let refused = |code: &str| json!({"ok": false, "error": code});
    for (status, retry_after, body, code, disposition) in [
        (429, Some(30), refused("ratelimited"), "ratelimited", pause(30)),
        (429, None, json!(null), "ratelimited", pause(1)),
        (
            200,
            None,
            refused("internal_error"),
            "internal_error",
            SendDisposition::Unknown,
        ),
        (503, None, json!(null), "http_503", SendDisposition::Unknown),
        (
            200,
            None,
            json!({"fine": true}),
            "unreadable_answer",
            SendDisposition::Unknown,
        ),
        (
            200,
            None,
            refused("token_revoked"),
            "token_revoked",
            SendDisposition::Hold,
        ),
        (
            200,
            None,
            refused("is_archived"),
            "is_archived",
            SendDisposition::Dead,
        ),
        (
            404,
            None,
            json!(null),
            "http_404",
            SendDisposition::Retry { after: None },
        ),
    ] {
        // A pause that Slack asked for would hold up the next.
        let (stub, slack) = introduced().await;
        stub.answers_with(status, retry_after, body);
        let error = slack.send(&in_thread()).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.disposition), (code, disposition));
        slack.installations.let_go(&in_thread().thread.account);
        assert!(
            !error.message.contains("xoxb") && !error.message.contains("chips"),
            "{}",
            error.message
        );
    }
}

#[tokio::test]
async fn what_slack_objects_to_is_tried_bare_once() {
    let (stub, slack) = introduced().await;
    stub.answers(json!({"ok": false, "error": "metadata_too_large"}))
        .answers(json!({"ok": true, "ts": "2.5"}));
    assert!(slack.send(&in_thread()).await.is_ok());
    let calls = stub.calls();
    assert!(calls[0].body.get("metadata").is_some());
    assert_eq!(
        (calls[1].body.get("metadata"), &calls[1].body["text"]),
        (None, &json!("fish &amp; chips"))
    );
    assert_eq!(calls[1].body["thread_ts"], "1.5");

    let refused = json!({"ok": false, "error": "invalid_arguments"});
    stub.answers(refused.clone()).answers(refused);
    assert_eq!(
        slack.send(&in_thread()).await.unwrap_err().disposition,
        SendDisposition::Dead
    );
    assert_eq!(stub.calls().len(), 2);
}

fn target() -> super::super::deliver::Target {
    super::super::deliver::Target::from_route(&in_thread().thread.route).unwrap()
}

#[tokio::test]
async fn a_call_that_never_left_is_told_from_one_that_may_have_arrived() {
    let (_stub, slack) = introduced().await;
    let token = SecretString::from("xoxb-1");

    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let client = super::super::client::Client::new(&base).unwrap();
    let error = super::super::deliver::send(&client, &token, &target(), &in_thread(), None)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("unreachable", SendDisposition::Retry { after: None })
    );

    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", deaf.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = deaf.accept().await.unwrap();
        // It reads, and hangs up without a word.
        let _ = socket.read(&mut [0; 4096]).await;
    });
    let client = super::super::client::Client::new(&base).unwrap();
    let error = super::super::deliver::send(&client, &token, &target(), &in_thread(), None)
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("no_answer", SendDisposition::Unknown)
    );
    drop(slack);
}

#[tokio::test]
async fn until_slack_says_who_we_are_messages_are_taken_and_replies_wait() {
    let stub = Stub::start().await;
    let slack = slack(|settings| settings.api_base = stub.base.clone());
    assert_eq!(slack.installations.load().await, Ok(0));
    let mut elsewhere = mention(&json!({}));
    elsewhere["authorizations"][0]["team_id"] = json!("T2");
    assert!(outcome(&slack, &elsewhere).is_ok());
    let error = slack.send(&in_thread()).await.unwrap_err();
    assert!(
        matches!(error.disposition, SendDisposition::Pause { .. }),
        "{error:?}"
    );
    assert_eq!(
        slack.look_up(&in_thread()).await,
        LookUp::Later(Duration::from_secs(5))
    );
    assert!(stub.calls().is_empty());

    stub.answers_with(503, None, json!(null))
        .answers_with(429, Some(40), json!(null))
        .introduces();
    let learn = |failures| slack.installations.fixed.learn(&slack.client, failures);
    assert_eq!(learn(0).await, Some(Duration::from_millis(500)));
    assert_eq!(learn(1).await, Some(Duration::from_secs(40)));
    assert_eq!(learn(2).await, None);
    assert_eq!(outcome(&slack, &elsewhere).unwrap_err(), "not_installed");
    assert!(outcome(&slack, &mention(&json!({}))).is_ok());
}

#[tokio::test]
async fn a_refused_token_holds_the_replies_and_is_tried_again() {
    let stub = Stub::start().await;
    let slack = slack(|settings| settings.api_base = stub.base.clone());
    stub.answers(json!({"ok": false, "error": "invalid_auth"}))
        .answers(json!({"ok": false, "error": "invalid_auth"}));
    assert_eq!(
        slack.installations.fixed.learn(&slack.client, 0).await,
        Some(Duration::from_mins(1))
    );
    assert_eq!(
        slack.installations.fixed.learn(&slack.client, 9).await,
        Some(Duration::from_mins(10))
    );
    let error = slack.send(&in_thread()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("invalid_auth", SendDisposition::Hold)
    );
    assert!(outcome(&slack, &mention(&json!({}))).is_ok());
}

#[tokio::test]
async fn an_organisation_is_served_by_its_own_name_and_nobody_else_is() {
    let (stub, slack) = introduced().await;
    stub.answers(json!({"ok": true, "ts": "2.5"}));
    assert!(slack.send(&claim("E1", json!({"channel": "C1"}))).await.is_ok());
    let error = slack
        .send(&claim("T2", json!({"channel": "C1"})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("not_installed", SendDisposition::Hold)
    );
    let error = slack.send(&claim("T1", json!({"odd": 1}))).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("route_unreadable", SendDisposition::Dead)
    );
}

#[tokio::test]
async fn the_bot_is_known_by_the_token_where_the_event_does_not_tell() {
    let (_stub, slack) = introduced().await;
    let mut body = mention(&json!({}));
    body.as_object_mut().unwrap().remove("authorizations");
    assert_eq!(outcome(&slack, &body).unwrap().text, "hello");
    body["event"]["user"] = json!("UBOT");
    assert_eq!(outcome(&slack, &body).unwrap_err(), "own");
}

#[tokio::test]
async fn it_learns_who_it_is_in_the_background_and_stops_when_told() {
    let stub = Stub::start().await;
    stub.answers_with(500, None, json!(null)).introduces();
    let slack = Arc::new(slack(|settings| settings.api_base = stub.base.clone()));
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (slack, cancel) = (slack.clone(), cancel.clone());
        async move { slack.run(cancel).await }
    });
    stub.answers(json!({"ok": true, "ts": "2.5"}));
    while let Err(error) = slack.send(&in_thread()).await {
        assert_eq!(error.code, "auth_test_pending");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!running.is_finished());
    cancel.cancel();
    running.await.unwrap();
}
