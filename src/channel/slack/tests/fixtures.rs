//! The recorded webhooks, one by one.

use super::*;
use crate::channel::Acknowledgement;
use crate::domain::message::{Opens, Treatment};

/// What is expected of a recorded webhook: asked (whether it may open a thread, address, text), or dropped, or
/// answered with a challenge.
enum Expected {
    Asked(Opens, &'static str, &'static str),
    Dropped(&'static str),
    Challenge,
}
use Expected::{Asked, Challenge, Dropped};

fn expected(name: &str) -> Option<Expected> {
    let thread = "slack/T00FAKE00AA/C00FAKECHAN1/1766458026.240809";
    Some(match &name[..2] {
        "01" => Dropped("left_to_mention"),
        // Its writer bears the bot's own id.
        "29" => Dropped("own"),
        "02" => Asked(Opens::Thread, thread, "1"),
        "03" | "05" | "43" => Dropped("bot"),
        "04" => Asked(Opens::Nothing, thread, "2"),
        "06" | "21" => Dropped("message_changed"),
        "13" => Asked(Opens::Thread, "slack/T0ADGE2G4EM/D0ACX51K95H", "hello hello"),
        "16" => Asked(
            Opens::Nothing,
            "slack/T00FAKE00AA/C00FAKECHAN1/1767406613.568609",
            "Who are you?",
        ),
        "17" => Asked(
            Opens::Thread,
            "slack/T00FAKE00BB/C00FAKECHAN3/1770241970.822989",
            "[AI] I don't really understand this explanation.",
        ),
        "27" => Dropped("app_uninstalled"),
        "28" => Dropped("tokens_revoked"),
        "39" => Dropped("message_deleted"),
        "47" => Challenge,
        "48" => Dropped("unknown_event"),
        "50" => Asked(
            Opens::Thread,
            "slack/T111/D111/1726133698.626339",
            "When Slack was released?",
        ),
        "56" => Dropped("app_rate_limited"),
        _ => return None,
    })
}

#[test]
fn every_recorded_webhook_ends_as_its_name_calls_for() {
    let Some(files) = recorded() else {
        println!("skipped: there is no folder of recorded webhooks");
        return;
    };
    let slack = slack(|_| {});
    for (name, body) in files {
        let received = post(&slack, &body).unwrap();
        match expected(&name) {
            Some(Asked(opens, address, text)) => {
                let treatment = if name.contains("files") {
                    Treatment::AskAndTell("the file &lt;was&gt; not read".to_owned())
                } else {
                    Treatment::Ask
                };
                let [Arrival::Message(message)] = &received.arrivals[..] else {
                    panic!("{name}: {received:?}")
                };
                assert_eq!(
                    (
                        message.opens,
                        message.address.as_str(),
                        message.text.as_str(),
                        &message.treatment
                    ),
                    (opens, address, text, &treatment),
                    "{name}"
                );
            }
            Some(Dropped(reason)) => assert_eq!(received.dropped, [reason], "{name}"),
            Some(Challenge) => assert!(matches!(received.answer, Acknowledgement::Text(_)), "{name}"),
            // More may be recorded than are listed here: they are acknowledged all the same.
            None => println!("{name}: {:?} {:?}", received.arrivals.len(), received.dropped),
        }
    }
}
