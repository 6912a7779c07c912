//! Whose message it is, as stored.

use chatbridge::domain::identity::IdentityChange;

use super::*;

fn said(id: &str, names: &[&str], when: i64) -> Admission {
    admit(Arrival::Message(inbound(id, names, id, at(when))), at(when))
}

fn change(id: &str, old: &[&str], new: &[&str], when: i64) -> Admission {
    let names = |names: &[&str]| names.iter().map(|name| identifier(name)).collect();
    let change = IdentityChange {
        account: account(),
        keys: vec![DedupKey::new(&account(), "id", id)],
        old: names(old),
        new: names(new),
        route: serde_json::json!({ "to": new }),
        address: alias(new[0]),
        at: at(when),
    };
    admit(Arrival::Identity(change), at(when))
}

/// The messages that share a thread with each message, claimed all at once.
async fn groups(bench: &Bench) -> Vec<Vec<String>> {
    let texts = |claim: TurnClaim| claim.messages.into_iter().map(|message| message.text).collect();
    let mut groups: Vec<Vec<String>> = bench
        .claim_turns(at(60_000))
        .await
        .into_iter()
        .map(texts)
        .collect();
    groups.sort();
    groups
}

#[tokio::test]
async fn a_number_that_learns_its_user_id_stays_one_thread() {
    let bench = Bench::new().await;
    bench.accept(vec![said("a", &["p1"], 0)]).await;
    bench.accept(vec![said("b", &["u1", "p1"], 1)]).await;
    bench.accept(vec![said("c", &["u1"], 2)]).await;
    assert_eq!(groups(&bench).await, [["a", "b", "c"]]);
}

#[tokio::test]
async fn chatwoot_15098_a_recycled_number_never_joins_its_former_owner() {
    let bench = Bench::new().await;
    bench.accept(vec![said("a", &["u1", "p1"], 0)]).await;
    bench.accept(vec![said("b", &["u2", "p1"], 1)]).await;
    bench
        .accept(vec![said("c", &["u1"], 2), said("d", &["u2"], 2)])
        .await;
    assert_eq!(groups(&bench).await, [["a", "c"], ["b", "d"]]);
}

#[tokio::test]
async fn the_recycled_number_is_seen_within_one_batch_too() {
    let bench = Bench::new().await;
    bench
        .accept(vec![
            said("a", &["u1", "p1"], 0),
            said("b", &["u2", "p1"], 0),
            said("c", &["p1"], 0),
        ])
        .await;
    assert_eq!(groups(&bench).await, [vec!["a"], vec!["b", "c"]]);
}

#[tokio::test]
async fn a_change_of_number_goes_on_in_the_thread_and_the_reply_goes_to_the_new_names() {
    let bench = Bench::new().await;
    bench.accept(vec![said("a", &["u1", "p1"], 0)]).await;
    assert_eq!(
        bench
            .accept(vec![change("s", &["u1", "p1"], &["u9", "p9"], 1)])
            .await,
        [APPLIED]
    );
    assert_eq!(
        bench
            .accept(vec![change("s", &["u1", "p1"], &["u9", "p9"], 1)])
            .await,
        [Accepted::Duplicate]
    );
    let claim = only(bench.claim_turns(at(2)).await);
    assert_eq!(claim.thread.route, serde_json::json!({ "to": ["u9", "p9"] }));
    bench
        .store
        .complete_turn(claim, completed(&["x"], false, at(3)))
        .await
        .unwrap();
    bench
        .accept(vec![said("b", &["u9", "p9"], 4), said("c", &["u7", "p1"], 4)])
        .await;
    assert_eq!(groups(&bench).await, [["b"], ["c"]]);
    let address = alias("u9");
    let texts: Vec<_> = bench
        .states(address.as_str())
        .await
        .into_iter()
        .map(|(_, text, _)| text)
        .collect();
    assert_eq!(texts, ["a", "x", "b"]);
}

#[tokio::test]
async fn changes_that_come_in_the_wrong_order_end_in_one_thread() {
    let bench = Bench::new().await;
    bench.accept(vec![said("a", &["u1"], 0)]).await;
    bench.accept(vec![change("s2", &["u2"], &["u3"], 1)]).await;
    assert_eq!(
        bench.accept(vec![change("s1", &["u1"], &["u2"], 2)]).await,
        [APPLIED]
    );
    bench.accept(vec![said("b", &["u3"], 3)]).await;
    let claim = only(bench.claim_turns(at(4)).await);
    assert_eq!(claim.question(), "a\nb");
    assert_eq!(claim.thread.route, serde_json::json!({ "to": ["u3"] }));
}
