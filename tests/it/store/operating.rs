//! What operators do, and what the store needs to be asked about.

use chatbridge::domain::turn::{Burial, End};
use chatbridge::store::operator::{DeadQuery, ThreadChange, ThreadQuery};

use super::*;

fn everything() -> DeadQuery {
    DeadQuery {
        limit: 100,
        ..DeadQuery::default()
    }
}

async fn bury(bench: &Bench, when: i64) {
    let claim = only(bench.claim_turns(at(when)).await);
    let burial = Burial {
        end: End::Dead,
        code: "c".into(),
        reason: "r".into(),
        apology: None,
        at: at(when),
    };
    bench.store.bury_turn(claim, burial).await.unwrap();
}

#[tokio::test]
async fn a_paused_thread_hands_its_messages_to_a_person_and_answers_again_when_resumed() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let row = bench
        .store
        .change_thread("chan/A1/t1", ThreadChange::Pause, at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.state.as_str(), row.address.as_str()),
        ("paused", "chan/A1/t1")
    );
    assert_eq!(
        bench.accept(vec![message("m2", "t1", "two", at(2))]).await,
        [Accepted::Handed]
    );
    assert!(bench.claim_turns(at(9)).await.is_empty());
    bench
        .store
        .change_thread(&row.id, ThreadChange::Resume, at(10))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        bench.accept(vec![message("m3", "t1", "three", at(11))]).await,
        [Accepted::Queued]
    );
    assert_eq!(only(bench.claim_turns(at(12)).await).question(), "three");
}

#[tokio::test]
async fn fazer_ai_agents_158_no_answer_after_the_handover() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(0)).await);
    bench
        .store
        .change_thread("chan/A1/t1", ThreadChange::Pause, at(1))
        .await
        .unwrap();
    let none = bench
        .store
        .complete_turn(claim, completed(&["too late"], true, at(2)))
        .await
        .unwrap();
    assert!(none.is_none());
    assert!(bench.claim_sends(at(3)).await.is_empty());
    let states = bench.states("chan/A1/t1").await;
    assert_eq!(states, [("message".into(), "one".into(), "handed".into())]);
}

#[tokio::test]
async fn evolution_api_2536_a_thread_can_be_paused_before_anybody_wrote() {
    let bench = Bench::new().await;
    let row = bench
        .store
        .change_thread("chan/A1/p555", ThreadChange::Pause, at(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.state, "paused");
    let message = admit(
        Arrival::Message(inbound("m1", &["u1", "p555"], "hi", at(1))),
        at(1),
    );
    assert_eq!(bench.accept(vec![message]).await, [Accepted::Handed]);
    for nobody in ["", "chan", "chan/A1", "chan/A 1/x", "no-such-id"] {
        assert_eq!(
            bench
                .store
                .change_thread(nobody, ThreadChange::Pause, at(2))
                .await
                .unwrap(),
            None,
            "{nobody:?}"
        );
    }
    assert_eq!(
        bench
            .store
            .change_thread("chan/A1/p7", ThreadChange::Resume, at(2))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_reset_thread_opens_another_conversation() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bench.answer(at(0), &["x"], false).await;
    let row = bench
        .store
        .change_thread("chan/A1/t1", ThreadChange::Reset, at(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.conversation_id, None);
    bench.accept(vec![message("m2", "t1", "two", at(2))]).await;
    assert_eq!(only(bench.claim_turns(at(2)).await).thread.conversation_id, None);
}

#[tokio::test]
async fn dead_messages_are_listed_replayed_once_and_purged() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bury(&bench, 1).await;
    let letter = only(bench.store.dead(everything()).await.unwrap());
    assert_eq!(
        (letter.kind.as_str(), letter.address.as_str(), letter.attempts),
        ("message", "chan/A1/t1", 1)
    );
    assert!(bench.store.replay(&letter.id, &routes(), at(2)).await.unwrap());
    assert!(
        !bench.store.replay(&letter.id, &routes(), at(2)).await.unwrap(),
        "it is no dead letter any more"
    );
    bury(&bench, 3).await;
    assert!(bench.store.purge(&letter.id, at(4)).await.unwrap());
    assert!(bench.store.dead(everything()).await.unwrap().is_empty());
    assert!(!bench.store.purge(&letter.id, at(4)).await.unwrap());
    assert!(!bench.store.replay(&letter.id, &routes(), at(4)).await.unwrap());
}

#[tokio::test]
async fn a_replayed_message_is_answered_even_while_a_turn_is_under_way() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bury(&bench, 1).await;
    let letter = only(bench.store.dead(everything()).await.unwrap());
    bench.accept(vec![message("m2", "t1", "two", at(2))]).await;
    let under_way = only(bench.claim_turns(at(2)).await);
    bench.store.replay(&letter.id, &routes(), at(3)).await.unwrap();
    bench
        .store
        .complete_turn(under_way, completed(&["x"], false, at(4)))
        .await
        .unwrap();
    assert_eq!(only(bench.claim_turns(at(5)).await).question(), "one");
}

#[tokio::test]
async fn a_dead_delivery_is_sent_again_when_replayed() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = bench.answer(at(1), &["a"], true).await.unwrap();
    let dead = SendOutcome::Dead {
        code: "c".into(),
        reason: "r".into(),
    };
    bench.store.settle(claim, settlement(dead, at(2))).await.unwrap();
    let letter = only(bench.store.dead(everything()).await.unwrap());
    assert!(bench.store.replay(&letter.id, &routes(), at(3)).await.unwrap());
    let again = only(bench.claim_sends(at(3)).await);
    assert_eq!(
        (again.body.as_str(), again.attempt, again.unknown),
        ("a", 1, false)
    );
}

#[tokio::test]
async fn threads_are_listed_by_channel_and_state() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bench.accept(vec![message("m2", "t2", "two", at(5))]).await;
    bench
        .store
        .change_thread("chan/A1/t1", ThreadChange::Pause, at(6))
        .await
        .unwrap();
    let list = |channel: Option<&str>, state: Option<&str>| {
        let (channel, state) = (channel.map(str::to_owned), state.map(str::to_owned));
        bench.store.threads(ThreadQuery {
            channel,
            state,
            search: None,
            limit: 10,
        })
    };
    let addresses = |rows: Vec<chatbridge::store::operator::ThreadRow>| {
        rows.into_iter().map(|row| row.address).collect::<Vec<_>>()
    };
    assert_eq!(
        addresses(list(None, None).await.unwrap()),
        ["chan/A1/t1", "chan/A1/t2"]
    );
    assert_eq!(
        addresses(list(Some("chan"), Some("open")).await.unwrap()),
        ["chan/A1/t2"]
    );
    assert!(list(Some("ch"), None).await.unwrap().is_empty());
}

/// Few enough keys stay in memory for a test to see them go over into the large table.
const FEW_FRESH: Tuning = Tuning {
    batch: 512,
    fresh_keys: 400,
};

#[tokio::test]
async fn keys_stay_known_while_they_go_over_into_the_large_table() {
    let mut bench = Bench::tuned(FEW_FRESH).await;
    let batch = |n: usize| -> Vec<Admission> {
        (0..100)
            .map(|i| message(&format!("m{n}-{i}"), "t1", "x", at(0)))
            .collect()
    };
    for n in 0..40 {
        assert!(
            bench
                .accept(batch(n))
                .await
                .iter()
                .all(|outcome| *outcome == Accepted::Queued)
        );
        if n % 7 == 3 {
            bench = bench.reopen().await;
        }
        for earlier in [0, n / 2, n] {
            let again = bench.accept(batch(earlier)).await;
            assert!(
                again.iter().all(|outcome| *outcome == Accepted::Duplicate),
                "{earlier} after {n}"
            );
        }
    }
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 4000);
}

#[tokio::test]
async fn old_keys_are_swept_and_young_ones_stay() {
    let bench = Bench::tuned(FEW_FRESH).await;
    let hour = 3_600_000;
    let batch = |prefix: &str, when: i64| {
        (0..3000)
            .map(|n| message(&format!("{prefix}{n}"), "t1", "x", at(when)))
            .collect::<Vec<_>>()
    };
    bench.accept(batch("old", 0)).await;
    bench.accept(batch("young", 2 * hour)).await;
    // Some are still on their way into the large table: a later visit gets them.
    let (mut from, mut removed, mut steps) = (i64::MIN, 0, 0);
    while removed < 3000 && steps < 100 {
        let swept = bench.store.sweep(at(hour), from).await.unwrap();
        (removed, steps) = (removed + swept.keys, steps + 1);
        from = swept.next.unwrap_or(i64::MIN);
    }
    assert_eq!(removed, 3000, "after {steps} steps");
    let again = vec![
        message("old7", "t1", "one", at(hour)),
        message("young7", "t1", "two", at(hour)),
    ];
    assert_eq!(bench.accept(again).await, [Accepted::Queued, Accepted::Duplicate]);
}

#[tokio::test]
async fn the_backlog_counts_what_waits_and_tells_the_oldest() {
    let bench = Bench::new().await;
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 0);
    bench
        .accept(vec![
            message("m1", "t1", "one", at(7)),
            message("m2", "t2", "two", at(9)),
        ])
        .await;
    let backlog = bench.store.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.oldest), (2, Some(at(7))));
    bench.store.check_writable().await.unwrap();
}
