//! Answers that people call off.

use chatbridge::domain::act::{Act, Deed, Whereabouts};
use chatbridge::store::StoreError;

use super::*;

fn stop(key: &str, thread: &str, until: Time, when: Time) -> Admission {
    let act = Act {
        room: None,
        account: account(),
        keys: vec![DedupKey::new(&account(), "stop", key)],
        on: Whereabouts::Known {
            identifiers: vec![identifier(thread)],
        },
        deed: Deed::Stop,
        say: Some("stopped".to_owned()),
        alert: None,
        at: until,
    };
    admit(Arrival::Act(act), when)
}

/// The messages of a thread by state, the stopped ones with their code.
async fn states(bench: &Bench, thread: &str) -> Vec<String> {
    let states = bench.states(&format!("chan/A1/{thread}")).await;
    let messages = states.into_iter().filter(|(kind, ..)| kind == "message");
    messages.map(|(_, _, state)| state).collect()
}

#[tokio::test]
async fn a_turn_that_is_asked_loses_its_claim() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(1)).await);
    let token = claim.key.token;
    assert_eq!(
        bench.accept(vec![stop("s1", "t1", at(2), at(3))]).await,
        [Accepted::Stopped(Some(token))]
    );
    let late = bench
        .store
        .complete_turn(claim, completed(&["answer"], false, at(4)))
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let bench = bench.reopen().await;
    assert!(bench.claim_turns(at(5)).await.is_empty());
    assert_eq!(states(&bench, "t1").await, ["ignored"]);
    // Nothing is left but the word about it.
    let send = only(bench.claim_sends(at(5)).await);
    assert_eq!(send.body, "stopped");
    bench.accept(vec![message("m2", "t1", "two", at(6))]).await;
    assert_eq!(only(bench.claim_turns(at(6)).await).question(), "two");
}

#[tokio::test]
async fn what_was_written_later_is_asked_anew() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(1)).await);
    let batch = vec![
        message("m2", "t1", "two", at(2)),
        message("m3", "t1", "three", at(9)),
        stop("s1", "t1", at(5), at(10)),
        stop("s1", "t1", at(5), at(10)),
    ];
    let outcomes = bench.accept(batch).await;
    assert_eq!(
        outcomes[2..],
        [Accepted::Stopped(Some(claim.key.token)), Accepted::Duplicate]
    );
    let next = only(bench.claim_turns(at(10)).await);
    assert_eq!((next.question(), next.attempt), ("three".to_owned(), 1));
    let late = bench
        .store
        .complete_turn(claim, completed(&["first"], false, at(11)))
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let done = completed(&["third"], false, at(11));
    bench.store.complete_turn(next, done).await.unwrap();
    assert_eq!(states(&bench, "t1").await, ["ignored", "ignored", "answered"]);
}

#[tokio::test]
async fn a_turn_that_holds_nothing_older_is_spared() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bench.answer(at(0), &["answer"], true).await.unwrap();
    bench.accept(vec![message("m2", "t1", "two", at(5))]).await;
    let claim = only(bench.claim_turns(at(5)).await);
    // It was pressed before the second question and arrives after it.
    assert_eq!(
        bench.accept(vec![stop("s1", "t1", at(2), at(6))]).await,
        [Accepted::Unknown]
    );
    let done = completed(&["again"], false, at(7));
    assert!(bench.store.complete_turn(claim, done).await.is_ok());
}

#[tokio::test]
async fn what_waits_is_called_off_before_it_is_asked_and_in_the_same_batch() {
    let bench = Bench::new().await;
    let batch = vec![
        message("m1", "t1", "one", at(0)),
        stop("s1", "t1", at(1), at(1)),
        message("m2", "t2", "two", at(1)),
    ];
    assert_eq!(bench.accept(batch).await[1], Accepted::Stopped(None));
    assert_eq!(only(bench.claim_turns(at(2)).await).question(), "two");
    assert_eq!(states(&bench, "t1").await, ["ignored"]);
    assert_eq!(
        bench.accept(vec![stop("s2", "t9", at(3), at(3))]).await,
        [Accepted::Unknown],
        "nobody knows the thread"
    );
    assert!(bench.store.thread("chan/A1/t9").await.unwrap().is_none());
}

#[tokio::test]
async fn parts_that_nobody_began_to_send_stay_unsent() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let first = bench.answer(at(0), &["a", "b", "c"], true).await.unwrap();
    assert_eq!(
        bench.accept(vec![stop("s1", "t1", at(1), at(1))]).await,
        [Accepted::Stopped(None)]
    );
    assert_eq!(
        bench.accept(vec![stop("s2", "t1", at(1), at(1))]).await,
        [Accepted::Unknown],
        "nothing is left to call off"
    );
    bench.store.settle(first, sent("x1", at(2))).await.unwrap();
    let next = only(bench.claim_sends(at(3)).await);
    assert_eq!(next.body, "stopped");
    bench.store.settle(next, sent("x2", at(3))).await.unwrap();
    assert!(bench.claim_sends(at(4)).await.is_empty());
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 0);
}
