//! Turns: one at a time for a thread, and never under a claim that is gone.

use chatbridge::domain::turn::{Apology, Burial, Deferral, End};
use chatbridge::store::StoreError;

use super::*;

fn deferral(until: Time) -> Deferral {
    Deferral {
        until,
        counts: true,
        ambiguous: false,
        held: None,
    }
}

fn burial(at: Time, apology: Option<&str>) -> Burial {
    let apology = apology.map(|text| Apology {
        text: text.to_owned(),
        rationed: false,
    });
    Burial {
        end: End::Dead,
        code: "http_500".into(),
        reason: "it failed".into(),
        apology,
        at,
    }
}

#[tokio::test]
async fn a_thread_is_claimed_once_and_what_comes_meanwhile_waits() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(0)).await);
    assert!(bench.claim_turns(at(1)).await.is_empty());
    bench
        .accept(vec![
            message("m2", "t1", "two", at(2)),
            message("m3", "t2", "other", at(2)),
        ])
        .await;
    // The other thread does not wait.
    assert_eq!(only(bench.claim_turns(at(3)).await).question(), "other");
    bench
        .store
        .complete_turn(claim, completed(&["answer"], false, at(4)))
        .await
        .unwrap();
    let next = only(bench.claim_turns(at(5)).await);
    assert_eq!((next.question().as_str(), next.attempt), ("two", 1));
    assert_eq!(next.thread.conversation_id.as_deref(), Some("conv"));
}

#[tokio::test]
async fn a_turn_that_is_tried_again_keeps_its_messages_and_its_name() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let first = only(bench.claim_turns(at(0)).await);
    bench
        .store
        .defer_turn(first.key.clone(), deferral(at(1000)))
        .await
        .unwrap();
    bench.accept(vec![message("m2", "t1", "two", at(10))]).await;
    assert!(bench.claim_turns(at(999)).await.is_empty());
    let second = only(bench.claim_turns(at(1000)).await);
    assert_eq!(
        (second.question().as_str(), second.attempt, second.turn),
        ("one", 2, first.turn)
    );
    bench
        .store
        .complete_turn(second, completed(&["answer"], false, at(1001)))
        .await
        .unwrap();
    assert_eq!(only(bench.claim_turns(at(1001)).await).question(), "two");
}

#[tokio::test]
async fn a_claim_that_was_taken_over_counts_no_more() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let late = only(bench.claim_turns(at(0)).await);
    let lease_end = at(0).plus(LEASE);
    let taken = only(bench.claim_turns(lease_end).await);
    let refused = bench
        .store
        .complete_turn(late.clone(), completed(&["late"], true, lease_end))
        .await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    let refused = bench
        .store
        .defer_turn(late.key.clone(), deferral(lease_end))
        .await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    let refused = bench.store.bury_turn(late, burial(lease_end, None)).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    bench
        .store
        .complete_turn(taken, completed(&["good"], false, lease_end))
        .await
        .unwrap();
    assert_eq!(only(bench.claim_sends(lease_end).await).body, "good");
}

#[tokio::test]
async fn a_restart_takes_over_and_tells_that_the_question_may_have_been_answered() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let before = only(bench.claim_turns(at(0)).await);
    assert!(!before.ambiguous);
    let bench = bench.reopen().await;
    // Where others may work too, only what has lost its lease is taken over.
    let later = at(5).plus(LEASE);
    assert_eq!(bench.store.recover(&routes(), later, later).await.unwrap(), 1);
    let after = only(bench.claim_turns(later).await);
    assert!(after.ambiguous);
    // A crash of ours burns none of the agent's attempts.
    assert_eq!((after.attempt, after.turn), (1, before.turn));
}

#[tokio::test]
async fn a_restart_puts_waiting_turns_where_the_routes_now_lead() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let other = Routes::new(Vec::new(), "another");
    bench.store.recover(&other, at(1), at(1)).await.unwrap();
    let lane = only(bench.store.lanes(Work::Turn).await.unwrap()).lane;
    assert_eq!(Routes::agent_of_lane(&lane), "another");
}

#[tokio::test]
async fn a_turn_that_is_given_up_leaves_dead_letters_and_an_apology() {
    let bench = Bench::new().await;
    bench
        .accept(vec![
            message("m1", "t1", "one", at(0)),
            message("m2", "t1", "two", at(1)),
        ])
        .await;
    let claim = only(bench.claim_turns(at(1)).await);
    bench
        .store
        .bury_turn(claim, burial(at(2), Some("sorry")))
        .await
        .unwrap();
    assert_eq!(only(bench.claim_sends(at(2)).await).body, "sorry");
    let dead = bench.store.dead(chatbridge::store::operator::DeadQuery {
        limit: 9,
        ..Default::default()
    });
    let dead = dead.await.unwrap();
    assert_eq!(
        dead.iter().map(|letter| letter.code.as_str()).collect::<Vec<_>>(),
        ["http_500"; 2]
    );
    // The thread goes on.
    bench.accept(vec![message("m3", "t1", "three", at(3))]).await;
    assert_eq!(only(bench.claim_turns(at(3)).await).question(), "three");
}

#[tokio::test]
async fn what_is_held_waits_for_its_release() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(0)).await);
    let held = Deferral {
        until: at(60_000),
        counts: false,
        ambiguous: false,
        held: Some("agent".into()),
    };
    bench.store.defer_turn(claim.key, held).await.unwrap();
    bench.accept(vec![message("m2", "t1", "two", at(1))]).await;
    assert!(bench.claim_turns(at(59_999)).await.is_empty());
    assert_eq!(
        bench
            .store
            .release(Work::Turn, "somebody else", at(2))
            .await
            .unwrap(),
        0
    );
    assert_eq!(bench.store.release(Work::Turn, "agent", at(3)).await.unwrap(), 1);
    let claim = only(bench.claim_turns(at(3)).await);
    assert_eq!((claim.attempt, claim.question().as_str()), (1, "one"));
}

#[tokio::test]
async fn quotas_are_kept_and_the_rest_is_told() {
    let bench = Bench::new().await;
    bench
        .accept(
            (0..5)
                .map(|n| message(&format!("m{n}"), &format!("t{n}"), "x", at(n)))
                .collect(),
        )
        .await;
    let lane = only(bench.store.lanes(Work::Turn).await.unwrap()).lane;
    let quotas = vec![Quota {
        lane: lane.clone(),
        most: 2,
    }];
    let claimed = bench
        .store
        .claim_turns(quotas, at(10), at(10).plus(LEASE))
        .await
        .unwrap();
    let earliest: Vec<_> = by_thread(claimed.claims).into_keys().collect();
    assert_eq!(earliest.len(), 2);
    assert!(
        earliest
            .iter()
            .all(|address| address.ends_with("t0") || address.ends_with("t1")),
        "{earliest:?}"
    );
    assert_eq!(only(claimed.lanes).due_at, Some(at(2)));
}
