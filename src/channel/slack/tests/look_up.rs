//! Looking whether a part that may have been sent is there.

use std::time::Duration;

use super::stub::{claim, in_thread, introduced};
use super::*;
use crate::channel::{LookUp, UnknownPolicy};
use crate::domain::delivery::SendClaim;

/// A page of messages, one of which carries this delivery.
fn page(delivery: Option<&str>, next: &str) -> Value {
    let mut messages = vec![
        json!({"ts": "1.5", "text": "question"}),
        json!({"ts": "1.6", "metadata": {"event_type": "other", "event_payload": {"delivery": delivery}}}),
        json!({"ts": "1.7", "metadata": {"event_type": "chatbridge_delivery", "event_payload": {"delivery": "x"}}}),
    ];
    if let Some(delivery) = delivery {
        messages.push(json!({
            "ts": "1.8",
            "metadata": {"event_type": "chatbridge_delivery", "event_payload": {"delivery": delivery}},
        }));
    }
    json!({"ok": true, "messages": messages, "response_metadata": {"next_cursor": next}})
}

#[tokio::test]
async fn a_part_is_found_by_its_delivery_id() {
    let (stub, slack) = introduced().await;
    let ours = in_thread();
    stub.answers(page(None, "next="))
        .answers(page(Some(&ours.delivery.to_string()), ""));
    assert_eq!(
        slack.look_up(&ours).await,
        LookUp::Found {
            platform_id: Some("1.8".to_owned())
        }
    );
    let calls = stub.calls();
    assert_eq!(
        (calls[0].http_method.as_str(), calls[0].method.as_str()),
        ("GET", "conversations.replies")
    );
    let oldest = NOW.secs() - 300;
    assert_eq!(
        calls[0].query,
        format!("channel=C1&include_all_metadata=true&limit=200&oldest={oldest}&ts=1.5")
    );
    assert!(calls[1].query.contains("cursor=next%3D"), "{}", calls[1].query);

    stub.answers(page(None, ""));
    assert_eq!(slack.look_up(&ours).await, LookUp::Absent);

    stub.answers(page(None, ""));
    slack.look_up(&claim("T1", json!({"channel": "D1"}))).await;
    let [.., call] = &stub.calls()[..] else {
        panic!("a call")
    };
    assert_eq!(call.method, "conversations.history");
    assert!(call.query.contains("channel=D1&include_all_metadata=true") && !call.query.contains("&ts="));
}

#[tokio::test]
async fn a_look_up_has_bounds() {
    let (stub, slack) = introduced().await;
    for _ in 0..5 {
        stub.answers(page(None, "more"));
    }
    assert_eq!(
        slack.look_up(&in_thread()).await,
        LookUp::Unknowable(UnknownPolicy::Resend)
    );
    assert_eq!(stub.calls().len(), 5);
}

#[tokio::test]
async fn a_look_up_that_fails_is_repeated_or_given_up() {
    let refused = |code: &str| json!({"ok": false, "error": code});
    let ago = |span| SendClaim {
        last_attempt_at: Some(NOW.minus(span)),
        ..in_thread()
    };
    let give_up = LookUp::Unknowable(UnknownPolicy::Resend);
    let mins = Duration::from_mins;
    for (status, retry_after, body, waited, expected) in [
        (
            429,
            Some(20),
            json!(null),
            mins(1),
            LookUp::Later(Duration::from_secs(20)),
        ),
        (429, Some(20), json!(null), mins(6), give_up.clone()),
        (
            503,
            None,
            json!(null),
            mins(6),
            LookUp::Later(Duration::from_secs(5)),
        ),
        (503, None, json!(null), mins(61), give_up.clone()),
        (
            200,
            None,
            refused("internal_error"),
            mins(1),
            LookUp::Later(Duration::from_secs(5)),
        ),
        (200, None, refused("missing_scope"), mins(1), give_up.clone()),
        (
            200,
            None,
            refused("not_allowed_token_type"),
            mins(1),
            give_up.clone(),
        ),
        (200, None, refused("thread_not_found"), mins(1), give_up.clone()),
        (200, None, refused("channel_not_found"), mins(1), give_up),
        (
            200,
            None,
            refused("token_revoked"),
            mins(1),
            LookUp::Later(mins(1)),
        ),
    ] {
        let case = body.to_string();
        let (stub, slack) = introduced().await;
        stub.answers_with(status, retry_after, body);
        assert_eq!(slack.look_up(&ago(waited)).await, expected, "{status} {case}");
    }
}
