//! The client against a stub that answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};

use super::*;

/// What the stub answers, and what it was asked.
#[derive(Clone)]
struct Stub {
    answer: Arc<(u16, String)>,
    asked: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
}

async fn serve(status: u16, body: &str) -> (Stub, LiveChatAi) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stub = Stub {
        answer: Arc::new((status, body.to_owned())),
        asked: Arc::default(),
    };
    let handler = |State(stub): State<Stub>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        stub.asked
            .lock()
            .unwrap()
            .push((uri.path().to_owned(), headers, json));
        let retry = [("retry-after", "7")];
        (
            StatusCode::from_u16(stub.answer.0).unwrap(),
            retry,
            stub.answer.1.clone(),
        )
    };
    let router = Router::new().fallback(handler).with_state(stub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (stub, LiveChatAi::new(&settings(base_url)).unwrap())
}

fn settings(base_url: String) -> Settings {
    Settings {
        base_url,
        api_key: Some("key-1".into()),
        agent_id: None,
        timeout: Duration::from_secs(5),
        concurrency: 1,
        links: Links::List,
    }
}

fn question(conversation: Option<&str>) -> Question {
    Question {
        agent_id: "agent-1".into(),
        integration_type: "SLACK",
        conversation_id: conversation.map(Into::into),
        text: "When do you open?".into(),
        country: Some("DE".into()),
        after: None,
    }
}

const GOOD: &str = r#"{"status":"success","message":"ok","data":{"conversationId":"c1","response":" At nine. ",
    "links":[{"link":"https://shop.example/hours","type":"WEBSITE"},{"link":"javascript:x"},
             {"link":"https://shop.example/hours"},{"nolink":1}]}}"#;

#[tokio::test]
async fn asks_in_the_documented_form() {
    let (stub, agent) = serve(200, GOOD).await;
    let answer = agent.ask(&question(Some("c1"))).await.unwrap();
    assert_eq!(
        (answer.conversation_id.as_str(), answer.text.as_str()),
        ("c1", "At nine.")
    );
    assert_eq!(answer.links, ["https://shop.example/hours"]);
    let (path, headers, body) = stub.asked.lock().unwrap().remove(0);
    assert_eq!(path, "/api/v2/conversations");
    assert_eq!(headers["authorization"], "Bearer key-1");
    let expected = json!({
        "question": "When do you open?", "agentId": "agent-1", "messageType": "TEXT", "responseFormat": "PLAIN",
        "integrationType": "SLACK", "conversationId": "c1", "country": "DE",
    });
    assert_eq!(body, expected);
}

/// An answer of a megabyte may name tens of thousands: each was compared with each other, here and where they are listed.
#[tokio::test]
async fn links_without_end_are_listed_up_to_a_bound() {
    let links: Vec<Value> = (0..30_000)
        .map(|n| json!({"link": format!("https://a.b/{n}")}))
        .collect();
    let answer = json!({"data": {"conversationId": "c1", "response": "At nine.", "links": links}});
    let (_stub, agent) = serve(200, &answer.to_string()).await;
    let answer = agent.ask(&question(Some("c1"))).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.links.len()), ("At nine.", 100));
    assert_eq!(
        (answer.links[0].as_str(), answer.links[99].as_str()),
        ("https://a.b/0", "https://a.b/99")
    );
}

#[tokio::test]
async fn leaves_out_what_it_does_not_know() {
    let (stub, agent) = serve(200, GOOD).await;
    agent
        .ask(&Question {
            country: None,
            ..question(None)
        })
        .await
        .unwrap();
    let (_, _, body) = stub.asked.lock().unwrap().remove(0);
    assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
}

const RETRY: Disposition = Disposition::Retry { after: None };
const TOLD: Disposition = Disposition::Retry {
    after: Some(Duration::from_secs(7)),
};
const UNKNOWN: &str = r#"{"status":"error","message":"Conversation not found","code":"NOT_FOUND"}"#;

/// Status, body, the code that we give it, and what is to be done.
const REFUSALS: [(u16, &str, &str, Disposition); 17] = [
    (401, "{}", "unauthorized", Disposition::Hold),
    (403, r#"{"message":"quota"}"#, "forbidden", Disposition::Hold),
    (
        404,
        UNKNOWN,
        "conversation_unknown",
        Disposition::ForgetConversation,
    ),
    (
        400,
        UNKNOWN,
        "conversation_unknown",
        Disposition::ForgetConversation,
    ),
    (
        404,
        r#"{"message":"Agent not found"}"#,
        "agent_unknown",
        Disposition::Hold,
    ),
    (
        400,
        r#"{"message":"question is required"}"#,
        "refused",
        Disposition::Fail,
    ),
    (422, "", "refused", Disposition::Fail),
    (429, "", "rate_limited", TOLD),
    (500, "<html>", "server_error", TOLD),
    (503, "", "server_error", TOLD),
    (302, "", "redirected", Disposition::Hold),
    (
        200,
        r#"{"status":"error","message":"x","code":"E1"}"#,
        "error_in_200",
        RETRY,
    ),
    (
        200,
        r#"{"status":"error","message":"x","code":401}"#,
        "error_in_200",
        Disposition::Hold,
    ),
    (200, "<html>busy</html>", "not_json", RETRY),
    (
        200,
        r#"{"status":"success","data":{"conv"#,
        "cut_off",
        Disposition::Ambiguous,
    ),
    (
        200,
        r#"{"data":{"conversationId":"c1","response":"  "}}"#,
        "empty_answer",
        RETRY,
    ),
    (
        200,
        r#"{"data":{"response":"hi"}}"#,
        "no_conversation",
        Disposition::Ambiguous,
    ),
];

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    for (status, body, code, disposition) in REFUSALS {
        let (_, agent) = serve(status, body).await;
        let error = agent.ask(&question(Some("c1"))).await.unwrap_err();
        assert_eq!(
            (error.code, error.disposition),
            (code, disposition),
            "{status} {body}"
        );
        assert!(
            !error.to_string().contains("key-1") && !error.to_string().contains("open?"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_conversation_cannot_be_forgotten_that_was_never_named() {
    let (_, agent) = serve(404, r#"{"message":"conversation or agent not found"}"#).await;
    assert_eq!(
        agent.ask(&question(None)).await.unwrap_err().disposition,
        Disposition::Hold
    );
}

#[tokio::test]
async fn without_key_or_agent_everything_is_held() {
    let (stub, agent) = serve(200, GOOD).await;
    let nobody = Question {
        agent_id: String::new(),
        ..question(None)
    };
    assert_eq!(agent.ask(&nobody).await.unwrap_err().code, "agent_id_missing");
    let keyless = LiveChatAi {
        api_key: None,
        ..agent
    };
    let error = keyless.ask(&question(None)).await.unwrap_err();
    assert_eq!(
        (error.code, error.disposition),
        ("api_key_missing", Disposition::Hold)
    );
    assert!(stub.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn tells_an_unreachable_agent_from_a_lost_answer() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let agent = LiveChatAi::new(&settings(format!("http://{closed}"))).unwrap();
    let error = agent.ask(&question(None)).await.unwrap_err();
    assert_eq!(
        (error.code, error.disposition),
        ("unreachable", Disposition::Retry { after: None })
    );

    // Somebody takes the connection, reads a little and hangs up: the question may have been read.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 64]).await;
        }
    });
    let agent = LiveChatAi::new(&settings(format!("http://{address}"))).unwrap();
    assert_eq!(
        agent.ask(&question(None)).await.unwrap_err().disposition,
        Disposition::Ambiguous
    );
}

#[tokio::test]
async fn finds_the_answer_to_a_question_that_was_asked_before() {
    let said = |role: &str, content: &str| json!({ "role": role, "content": content });
    let conversation =
        |messages: Vec<Value>| json!({ "data": { "id": "c1", "messages": messages } }).to_string();
    let asked = said("user", "When do you open? ");
    let cases = [
        (
            vec![asked.clone(), said("assistant", "At nine.")],
            Some("At nine."),
        ),
        (
            vec![asked.clone(), said("assistant", "Old."), asked.clone()],
            None,
        ),
        (
            vec![said("user", "Something else"), said("assistant", "No.")],
            None,
        ),
        (vec![], None),
    ];
    for (messages, expected) in cases {
        let (stub, agent) = serve(200, &conversation(messages)).await;
        let found = agent.look_up(&question(Some("c/1 ?"))).await.unwrap();
        assert_eq!(found.as_ref().map(|answer| answer.text.as_str()), expected);
        assert_eq!(
            stub.asked.lock().unwrap()[0].0,
            "/api/v2/conversations/c%2F1%20%3F"
        );
    }
    let earlier = json!({ "id": "r1", "role": "assistant", "content": "At nine." });
    let (_, agent) = serve(200, &conversation(vec![asked.clone(), earlier])).await;
    let again = Question {
        after: Some("r1".into()),
        ..question(Some("c1"))
    };
    assert_eq!(
        agent.look_up(&again).await.unwrap(),
        None,
        "that was the answer to the same words before"
    );
    let (stub, agent) = serve(200, "{}").await;
    assert_eq!(agent.look_up(&question(None)).await.unwrap(), None);
    assert!(
        stub.asked.lock().unwrap().is_empty(),
        "a first question cannot be looked up"
    );
    let (_, agent) = serve(500, "oops").await;
    assert_eq!(agent.look_up(&question(Some("c1"))).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_service_says_may_quote_the_question_or_the_key_and_is_not_repeated() {
    let echo = "you asked: When do you open? with key-1";
    for (status, code) in [
        (200, echo),
        (400, echo),
        (401, "BAD_KEY"),
        (404, echo),
        (500, echo),
    ] {
        let body = serde_json::json!({"status": "error", "message": echo, "code": code}).to_string();
        let (_, agent) = serve(status, &body).await;
        let error = agent.ask(&question(None)).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("When do") && !told.contains("key-1"), "{told}");
        assert_eq!(told.contains("BAD_KEY"), code == "BAD_KEY", "{told}");
    }
}
