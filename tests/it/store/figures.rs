//! What the console counts and searches.

use chatbridge::domain::message::{Fate, Receipt};
use chatbridge::domain::turn::{Burial, End};
use chatbridge::store::operator::{Answered, ThreadQuery};

use super::*;

const HOUR: i64 = 3_600_000;

/// A message that comes at `asked`, and its answer, in two parts, that is delivered at `delivered`.
async fn exchange(bench: &Bench, id: &str, thread: &str, asked: i64, delivered: i64) {
    bench
        .accept(vec![message(id, thread, "question", at(asked))])
        .await;
    let first = bench.answer(at(asked), &["a", "b"], true).await.unwrap();
    bench
        .store
        .settle(first, sent(&format!("{id}-1"), at(delivered)))
        .await
        .unwrap();
    let second = only(bench.claim_sends(at(delivered)).await);
    bench
        .store
        .settle(second, sent(&format!("{id}-2"), at(delivered + 1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn answers_are_counted_once_by_hour_and_time_to_answer() {
    let bench = Bench::new().await;
    exchange(&bench, "m1", "t1", 0, 80).await;
    exchange(&bench, "m2", "t1", 1000, 3000).await;
    exchange(&bench, "m3", "t2", 5000, 7000).await;
    exchange(&bench, "m4", "t2", HOUR, HOUR + 900_000).await;
    let counted = |hour: i64, within, count| Answered {
        channel: "chan".to_owned(),
        hour: at(hour),
        within,
        count,
    };
    assert_eq!(
        bench.store.answered(at(0)).await.unwrap(),
        [
            counted(0, Some(100), 1),
            counted(0, Some(2000), 2),
            counted(HOUR, None, 1)
        ]
    );
    assert_eq!(
        bench.store.answered(at(HOUR)).await.unwrap(),
        [counted(HOUR, None, 1)]
    );
    assert!(bench.store.answered(at(2 * HOUR)).await.unwrap().is_empty());
}

#[tokio::test]
async fn accounts_tell_what_waits_and_what_failed() {
    let bench = Bench::new().await;
    assert!(bench.store.accounts().await.unwrap().is_empty());
    exchange(&bench, "m1", "t1", 0, 80).await;
    bench.accept(vec![message("m2", "t2", "doomed", at(100))]).await;
    let claim = only(bench.claim_turns(at(100)).await);
    let burial = Burial {
        end: End::Dead,
        code: "c".into(),
        reason: "r".into(),
        apology: None,
        at: at(101),
    };
    bench.store.bury_turn(claim, burial).await.unwrap();
    bench
        .accept(vec![
            message("m3", "t2", "waits", at(200)),
            message("m4", "t3", "waits too", at(300)),
        ])
        .await;
    let accounts = bench.store.accounts().await.unwrap();
    let row = only(accounts);
    assert_eq!((row.channel.as_str(), row.account.as_str()), ("chan", "A1"));
    assert_eq!(
        (row.threads, row.last_at, row.waiting, row.dead),
        (3, at(300), 2, 1)
    );
}

#[tokio::test]
async fn threads_are_found_by_any_of_their_names() {
    let bench = Bench::new().await;
    let anna = admit(
        Arrival::Message(inbound("m1", &["p4711", "u-anna"], "one", at(0))),
        at(0),
    );
    bench
        .accept(vec![anna, message("m2", "t-other", "two", at(1))])
        .await;
    let found = |search: &str| {
        let search = Some(search.to_owned());
        bench.store.threads(ThreadQuery {
            search,
            limit: 10,
            ..ThreadQuery::default()
        })
    };
    for search in ["4711", "u-anna", "anna", "chan/A1/p4711"] {
        let rows = found(search).await.unwrap();
        assert_eq!(only(rows).address, "chan/A1/p4711", "{search}");
    }
    let row = only(found("t-other").await.unwrap());
    assert_eq!(only(found(&row.id).await.unwrap()).address, "chan/A1/t-other");
    assert!(
        found("%").await.unwrap().is_empty(),
        "the text is taken as it stands"
    );
    assert_eq!(found("chan/").await.unwrap().len(), 2);
    assert!(found("nobody").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_transcript_tells_how_far_an_answer_came() {
    let bench = Bench::new().await;
    exchange(&bench, "m1", "t1", 0, 80).await;
    let stages = async || -> Vec<Option<String>> {
        let detail = bench.store.thread("chan/A1/t1").await.unwrap().unwrap();
        detail.history.into_iter().map(|item| item.stage).collect()
    };
    assert_eq!(stages().await, [None, None, None]);
    let receipt = |fate| Receipt {
        account: account(),
        platform_id: "m1-1".into(),
        delivery: None,
        fate,
        at: at(90),
        billable: None,
    };
    for (fate, word) in [
        (Fate::Sent, "sent"),
        (Fate::Delivered, "delivered"),
        (Fate::Read, "read"),
    ] {
        bench
            .accept(vec![admit(Arrival::Receipt(receipt(fate)), at(90))])
            .await;
        assert_eq!(stages().await, [None, Some(word.to_owned()), None]);
    }
}
