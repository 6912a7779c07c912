//! Recorded webhooks: each is acknowledged and ends as its name calls for.
//!
//! They are read from the folder named by `CHATBRIDGE_FIXTURES` (default: `../shared/fixtures`, seen from the
//! project). Where there is none the tests say so and pass.

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{ONLY_TEXT, Person, SlackEvent, World, unix_now};

/// What a recorded Slack event leads to.
enum Slack {
    /// The question is asked, the answer goes to this channel, in the thread of this root.
    Asked(&'static str, &'static str, Option<&'static str>),
    /// Nothing is asked.
    Left,
    /// The challenge is answered.
    Challenge,
}

/// File, what comes before it, what it leads to.
const SLACK: &[(&str, &[&str], Slack)] = &[
    // Left to its `app_mention` twin.
    ("01-message-channel", &[], Slack::Left),
    (
        "02-app_mention",
        &[],
        Slack::Asked("1", "C00FAKECHAN1", Some("1766458026.240809")),
    ),
    (
        "02-app_mention",
        &["01-message-channel"],
        Slack::Asked("1", "C00FAKECHAN1", Some("1766458026.240809")),
    ),
    ("01-message-channel", &["02-app_mention"], Slack::Left),
    (
        "03-message-channel-threadreply-bot",
        &["02-app_mention"],
        Slack::Left,
    ),
    (
        "04-message-channel-threadreply",
        &["02-app_mention"],
        Slack::Asked("2", "C00FAKECHAN1", Some("1766458026.240809")),
    ),
    ("04-message-channel-threadreply", &[], Slack::Left),
    (
        "05-message-channel-threadreply-bot",
        &["02-app_mention"],
        Slack::Left,
    ),
    (
        "06-message-message_changed-channel",
        &["02-app_mention"],
        Slack::Left,
    ),
    (
        "13-message-im",
        &[],
        Slack::Asked("hello hello", "D0ACX51K95H", None),
    ),
    ("16-message-channel-threadreply", &[], Slack::Left),
    (
        "17-app_mention-files",
        &[],
        Slack::Asked("[AI] I don't really understand this explanation.", "", Some("")),
    ),
    ("21-message-message_changed-group", &[], Slack::Left),
    ("27-app_uninstalled", &[], Slack::Left),
    ("28-tokens_revoked", &[], Slack::Left),
    ("29-message-file_share-group-files", &[], Slack::Left),
    ("39-message-message_deleted-channel", &[], Slack::Left),
    ("43-message-channel-bot-extshared", &[], Slack::Left),
    ("47-url_verification", &[], Slack::Challenge),
    ("48-assistant_thread_started", &[], Slack::Left),
    (
        "50-message-im-threadreply",
        &[],
        Slack::Asked("When Slack was released?", "D111", Some("1726133698.626339")),
    ),
    ("56-app_rate_limited", &[], Slack::Left),
];

/// What a recorded WhatsApp webhook leads to.
enum WhatsApp {
    /// The question is asked, the answer goes to this number or this user id.
    Asked(&'static str, Option<&'static str>, Option<&'static str>),
    /// Nothing is asked, and the person is told that only text is understood.
    Told,
    /// Nothing is asked and nothing is said.
    Left,
    /// Nothing is asked; whether something is said is open.
    NotAsked,
}

const BSUID: &str = "US.13491208655302741918";

const WHATSAPP: &[(&str, WhatsApp)] = &[
    (
        "01_pywa_message_text",
        WhatsApp::Asked("Body Text", Some("972987654321"), None),
    ),
    ("02_pywa_message_image", WhatsApp::Told),
    ("06_pywa_message_audio", WhatsApp::Told),
    ("07_pywa_message_voice", WhatsApp::Told),
    ("10_pywa_message_reaction", WhatsApp::NotAsked),
    ("12_pywa_message_unreaction_no_emoji", WhatsApp::NotAsked),
    (
        "13_pywa_message_current_location",
        WhatsApp::Asked(
            "[Forwarded]\nLocation: (12.25089, 43.90539)",
            Some("972987654321"),
            None,
        ),
    ),
    (
        "15_pywa_message_contacts",
        WhatsApp::Asked(
            "Contact: Chandler Bing, +1 555-555-5555\nContact: Monica, +1 666-666-6666\nContact: Rachel Green, +1 777-777-7777",
            Some("972987654321"),
            None,
        ),
    ),
    ("17_pywa_message_unsupported", WhatsApp::NotAsked),
    (
        "19_pywa_message_reply",
        WhatsApp::Asked("replied text", Some("972987654321"), None),
    ),
    ("24_pywa_message_status_sent", WhatsApp::Left),
    ("25_pywa_message_status_delivered", WhatsApp::Left),
    ("26_pywa_message_status_read", WhatsApp::Left),
    ("28_pywa_message_status_failed", WhatsApp::Left),
    ("31_pywa_system_phone_number_change", WhatsApp::Left),
    (
        "33_pywa_callback_button_button",
        WhatsApp::Asked("title", Some("972987654321"), None),
    ),
    (
        "36_pywa_callback_selection_callback",
        WhatsApp::Asked("title", Some("972987654321"), None),
    ),
    (
        "43_secreto_incoming_message_with_phone_doesn_t_have_parent_bsuid",
        WhatsApp::Asked("this is a text message", Some("16315551181"), None),
    ),
    (
        "44_secreto_incoming_message_with_username_has_parent_bsuid",
        WhatsApp::Asked("this is a text message", None, Some(BSUID)),
    ),
    (
        "46_secreto_incoming_message_with_phone_and_username_has_parent_bsuid",
        WhatsApp::Asked("this is a text message", Some("16315551181"), None),
    ),
    (
        "49_secreto_sent_status_with_phone_doesn_t_have_parent_bsuid_was_sent_to_b",
        WhatsApp::Left,
    ),
    (
        "54_vercel_firstMessage",
        WhatsApp::Asked("What is Vercel?", Some("15550002222"), None),
    ),
    (
        "56_meta_bsuid_only_text_parent",
        WhatsApp::Asked("Does it come in another color?", None, Some(BSUID)),
    ),
    ("57_meta_status_failed_131049", WhatsApp::Left),
    ("60_built_system_user_changed_number_bsuid", WhatsApp::Left),
];

/// The recorded webhooks of one platform, by name; none where there is no such folder.
pub(crate) fn recorded(platform: &str) -> Option<Vec<(String, Value)>> {
    let folder = std::env::var_os("CHATBRIDGE_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"),
        PathBuf::from,
    );
    let Ok(files) = std::fs::read_dir(folder.join(platform)) else {
        println!("skipped: no fixtures folder");
        return None;
    };
    let mut found: Vec<(String, Value)> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let body = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), body)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Some(found)
}

/// The recorded times are old; whatever the daemon would do with old messages is another test's subject.
fn stopped() -> World {
    let mut world = World::stopped();
    world
        .config
        .set("turn.max_age", "100000h")
        .set("turn.too_old", "answer");
    world
}

/// Tries every case, a few at a time, and reports all that fail.
fn try_all<C: Sync>(cases: &[C], name: impl Fn(&C) -> String + Sync, attempt: impl Fn(&C) + Sync) {
    let (next, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(case) = next.lock().unwrap().next() else {
                break;
            };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attempt(case)));
            if outcome.is_err() {
                failed.lock().unwrap().push(name(case));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these fail: {failed:#?}");
}

fn of<'a>(all: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    all.iter().find(|(found, _)| found == name).map(|(_, body)| body)
}

fn acknowledged(world: &World, body: &Value) {
    let reply = world.post_slack(body.to_string().as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A daemon installed where the event comes from, and a mark that is answered after it.
fn installed(body: &Value) -> (World, impl Fn(&World)) {
    let authorization = &body["authorizations"][0];
    let team = authorization["team_id"]
        .as_str()
        .or(body["team_id"].as_str())
        .unwrap_or("T1")
        .to_owned();
    let bot = authorization["user_id"].as_str().unwrap_or("U0BOT").to_owned();
    let mut world = stopped();
    world.slack.identity(&team, &bot);
    world.launch();
    let mark = move |world: &World| {
        let authorization = json!([{"team_id": team, "user_id": bot, "is_bot": true}]);
        let event = SlackEvent::dm("DMARK", "mark")
            .envelope("team_id", team.as_str())
            .with("team", team.as_str());
        world.slack(&event.envelope("authorizations", authorization));
        world.slack.wait_post("echo: mark");
    };
    (world, mark)
}

#[test]
fn every_recorded_slack_event_ends_as_its_name_calls_for() {
    let Some(all) = recorded("slack") else { return };
    let known: Vec<_> = SLACK
        .iter()
        .filter(|(name, _, _)| of(&all, name).is_some())
        .collect();
    assert!(!known.is_empty());
    try_all(
        &known,
        |(name, before, _)| format!("{name} after {before:?}"),
        |(name, before, expected)| {
            let body = of(&all, name).unwrap();
            let (world, mark) = installed(body);
            for earlier in *before {
                acknowledged(&world, of(&all, earlier).unwrap());
                if *earlier == "02-app_mention" {
                    world.slack.wait_post("echo: 1");
                }
            }
            let asked_before = world.agent.asks().len();
            let reply = world.post_slack(body.to_string().as_bytes()).unwrap();
            assert_eq!(reply.status, 200, "{reply:?}");
            match expected {
                Slack::Asked(question, channel, root) => {
                    let post = world.slack.wait_post(&format!("echo: {question}"));
                    assert_eq!(world.agent.questions()[asked_before..], [*question]);
                    if !channel.is_empty() {
                        assert_eq!(
                            (post.channel.as_str(), post.thread_ts.as_deref()),
                            (*channel, *root)
                        );
                    }
                }
                Slack::Challenge => assert!(reply.body.contains(body["challenge"].as_str().unwrap())),
                Slack::Left => {}
            }
            mark(&world);
            let asked = usize::from(matches!(expected, Slack::Asked(..)));
            assert_eq!(
                world.agent.asks().len(),
                asked_before + asked + 1,
                "{:?}",
                world.agent.questions()
            );
        },
    );
    // What the table does not know is acknowledged as well, and does no harm.
    let unknown: Vec<_> = all
        .iter()
        .filter(|(name, _)| SLACK.iter().all(|(known, _, _)| known != name))
        .collect();
    try_all(
        &unknown,
        |(name, _)| name.clone(),
        |(_, body)| {
            let (world, mark) = installed(body);
            acknowledged(&world, body);
            mark(&world);
        },
    );
}

/// Replaces every time stamp of a message or status by the present.
fn refresh(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "timestamp" {
                    *value = json!(unix_now().to_string());
                } else {
                    refresh(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refresh),
        _ => {}
    }
}

#[test]
fn every_recorded_whatsapp_webhook_ends_as_its_name_calls_for() {
    let Some(mut all) = recorded("whatsapp") else {
        return;
    };
    for (_, body) in &mut all {
        refresh(body);
    }
    try_all(
        &all,
        |(name, _)| name.clone(),
        |(name, body)| {
            let mut world = stopped();
            world.launch();
            world.whatsapp(body);
            let expected = WHATSAPP
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, expected)| expected);
            match expected {
                Some(WhatsApp::Asked(question, to, recipient)) => {
                    let sent = world.meta.wait_sent(&format!("echo: {question}"));
                    assert_eq!(sent.to.as_deref(), *to);
                    // With a number, the user id may stand beside it.
                    if to.is_none() {
                        assert_eq!(sent.recipient.as_deref(), *recipient);
                    }
                    assert_eq!(world.agent.questions(), [*question]);
                }
                Some(WhatsApp::Told) => {
                    world.meta.wait_sent(ONLY_TEXT);
                }
                _ => {}
            }
            world.text(&Person::phone("15559990000"), "mark");
            world.meta.wait_sent("echo: mark");
            let asked = usize::from(matches!(expected, Some(WhatsApp::Asked(..))));
            if expected.is_some() {
                assert_eq!(
                    world.agent.asks().len(),
                    asked + 1,
                    "{:?}",
                    world.agent.questions()
                );
            }
            if matches!(expected, Some(WhatsApp::Left)) {
                assert_eq!(world.meta.sent().len(), 1, "{:?}", world.meta.sent());
            }
        },
    );
}
