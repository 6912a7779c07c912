//! Pauses that end by themselves, what a message replies to, and pauses that the platform asks for.

use chatbridge::domain::message::TakeOver;

use super::*;

const PAUSE: Duration = Duration::from_mins(30);

/// A colleague writes to whoever goes by these names.
fn colleague(id: &str, names: &[&str], when: i64) -> Admission {
    let take_over = TakeOver {
        account: account(),
        keys: vec![DedupKey::new(&account(), "echo", id)],
        identifiers: names.iter().map(|name| identifier(name)).collect(),
        address: alias(names[0]),
        route: serde_json::json!({ "to": names }),
        platform_id: id.to_owned(),
        at: at(when),
        pause: PAUSE,
    };
    admit(Arrival::TakeOver(take_over), at(when))
}

fn ended() -> i64 {
    i64::try_from(PAUSE.as_millis()).unwrap()
}

const ECHO: Accepted = Accepted::Ignored("echo");

#[tokio::test]
async fn a_colleague_silences_a_thread_until_the_pause_is_over() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "waits", at(0))]).await;
    assert_eq!(bench.accept(vec![colleague("e", &["u1"], 1)]).await, [ECHO]);
    assert_eq!(
        bench.accept(vec![colleague("e", &["u1"], 1)]).await,
        [Accepted::Duplicate]
    );
    assert!(
        bench.claim_turns(at(2)).await.is_empty(),
        "what waited is handed over"
    );
    let during = at(ended());
    assert_eq!(
        bench.accept(vec![message("b", "u1", "during", during)]).await,
        [Accepted::Handed]
    );
    let after = at(ended() + 1);
    assert_eq!(
        bench.accept(vec![message("c", "u1", "after", after)]).await,
        [Accepted::Queued]
    );
    assert_eq!(only(bench.claim_turns(after).await).question(), "after");
}

#[tokio::test]
async fn a_colleague_silences_an_answer_that_is_on_its_way_and_a_thread_that_is_not_there_yet() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "asked", at(0))]).await;
    let claim = only(bench.claim_turns(at(1)).await);
    bench.accept(vec![colleague("e", &["u1"], 2)]).await;
    let done = completed(&["too late"], true, at(3));
    assert!(bench.store.complete_turn(claim, done).await.unwrap().is_none());
    assert!(bench.claim_sends(at(4)).await.is_empty());

    bench.accept(vec![colleague("f", &["u2", "p2"], 2)]).await;
    let reply = inbound("b", &["u2"], "hello", at(5));
    assert_eq!(
        bench.accept(vec![admit(Arrival::Message(reply), at(5))]).await,
        [Accepted::Handed]
    );
}

#[tokio::test]
async fn our_own_message_and_an_old_one_silence_nobody() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "asked", at(0))]).await;
    let part = bench.answer(at(1), &["ours"], true).await.unwrap();
    bench.store.settle(part, sent("OUT1", at(2))).await.unwrap();
    assert_eq!(
        bench.accept(vec![colleague("OUT1", &["u1"], 3)]).await,
        [Accepted::Ignored("own_echo")]
    );
    let mut late = colleague("e", &["u1"], 4);
    late.at = at(ended() + 5);
    assert_eq!(bench.accept(vec![late]).await, [ECHO]);
    assert_eq!(
        bench.accept(vec![message("b", "u1", "asked too", at(6))]).await,
        [Accepted::Queued]
    );
}

#[tokio::test]
async fn an_operators_pause_has_no_end() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "asked", at(0))]).await;
    let name = alias("u1");
    let change = |change| bench.store.change_thread(name.as_str(), change, at(1));
    change(chatbridge::store::operator::ThreadChange::Pause)
        .await
        .unwrap();
    bench.accept(vec![colleague("e", &["u1"], 2)]).await;
    let after = at(ended() + 10);
    assert_eq!(
        bench
            .accept(vec![message("b", "u1", "still silent", after)])
            .await,
        [Accepted::Handed]
    );
    change(chatbridge::store::operator::ThreadChange::Resume)
        .await
        .unwrap();
    assert_eq!(
        bench.accept(vec![message("c", "u1", "open", after)]).await,
        [Accepted::Queued]
    );
}

#[tokio::test]
async fn a_reply_has_what_it_refers_to_if_it_is_of_its_thread() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "question", at(0))]).await;
    let part = bench.answer(at(1), &["answer"], true).await.unwrap();
    bench.store.settle(part, sent("OUT1", at(2))).await.unwrap();
    for (id, thread, quotes, expected) in [
        ("b", "u1", "OUT1", Some("answer")),
        ("c", "u1", "a", Some("question")),
        ("d", "u1", "unheard of", None),
        ("e", "u2", "OUT1", None),
        ("f", "u2", "a", None),
    ] {
        let mut reply = inbound(id, &[thread], id, at(3));
        reply.quotes = Some(quotes.to_owned());
        bench.accept(vec![admit(Arrival::Message(reply), at(3))]).await;
        let claim = only(bench.claim_turns(at(3)).await);
        assert_eq!(claim.messages[0].quoted.as_deref(), expected, "{id}");
        bench
            .store
            .complete_turn(claim, completed(&[], false, at(3)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn pauses_in_a_row_are_counted_until_an_attempt_counts() {
    let bench = Bench::new().await;
    bench.accept(vec![message("a", "u1", "asked", at(0))]).await;
    let mut part = bench.answer(at(1), &["answer"], true).await.unwrap();
    for (n, (counts, held, expected)) in [
        (false, None, 1),
        (false, None, 2),
        (false, Some("held".to_owned()), 2),
        (true, None, 0),
        (false, None, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let now = at(10 * i64::try_from(n + 1).unwrap());
        let again = SendOutcome::Again {
            at: now,
            counts,
            code: "x".to_owned(),
            held,
        };
        bench.store.settle(part, settlement(again, now)).await.unwrap();
        part = only(bench.claim_sends(now).await);
        assert_eq!(part.pauses, expected, "{n}");
    }
    assert_eq!(part.attempt, 2, "only one of them counted");
}
