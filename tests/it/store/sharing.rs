//! Leases that are renewed, and stores that several work on at the same time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chatbridge::store::operator::ThreadQuery;
use chatbridge::store::{Mode, Work};

use super::*;

#[tokio::test]
async fn a_claim_that_is_prolonged_is_taken_over_later() {
    let bench = Bench::new().await;
    bench
        .accept(vec![
            message("m1", "t1", "one", at(0)),
            message("m2", "t2", "two", at(0)),
        ])
        .await;
    let claims = bench.claim_turns(at(0)).await;
    let keys: Vec<_> = claims.iter().map(|claim| claim.key.clone()).collect();
    let later = at(30_000).plus(LEASE);
    let held = bench
        .store
        .prolong(Work::Turn, keys[..1].to_vec(), later)
        .await
        .unwrap();
    assert_eq!(held, HashSet::from([keys[0].token]));
    // The other one is taken over; whoever held it is told when it asks.
    let taken = only(bench.claim_turns(at(0).plus(LEASE)).await);
    assert_eq!(taken.key.thread, keys[1].thread);
    let held = bench
        .store
        .prolong(Work::Turn, keys.clone(), later)
        .await
        .unwrap();
    assert_eq!(held, HashSet::from([keys[0].token]));
    // A turn's claim is no claim on a send.
    let held = bench.store.prolong(Work::Send, keys, later).await.unwrap();
    assert!(held.is_empty());
    let late: HashMap<_, _> = by_thread(bench.claim_turns(later).await);
    assert!(late.contains_key(alias("t1").as_str()));
}

#[tokio::test]
async fn a_part_that_is_prolonged_stays_claimed() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = bench.answer(at(0), &["a"], true).await.unwrap();
    let later = at(30_000).plus(LEASE);
    let held = bench
        .store
        .prolong(Work::Send, vec![claim.key.clone()], later)
        .await
        .unwrap();
    assert_eq!(held, HashSet::from([claim.key.token]));
    assert!(bench.claim_sends(at(0).plus(LEASE)).await.is_empty());
    assert!(
        bench
            .store
            .settle(claim, sent("x1", at(1)))
            .await
            .unwrap()
            .is_none()
    );
}

/// Two stores on one database accept, answer and send at the same time, about the same few people: every message is
/// answered once, and each thread's in their order.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_about_the_same_threads() {
    if !on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let other = chatbridge::store::open(&bench.place.settings(), Mode::Serve)
        .await
        .unwrap();
    let (threads, messages) = (12, 15);
    let mut tasks = tokio::task::JoinSet::new();
    for (replica, store) in [bench.store.clone(), other.clone()].into_iter().enumerate() {
        for n in 0..messages {
            let store = store.clone();
            tasks.spawn(async move {
                for thread in 0..threads {
                    // Each message comes to both, and its thread is named by two of its names.
                    let id = format!("m{thread}.{n}");
                    let names = [format!("u{thread}"), format!("p{thread}")];
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let arrival = Arrival::Message(inbound(&id, &names, &id, at(n)));
                    store.accept(vec![admit(arrival, at(0))]).await.unwrap();
                }
                Vec::new()
            });
        }
        tasks.spawn(work_off(store, replica));
    }
    let mut answered: Vec<String> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        answered.extend(done.unwrap());
    }
    answered.extend(work_off(bench.store.clone(), 0).await);
    let once: HashSet<&String> = answered.iter().collect();
    assert_eq!(once.len(), answered.len(), "a message was answered twice");
    assert_eq!(answered.len(), threads * usize::try_from(messages).unwrap());
    let listed = bench
        .store
        .threads(ThreadQuery {
            limit: 1000,
            ..ThreadQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(listed.len(), threads, "one thread for each person");
    other.close().await;
}

/// Answers and sends until nothing has come for a while. Returns the texts that were answered.
async fn work_off(store: Arc<dyn Store>, replica: usize) -> Vec<String> {
    let mut answered = Vec::new();
    let mut idle = 0;
    let lane = routes().turn_lane(&account(), None);
    while idle < 20 {
        let quota = vec![Quota {
            lane: lane.clone(),
            most: 3,
        }];
        let claims = store
            .claim_turns(quota, at(1), at(1).plus(LEASE))
            .await
            .unwrap()
            .claims;
        idle += 1;
        for claim in claims {
            idle = 0;
            answered.extend(claim.messages.iter().map(|message| message.text.clone()));
            let done = completed(&["answer"], true, at(1));
            let mut next = store.complete_turn(claim, done).await.unwrap();
            while let Some(part) = next {
                let name = format!("x{replica}.{}", part.delivery);
                next = store.settle(part, sent(&name, at(1))).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answered
}
