use super::*;
use crate::outbound;

async fn workspace() -> (Slack, Server, reqwest::Client) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let slack = Slack::new(Scene::default());
    let server = slack.serve().await.unwrap();
    (slack, server, outbound::client(Duration::from_secs(10)).unwrap())
}

async fn call(request: reqwest::RequestBuilder) -> Value {
    outbound::call(request).await.unwrap().json().unwrap()
}

#[tokio::test]
async fn refuses_what_slack_refuses() {
    let (slack, server, client) = workspace().await;
    let url = |method: &str| format!("{}/api/{method}", server.url());
    let wrong = client.post(url("auth.test")).bearer_auth("xoxb-wrong");
    assert_eq!(call(wrong).await, json!({"ok": false, "error": "invalid_auth"}));
    let none = client.post(url("auth.test"));
    assert_eq!(call(none).await["error"], "not_authed");
    assert!(!slack.connected(Duration::ZERO).await);
    for (arguments, error) in [
        (json!({"text": "Hi"}), "channel_not_found"),
        (json!({"channel": "C1"}), "no_text"),
        (json!({"channel": "C1", "text": ""}), "no_text"),
    ] {
        let request = client
            .post(url("chat.postMessage"))
            .bearer_auth(slack.token())
            .json(&arguments);
        assert_eq!(call(request).await, json!({"ok": false, "error": error}));
    }
    assert!(slack.posts().is_empty());
}

#[tokio::test]
async fn shows_metadata_only_to_who_asks_for_it() {
    let (slack, server, client) = workspace().await;
    let url = |method: &str| format!("{}/api/{method}", server.url());
    let metadata = json!({"event_type": "x", "event_payload": {"delivery": "1"}});
    let mention = &events::events(&Slack::installation(), &message("C1", None))[0];
    let said = slack.seen(mention).unwrap();
    for root in [Some(said.id.as_str()), None] {
        let arguments = json!({"channel": "C1", "text": "Hi", "thread_ts": root, "metadata": metadata});
        let request = client
            .post(url("chat.postMessage"))
            .bearer_auth(slack.token())
            .json(&arguments);
        assert_eq!(call(request).await["ok"], true);
    }
    for (method, plain, ours) in [("conversations.replies", 2, 1), ("conversations.history", 2, 0)] {
        let read = |all: &str| {
            let query = [("channel", "C1"), ("ts", &said.id), ("include_all_metadata", all)];
            let mut address = reqwest::Url::parse(&url(method)).unwrap();
            address.query_pairs_mut().extend_pairs(query);
            client.get(address).bearer_auth(slack.token())
        };
        let without = call(read("false")).await;
        assert_eq!(without["messages"].as_array().unwrap().len(), plain, "{method}");
        assert!(
            !without.to_string().contains("metadata\":{\"event_type"),
            "{method}"
        );
        assert_eq!(
            call(read("true")).await["messages"][ours]["metadata"],
            metadata,
            "{method}"
        );
    }
}

#[tokio::test]
async fn an_answer_in_the_thread_reaches_who_asked_there() {
    let (slack, server, client) = workspace().await;
    let events = events::events(&Slack::installation(), &message("C1", None));
    let said = slack.seen(&events[0]).unwrap();
    slack.seen(&events[1]).unwrap();
    assert_eq!(slack.posts().len(), 1, "both events are of one message");
    let arguments = json!({"channel": "C1", "text": "a &lt; b", "thread_ts": said.id});
    let request = client
        .post(format!("{}/api/chat.postMessage", server.url()))
        .bearer_auth(slack.token())
        .json(&arguments);
    call(request).await;
    let answer = slack
        .0
        .scene
        .journal
        .answer_to(&said, Duration::from_secs(10))
        .await;
    assert_eq!(answer.unwrap().text, "a < b");
}

fn message<'a>(channel: &'a str, thread: Option<&'a str>) -> Message<'a> {
    Message {
        channel,
        user: "U0ANNA",
        thread,
        text: "Hello?",
    }
}

#[tokio::test]
async fn shows_the_bot_at_work_as_slack_does() {
    let (slack, server, client) = workspace().await;
    let send = |method: &str, arguments: Value| {
        let url = format!("{}/api/{method}", server.url());
        call(client.post(url).bearer_auth(slack.token()).json(&arguments))
    };
    let place = |status: &str| json!({"channel_id": "C1", "thread_ts": "1.5", "status": status});
    let session = "agents.sessions.setStatus";
    assert_eq!(send(session, place("processing")).await["status"], "processing");
    assert_eq!(slack.status("C1", "1.5").as_deref(), Some("processing"));
    assert_eq!(
        send(session, place("thinking")).await["error"],
        "invalid_arguments"
    );
    let words = "assistant.threads.setStatus";
    assert_eq!(send(words, place("is thinking…")).await["ok"], true);
    assert_eq!(send(words, place("")).await["ok"], true);
    assert_eq!(slack.status("C1", "1.5"), None);
    let eyes = json!({"channel": "C1", "timestamp": "1.5", "name": "eyes"});
    assert_eq!(send("reactions.add", eyes.clone()).await["ok"], true);
    assert_eq!(
        send("reactions.add", eyes.clone()).await["error"],
        "already_reacted"
    );
    assert_eq!(slack.reactions("C1", "1.5"), ["eyes"]);
    assert_eq!(send("reactions.remove", eyes.clone()).await["ok"], true);
    assert_eq!(send("reactions.remove", eyes).await["error"], "no_reaction");
    let five = json!({"channel_id": "D1", "prompts": [1, 2, 3, 4, 5]});
    let method = "assistant.threads.setSuggestedPrompts";
    assert_eq!(send(method, five).await["error"], "invalid_arguments");
    let one = json!({"channel_id": "D1", "prompts": [{"title": "Hello?", "message": "Hello?"}]});
    assert_eq!(send(method, one).await["ok"], true);
    let url = format!("{}/api/reactions.add", server.url());
    assert_eq!(call(client.post(url).body("{}")).await["error"], "not_authed");
}
