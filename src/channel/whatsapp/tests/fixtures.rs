//! Every recorded webhook, and what it leads to.

use std::path::PathBuf;

use super::*;
use crate::domain::identity::Identifier;
use crate::domain::message::{Arrival, Fate, Treatment};

/// The folder of recorded webhooks; it is not part of the project.
fn folder() -> PathBuf {
    let named = std::env::var_os("CHATBRIDGE_FIXTURES").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"))
}

/// What a webhook led to, in a line for each arrival and dropped item.
fn summary(received: &Received) -> String {
    let names = |ids: &[Identifier]| {
        let short = |id: &Identifier| {
            id.alias
                .as_str()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        ids.iter().map(short).collect::<Vec<_>>().join(",")
    };
    let line = |arrival: &Arrival| match arrival {
        Arrival::Message(message) => {
            let treatment = match &message.treatment {
                Treatment::AskAndTell(text) => format!("ask, and tell {text}"),
                Treatment::Ask => format!("ask {:?}", message.text),
                Treatment::Ignore { reason, notice } => {
                    format!("{} {reason}", if notice.is_some() { "notice" } else { "ignore" })
                }
            };
            format!("{} of {}", treatment, names(&message.identifiers))
        }
        Arrival::Receipt(receipt) => {
            let fate = match &receipt.fate {
                Fate::Failed { code, .. } => format!("failed {code}"),
                other => other.stage().1.into_owned(),
            };
            format!("{fate} billable {:?}", receipt.billable)
        }
        Arrival::TakeOver(echo) => format!("silent for {}", names(&echo.identifiers)),
        Arrival::Identity(change) => format!("{} now {}", names(&change.old), names(&change.new)),
        other => panic!("Meta sends no such thing: {other:?}"),
    };
    let arrivals = received.arrivals.iter().map(line);
    let dropped = received.dropped.iter().map(|reason| format!("dropped {reason}"));
    arrivals.chain(dropped).collect::<Vec<_>>().join("; ")
}

const PYWA: &str = "US.13491208655302741918,US.ENT.11815799212886844830,972987654321";

/// What each file of the folder leads to; `@` stands for the writer of most of them.
const EXPECTED: &[(&str, &str)] = &[
    ("01_pywa_message_text", "ask \"Body Text\" of @"),
    ("02_pywa_message_image", "notice image of @"),
    ("06_pywa_message_audio", "notice audio of @"),
    ("07_pywa_message_voice", "notice audio of @"),
    ("10_pywa_message_reaction", "ignore reaction of @"),
    ("12_pywa_message_unreaction_no_emoji", "ignore reaction of @"),
    (
        "13_pywa_message_current_location",
        "ask \"[Forwarded]\\nLocation: (12.25089, 43.90539)\" of @",
    ),
    (
        "15_pywa_message_contacts",
        "ask \"Contact: Chandler Bing, +1 555-555-5555\\nContact: Monica, +1 666-666-6666\\nContact: Rachel Green, +1 777-777-7777\" of @",
    ),
    ("17_pywa_message_unsupported", "notice unsupported of @"),
    ("19_pywa_message_reply", "ask \"replied text\" of @"),
    ("24_pywa_message_status_sent", "sent billable Some(true)"),
    (
        "25_pywa_message_status_delivered",
        "delivered billable Some(true)",
    ),
    ("26_pywa_message_status_read", "read billable Some(true)"),
    ("28_pywa_message_status_failed", "failed 130472 billable None"),
    (
        "31_pywa_system_phone_number_change",
        "972987654321 now 972912345678",
    ),
    ("33_pywa_callback_button_button", "ask \"title\" of @"),
    ("36_pywa_callback_selection_callback", "ask \"title\" of @"),
    (
        "43_secreto_incoming_message_with_phone_doesn_t_have_parent_bsuid",
        "ask \"this is a text message\" of US.13491208655302741918,16315551181",
    ),
    (
        "44_secreto_incoming_message_with_username_has_parent_bsuid",
        "ask \"this is a text message\" of US.13491208655302741918,US.ENT.506847293015824",
    ),
    (
        "46_secreto_incoming_message_with_phone_and_username_has_parent_bsuid",
        "ask \"this is a text message\" of US.13491208655302741918,US.ENT.506847293015824,16315551181",
    ),
    (
        "49_secreto_sent_status_with_phone_doesn_t_have_parent_bsuid_was_sent_to_b",
        "sent billable Some(true)",
    ),
    ("54_vercel_firstMessage", "ask \"What is Vercel?\" of 15550002222"),
    (
        "56_meta_bsuid_only_text_parent",
        "ask \"Does it come in another color?\" of US.13491208655302741918,US.ENT.11815799212886844830",
    ),
    ("57_meta_status_failed_131049", "failed 131049 billable None"),
    (
        "60_built_system_user_changed_number_bsuid",
        "US.OLD,16505551234 now US.NEW,12195555358",
    ),
];

#[test]
fn every_recorded_webhook_leads_where_its_name_says() {
    let folder = folder().join("whatsapp");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no recorded webhooks in CHATBRIDGE_FIXTURES or ../shared/fixtures");
        return;
    };
    let (channel, _) = build(settings());
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let received = post(&*channel, &std::fs::read(&path).unwrap()).unwrap();
        match EXPECTED.iter().find(|(known, _)| *known == name) {
            Some((_, expected)) => assert_eq!(summary(&received), expected.replace('@', PYWA), "{name}"),
            // One that was added later is at least understood.
            None => assert!(
                !received.dropped.contains(&"malformed_item"),
                "{name}: {received:?}"
            ),
        }
    }
}
