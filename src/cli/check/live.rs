//! The checks that need the world: a real question to the agent, and the way through the public address.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::tls::TlsInfo;

use super::{Check, Outcome, certificate};
use crate::agent::livechatai::LiveChatAi;
use crate::agent::{Agent, AgentError, Disposition, Question};
use crate::channel::slack::{self, probe};
use crate::channel::whatsapp;
use crate::config::Settings;
use crate::domain::{Clock, SystemClock};
use crate::outbound;

/// What the agent is asked. It opens a conversation that nobody goes on with.
const QUESTION: &str =
    "This is a connection test by the operator of chatbridge. Please answer with one short sentence.";
/// How long the public address may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A certificate that ends this soon is told: whatever renews it should have done so (Caddy and certbot renew a month
/// before the end).
const RENEWED_BEFORE: Duration = Duration::from_hours(24 * 14);

/// All of them.
pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let mut checks = agents(settings).await;
    match &settings.server.public_url {
        Some(address) => checks.extend(public(address).await),
        None => checks.push(Check {
            name: "public address".to_owned(),
            outcome: Outcome::Skipped,
            found: "server.public_url is not set".to_owned(),
            remedy: Some("set it to the https address by which the world reaches this daemon".to_owned()),
        }),
    }
    if let (Some(slack), Some(address)) = (&settings.channels.slack, &settings.server.public_url)
        && slack.app_token.is_none()
    {
        checks.push(forged(address).await);
    }
    checks
}

/// Asks each agent that is named somewhere.
async fn agents(settings: &Settings) -> Vec<Check> {
    let agent = match LiveChatAi::new(&settings.agent) {
        Ok(agent) => agent,
        Err(error) => {
            let remedy = "install the root certificates (ca-certificates)";
            return vec![Check::failed(
                "agent",
                format!("calls cannot be prepared: {error}"),
                remedy,
            )];
        }
    };
    let usual = settings.agent.agent_id.iter().cloned();
    let routed = settings.routes.iter().map(|rule| rule.agent_id.clone());
    let mut agents: BTreeSet<String> = usual.chain(routed).collect();
    if agents.is_empty() {
        // The agent's own client tells what is missing.
        agents.insert(String::new());
    }
    let integration_type = if settings.channels.slack.is_some() {
        slack::INTEGRATION_TYPE
    } else {
        whatsapp::INTEGRATION_TYPE
    };
    let mut checks = Vec::new();
    for agent_id in agents {
        let name = format!("agent {agent_id}").trim_end().to_owned();
        let question = Question {
            agent_id,
            integration_type,
            conversation_id: None,
            text: QUESTION.to_owned(),
            country: None,
            after: None,
        };
        let began = Instant::now();
        checks.push(match agent.ask(&question).await {
            Ok(_) => Check::ok(
                name,
                format!("answered a question in {:.1} s", began.elapsed().as_secs_f64()),
            ),
            Err(error) => Check::failed(name, error.to_string(), remedy(&error)),
        });
    }
    checks
}

fn remedy(error: &AgentError) -> &'static str {
    match error.disposition {
        Disposition::Hold => "look at agent.api_key, agent.agent_id and the plan at LiveChatAI",
        Disposition::Retry { .. } => {
            "see agent.base_url, and whether this machine reaches it; else try again later"
        }
        Disposition::Ambiguous => "try again; if it stays so, raise agent.timeout or ask LiveChatAI",
        Disposition::ForgetConversation | Disposition::Fail => {
            "see agent.base_url and agent.agent_id: what answers there does not do what LiveChatAI does"
        }
    }
}

/// Whether the public address leads here, and until when its certificate holds.
async fn public(address: &str) -> Vec<Check> {
    let name = "public address";
    let remedy =
        "start chatbridge, and see that server.public_url leads to it: the name, the proxy, the certificate";
    let url = format!("{}/healthz", address.trim_end_matches('/'));
    let client = match outbound::client_that_shows_certificates(PATIENCE) {
        Ok(client) => client,
        Err(error) => {
            let remedy = "install the root certificates (ca-certificates)";
            return vec![Check::failed(
                name,
                format!("calls cannot be prepared: {error}"),
                remedy,
            )];
        }
    };
    let (answer, tls) = match outbound::call_with_certificate(client.get(url)).await {
        Ok(seen) => seen,
        Err(failure) => return vec![Check::failed(name, format!("{address} {failure}"), remedy)],
    };
    let ours = answer.status.is_success() && answer.body == b"ok";
    let reached = if ours {
        Check::ok(name, format!("{address} leads to a chatbridge"))
    } else {
        let found = format!(
            "{address}/healthz answers {}, and not as chatbridge does",
            answer.status.as_u16()
        );
        Check::failed(
            name,
            found,
            "the proxy must pass /healthz, /slack/ and /whatsapp/ on to server.bind",
        )
    };
    vec![reached, judged(address, tls.as_ref(), jiff::Timestamp::now())]
}

fn judged(address: &str, tls: Option<&TlsInfo>, now: jiff::Timestamp) -> Check {
    let name = "public certificate";
    if !address.starts_with("https://") {
        return Check {
            name: name.to_owned(),
            outcome: Outcome::Skipped,
            found: format!("{address} has none: it is not https"),
            remedy: Some(
                "the platforms call https only: put a proxy in front, as deploy/README.md shows".to_owned(),
            ),
        };
    }
    let until = tls
        .and_then(TlsInfo::peer_certificate)
        .and_then(certificate::holds_until);
    let Some(until) = until else {
        return Check::ok(name, "is trusted; until when it holds cannot be read");
    };
    holds(until, now)
}

fn holds(until: jiff::Timestamp, now: jiff::Timestamp) -> Check {
    let name = "public certificate";
    let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let found = format!(
        "is trusted and holds until {until} ({} days)",
        left.as_secs() / (24 * 3600)
    );
    if left < RENEWED_BEFORE {
        return Check::failed(
            name,
            found,
            "renew it: whatever does that by itself (Caddy, certbot) seems to fail; see its log",
        );
    }
    Check::ok(name, found)
}

/// What Slack did not sign must be turned away.
async fn forged(address: &str) -> Check {
    let name = "slack forged post";
    match probe::forged(address, SystemClock.now()).await {
        Ok(()) => Check::ok(name, "is turned away"),
        Err(finding) => Check::failed(name, finding.found, finding.remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (until, outcome) in [
            ("2027-02-01T00:00:00Z", Outcome::Ok),
            ("2026-12-01T00:00:00Z", Outcome::Failed),
            ("2026-11-01T00:00:00Z", Outcome::Failed),
        ] {
            let check = holds(until.parse().unwrap(), now);
            assert_eq!(check.outcome, outcome, "{check:?}");
        }
        assert_eq!(
            judged("http://127.0.0.1:8080", None, now).outcome,
            Outcome::Skipped
        );
    }
}
