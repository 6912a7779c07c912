//! Where a demo is told what people write by `chatbridge simulate`: a real platform knows what its people wrote before
//! the daemon does.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::graph::Graph;
use super::server::{self, Server};
use super::slack::Slack;
use super::state::DemoState;
use crate::outbound;

/// How long telling may take.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Ear {
    token: String,
    slack: Slack,
    graph: Graph,
}

/// Listens; the token is for those who tell.
pub(super) async fn serve(slack: Slack, graph: Graph) -> io::Result<(Server, String)> {
    let token = server::secret();
    let ear = Ear {
        token: token.clone(),
        slack,
        graph,
    };
    let server = Server::start(Router::new().route("/", post(hear)).with_state(ear)).await?;
    Ok((server, token))
}

async fn hear(State(ear): State<Ear>, headers: HeaderMap, body: String) -> StatusCode {
    if !server::bears(&headers, &ear.token) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(webhook) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    if webhook.get("event").is_some() {
        ear.slack.seen(&webhook);
    } else {
        ear.graph.seen(&webhook);
    }
    StatusCode::NO_CONTENT
}

impl DemoState {
    /// Tells the demo of a webhook that is about to be sent. It serves the transcript only: if it fails, the message
    /// goes its way all the same.
    pub async fn tell(&self, webhook: &[u8]) -> Result<(), outbound::Failure> {
        let client =
            outbound::client(PATIENCE).map_err(|error| outbound::Failure::NotSent(error.to_string()))?;
        let request = client
            .post(&self.told_at)
            .bearer_auth(&self.told_token)
            .body(webhook.to_vec());
        outbound::call(request).await.map(drop)
    }
}
