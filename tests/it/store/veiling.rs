//! Texts that nobody reads in the database's files.

use chatbridge::domain::turn::Pending;
use chatbridge::store::StoreError;
use secrecy::SecretString;

use super::erasing::files_with;
use super::*;

/// Keys, as `openssl rand -base64 32` would make them.
const FIRST: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const SECOND: &str = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI=";

async fn open(place: Place, keys: &[&str]) -> Bench {
    let settings = Settings {
        text_key: keys.iter().map(|key| SecretString::from(*key)).collect(),
        ..place.settings()
    };
    // A process that another test starts at this moment has the lock's file open until it begins.
    let store = loop {
        match chatbridge::store::open(&settings, Mode::Serve).await {
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            opened => break opened.expect("the store opens"),
        }
    };
    Bench {
        store,
        place,
        tuning: Tuning::default(),
    }
}

/// Closes the store, and opens it with these keys.
async fn reopen(bench: Bench, keys: &[&str]) -> Bench {
    bench.store.close().await;
    let Bench { store, place, .. } = bench;
    drop(store);
    open(place, keys).await
}

#[tokio::test]
async fn no_file_holds_what_was_said_and_nobody_notices_else() {
    let bench = open(Place::new(), &[FIRST]).await;
    let mut first = inbound("m1", &["t1"], "word of a person", at(0));
    first.treatment = Treatment::AskAndTell("word of the bridge".to_owned());
    bench.accept(vec![admit(Arrival::Message(first), at(0))]).await;
    let claim = only(bench.claim_turns(at(1)).await);
    assert_eq!(claim.question(), "word of a person");
    let done = completed(&["word of the agent", "word to follow"], true, at(2));
    assert!(
        bench.store.complete_turn(claim, done).await.unwrap().is_none(),
        "the notice comes first"
    );
    let mut bodies = Vec::new();
    while let Some(send) = bench.claim_sends(at(3)).await.pop() {
        let (name, follow) = (
            send.delivery.to_string(),
            Settlement {
                claim_next: true,
                ..sent(&send.delivery.to_string(), at(3))
            },
        );
        bodies.push(send.body.clone());
        let mut next = bench.store.settle(send, follow).await.unwrap();
        while let Some(send) = next {
            bodies.push(send.body.clone());
            next = bench
                .store
                .settle(send, sent(&format!("{name}+"), at(3)))
                .await
                .unwrap();
        }
    }
    assert_eq!(
        bodies,
        ["word of the bridge", "word of the agent", "word to follow"]
    );
    let mut quoting = inbound("m2", &["t1"], "and this", at(4));
    quoting.quotes = Some("m1".to_owned());
    bench.accept(vec![admit(Arrival::Message(quoting), at(4))]).await;
    let claim = only(bench.claim_turns(at(5)).await);
    let quoted = |message: &Pending| message.quoted.clone();
    assert_eq!(
        claim.messages.iter().find_map(quoted).as_deref(),
        Some("word of a person")
    );
    let texts: Vec<String> = bench
        .states("chan/A1/t1")
        .await
        .into_iter()
        .map(|(_, text, _)| text)
        .collect();
    assert!(texts.iter().any(|text| text == "word to follow"), "{texts:?}");
    if bench.place.database.is_none() {
        assert_eq!(
            files_with(bench.place.folder.path(), "word "),
            Vec::<String>::new()
        );
        assert!(
            !files_with(bench.place.folder.path(), "chan/A1/t1").is_empty(),
            "names are looked up by"
        );
    }
    bench.store.close().await;
    if bench.place.database.is_none() {
        assert_eq!(
            files_with(bench.place.folder.path(), "word "),
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn texts_of_before_the_first_key_stay_readable_and_keys_rotate() {
    let bench = open(Place::new(), &[]).await;
    bench
        .accept(vec![message("m1", "t1", "words in the open", at(0))])
        .await;
    let bench = reopen(bench, &[FIRST]).await;
    bench.accept(vec![message("m2", "t1", "kept one", at(1))]).await;
    let bench = reopen(bench, &[SECOND, FIRST]).await;
    bench.accept(vec![message("m3", "t1", "kept two", at(2))]).await;
    assert_eq!(
        only(bench.claim_turns(at(3)).await).question(),
        "words in the open\nkept one\nkept two"
    );
    if bench.place.database.is_none() {
        let found = |text| !files_with(bench.place.folder.path(), text).is_empty();
        assert!(found("words in the open") && !found("kept one") && !found("kept two"));
    }
}

#[tokio::test]
async fn without_its_key_work_is_kept_and_others_go_on() {
    let bench = open(Place::new(), &[FIRST]).await;
    bench
        .accept(vec![
            message("m1", "t1", "asked", at(0)),
            message("m2", "t2", "answered", at(0)),
        ])
        .await;
    let mut turns = by_thread(bench.claim_turns(at(1)).await);
    let turn = turns.remove("chan/A1/t2").unwrap();
    bench
        .store
        .complete_turn(turn, completed(&["an answer"], false, at(1)))
        .await
        .unwrap();
    let bench = reopen(bench, &[SECOND]).await;
    bench
        .store
        .recover(&routes(), at(100_000), at(100_000))
        .await
        .unwrap();
    bench.accept(vec![message("m3", "t3", "new", at(100_000))]).await;
    assert_eq!(only(bench.claim_turns(at(100_001)).await).question(), "new");
    assert!(bench.claim_sends(at(100_001)).await.is_empty());
    let states = bench.states("chan/A1/t2").await;
    assert!(
        states.iter().all(|(_, text, _)| text.contains("store.text_key")),
        "{states:?}"
    );
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 3);
    let bench = reopen(bench, &[SECOND, FIRST]).await;
    bench
        .store
        .recover(&routes(), at(300_000), at(300_000))
        .await
        .unwrap();
    let mut turns = by_thread(bench.claim_turns(at(300_001)).await);
    let turn = turns.remove("chan/A1/t1").unwrap();
    // It was asked once before the restart, and nobody knows what came of that; the closed look counted for nothing.
    assert_eq!((turn.question().as_str(), turn.attempt), ("asked", 1));
    let send = only(bench.claim_sends(at(300_001)).await);
    assert_eq!(
        (send.body.as_str(), send.attempt, send.unknown),
        ("an answer", 1, false)
    );
}

#[tokio::test]
async fn a_next_part_without_its_key_waits_and_the_part_before_is_settled() {
    let bench = open(Place::new(), &[FIRST]).await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let send = bench.answer(at(1), &["a", "b"], true).await.unwrap();
    let bench = reopen(bench, &[SECOND]).await;
    let follow = Settlement {
        claim_next: true,
        ..sent("x", at(2))
    };
    assert!(bench.store.settle(send, follow).await.unwrap().is_none());
    let bench = reopen(bench, &[FIRST]).await;
    let send = only(bench.claim_sends(at(120_000)).await);
    assert_eq!((send.body.as_str(), send.attempt, send.unknown), ("b", 1, false));
}

#[tokio::test]
async fn a_text_that_looks_sealed_is_a_text() {
    let texts = [
        "chatbridge-sealed:AAAA",
        "chatbridge-plain:chatbridge-sealed:AAAA",
        "chatbridge-plain:",
        "chatbridge-sealed:",
        "",
    ];
    let mut bench = open(Place::new(), &[]).await;
    for (n, text) in texts.iter().enumerate() {
        bench
            .accept(vec![message(&format!("m{n}"), &format!("t{n}"), text, at(0))])
            .await;
    }
    for keys in [&[][..], &[FIRST]] {
        bench = reopen(bench, keys).await;
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(bench.states(&format!("chan/A1/t{n}")).await[0].1, *text);
        }
    }
    assert_eq!(bench.claim_turns(at(1)).await.len(), texts.len());
    bench.accept(vec![message("m9", "t9", texts[0], at(2))]).await;
    assert_eq!(only(bench.claim_turns(at(3)).await).question(), texts[0]);
}

#[tokio::test]
async fn a_key_that_is_none_is_told_by_its_name() {
    let place = Place::new();
    let settings = Settings {
        text_key: vec![FIRST.into(), "short".into()],
        ..place.settings()
    };
    let refused = chatbridge::store::open(&settings, Mode::Serve).await.err();
    let Some(StoreError::SecretKey(words)) = refused else {
        panic!("{refused:?}");
    };
    assert!(words.contains("key 2 of store.text_key"), "{words}");
}
