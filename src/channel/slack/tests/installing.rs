//! Tokens that end are renewed in time, once, and kept before they are used; refused installations rest.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::stub::{Stub, bearer, claim};
use super::*;
use crate::channel::SendDisposition;
use crate::channel::slack::grant::Grant;
use crate::domain::AccountKey;
use crate::domain::delivery::SendClaim;
use crate::domain::installation::InstallationStore;

/// A channel with one installation, `T7`, whose token ends after `lifetime` seconds.
struct Bench {
    stub: Stub,
    slack: Slack,
    store: Arc<Memory>,
    clock: Arc<ManualClock>,
}

fn account() -> AccountKey {
    AccountKey::new("slack", "T7").unwrap()
}

fn part() -> SendClaim {
    claim("T7", json!({"channel": "C1"}))
}

impl Bench {
    async fn with_token(lifetime: Option<u64>) -> Self {
        let stub = Stub::start().await;
        let clock = Arc::new(ManualClock::at(NOW));
        let store = Arc::new(Memory::default());
        let mut answer = json!({"access_token": "xoxe.xoxb-1", "token_type": "bot", "team": {"id": "T7"},
            "bot_user_id": "U7", "scope": "chat:write"});
        if let Some(lifetime) = lifetime {
            answer["expires_in"] = json!(lifetime);
            answer["refresh_token"] = json!("xoxe-1");
        }
        let grant = Grant::read(&answer, NOW).unwrap();
        store.put(&account(), &grant.to_details(), NOW).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = serde_json::from_value(json!({
            "signing_secret": SECRET, "client_id": "1.2", "client_secret": "c", "api_base": stub.base,
            "follow_threads": true,
        }));
        let slack = build(settings.unwrap(), clock.clone(), store.clone());
        assert_eq!(slack.installations.load().await, Ok(1));
        Self {
            stub,
            slack,
            store,
            clock,
        }
    }

    fn renews(&self, number: u32) {
        self.stub
            .answers(json!({"ok": true, "access_token": format!("xoxe.xoxb-{number}"),
            "refresh_token": format!("xoxe-{number}"), "expires_in": 43_200, "token_type": "bot"}));
    }

    fn takes(&self) {
        self.stub.answers(json!({"ok": true, "ts": "2.5"}));
    }

    fn pass(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    /// The calls since the last time: what was called, and with which token.
    fn calls(&self) -> Vec<(String, String)> {
        let calls = self.stub.calls();
        calls
            .iter()
            .map(|call| (call.method.clone(), bearer(call).to_owned()))
            .collect()
    }

    fn kept(&self) -> String {
        let kept = self.store.kept.lock().unwrap();
        kept[&account()]
            .details
            .as_ref()
            .unwrap()
            .expose_secret()
            .to_owned()
    }
}

fn post(token: &str) -> (String, String) {
    ("chat.postMessage".to_owned(), format!("Bearer {token}"))
}

/// `1.2:c`, as Basic authentication writes it.
fn renewal() -> (String, String) {
    ("oauth.v2.access".to_owned(), "Basic MS4yOmM=".to_owned())
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_kept_before_it_is_used() {
    let bench = Bench::with_token(Some(43_200)).await;
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.calls(), [post("xoxe.xoxb-1")]);
    bench.pass(39_600);
    bench.renews(2);
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.calls(), [renewal(), post("xoxe.xoxb-2")]);
    assert!(bench.kept().contains("xoxe-2"), "{}", bench.kept());
    // What cannot be kept is not used, and not lost either.
    bench.pass(43_200);
    *bench.store.failing.lock().unwrap() = true;
    bench.renews(3);
    let error = bench.slack.send(&part()).await.unwrap_err();
    assert_eq!(error.code, "store_unavailable");
    assert_eq!(bench.calls(), [renewal()]);
    *bench.store.failing.lock().unwrap() = false;
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.calls(), [post("xoxe.xoxb-3")]);
    assert!(bench.kept().contains("xoxe-3"));
}

#[tokio::test]
async fn whoever_comes_at_once_shares_one_renewal() {
    let bench = Bench::with_token(Some(43_200)).await;
    bench.pass(42_000);
    bench.renews(2);
    (0..8).for_each(|_| bench.takes());
    // Each in a channel of its own: nobody waits for the pace of another.
    let parts: Vec<SendClaim> = (0..8)
        .map(|number| claim("T7", json!({"channel": format!("C{number}")})))
        .collect();
    let sends = parts.iter().map(|part| bench.slack.send(part));
    for sent in join_all(sends).await {
        sent.unwrap();
    }
    let calls = bench.calls();
    assert_eq!(
        calls.iter().filter(|call| **call == renewal()).count(),
        1,
        "{calls:?}"
    );
    assert_eq!(
        calls.iter().filter(|call| **call == post("xoxe.xoxb-2")).count(),
        8,
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_renewal_that_fails_is_no_trouble_while_the_token_is_good() {
    let bench = Bench::with_token(Some(43_200)).await;
    bench.pass(40_000);
    bench.stub.answers_with(503, None, json!(null));
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.calls(), [renewal(), post("xoxe.xoxb-1")]);
    // Not at each part.
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.calls(), [post("xoxe.xoxb-1")]);
    bench.pass(3_200);
    bench.stub.answers_with(503, None, json!(null));
    let error = bench.slack.send(&part()).await.unwrap_err();
    assert_eq!(
        error.disposition,
        SendDisposition::Retry { after: None },
        "certainly not sent"
    );
    bench
        .stub
        .answers(json!({"ok": false, "error": "invalid_refresh_token"}));
    let error = bench.slack.send(&part()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("invalid_refresh_token", SendDisposition::Hold)
    );
    assert!(
        error.message.contains("install the app there again"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_token_that_slack_says_has_ended_is_renewed_once() {
    let bench = Bench::with_token(Some(43_200)).await;
    bench.stub.answers(json!({"ok": false, "error": "token_expired"}));
    bench.renews(2);
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(
        bench.calls(),
        [post("xoxe.xoxb-1"), renewal(), post("xoxe.xoxb-2")]
    );
    let bench = Bench::with_token(None).await;
    bench.stub.answers(json!({"ok": false, "error": "token_expired"}));
    let error = bench.slack.send(&part()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("token_expired", SendDisposition::Hold)
    );
}

#[tokio::test]
async fn a_refused_installation_is_left_alone_and_tried_now_and_then() {
    let bench = Bench::with_token(None).await;
    let refuse = || {
        bench
            .stub
            .answers(json!({"ok": false, "error": "account_inactive"}))
            .clone()
    };
    refuse();
    for _ in 0..3 {
        let error = bench.slack.send(&part()).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.disposition),
            ("account_inactive", SendDisposition::Hold)
        );
    }
    assert_eq!(bench.calls().len(), 1);
    bench.pass(60);
    refuse();
    for _ in 0..3 {
        bench.slack.send(&part()).await.unwrap_err();
    }
    assert_eq!(bench.calls().len(), 1);
    bench.pass(120);
    bench.takes();
    bench.slack.send(&part()).await.unwrap();
    assert_eq!(bench.slack.revived().await, account());
}

#[tokio::test]
async fn a_token_that_nobody_can_decrypt_loses_nothing() {
    let bench = Bench::with_token(None).await;
    bench
        .store
        .kept
        .lock()
        .unwrap()
        .get_mut(&account())
        .unwrap()
        .details = None;
    let slack = build(
        serde_json::from_value(
            json!({"signing_secret": SECRET, "api_base": bench.stub.base, "follow_threads": true}),
        )
        .unwrap(),
        bench.clock.clone(),
        bench.store.clone(),
    );
    slack.installations.load().await.unwrap();
    let mut message = mention(&json!({}));
    message["authorizations"][0]["team_id"] = json!("T7");
    assert!(outcome(&slack, &message).is_ok());
    let error = slack.send(&part()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.disposition),
        ("token_unreadable", SendDisposition::Hold)
    );
}

#[tokio::test]
async fn the_end_of_an_installation_is_told_by_these_events() {
    let bench = Bench::with_token(None).await;
    let told = |event: Value, team: &str| {
        let mut body = envelope(&event);
        body["authorizations"][0] = json!({"team_id": team, "user_id": "U7", "is_bot": true});
        receive(&bench.slack, &body).farewells.len()
    };
    assert_eq!(told(json!({"type": "app_uninstalled"}), "T7"), 1);
    let revoked = |oauth: &[&str], bot: &[&str]| json!({"type": "tokens_revoked", "tokens": {"oauth": oauth, "bot": bot}});
    assert_eq!(told(revoked(&["U1"], &["U7"]), "T7"), 1);
    // A person's own token, and another bot's.
    assert_eq!(told(revoked(&["U7"], &[]), "T7"), 0);
    assert_eq!(told(revoked(&[], &["U8"]), "T7"), 0);
    // Who does not know its own name takes it for itself.
    assert_eq!(told(revoked(&[], &["U8"]), "T8"), 1);
    assert_eq!(told(json!({"type": "tokens_revoked"}), "T7"), 0);
}

/// All of them, at the same time.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
