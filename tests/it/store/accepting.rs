//! Accepting: once each, in order, together.

use super::*;

#[tokio::test]
async fn a_message_is_stored_once_however_often_it_comes() {
    let bench = Bench::new().await;
    let twice = vec![
        message("m1", "t1", "hello", at(0)),
        message("m1", "t1", "hello", at(0)),
    ];
    assert_eq!(bench.accept(twice).await, [Accepted::Queued, Accepted::Duplicate]);
    assert_eq!(
        bench.accept(vec![message("m1", "t1", "hello", at(9))]).await,
        [Accepted::Duplicate]
    );
    let bench = bench.reopen().await;
    assert_eq!(
        bench.accept(vec![message("m1", "t1", "hello", at(99))]).await,
        [Accepted::Duplicate]
    );
    assert_eq!(only(bench.claim_turns(at(100)).await).messages.len(), 1);
}

#[tokio::test]
async fn any_known_key_makes_a_duplicate_and_teaches_the_others() {
    let bench = Bench::new().await;
    let with_keys = |ids: &[&str]| {
        let mut inbound = inbound(ids[0], &["t1"], "hello", at(0));
        inbound.keys = ids.iter().map(|id| DedupKey::new(&account(), "id", id)).collect();
        admit(Arrival::Message(inbound), at(0))
    };
    assert_eq!(
        bench.accept(vec![with_keys(&["a", "b"])]).await,
        [Accepted::Queued]
    );
    assert_eq!(
        bench.accept(vec![with_keys(&["b", "c"])]).await,
        [Accepted::Duplicate]
    );
    assert_eq!(bench.accept(vec![with_keys(&["c"])]).await, [Accepted::Duplicate]);
}

#[tokio::test]
async fn what_is_not_for_us_leaves_no_trace() {
    let bench = Bench::new().await;
    let reply = |opens| {
        let mut inbound = inbound("m1", &["t1"], "hello", at(0));
        inbound.opens = opens;
        admit(Arrival::Message(inbound), at(0))
    };
    assert_eq!(
        bench.accept(vec![reply(Opens::Nothing)]).await,
        [Accepted::Ignored("unknown_thread")]
    );
    // The key is still free for the twin that may open the thread.
    assert_eq!(bench.accept(vec![reply(Opens::Thread)]).await, [Accepted::Queued]);
    let mut follow_up = inbound("m2", &["t1"], "more", at(1));
    follow_up.opens = Opens::Nothing;
    assert_eq!(
        bench
            .accept(vec![admit(Arrival::Message(follow_up), at(1))])
            .await,
        [Accepted::Queued]
    );
}

#[tokio::test]
async fn a_reply_may_follow_its_thread_in_the_same_batch() {
    let bench = Bench::new().await;
    let mut reply = inbound("m2", &["t1"], "second", at(0));
    reply.opens = Opens::Nothing;
    let batch = vec![
        message("m1", "t1", "first", at(0)),
        admit(Arrival::Message(reply), at(0)),
    ];
    assert_eq!(bench.accept(batch).await, [Accepted::Queued, Accepted::Queued]);
    assert_eq!(only(bench.claim_turns(at(0)).await).question(), "first\nsecond");
}

#[tokio::test]
async fn ignored_messages_are_recorded_and_noticed_once_a_day() {
    let bench = Bench::new().await;
    let picture = |id: &str, when: Time| {
        let mut inbound = inbound(id, &["t1"], "", when);
        inbound.treatment = Treatment::Ignore {
            reason: "image",
            notice: Some("only text".to_owned()),
        };
        admit(Arrival::Message(inbound), when)
    };
    let batch = vec![
        picture("m1", at(0)),
        picture("m2", at(0)),
        picture("m3", at(1000)),
    ];
    assert_eq!(bench.accept(batch).await, vec![Accepted::Ignored("image"); 3]);
    let notice = only(bench.claim_sends(at(1000)).await);
    assert_eq!((notice.body.as_str(), notice.attempt), ("only text", 1));
    assert!(
        bench
            .store
            .settle(notice, sent("x1", at(1001)))
            .await
            .unwrap()
            .is_none()
    );
    assert!(bench.claim_turns(at(2000)).await.is_empty());
    let a_day_later = at(24 * 3_600_000);
    bench.accept(vec![picture("m4", a_day_later)]).await;
    assert_eq!(only(bench.claim_sends(a_day_later).await).body, "only text");
}

#[tokio::test]
async fn hostile_texts_are_stored_as_they_are() {
    let bench = Bench::new().await;
    let text =
        "'); DROP TABLE threads; -- \" \\ \u{1F468}\u{200D}\u{1F469} \u{202E} ${x} $.a ->> {\"a\":[1]}";
    bench.accept(vec![message("m'1", "t1", text, at(0))]).await;
    assert_eq!(only(bench.claim_turns(at(0)).await).question(), text);
}

#[tokio::test]
async fn a_burst_is_due_after_its_last_message_but_not_later_than_allowed() {
    let bench = Bench::new().await;
    let burst = |id: &str, when: i64| {
        let mut admission = message(id, "t1", id, at(when));
        admission.wait = Duration::from_millis(1200);
        admission.max_wait = Duration::from_secs(3);
        admission
    };
    bench.accept(vec![burst("m1", 0)]).await;
    assert!(bench.claim_turns(at(1199)).await.is_empty());
    bench.accept(vec![burst("m2", 1000)]).await;
    assert!(bench.claim_turns(at(2199)).await.is_empty());
    bench.accept(vec![burst("m3", 2000)]).await;
    assert!(bench.claim_turns(at(2999)).await.is_empty());
    let claim = only(bench.claim_turns(at(3000)).await);
    assert_eq!(claim.question(), "m1\nm2\nm3");
}

#[tokio::test]
async fn a_thousand_messages_of_many_threads_are_accepted_together() {
    let bench = Bench::new().await;
    let batch: Vec<_> = (0..1000)
        .map(|n| message(&format!("m{n}"), &format!("t{}", n % 100), &n.to_string(), at(n)))
        .collect();
    assert!(
        bench
            .accept(batch)
            .await
            .iter()
            .all(|outcome| *outcome == Accepted::Queued)
    );
    let claims = bench.claim_turns(at(5000)).await;
    assert_eq!(claims.len(), 100);
    for claim in claims {
        let numbers: Vec<i64> = claim
            .messages
            .iter()
            .map(|message| message.text.parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), 10);
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 1000);
}
