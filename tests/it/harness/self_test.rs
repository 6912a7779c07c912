//! The stubs themselves: what they are told to do wrong, they do.

use serde_json::json;

use super::stub::{Answer, Fault, Gate};
use super::{Reply, SlackStub, post};

fn say(slack: &SlackStub, text: &str) -> Result<Reply, String> {
    let body = json!({"channel": "C1", "text": text, "metadata": {"event_type": "x", "event_payload": {"id": text}}});
    let headers = [("authorization", "Bearer xoxb-test-token".to_owned())];
    post(
        &format!("{}/api/chat.postMessage", slack.url()),
        &headers,
        body.to_string().into_bytes(),
    )
}

#[test]
fn faults_are_what_they_say() {
    let slack = SlackStub::start();
    assert_eq!(say(&slack, "right").unwrap().json()["ok"], true);
    slack.fault("chat.postMessage", 1, Fault::Answer(Answer::html(503)));
    assert_eq!(say(&slack, "refused").unwrap().status, 503);
    for (fault, text) in [
        (Fault::Close, "closed"),
        (Fault::ActThenClose, "lost"),
        (Fault::CutOff, "cut"),
    ] {
        slack.fault("chat.postMessage", 1, fault);
        assert!(say(&slack, text).is_err(), "{text}");
    }
    let gate = Gate::closed();
    slack.fault("chat.postMessage", 1, Fault::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let held = scope.spawn(|| say(&slack, "held").unwrap());
        slack.wait_count("chat.postMessage", 6);
        assert!(slack.posts_with("held").is_empty());
        gate.open();
        assert_eq!(held.join().unwrap().status, 200);
    });
    let taken: Vec<String> = slack.posts().into_iter().map(|post| post.text).collect();
    assert_eq!(taken, ["right", "lost", "cut", "held"]);
}

#[test]
fn slack_tells_metadata_only_when_asked() {
    let slack = SlackStub::start();
    say(&slack, "one").unwrap();
    for (query, told) in [("", false), ("&include_all_metadata=true", true)] {
        let headers = [
            ("authorization", "Bearer xoxb-test-token".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let url = format!("{}/api/conversations.history?channel=C1{query}", slack.url());
        let page = post(&url, &headers, Vec::new()).unwrap().json();
        assert_eq!(page["messages"][0].get("metadata").is_some(), told, "{page}");
    }
}
