//! Forgetting by age.

use chatbridge::domain::message::{Fate, Receipt};
use chatbridge::store::operator::ThreadChange;

use super::replaying::{bury, everything};
use super::*;

/// Goes through all threads. Returns how many texts went, and how many of them were dead letters.
async fn expire(bench: &Bench, before: i64) -> (u64, u64) {
    let (mut from, mut texts, mut letters) = (None, 0, 0);
    loop {
        let expired = bench.store.expire(at(before), from).await.unwrap();
        (texts, letters, from) = (texts + expired.texts, letters + expired.letters, expired.next);
        if from.is_none() {
            return (texts, letters);
        }
    }
}

#[tokio::test]
async fn what_ended_long_ago_loses_its_text_and_what_is_open_keeps_it() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "answered", at(0))]).await;
    let send = bench.answer(at(1), &["sent", "waits"], true).await.unwrap();
    bench.store.settle(send, sent("x", at(2))).await.unwrap();
    bench.accept(vec![message("m2", "t2", "hopeless", at(0))]).await;
    bury(&bench, 3).await;
    bench.accept(vec![message("m3", "t3", "open", at(4))]).await;
    assert_eq!(expire(&bench, 1).await, (0, 0), "nothing is that old");
    let letter = only(bench.store.dead(everything()).await.unwrap());
    assert_eq!(letter.reason, "token [hidden] was refused");
    assert_eq!(expire(&bench, 5).await, (3, 1));
    assert_eq!(expire(&bench, 5).await, (0, 0), "once is enough");
    let said = |kind: &str, text: &str, state: &str| (kind.to_owned(), text.to_owned(), state.to_owned());
    assert_eq!(
        bench.states("chan/A1/t1").await,
        [
            said("message", "", "answered"),
            said("answer", "", "sent"),
            said("answer", "waits", "pending")
        ]
    );
    let detail = bench.store.thread("chan/A1/t2").await.unwrap().unwrap();
    let item = only(detail.history);
    assert_eq!(
        (item.state.as_str(), item.reason.as_deref()),
        ("ignored", Some("expired"))
    );
    assert!(bench.store.dead(everything()).await.unwrap().is_empty());
    assert!(!bench.store.replay(&letter.id, &routes(), at(6)).await.unwrap());
    assert_eq!(only(bench.claim_turns(at(6)).await).question(), "open");
    assert_eq!(only(bench.claim_sends(at(6)).await).body, "waits");
    // The keys stay.
    assert_eq!(
        bench.accept(vec![message("m1", "t1", "answered", at(0))]).await,
        [Accepted::Duplicate]
    );
}

#[tokio::test]
async fn a_failure_that_is_told_of_after_the_text_went_makes_no_dead_letter() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let send = bench.answer(at(1), &["a"], true).await.unwrap();
    let delivery = send.delivery;
    bench.store.settle(send, sent("x", at(2))).await.unwrap();
    expire(&bench, 5).await;
    let receipt = Receipt {
        account: account(),
        platform_id: "x".to_owned(),
        delivery: Some(delivery),
        fate: Fate::Failed {
            code: "131026".to_owned(),
            reason: "undeliverable".to_owned(),
        },
        at: at(6),
        billable: None,
    };
    bench.accept(vec![admit(Arrival::Receipt(receipt), at(6))]).await;
    assert!(bench.store.dead(everything()).await.unwrap().is_empty());
    let states = bench.states("chan/A1/t1").await;
    assert_eq!(states[1], ("answer".into(), String::new(), "withdrawn".into()));
}

#[tokio::test]
async fn old_texts_are_found_in_steps_over_many_threads() {
    let bench = Bench::new().await;
    for chunk in 0..5 {
        let batch = (0..90).map(|n| message(&format!("m{chunk}-{n}"), &format!("t{chunk}-{n}"), "x", at(0)));
        bench.accept(batch.collect()).await;
    }
    bench
        .store
        .change_thread("chan/A1/t0-0", ThreadChange::Pause, at(1))
        .await
        .unwrap();
    loop {
        let claims = bench.claim_turns(at(2)).await;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            bench
                .store
                .complete_turn(claim, completed(&[], false, at(2)))
                .await
                .unwrap();
        }
    }
    let first = bench.store.expire(at(9), None).await.unwrap();
    assert!(first.texts > 0 && first.next.is_some(), "{first:?}");
    let (texts, letters) = expire(&bench, 9).await;
    assert_eq!((first.texts + texts, letters), (450, 0));
}
