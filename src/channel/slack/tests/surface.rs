//! What is shown of the bot at work: anew while it takes long, and in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::NOW;
use super::stub::{Stub, in_thread};
use super::{Slack, slack};
use crate::channel::slack::AgentView;
use crate::domain::turn::{Pending, TurnClaim};
use crate::domain::{MessageId, TurnId};

/// A turn of a thread with a root.
fn turn() -> TurnClaim {
    let claim = in_thread();
    TurnClaim {
        turn: TurnId::new(claim.thread.id, 1),
        attempt: 1,
        ambiguous: false,
        messages: vec![Pending {
            id: MessageId::new(claim.thread.id, 1),
            platform_id: "1.7".to_owned(),
            text: "hello".to_owned(),
            quoted: None,
            sent_at: NOW,
            accepted_at: NOW,
        }],
        key: claim.key,
        thread: claim.thread,
    }
}

/// A channel that shows statuses anew after a moment, and knows whose its token is.
async fn showing(view: AgentView) -> (Stub, Arc<Slack>) {
    let stub = Stub::start().await;
    let mut slack = slack(|settings| {
        settings.api_base = stub.base.clone();
        settings.agent_view = view;
    });
    slack.surface.again = [Duration::from_millis(20); 2].into();
    stub.introduces();
    slack.installations.load().await.unwrap();
    slack.installations.fixed.learn(&slack.client, 0).await;
    stub.calls();
    (stub, Arc::new(slack))
}

/// Shows a turn until it is over.
fn show(slack: &Arc<Slack>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let (over, slack) = (CancellationToken::new(), slack.clone());
    let until = over.clone();
    let claim = turn();
    (
        over,
        tokio::spawn(async move { slack.show_work(&claim, &until).await }),
    )
}

/// Waits for so many calls.
async fn calls(stub: &Stub, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(stub.calls().into_iter().map(|call| call.body));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    all
}

#[tokio::test]
async fn a_status_is_shown_anew_before_it_goes_out() {
    for (view, shown, back) in [
        (AgentView::Assistant, "thinks & thinks", ""),
        (AgentView::Agent, "processing", "active"),
    ] {
        let (stub, slack) = showing(view).await;
        for _ in 0..200 {
            stub.answers(json!({"ok": true}));
        }
        let (over, task) = show(&slack);
        let seen = calls(&stub, 3).await;
        assert!(seen.iter().all(|call| call["status"] == shown), "{seen:?}");
        over.cancel();
        task.await.unwrap();
        let last = stub.calls().pop().unwrap().body;
        assert_eq!(
            last,
            json!({"channel_id": "C1", "thread_ts": "1.5", "status": back})
        );
    }
}

#[tokio::test]
async fn the_next_turn_of_a_thread_is_shown_after_the_last_one_is_taken_back() {
    let (stub, slack) = showing(AgentView::Agent).await;
    for _ in 0..200 {
        stub.answers(json!({"ok": true}));
    }
    let (first_over, first) = show(&slack);
    calls(&stub, 1).await;
    let (second_over, second) = show(&slack);
    first_over.cancel();
    first.await.unwrap();
    let mut seen = calls(&stub, 2).await;
    second_over.cancel();
    second.await.unwrap();
    seen.extend(stub.calls().into_iter().map(|call| call.body));
    let statuses: Vec<&str> = seen.iter().filter_map(|call| call["status"].as_str()).collect();
    let back: Vec<usize> = (0..statuses.len()).filter(|n| statuses[*n] == "active").collect();
    assert_eq!(
        (back.len(), back.last()),
        (2, Some(&(statuses.len() - 1))),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_turn_that_is_over_before_it_can_be_shown_is_not_shown() {
    let (stub, slack) = showing(AgentView::Agent).await;
    let over = CancellationToken::new();
    over.cancel();
    slack.show_work(&turn(), &over).await;
    assert!(stub.calls().is_empty());
}
