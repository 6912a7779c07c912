//! What users of similar software suffered from: each defect that a real project shipped has a test that bears the
//! number of its thread. Most stand with their subject; those that had no other place stand here.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::source::tests;
use crate::harness::{
    APOLOGY, Fault, Incoming, NUMBER, Person, SlackEvent, World, batch, dead_letters, eventually, webhook,
};

/// The defects, and the beginning of the names of the tests that would show them. Where several threads tell of one
/// defect, the test bears one of their numbers.
const COMPLAINTS: &[(&str, &[&str])] = &[
    (
        "answered twice: retries of a slow handler (rasa#3882, bolt-python#1027, #868, bolt-js#786)",
        &["bolt_python_1027"],
    ),
    (
        "answered twice: two deliveries in the same instant (openwa#464)",
        &["openwa_464"],
    ),
    (
        "answered twice: ids lost at a restart (openclaw#12053, xagent#1063)",
        &["openclaw_12053"],
    ),
    (
        "answered twice: a mention as two events (cc-connect#1822)",
        &["cc_connect_1822"],
    ),
    (
        "answered twice: an edited mention (junior#481, posthog#59517)",
        &["junior_481"],
    ),
    (
        "lost: 200 sent, then restarted (openclaw#42157)",
        &["openclaw_42157"],
    ),
    (
        "lost: redeliveries dropped by their header (vercel/chat#666, agno#10073)",
        &["vercel_chat_666"],
    ),
    (
        "lost: marked seen before it is queued (junior#33)",
        &["junior_33"],
    ),
    (
        "lost: stranded as a turn ends (vercel/chat#928)",
        &["vercel_chat_928"],
    ),
    (
        "lost: a lock that expires in mid-turn (vercel/chat#685)",
        &["vercel_chat_685"],
    ),
    (
        "lost: only the first of several messages is read (open-chat-studio#3366)",
        &["open_chat_studio_3366"],
    ),
    (
        "lost: one bad status drops its siblings (evolution-api#2573, #2700)",
        &["evolution_api_2573", "evolution_api_2700"],
    ),
    (
        "out of order: a burst is overtaken (openclaw#52998)",
        &["openclaw_52998"],
    ),
    (
        "out of order: another sender splits it (openclaw#112001)",
        &["openclaw_112001"],
    ),
    (
        "bursts: three messages, three answers (vercel/chat#208, chatwoot#15430, typebot#1453)",
        &["vercel_chat_208", "chatwoot_15430"],
    ),
    (
        "bursts: five seconds of silence (hermes-agent#22602)",
        &["hermes_agent_22602"],
    ),
    (
        "loops: the bot answers itself (CopilotKit#6717, python-slack-sdk#390)",
        &["copilotkit_6717"],
    ),
    (
        "wrong person: a merged look-up (chatwoot#15098, #15359)",
        &["chatwoot_15098", "chatwoot_15359"],
    ),
    (
        "wrong person: nobody without a number (whatomate#531, chatwoot#13837)",
        &["whatomate_531"],
    ),
    (
        "human and bot talk at once (chatwoot#11363, evo-crm-community#82)",
        &["chatwoot_11363"],
    ),
    (
        "human and bot: a reply after the handover (fazer-ai/agents#158)",
        &["fazer_ai_agents_158"],
    ),
    (
        "human and bot: silent after it was handed back (fazer-ai/agents#452)",
        &["fazer_ai_agents_452"],
    ),
    (
        "human and bot: no pause before a conversation (evolution-api#2536)",
        &["evolution_api_2536"],
    ),
    (
        "silence: the agent fails and nobody learns of it (chatwoot#12379)",
        &["chatwoot_12379"],
    ),
    ("silence: a flag that stays set (typebot#1903)", &["typebot_1903"]),
    ("silence: jobs running for 91 days (river#1258)", &["river_1258"]),
    ("set-up: the challenge fails (n8n#22776, #19113)", &["n8n_22776"]),
    (
        "set-up: a signature demanded on Meta's GET (eliza#17823)",
        &["eliza_17823"],
    ),
    (
        "set-up: the account is not subscribed",
        &["an_app_that_is_not_subscribed_to_the_account_is_named"],
    ),
    (
        "forged: no signature check (chatwoot#14280, zeptoclaw#317, camel#24034)",
        &["chatwoot_14280"],
    ),
    (
        "the window: a retry loop after 24 hours (open-chat-studio#3062, whatomate#172)",
        &["open_chat_studio_3062"],
    ),
    (
        "token leaks: an error that prints the signature it computed",
        &["no_refusal_prints_the_signature_that_was_expected"],
    ),
];

#[test]
fn every_complaint_has_a_test_that_bears_its_name() {
    let names = tests();
    for (complaint, bearing) in COMPLAINTS {
        for test in *bearing {
            let found = names.iter().any(|(_, name)| name.starts_with(test));
            assert!(found, "no test is called {test}…: {complaint}");
        }
    }
}

/// vercel/chat#685: the thread's lock expired while a handler still worked, and a second one began beside it.
#[test]
fn vercel_chat_685_a_turn_keeps_its_thread_however_long_it_takes() {
    for thread in [0, 1] {
        crate::history::slow_turn(thread);
    }
}

/// open-chat-studio#3366: of several messages in one webhook only the first was read.
#[test]
fn open_chat_studio_3366_every_message_of_a_webhook_is_answered() {
    let world = World::start();
    let messages: Vec<Incoming> = (0..5)
        .map(|n| {
            Incoming::text(
                &Person::phone(&format!("1555300000{n}")),
                &format!("message {n}."),
            )
        })
        .collect();
    world.whatsapp(&webhook(NUMBER, &messages));
    let mut entries = batch(NUMBER, &[], &[]);
    let entry = |n: usize| {
        let message = Incoming::text(&Person::phone(&format!("1555300001{n}")), &format!("entry {n}."));
        webhook(NUMBER, &[message])["entry"][0].clone()
    };
    entries["entry"] = (0..3).map(entry).collect();
    world.whatsapp(&entries);
    for n in 0..5 {
        world.meta.wait_sent(&format!("echo: message {n}."));
    }
    for n in 0..3 {
        world.meta.wait_sent(&format!("echo: entry {n}."));
    }
}

/// fazer-ai/agents#452: the bot stayed silent after the conversation was handed back to it.
#[test]
fn fazer_ai_agents_452_the_bot_answers_after_it_was_handed_back() {
    let mut world = World::start();
    let address = format!("whatsapp/{NUMBER}/15550001111");
    let (ann, bob) = (Person::phone("15550001111"), SlackEvent::dm("D1", "before"));
    world.text(&ann, "before");
    world.slack(&bob);
    world.meta.wait_sent("echo: before");
    world.slack.wait_post("echo: before");
    for (name, restart) in [
        (address.as_str(), false),
        ("slack/T1/D1", false),
        (address.as_str(), true),
    ] {
        world.cli(&["threads", "pause", name]).exits(0);
        if restart {
            world.crash();
        }
        world.cli(&["threads", "resume", name]).exits(0);
        let text = format!("back {restart}.");
        world.text(&ann, &text);
        world.slack(&SlackEvent::dm("D1", &text));
        world.meta.wait_sent(&format!("echo: {text}"));
        world.slack.wait_post(&format!("echo: {text}"));
    }
}

/// typebot#1903: a flag "is replying" stayed set after a failure, and nobody was answered any more.
#[test]
fn typebot_1903_after_a_failure_the_next_message_is_answered() {
    let world = World::start();
    for (n, status) in [500, 422].into_iter().enumerate() {
        let broken = Fault::json(status, json!({"status": "error", "message": "broken"}));
        world.agent.fault_when(usize::MAX, broken, move |call| {
            call.json["question"] == format!("fails {n}.")
        });
        world.slack(&SlackEvent::dm("D1", &format!("fails {n}.")));
        world.slack.wait_posts(2 * n + 1);
        world.slack(&SlackEvent::dm("D1", &format!("works {n}.")));
        world.slack.wait_post(&format!("echo: works {n}."));
    }
    assert_eq!(world.slack.posts_with(APOLOGY).len(), 2);
}

/// river#1258: jobs whose worker had died were "running" for 91 days.
#[test]
fn river_1258_what_was_under_way_at_a_kill_is_taken_up_by_the_next_start() {
    // The claims hold for minutes; nobody waits for their end.
    let mut world = World::with(|config| {
        config.set("agent.timeout", "10m");
    });
    world.agent.fault("ask", 2, Fault::Hang);
    world.slack(&SlackEvent::dm("D1", "under way"));
    world.text(&Person::phone("15550001111"), "under way too");
    world.agent.wait_count("ask", 2);
    world.kill9();
    let since = Instant::now();
    world.launch();
    world.slack.wait_post("echo: under way");
    world.meta.wait_sent("echo: under way too");
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
}

/// open-chat-studio#3062, whatomate#172: after 24 hours a reply failed again and again, without an end.
#[test]
fn open_chat_studio_3062_a_reply_outside_the_window_is_tried_once_and_told() {
    let world = World::start();
    let closed =
        json!({"error": {"code": 131_047, "message": "Re-engagement message", "type": "OAuthException"}});
    world.meta.fault("messages", usize::MAX, Fault::json(400, closed));
    world.text(&Person::phone("15550001111"), "too late for an answer");
    let dead = eventually("a dead letter", || dead_letters(&world).pop());
    assert_eq!(dead["kind"], "delivery", "{dead}");
    assert_eq!(dead["code"], "131047", "{dead}");
    world.slack(&SlackEvent::dm("D1", "meanwhile"));
    world.slack.wait_post("echo: meanwhile");
    assert_eq!(world.meta.count("messages"), 1, "it is not tried again");
}

/// A published crate's error printed the signature that it had computed: whoever asks could then sign anything.
#[test]
fn no_refusal_prints_the_signature_that_was_expected() {
    let world = World::start();
    let (body, now) = (b"{}".to_vec(), crate::harness::unix_now().to_string());
    let expected = [
        crate::harness::slack_signature(crate::harness::SIGNING_SECRET, &now, &body),
        crate::harness::whatsapp_signature(crate::harness::APP_SECRET, &body),
    ];
    let forged = [
        (
            "/slack/events",
            vec![
                ("x-slack-signature", format!("v0={}", "0".repeat(64))),
                ("x-slack-request-timestamp", now),
            ],
        ),
        (
            "/whatsapp/webhook",
            vec![("x-hub-signature-256", format!("sha256={}", "0".repeat(64)))],
        ),
    ];
    for (path, headers) in forged {
        let url = format!("{}{path}", world.daemon().public());
        let reply = crate::harness::post(&url, &headers, body.clone()).unwrap();
        assert_eq!(reply.status, 401, "{reply:?}");
        for signature in &expected {
            let digest = signature.split_once('=').unwrap().1;
            assert!(
                !reply.body.contains(digest) && !world.daemon().log().contains(digest),
                "{reply:?}"
            );
        }
    }
}
