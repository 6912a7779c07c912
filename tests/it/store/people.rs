//! What people do besides writing: changes and withdrawals, commands, buttons.

use chatbridge::domain::DeliveryId;
use chatbridge::domain::act::{Act, Alert, Deed, Edit, Whereabouts, Withdrawal};
use chatbridge::domain::turn::Deferral;

use super::*;

fn edit(id: &str, thread: &str, text: &str, edited_at: Time) -> Admission {
    let edit = Edit {
        account: account(),
        identifiers: vec![identifier(thread)],
        platform_id: id.to_owned(),
        text: text.to_owned(),
        edited_at,
    };
    admit(Arrival::Edit(edit), edited_at)
}

fn withdraw(id: &str, thread: &str, opens: Opens, when: Time) -> Admission {
    let withdrawal = Withdrawal {
        account: account(),
        keys: vec![DedupKey::new(&account(), "id", id)],
        identifiers: vec![identifier(thread)],
        opens,
        platform_id: id.to_owned(),
    };
    admit(Arrival::Withdraw(withdrawal), when)
}

pub(super) fn act(key: &str, on: Whereabouts, deed: Deed, say: Option<&str>, when: Time) -> Admission {
    let act = Act {
        room: None,
        account: account(),
        keys: vec![DedupKey::new(&account(), "act", key)],
        on,
        deed,
        say: say.map(str::to_owned),
        alert: None,
        at: when,
    };
    admit(Arrival::Act(act), when)
}

fn place(name: &str) -> Whereabouts {
    Whereabouts::Place {
        identifiers: vec![identifier(name)],
        address: alias(name),
        place: None,
        route: serde_json::json!({ "to": name }),
    }
}

const EDITED: Accepted = Accepted::Done("edited");
const DELETED: Accepted = Accepted::Ignored("deleted");

/// Asks and answers once on a thread; returns the part that was sent.
pub(super) async fn answered(bench: &Bench, thread: &str) -> DeliveryId {
    bench.accept(vec![message("m1", thread, "hello", at(0))]).await;
    let send = bench.answer(at(0), &["answer"], true).await.unwrap();
    let delivery = send.delivery;
    bench.store.settle(send, sent("x1", at(1))).await.unwrap();
    delivery
}

#[tokio::test]
async fn a_message_is_changed_until_its_turn_begins() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    assert_eq!(bench.accept(vec![edit("m1", "t1", "two", at(2))]).await, [EDITED]);
    assert_eq!(
        bench.accept(vec![edit("m1", "t1", "older", at(1))]).await,
        [Accepted::Duplicate]
    );
    let claim = only(bench.claim_turns(at(3)).await);
    assert_eq!(claim.question(), "two");
    // What comes during the turn may still be changed; the turn may not.
    let batch = vec![
        message("m2", "t1", "three", at(4)),
        edit("m2", "t1", "four", at(5)),
        edit("m1", "t1", "too late", at(5)),
        edit("m9", "t1", "never seen", at(5)),
        edit("m1", "t9", "elsewhere", at(5)),
    ];
    let outcomes = bench.accept(batch).await;
    assert_eq!(outcomes[0], Accepted::Queued);
    assert_eq!(outcomes[1], EDITED);
    assert_eq!(
        outcomes[2..],
        [Accepted::Unknown, Accepted::Unknown, Accepted::Unknown]
    );
    let done = completed(&["answer"], false, at(6));
    bench.store.complete_turn(claim, done).await.unwrap();
    assert_eq!(only(bench.claim_turns(at(7)).await).question(), "four");
}

#[tokio::test]
async fn a_message_that_is_taken_back_is_not_asked() {
    let bench = Bench::new().await;
    bench
        .accept(vec![
            message("m1", "t1", "slip", at(0)),
            message("m2", "t1", "meant", at(0)),
        ])
        .await;
    let gone = || withdraw("m1", "t1", Opens::Nothing, at(1));
    assert_eq!(bench.accept(vec![gone()]).await, [DELETED]);
    assert_eq!(bench.accept(vec![gone()]).await, [Accepted::Unknown]);
    let bench = bench.reopen().await;
    assert_eq!(only(bench.claim_turns(at(2)).await).question(), "meant");
    let states = bench.states("chan/A1/t1").await;
    assert!(
        states.contains(&("message".into(), String::new(), "ignored".into())),
        "{states:?}"
    );
}

#[tokio::test]
async fn a_thread_of_which_all_is_taken_back_has_nothing_to_do() {
    let bench = Bench::new().await;
    let batch = vec![
        message("m1", "t1", "slip", at(0)),
        withdraw("m1", "t1", Opens::Nothing, at(0)),
        edit("m1", "t1", "an edit that overtook", at(0)),
    ];
    assert_eq!(
        bench.accept(batch).await,
        [Accepted::Queued, DELETED, Accepted::Unknown]
    );
    assert!(bench.claim_turns(at(1)).await.is_empty());
    assert_eq!(bench.store.backlog().await.unwrap().waiting, 0);
    bench.accept(vec![message("m2", "t1", "meant", at(2))]).await;
    assert_eq!(only(bench.claim_turns(at(2)).await).question(), "meant");
}

#[tokio::test]
async fn what_is_taken_back_during_the_turn_before_leaves_nothing_behind() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
    let claim = only(bench.claim_turns(at(0)).await);
    bench
        .accept(vec![
            message("m2", "t1", "slip", at(1)),
            withdraw("m2", "t1", Opens::Nothing, at(1)),
        ])
        .await;
    let done = completed(&[], false, at(2));
    bench.store.complete_turn(claim, done).await.unwrap();
    assert!(bench.claim_turns(at(3)).await.is_empty());
    assert!(bench.store.lanes(Work::Turn).await.unwrap().is_empty());
}

/// A turn that is held has been read by nobody; one that failed has begun.
#[tokio::test]
async fn a_held_turn_begins_anew_without_what_was_taken_back() {
    for (counts, outcome, question) in [(false, DELETED, "two"), (true, Accepted::Unknown, "one")] {
        let bench = Bench::new().await;
        bench.accept(vec![message("m1", "t1", "one", at(0))]).await;
        let claim = only(bench.claim_turns(at(0)).await);
        let deferral = Deferral {
            until: at(10),
            counts,
            ambiguous: false,
            held: None,
        };
        bench.store.defer_turn(claim.key, deferral).await.unwrap();
        bench.accept(vec![message("m2", "t1", "two", at(1))]).await;
        let gone = withdraw("m1", "t1", Opens::Nothing, at(2));
        assert_eq!(bench.accept(vec![gone]).await, [outcome]);
        assert_eq!(only(bench.claim_turns(at(20)).await).question(), question);
    }
}

#[tokio::test]
async fn what_is_taken_back_before_it_comes_is_known_when_it_does() {
    let bench = Bench::new().await;
    let gone = |opens| vec![withdraw("m1", "t1", opens, at(0))];
    // On a thread that nobody knows it may be about something that was never for us.
    assert_eq!(bench.accept(gone(Opens::Nothing)).await, [Accepted::Unknown]);
    assert_eq!(bench.accept(gone(Opens::Thread)).await, [Accepted::Unknown]);
    assert_eq!(
        bench.accept(vec![message("m1", "t1", "late", at(1))]).await,
        [Accepted::Duplicate]
    );
}

#[tokio::test]
async fn an_act_is_done_once_and_says_so() {
    let bench = Bench::new().await;
    let help = || act("a1", place("t1"), Deed::Explain, Some("this is how"), at(0));
    let outcomes = bench.accept(vec![help(), help()]).await;
    assert_eq!(outcomes, [Accepted::Done("explained"), Accepted::Duplicate]);
    let send = only(bench.claim_sends(at(0)).await);
    assert_eq!((send.body.as_str(), send.last), ("this is how", false));
    assert_eq!(send.thread.route["to"], "t1");
    bench.store.settle(send, sent("x1", at(1))).await.unwrap();
    // The parts are counted on: the next answer has its own place.
    bench.accept(vec![message("m1", "t1", "hello", at(2))]).await;
    let send = bench.answer(at(2), &["answer"], true).await.unwrap();
    assert_eq!((send.delivery.number, send.last), (2, true));
}

#[tokio::test]
async fn a_reset_forgets_the_conversation_of_all_that_it_names() {
    let bench = Bench::new().await;
    for thread in ["t1", "t2"] {
        bench.accept(vec![message(thread, thread, "hello", at(0))]).await;
        bench.answer(at(0), &[], false).await;
    }
    let also = vec![alias("t2"), alias("t9")];
    let reset = act("a1", place("t1"), Deed::Reset { also }, None, at(1));
    assert_eq!(bench.accept(vec![reset]).await, [Accepted::Done("reset")]);
    for thread in ["t1", "t2"] {
        let shown = bench.store.thread(alias(thread).as_str()).await.unwrap().unwrap();
        assert_eq!(shown.thread.conversation_id, None, "{thread}");
    }
}

#[tokio::test]
async fn whoever_calls_a_person_silences_the_thread_and_alerts_a_room() {
    let bench = Bench::new().await;
    let part = answered(&bench, "t1").await;
    let call = |key: &str| {
        let mut call = act(
            key,
            Whereabouts::Delivery(part),
            Deed::CallPerson,
            Some("a person comes"),
            at(5),
        );
        if let Arrival::Act(act) = &mut call.arrival {
            act.alert = Some(Alert {
                room: "ROOM".to_owned(),
                route: serde_json::json!({ "to": "room" }),
                text: "see {thread}".to_owned(),
            });
        }
        call
    };
    let batch = vec![
        message("m2", "t1", "before", at(4)),
        call("a1"),
        message("m3", "t1", "after", at(6)),
        call("a2"),
    ];
    let outcomes = bench.accept(batch).await;
    let expected = [
        Accepted::Queued,
        Accepted::Done("person_called"),
        Accepted::Handed,
        Accepted::Duplicate,
    ];
    assert_eq!(outcomes, expected);
    assert!(
        bench.claim_turns(at(7)).await.is_empty(),
        "all of it is for the person"
    );
    let mut said: Vec<_> = bench
        .claim_sends(at(7))
        .await
        .into_iter()
        .map(|send| (send.thread.address.as_str().to_owned(), send.body))
        .collect();
    said.sort();
    let address = |name: &str| alias(name).as_str().to_owned();
    let expected = [
        (address("ROOM"), format!("see {}", address("t1"))),
        (address("t1"), "a person comes".to_owned()),
    ];
    assert_eq!(said, expected);
    let states = bench.states(alias("t1").as_str()).await;
    let handed = states.iter().filter(|(.., state)| state == "handed").count();
    assert_eq!(handed, 2, "{states:?}");
}

#[tokio::test]
async fn an_alert_goes_to_a_room_that_is_known_already() {
    let bench = Bench::new().await;
    for (n, thread) in ["t1", "t2"].into_iter().enumerate() {
        bench.accept(vec![message(thread, thread, "hello", at(0))]).await;
        let send = bench.answer(at(0), &["answer"], true).await.unwrap();
        let on = Whereabouts::Delivery(send.delivery);
        bench.store.settle(send, sent(thread, at(1))).await.unwrap();
        let mut call = act(&n.to_string(), on, Deed::CallPerson, None, at(2));
        if let Arrival::Act(act) = &mut call.arrival {
            act.alert = Some(Alert {
                room: "ROOM".to_owned(),
                route: serde_json::json!({ "to": "room" }),
                text: thread.to_owned(),
            });
        }
        bench.accept(vec![call]).await;
        let send = only(bench.claim_sends(at(3)).await);
        assert_eq!(
            (send.body.as_str(), send.delivery.number),
            (thread, i64::try_from(n).unwrap() + 1)
        );
        bench.store.settle(send, sent("x", at(4))).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_word_of_each_person_on_an_answer_counts() {
    let bench = Bench::new().await;
    let part = answered(&bench, "t1").await;
    let rate = |key: &str, person: &str, helpful: bool, when: i64| {
        let person = person.to_owned();
        act(
            key,
            Whereabouts::Delivery(part),
            Deed::Rate { person, helpful },
            None,
            at(when),
        )
    };
    let batch = vec![
        rate("1", "U1", true, 10),
        rate("2", "U1", false, 11),
        rate("3", "U2", true, 12),
    ];
    let outcomes = bench.accept(batch).await;
    let labels: Vec<_> = outcomes.iter().map(Accepted::label).collect();
    assert_eq!(labels, ["helpful", "not_helpful", "helpful"]);
    bench.accept(vec![rate("4", "U2", false, 9)]).await;
    let said = |states: Vec<(String, String, String)>| -> Vec<String> {
        let feedback = states.into_iter().filter(|(kind, ..)| kind == "feedback");
        feedback.map(|(.., state)| state).collect()
    };
    let mut found = said(bench.states(alias("t1").as_str()).await);
    found.sort();
    assert_eq!(found, ["helpful", "not_helpful"]);
    assert!(bench.claim_sends(at(20)).await.is_empty());
}

#[tokio::test]
async fn whoever_is_asked_and_told_gets_both() {
    let bench = Bench::new().await;
    let mut with_file = inbound("m1", &["t1"], "look", at(0));
    with_file.treatment = Treatment::AskAndTell("no files".to_owned());
    assert_eq!(
        bench
            .accept(vec![admit(Arrival::Message(with_file), at(0))])
            .await,
        [Accepted::Queued]
    );
    assert_eq!(only(bench.claim_sends(at(0)).await).body, "no files");
    assert_eq!(only(bench.claim_turns(at(0)).await).question(), "look");
}

#[tokio::test]
async fn the_last_part_of_an_answer_is_known_as_such() {
    let bench = Bench::new().await;
    bench.accept(vec![message("m1", "t1", "hello", at(0))]).await;
    let mut next = bench.answer(at(0), &["one", "two", "three"], true).await;
    let mut last = Vec::new();
    while let Some(send) = next {
        last.push(send.last);
        let settlement = Settlement {
            claim_next: send.delivery.number != 2,
            ..sent("x", at(1))
        };
        next = bench.store.settle(send, settlement).await.unwrap();
        if next.is_none() && last.len() == 2 {
            next = bench.claim_sends(at(2)).await.pop();
        }
    }
    assert_eq!(last, [false, false, true]);
}
