//! Dead letters: finding them, and trying them again.

use chatbridge::domain::turn::{Burial, End};
use chatbridge::store::operator::DeadQuery;

use super::*;

pub(super) async fn bury(bench: &Bench, when: i64) {
    let claim = only(bench.claim_turns(at(when)).await);
    let burial = Burial {
        end: End::Dead,
        code: "c".into(),
        reason: "token xoxb-1-secret was refused".into(),
        apology: None,
        at: at(when),
    };
    bench.store.bury_turn(claim, burial).await.unwrap();
}

pub(super) fn everything() -> DeadQuery {
    DeadQuery {
        limit: 100,
        ..DeadQuery::default()
    }
}

/// Retried commands must not ask or send twice.
#[tokio::test]
async fn a_replay_is_done_once_keeps_the_order_and_leaves_what_is_under_way() {
    let bench = Bench::new().await;
    for n in 1..=3 {
        bench
            .accept(vec![message(&format!("m{n}"), "t1", &format!("text {n}"), at(n))])
            .await;
        bury(&bench, 10 + n).await;
    }
    let letters = bench.store.dead(everything()).await.unwrap();
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert!(bench.store.replay(ids[0], &routes(), at(20)).await.unwrap());
    let under_way = only(bench.claim_turns(at(21)).await);
    assert_eq!(under_way.question(), "text 1");
    assert!(
        !bench.store.replay(ids[0], &routes(), at(22)).await.unwrap(),
        "it is being asked"
    );
    assert!(bench.store.replay(ids[1], &routes(), at(22)).await.unwrap());
    assert!(bench.store.replay(ids[2], &routes(), at(22)).await.unwrap());
    assert!(
        !bench.store.replay(ids[2], &routes(), at(22)).await.unwrap(),
        "it waits already"
    );
    bench
        .store
        .complete_turn(under_way, completed(&[], false, at(23)))
        .await
        .unwrap();
    let next = only(bench.claim_turns(at(24)).await);
    assert_eq!(next.question(), "text 2\ntext 3");
    bench
        .store
        .complete_turn(next, completed(&[], false, at(25)))
        .await
        .unwrap();
    assert!(bench.claim_turns(at(30)).await.is_empty());
    for id in ids {
        assert!(!bench.store.replay(id, &routes(), at(31)).await.unwrap());
    }
    let states: Vec<String> = bench
        .states("chan/A1/t1")
        .await
        .into_iter()
        .map(|(.., state)| state)
        .collect();
    assert_eq!(states, ["answered", "answered", "answered"]);
}

/// What narrows a question.
type Narrow<'n> = &'n dyn Fn(&mut DeadQuery);

#[tokio::test]
async fn dead_letters_are_found_by_what_they_have() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    bury(&bench, 10).await;
    bench.accept(vec![message("m2", "t2", "two", at(0))]).await;
    bury(&bench, 20).await;
    let text = |text: &str| Some(text.to_owned());
    let cases: [(&str, Narrow<'_>, usize); 13] = [
        ("all", &|_| {}, 2),
        ("channel", &|q| q.channel = text("chan"), 2),
        ("part of a channel", &|q| q.channel = text("cha"), 0),
        ("account", &|q| q.account = text("A1"), 2),
        ("part of an account", &|q| q.account = text("1"), 0),
        ("long account", &|q| q.account = text("longer-than-all-names"), 0),
        ("address", &|q| q.address = text("chan/A1/t2"), 1),
        ("code", &|q| q.code = text("c"), 2),
        ("no pattern", &|q| q.code = text("%"), 0),
        ("kind", &|q| q.kind = text("delivery"), 0),
        ("since", &|q| q.since = Some(at(20)), 1),
        ("until", &|q| q.until = Some(at(10)), 1),
        (
            "neither",
            &|q| (q.since, q.until) = (Some(at(11)), Some(at(19))),
            0,
        ),
    ];
    for (name, narrow, expected) in cases {
        let mut query = everything();
        narrow(&mut query);
        assert_eq!(bench.store.dead(query).await.unwrap().len(), expected, "{name}");
    }
}
