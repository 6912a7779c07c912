//! Erasing on request: what is gone must not stand in any file either.

use std::path::Path;

use chatbridge::domain::act::{Act, Alert, Deed, Whereabouts};
use chatbridge::store::privacy::{Erased, Erasure, Traces};
use chatbridge::store::{StoreError, Work};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::*;

/// The files of the folder in which a text stands.
pub(super) fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

async fn erase(bench: &Bench, name: &str, when: i64) -> Option<Erased> {
    let what = Erasure::Thread(name.to_owned());
    bench.store.erase(what, at(when)).await.unwrap()
}

fn person(id: &str, names: &[&str], text: &str, when: i64) -> Admission {
    admit(Arrival::Message(inbound(id, names, text, at(when))), at(when))
}

fn call(key: &str, on: Whereabouts, deed: Deed, alert: Option<&str>, when: i64) -> Admission {
    let alert = alert.map(|text| Alert {
        room: "ROOM".to_owned(),
        route: serde_json::json!({ "to": "room" }),
        text: text.to_owned(),
    });
    let act = Act {
        account: account(),
        keys: vec![DedupKey::new(&account(), "act", key)],
        room: None,
        on,
        deed,
        say: None,
        alert,
        at: at(when),
    };
    admit(Arrival::Act(act), at(when))
}

#[tokio::test]
async fn an_erased_thread_is_known_no_more_and_its_redelivered_message_is_a_duplicate() {
    let bench = Bench::new().await;
    bench.accept(vec![person("m1", &["u1", "p555"], "one", 0)]).await;
    bench.answer(at(1), &["a", "b"], false).await;
    let foreseen = bench.store.erasable("chan/A1/p555").await.unwrap();
    let erased = erase(&bench, "chan/A1/p555", 2).await.unwrap();
    assert_eq!(foreseen.as_ref(), Some(&erased));
    assert_eq!(erased.address.as_deref(), Some("chan/A1/u1"));
    assert_eq!(erased.conversation_id.as_deref(), Some("conv"));
    let counts = (erased.messages, erased.deliveries, erased.names, erased.ratings);
    assert_eq!(counts, (1, 2, 2, 0));
    let id = erased.id.unwrap();
    for name in ["chan/A1/u1", "chan/A1/p555", &id] {
        assert!(bench.store.thread(name).await.unwrap().is_none(), "{name}");
        assert_eq!(bench.store.erasable(name).await.unwrap(), None, "{name}");
        assert_eq!(erase(&bench, name, 3).await, None, "{name}");
    }
    assert!(bench.claim_sends(at(4)).await.is_empty());
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 0);
    let again = vec![person("m1", &["u1", "p555"], "one", 0)];
    assert_eq!(bench.accept(again).await, [Accepted::Duplicate]);
    assert!(bench.store.thread("chan/A1/u1").await.unwrap().is_none());
    // Whoever writes anew is a stranger.
    bench.accept(vec![person("m2", &["u1", "p555"], "two", 5)]).await;
    let claim = only(bench.claim_turns(at(6)).await);
    assert_eq!(
        (claim.question().as_str(), claim.thread.conversation_id),
        ("two", None)
    );
    let lines = bench.store.audit(10).await.unwrap();
    let line = only(lines);
    assert_eq!((line.what.as_str(), line.thread), ("thread_erased", Some(id)));
    assert_eq!(
        (line.messages, line.deliveries, line.names, line.ratings),
        (1, 2, 2, 0)
    );
    assert_eq!(line.at, at(2).to_string());
}

#[tokio::test]
async fn whoever_works_on_a_thread_that_is_erased_finds_the_claim_void() {
    let bench = Bench::new().await;
    bench
        .accept(vec![
            message("m1", "t1", "one", at(0)),
            message("m2", "t2", "two", at(0)),
        ])
        .await;
    let mut turns = by_thread(bench.claim_turns(at(1)).await);
    let (asked, answered) = (
        turns.remove("chan/A1/t1").unwrap(),
        turns.remove("chan/A1/t2").unwrap(),
    );
    let done = completed(&["a", "b"], true, at(2));
    let send = bench
        .store
        .complete_turn(answered, done.clone())
        .await
        .unwrap()
        .unwrap();
    for name in ["chan/A1/t1", "chan/A1/t2"] {
        erase(&bench, name, 3).await.unwrap();
    }
    let late = bench.store.complete_turn(asked, done).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    let late = bench.store.settle(send, sent("x", at(4))).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    for work in [Work::Turn, Work::Send] {
        assert!(bench.store.lanes(work).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_person_is_erased_over_all_accounts_and_from_what_others_hold() {
    let bench = Bench::new().await;
    let other = AccountKey::new("chan", "A2").unwrap();
    let mut elsewhere = inbound("m9", &["p555"], "elsewhere", at(0));
    elsewhere.account = other.clone();
    elsewhere.address = other.alias(&["p555"]).unwrap();
    elsewhere.identifiers[0].alias = elsewhere.address.clone();
    bench
        .accept(vec![
            person("m1", &["u1", "p555"], "one", 0),
            person("m2", &["u2", "p1555"], "another's", 0),
            message("m3", "t1", "room", at(0)),
            admit(Arrival::Message(elsewhere), at(0)),
        ])
        .await;
    let found = bench.store.threads_of("p555").await.unwrap();
    let mut addresses: Vec<&str> = found.iter().map(|row| row.address.as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["chan/A1/u1", "chan/A2/p555"]);
    for nobody in ["555", "A1", "", "%", "p55_"] {
        assert!(
            bench.store.threads_of(nobody).await.unwrap().is_empty(),
            "{nobody}"
        );
    }
    // Somebody rates on a thread of several, and calls a person there.
    let mut turns = by_thread(bench.claim_turns(at(1)).await);
    let turn = turns.remove("chan/A1/t1").unwrap();
    let send = bench
        .store
        .complete_turn(turn, completed(&["a"], true, at(1)))
        .await
        .unwrap()
        .unwrap();
    let on = || Whereabouts::Delivery(send.delivery);
    let rate = |key: &str, who: &str| {
        let deed = Deed::Rate {
            person: who.to_owned(),
            helpful: true,
        };
        call(key, on(), deed, None, 2)
    };
    let alert = "<@p555> asks for a person: {thread}";
    bench
        .accept(vec![
            rate("r1", "p555"),
            rate("r2", "p1555"),
            call("c1", on(), Deed::CallPerson, Some(alert), 3),
        ])
        .await;
    let erased = bench
        .store
        .erase(Erasure::Person("p555".to_owned()), at(4))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (erased.id.as_deref(), erased.ratings, erased.deliveries),
        (None, 1, 1)
    );
    let again = bench
        .store
        .erase(Erasure::Person("p555".to_owned()), at(4))
        .await
        .unwrap()
        .unwrap();
    assert!(again.is_nothing(), "{again:?}");
    let feedback = |states: Vec<(String, String, String)>| {
        states.into_iter().filter(|(kind, ..)| kind == "feedback").count()
    };
    assert_eq!(feedback(bench.states("chan/A1/t1").await), 1);
    let room = bench.states("chan/A1/ROOM").await;
    assert_eq!(room, [("notice".into(), String::new(), "withdrawn".into())]);
    assert_eq!(bench.store.audit(10).await.unwrap()[0].what, "person_erased");
}

#[tokio::test]
async fn the_word_in_the_operators_room_goes_with_the_thread_that_it_is_about() {
    let bench = Bench::new().await;
    for thread in ["t1", "t12"] {
        bench.accept(vec![message(thread, thread, "one", at(0))]).await;
        let send = bench.answer(at(1), &["a"], true).await.unwrap();
        let on = Whereabouts::Delivery(send.delivery);
        bench.store.settle(send, sent(thread, at(1))).await.unwrap();
        let call = call(thread, on, Deed::CallPerson, Some("see {thread}"), 2);
        bench.accept(vec![call]).await;
    }
    erase(&bench, "chan/A1/t1", 3).await.unwrap();
    let room = bench.states("chan/A1/ROOM").await;
    let texts: Vec<&str> = room.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(texts, ["", "see chan/A1/t12"]);
    assert_eq!(only(bench.claim_sends(at(4)).await).body, "see chan/A1/t12");
}

/// Rows that move between pages leave copies behind, and a daemon of before overwrote nothing.
#[tokio::test]
async fn no_file_of_the_database_holds_what_was_erased() {
    if on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let folder = bench.place.folder.path().to_owned();
    let words = |who: usize| format!("secretword{who:03} {}", "lorem ipsum ".repeat(1 + who * 7 % 90));
    // Two persons by turns, so that their rows share pages.
    for n in 0..120 {
        let names = if n % 2 == 0 {
            ["u1", "p555000111"]
        } else {
            ["u2", "p555000222"]
        };
        let thread = format!("{}{}", names[0], n % 10);
        let batch = vec![person(
            &format!("platsecret{n}"),
            &[&thread, names[1]],
            &words(n),
            i64::try_from(n).unwrap(),
        )];
        bench.accept(batch).await;
        for claim in bench.claim_turns(at(1000)).await {
            let answer = words(n).replace("secretword", "secretanswer");
            bench
                .store
                .complete_turn(claim, completed(&[&answer], false, at(1000)))
                .await
                .unwrap();
        }
    }
    // What an earlier version deleted without overwriting it.
    let options = SqliteConnectOptions::new().filename(folder.join("test.db"));
    let mut careless = options.pragma("secure_delete", "off").connect().await.unwrap();
    let grow = "UPDATE messages SET text = text || ' secretmore' || text WHERE seq % 3 = 0;
                UPDATE messages SET text = substr(text, 1, 40) WHERE seq % 5 = 0";
    careless.execute(sqlx::raw_sql(grow)).await.unwrap();
    careless.close().await.unwrap();
    let secrets = [
        "secretword",
        "secretanswer",
        "secretmore",
        "p555000111",
        "platsecret",
    ];
    let erasing: Vec<_> = [
        bench.store.threads_of("p555000111").await.unwrap(),
        bench.store.threads_of("p555000222").await.unwrap(),
    ]
    .concat();
    assert!(
        !files_with(&folder, "p555000111").is_empty(),
        "names are there to be found"
    );
    for thread in erasing {
        erase(&bench, &thread.id, 2000).await.unwrap();
    }
    // Threads whose phone number went over to another are known by their user ids.
    for n in 0..10 {
        for who in ["u1", "u2"] {
            erase(&bench, &format!("chan/A1/{who}{n}"), 2000).await;
        }
    }
    assert_eq!(bench.store.clear(at(2001)).await.unwrap(), Traces::None);
    for secret in secrets {
        assert_eq!(files_with(&folder, secret), Vec::<String>::new(), "{secret}");
    }
    let lines = bench.store.audit(100).await.unwrap();
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(line.cleared_at, Some(at(2001).to_string()));
    }
    // The store goes on as before.
    bench.accept(vec![message("m1", "t1", "one", at(2002))]).await;
    assert_eq!(only(bench.claim_turns(at(2003)).await).question(), "one");
}

#[tokio::test]
async fn a_reader_that_stays_keeps_the_log_and_that_is_said_until_it_goes() {
    if on_postgres() {
        return;
    }
    let bench = Bench::new().await;
    let folder = bench.place.folder.path().to_owned();
    bench
        .accept(vec![message("m1", "tsecretname", "one", at(0))])
        .await;
    let options = SqliteConnectOptions::new().filename(folder.join("test.db"));
    let mut reader = options.connect().await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    reader.execute("SELECT count(*) FROM messages").await.unwrap();
    erase(&bench, "chan/A1/tsecretname", 1).await.unwrap();
    assert_eq!(bench.store.clear(at(2)).await.unwrap(), Traces::Left);
    assert_eq!(only(bench.store.audit(9).await.unwrap()).cleared_at, None);
    // Others write meanwhile.
    bench.accept(vec![message("m2", "t2", "two", at(3))]).await;
    reader.execute("COMMIT").await.unwrap();
    assert_eq!(bench.store.clear(at(4)).await.unwrap(), Traces::None);
    assert_eq!(files_with(&folder, "tsecretname"), Vec::<String>::new());
    assert!(only(bench.store.audit(9).await.unwrap()).cleared_at.is_some());
}
