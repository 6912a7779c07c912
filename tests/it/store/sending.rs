//! Sends: recorded before they are made, one in flight for a thread, in order, and looked for when unclear.

use chatbridge::domain::message::{Fate, Receipt};
use chatbridge::store::StoreError;

use super::*;

fn receipt(platform_id: &str, fate: Fate, at: Time) -> Admission {
    let receipt = Receipt {
        account: account(),
        platform_id: platform_id.into(),
        delivery: None,
        fate,
        at,
        billable: None,
    };
    admit(Arrival::Receipt(receipt), at)
}

async fn answered(parts: &[&str]) -> (Bench, SendClaim) {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let first = bench
        .answer(at(1), parts, true)
        .await
        .expect("the first part is claimed");
    (bench, first)
}

#[tokio::test]
async fn parts_go_out_one_after_the_other() {
    let (bench, first) = answered(&["a", "b", "c"]).await;
    assert_eq!(
        (first.body.as_str(), first.attempt, first.asked_at),
        ("a", 1, Some(at(0)))
    );
    assert!(bench.claim_sends(at(2)).await.is_empty(), "one is in flight");
    let settle = Settlement {
        claim_next: true,
        ..sent("x1", at(3))
    };
    let second = bench
        .store
        .settle(first, settle)
        .await
        .unwrap()
        .expect("the next part");
    assert_eq!((second.body.as_str(), second.asked_at), ("b", None));
    assert!(
        bench
            .store
            .settle(second, sent("x2", at(4)))
            .await
            .unwrap()
            .is_none()
    );
    let third = only(bench.claim_sends(at(5)).await);
    assert_eq!(third.body, "c");
    bench.store.settle(third, sent("x3", at(6))).await.unwrap();
    assert!(bench.claim_sends(at(7)).await.is_empty());
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn a_second_answer_waits_behind_the_first() {
    let (bench, first) = answered(&["a"]).await;
    bench.accept(vec![message("m2", "t1", "two", at(2))]).await;
    assert!(
        bench.answer(at(3), &["b"], true).await.is_none(),
        "the thread has one in flight"
    );
    bench.store.settle(first, sent("x1", at(4))).await.unwrap();
    assert_eq!(only(bench.claim_sends(at(5)).await).body, "b");
}

#[tokio::test]
async fn a_part_that_was_not_sent_is_due_again_and_counts_its_attempts() {
    let (bench, first) = answered(&["a", "b"]).await;
    let again = |counts| SendOutcome::Again {
        at: at(100),
        counts,
        code: "x".into(),
        held: None,
    };
    bench
        .store
        .settle(first, settlement(again(true), at(3)))
        .await
        .unwrap();
    assert!(bench.claim_sends(at(99)).await.is_empty());
    let second = only(bench.claim_sends(at(100)).await);
    assert_eq!(
        (second.body.as_str(), second.attempt, second.unknown),
        ("a", 2, false)
    );
    bench
        .store
        .settle(second, settlement(again(false), at(101)))
        .await
        .unwrap();
    assert_eq!(only(bench.claim_sends(at(102)).await).attempt, 2);
}

#[tokio::test]
async fn after_a_restart_a_part_in_flight_is_unknown_and_looked_for_not_before_its_time() {
    let (bench, first) = answered(&["a", "b"]).await;
    let bench = bench.reopen().await;
    let after = |millis| at(millis).plus(LEASE);
    bench
        .store
        .recover(&routes(), after(10), after(2010))
        .await
        .unwrap();
    assert!(bench.claim_sends(after(2009)).await.is_empty());
    let look = only(bench.claim_sends(after(2010)).await);
    assert_eq!(
        (look.delivery, look.unknown, look.attempt),
        (first.delivery, true, 1)
    );
    assert_eq!(look.last_attempt_at, Some(at(1)));
    let refused = bench.store.settle(first, sent("late", after(2011))).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    bench.store.settle(look, sent("x1", after(2012))).await.unwrap();
    let next = only(bench.claim_sends(after(2013)).await);
    assert_eq!((next.body.as_str(), next.unknown), ("b", false));
}

#[tokio::test]
async fn a_part_whose_lease_ended_is_unknown() {
    let (bench, first) = answered(&["a"]).await;
    let look = only(bench.claim_sends(at(1).plus(LEASE)).await);
    assert!(look.unknown);
    assert_eq!(look.delivery, first.delivery);
}

#[tokio::test]
async fn a_receipt_settles_a_part_of_which_nobody_knew() {
    let (bench, first) = answered(&["a", "b"]).await;
    let unknown = SendOutcome::Unknown {
        look_at: at(30_000),
        code: "timeout".into(),
    };
    bench
        .store
        .settle(first.clone(), settlement(unknown, at(3)))
        .await
        .unwrap();
    let mut by_id = receipt("x1", Fate::Delivered, at(50));
    if let Arrival::Receipt(receipt) = &mut by_id.arrival {
        receipt.delivery = Some(first.delivery);
    }
    assert_eq!(
        bench.accept(vec![by_id]).await,
        [Accepted::Applied {
            found: true,
            billed: false
        }]
    );
    assert_eq!(only(bench.claim_sends(at(50)).await).body, "b");
}

#[tokio::test]
async fn receipts_come_in_any_order_and_never_go_back() {
    let (bench, first) = answered(&["a"]).await;
    bench.store.settle(first, sent("x1", at(3))).await.unwrap();
    let fates = [Fate::Read, Fate::Sent, Fate::Delivered, Fate::Read];
    let receipts = fates.map(|fate| receipt("x1", fate, at(4))).to_vec();
    let expected = [
        APPLIED,
        Accepted::Duplicate,
        Accepted::Duplicate,
        Accepted::Duplicate,
    ];
    assert_eq!(bench.accept(receipts).await, expected);
    assert_eq!(
        bench.accept(vec![receipt("nobody's", Fate::Read, at(5))]).await,
        [Accepted::Unknown]
    );
}

#[tokio::test]
async fn a_late_failure_makes_a_dead_letter() {
    let (bench, first) = answered(&["a"]).await;
    let id = first.delivery.to_string();
    bench.store.settle(first, sent("x1", at(3))).await.unwrap();
    let failed = Fate::Failed {
        code: "131047".into(),
        reason: "window closed".into(),
    };
    assert_eq!(bench.accept(vec![receipt("x1", failed, at(4))]).await, [APPLIED]);
    let query = chatbridge::store::operator::DeadQuery {
        limit: 9,
        ..Default::default()
    };
    let letter = only(bench.store.dead(query).await.unwrap());
    assert_eq!(
        (letter.id, letter.kind, letter.code),
        (id, "delivery".to_owned(), "131047".to_owned())
    );
    assert_eq!(letter.at, at(4).to_string());
}

#[tokio::test]
async fn a_receipt_of_another_account_changes_nothing() {
    let (bench, first) = answered(&["a"]).await;
    bench
        .store
        .settle(first.clone(), sent("x1", at(3)))
        .await
        .unwrap();
    let mut forged = receipt(
        "x1",
        Fate::Failed {
            code: "1".into(),
            reason: String::new(),
        },
        at(4),
    );
    if let Arrival::Receipt(receipt) = &mut forged.arrival {
        receipt.account = AccountKey::new("chan", "A2").unwrap();
        receipt.delivery = Some(first.delivery);
    }
    assert_eq!(bench.accept(vec![forged]).await, [Accepted::Unknown]);
}

#[tokio::test]
async fn a_dead_part_does_not_stop_the_parts_behind_it() {
    let (bench, first) = answered(&["a", "b"]).await;
    let dead = SendOutcome::Dead {
        code: "100".into(),
        reason: "ours".into(),
    };
    bench.store.settle(first, settlement(dead, at(3))).await.unwrap();
    assert_eq!(only(bench.claim_sends(at(4)).await).body, "b");
}
