use axum::routing::post;
use tokio::sync::mpsc;

use super::*;
use crate::outbound;

async fn number() -> (Graph, Server, reqwest::Client) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let graph = Graph::new(Scene::default());
    let server = graph.serve().await.unwrap();
    (graph, server, outbound::client(Duration::from_secs(10)).unwrap())
}

fn url(server: &Server, number: &str) -> String {
    format!("{}/v26.0/{number}/messages", server.url())
}

fn good() -> Value {
    json!({
        "messaging_product": "whatsapp", "to": "15550100142", "type": "text", "text": {"body": "Hi"},
        "biz_opaque_callback_data": "delivery-1",
    })
}

#[tokio::test]
async fn a_wrong_token_is_401_with_code_190() {
    let (graph, server, client) = number().await;
    let request = client
        .post(url(&server, NUMBER.0))
        .bearer_auth("EAAwrong")
        .json(&good());
    let answer = outbound::call(request).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json().unwrap()["error"]["code"], 190);
    assert!(graph.0.scene.journal.entries().is_empty());
}

#[tokio::test]
async fn a_bad_message_is_400_with_code_100() {
    let (graph, server, client) = number().await;
    let with = |key: &str, value: Value| {
        let mut message = good();
        message[key] = value;
        message
    };
    let bad = [
        with("messaging_product", json!("sms")),
        with("to", Value::Null),
        with("type", json!("image")),
        with("text", json!({})),
        with("text", json!({"body": "x".repeat(4097)})),
        with("biz_opaque_callback_data", json!("x".repeat(513))),
    ];
    let requests = bad
        .iter()
        .map(|message| (NUMBER.0, message.clone()))
        .chain([("1", good())]);
    for (number, message) in requests {
        let request = client
            .post(url(&server, number))
            .bearer_auth(graph.token())
            .json(&message);
        let answer = outbound::call(request).await.unwrap();
        assert_eq!(answer.status, 400, "{message}");
        assert_eq!(answer.json().unwrap()["error"]["code"], 100, "{message}");
    }
    assert!(graph.0.scene.journal.entries().is_empty());
}

#[tokio::test]
async fn tells_how_a_message_fares() {
    let (graph, server, client) = number().await;
    let (sender, mut told) = mpsc::unbounded_channel();
    let take = post(move |body: String| async move {
        sender
            .send(serde_json::from_str::<Value>(&body).unwrap())
            .unwrap();
    });
    let daemon = Server::start(Router::new().route("/whatsapp/webhook", take))
        .await
        .unwrap();
    graph.subscribe(Postman::new(&daemon.url()).unwrap());
    let request = client
        .post(url(&server, NUMBER.0))
        .bearer_auth(graph.token())
        .json(&good());
    let answer = outbound::call(request).await.unwrap().json().unwrap();
    assert!(graph.settled(Duration::from_secs(10)).await);
    for stage in STAGES {
        let webhook = told.recv().await.unwrap();
        let status = &webhook["entry"][0]["changes"][0]["value"]["statuses"][0];
        assert_eq!(status["status"], stage);
        assert_eq!(status["id"], answer["messages"][0]["id"]);
        assert_eq!(status["biz_opaque_callback_data"], "delivery-1");
    }
}

#[tokio::test]
async fn a_person_without_a_number_gets_the_answer_too() {
    let (graph, server, client) = number().await;
    let person = Person {
        name: "Dana".to_owned(),
        phone: None,
        user_id: Some("NO.7fQ2".to_owned()),
    };
    let said = graph
        .seen(&webhooks::text(&Graph::number(), &person, "Hello?"))
        .pop()
        .unwrap();
    let mut message = good();
    message["to"] = Value::Null;
    message["recipient"] = "NO.7fQ2".into();
    let request = client
        .post(url(&server, NUMBER.0))
        .bearer_auth(graph.token())
        .json(&message);
    let answer = outbound::call(request).await.unwrap().json().unwrap();
    assert_eq!(
        answer["contacts"][0],
        json!({"input": "NO.7fQ2", "user_id": "NO.7fQ2"})
    );
    let heard = graph
        .0
        .scene
        .journal
        .answer_to(&said, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(heard.text, "Hi");
}
