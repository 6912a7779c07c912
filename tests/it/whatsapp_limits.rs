//! WhatsApp: limits and refusals, each for those whom it concerns and for nobody else; the bill; how replies look.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    APP_SECRET, Answer, Fault, Incoming, NUMBER, Person, Status, World, batch, eventually, post, webhook,
    whatsapp_signature,
};

/// A number of the same WhatsApp Business Account, with a token of its own.
const SISTER: &str = "222";
/// A number of another account, with the common token.
const COUSIN: &str = "444";
/// A number of a third account, with a token of its own.
const STRANGER: &str = "333";

fn ann() -> Person {
    Person::both("15550001111", "US.AAA")
}

fn family() -> World {
    World::with(|config| {
        config.set("retry.delivery", json!(["100ms"])).append(&format!(
            "[[whatsapp.numbers]]\nphone_number_id = \"{STRANGER}\"\naccess_token = \"EAA-test-own\"\n\
             [[whatsapp.numbers]]\nphone_number_id = \"{SISTER}\"\naccess_token = \"EAA-test-sister\""
        ));
    })
}

/// The WhatsApp Business Account of a number.
fn account_of(number: &str) -> &'static str {
    match number {
        STRANGER => "300",
        COUSIN => "200",
        _ => "100",
    }
}

fn refusal(code: u32) -> Fault {
    Fault::json(
        400,
        json!({"error": {"code": code, "message": "refused", "error_data": {"details": "as the test says"}}}),
    )
}

/// Refuses the next sends of one number.
fn refuse(world: &World, number: &'static str, times: usize, code: u32) {
    world.meta.fault_when(times, refusal(code), move |call| {
        call.kind == "messages" && call.path.contains(&format!("/{number}/"))
    });
}

fn text_to(world: &World, number: &str, text: &str) {
    let mut webhook = webhook(number, &[Incoming::text(&ann(), text)]);
    webhook["entry"][0]["id"] = json!(account_of(number));
    world.whatsapp(&webhook);
}

/// When it was tried to send something with this text.
fn attempts(world: &World, text: &str) -> Vec<Instant> {
    let with = |call: &&crate::harness::Call| {
        call.json["text"]["body"]
            .as_str()
            .is_some_and(|body| body.contains(text))
    };
    world
        .meta
        .log(|log| log.iter().filter(with).map(|call| call.at).collect())
}

#[test]
fn the_pair_limit_waits_powers_of_four_for_that_person_only() {
    let world = family();
    world.meta.fault_when(3, refusal(131_056), |call| {
        call.kind == "messages" && call.json["to"] == "15550001111"
    });
    world.text(&ann(), "limited");
    world.meta.wait("the first refusal", |log| {
        log.iter().any(|call| call.kind == "messages").then_some(())
    });
    world.text(&Person::phone("15550002222"), "not limited");
    let other = world.meta.wait_sent("not limited");
    let sent = world.meta.wait_sent("echo: limited");
    assert!(other.call.at < sent.call.at);
    let at = attempts(&world, "echo: limited");
    let waits: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 3, "the schedule of one retry was not burnt");
    for (wait, seconds) in waits.iter().zip([1.0, 4.0, 16.0]) {
        assert!(
            (seconds - 0.1..seconds + 3.0).contains(&wait.as_secs_f64()),
            "{waits:?}"
        );
    }
}

#[test]
fn a_number_that_sends_too_fast_pauses_alone() {
    let world = family();
    refuse(&world, NUMBER, 2, 130_429);
    text_to(&world, NUMBER, "throttled");
    world.meta.wait_count("messages", 1);
    // While the number is paused, another one of the same account goes on.
    text_to(&world, SISTER, "on the sister");
    let sister = world.meta.wait_sent("on the sister");
    let sent = world.meta.wait_sent("echo: throttled");
    assert!(sister.call.at < sent.call.at);
    let at = attempts(&world, "echo: throttled");
    let waits: Vec<f64> = at
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64())
        .collect();
    assert_eq!(waits.len(), 2, "pauses do not burn the schedule");
    assert!(
        (1.0..4.0).contains(&waits[0]) && (4.0..9.0).contains(&waits[1]),
        "{waits:?}"
    );
}

/// Whom a code concerns: the numbers of the same account, or those with the same token.
const CONCERNS: [(u32, &str, &str); 4] = [
    (80_007, SISTER, COUSIN),
    (131_042, SISTER, COUSIN),
    (4, COUSIN, SISTER),
    (190, COUSIN, SISTER),
];

#[test]
fn a_limit_of_the_account_or_of_the_app_pauses_all_its_numbers_and_no_other() {
    for (code, concerned, free) in [CONCERNS[0], CONCERNS[2]] {
        let world = family();
        refuse(&world, NUMBER, 1, code);
        text_to(&world, NUMBER, "throttled");
        world.meta.wait_count("messages", 1);
        text_to(&world, concerned, "of the concerned");
        world.agent.wait_ask("of the concerned");
        world.text(&Person::phone("15550002222"), "another person");
        world.agent.wait_ask("another person");
        for (number, text) in [
            (free, "of the free"),
            (STRANGER, "of the stranger"),
            (free, "once more"),
        ] {
            text_to(&world, number, text);
            world.meta.wait_sent(text);
        }
        assert!(attempts(&world, "of the concerned").is_empty(), "{code}");
        assert!(attempts(&world, "another person").is_empty(), "{code}");
        assert_eq!(attempts(&world, "echo: throttled").len(), 1, "{code}");
    }
}

#[test]
fn what_the_operator_must_mend_is_kept_told_and_goes_on_by_itself() {
    for ((code, concerned, free), remedy) in
        [(CONCERNS[1], "payment method"), (CONCERNS[3], "make a new one")]
    {
        let world = family();
        for number in [NUMBER, concerned] {
            refuse(&world, number, usize::MAX, code);
        }
        text_to(&world, NUMBER, "refused");
        world.meta.wait_count("messages", 1);
        eventually("the operator to be told", || {
            let log = world.daemon().log();
            (log.contains("nothing can be sent") && log.contains(remedy)).then_some(())
        });
        let held = |world: &World| world.metrics().count("chatbridge_held_accounts", &[]);
        assert_eq!(held(&world), 1, "{code}");
        text_to(&world, concerned, "of the concerned");
        for (number, text) in [(free, "of the free"), (STRANGER, "of the stranger")] {
            text_to(&world, number, text);
            world.meta.wait_sent(text);
        }
        world.agent.wait_ask("of the concerned");
        assert_eq!(held(&world), 1, "{code}: others' success lifts nothing");
        world.meta.heal();
        world.meta.wait_sent("echo: refused");
        world.meta.wait_sent("of the concerned");
        eventually("the hold to be over", || (held(&world) == 0).then_some(()));
        let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
        assert_eq!(dead, json!([]), "{code}");
        assert_eq!(world.agent.asks().len(), 4);
    }
}

/// Until a webhook has told the accounts, a trouble with one may hold all numbers of its token; from then on it does
/// not, also after a restart.
#[test]
fn which_numbers_belong_together_is_remembered() {
    let mut world = family();
    let known = |world: &World| {
        let log = world.daemon().log();
        log.matches("WhatsApp Business Account is known").count()
    };
    for (number, text) in [(NUMBER, "one"), (COUSIN, "two")] {
        text_to(&world, number, text);
        world.meta.wait_sent(text);
    }
    eventually("both accounts to be kept", || (known(&world) == 2).then_some(()));
    world.terminate();
    world.launch();
    for (number, text) in [(NUMBER, "three"), (COUSIN, "four")] {
        text_to(&world, number, text);
        world.meta.wait_sent(text);
    }
    // A number may move to another account.
    let mut moved = webhook(COUSIN, &[Incoming::text(&ann(), "moved")]);
    moved["entry"][0]["id"] = json!("100");
    world.whatsapp(&moved);
    eventually("the move to be kept", || (known(&world) > 0).then_some(()));
    assert_eq!(known(&world), 1, "nothing else was news");
}

/// Meta's words: the account is restricted from messaging users in this country. The others are written to.
#[test]
fn a_country_that_may_not_be_written_to_holds_up_nobody_elsewhere() {
    let world = family();
    world.meta.fault_when(usize::MAX, refusal(130_497), |call| {
        call.kind == "messages" && call.json["to"] == "15550001111"
    });
    world.text(&ann(), "refused");
    world.meta.wait_count("messages", 1);
    world.text(&Person::phone("4915112345678"), "elsewhere");
    world.meta.wait_sent("elsewhere");
    eventually("the operator to be told", || {
        let log = world.daemon().log();
        log.contains("people in this country").then_some(())
    });
    let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
    assert_eq!(dead, json!([]), "it is kept");
}

/// A trouble with one number is not its sisters'.
#[test]
fn a_number_that_must_be_mended_holds_no_other() {
    let world = family();
    refuse(&world, NUMBER, usize::MAX, 133_010);
    text_to(&world, NUMBER, "not registered");
    world.meta.wait_count("messages", 1);
    text_to(&world, SISTER, "on the sister");
    world.meta.wait_sent("on the sister");
    world.meta.heal();
    world.meta.wait_sent("not registered");
}

#[test]
fn statuses_come_in_any_order_and_each_charge_is_counted_once() {
    let world = World::start();
    world.text(&ann(), "what does it cost?");
    let sent = world.meta.wait_sent("what does it cost?");
    // Once it is known under the platform's name.
    world.wait_idle();
    let pricing = |billable: bool| json!({"billable": billable, "pricing_model": "PMP", "type": "regular", "category": "service"});
    let status =
        |stage: &str, billable: bool| Status::of(&sent.wamid, stage).with("pricing", pricing(billable));
    let all = [
        status("delivered", true),
        status("sent", true),
        status("read", true),
        status("delivered", true),
    ];
    world.whatsapp(&batch(NUMBER, &[], &all));
    world.whatsapp(&batch(NUMBER, &[], &all));
    // Free within the 72 hours after an advertisement.
    world.text(&Person::phone("15550002222"), "for free?");
    let free = world.meta.wait_sent("for free?");
    world.wait_idle();
    let told = Status::of(&free.wamid, "delivered").with("pricing", pricing(false));
    world.whatsapp(&batch(NUMBER, &[], &[told]));
    // A failure that comes late goes to the dead letters with Meta's code and words, even after all of this.
    let error = json!([{"code": 131_047, "title": "Re-engagement message",
        "error_data": {"details": "Message failed to send because more than 24 hours have passed"}}]);
    world.whatsapp(&batch(
        NUMBER,
        &[],
        &[Status::of(&sent.wamid, "failed").with("errors", error)],
    ));
    let dead = eventually("the failure among the dead letters", || {
        let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
        dead.get(0).cloned()
    });
    assert_eq!(
        (&dead["kind"], &dead["code"]),
        (&json!("delivery"), &json!("131047"))
    );
    assert!(
        dead["reason"].as_str().unwrap().contains("24 hours have passed"),
        "{dead}"
    );
    let metrics = world.metrics();
    assert_eq!(
        metrics.count("chatbridge_billable_messages_total", &[("number", NUMBER)]),
        1,
        "{metrics}"
    );
}

#[test]
fn each_app_signs_with_its_own_secret() {
    let world = World::with(|config| {
        config.set("whatsapp.app_secret", json!([APP_SECRET, "the other app's"]));
    });
    for (n, secret) in [APP_SECRET, "the other app's", "nobody's"]
        .into_iter()
        .enumerate()
    {
        let text = format!("signed {n}.");
        let body = webhook(NUMBER, &[Incoming::text(&ann(), &text)]).to_string();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-hub-signature-256", whatsapp_signature(secret, body.as_bytes())),
        ];
        let url = format!("{}/whatsapp/webhook", world.daemon().public());
        let reply = post(&url, &headers, body.into_bytes()).unwrap();
        assert_eq!(reply.status, if n < 2 { 200 } else { 401 });
    }
    world.meta.wait_sent("signed 1.");
    assert_eq!(world.agent.times_asked("signed 2."), 0);
}

#[test]
fn a_plain_answer_stays_plain_and_no_address_or_number_is_cut() {
    let world = World::start();
    world
        .agent
        .cite(&["https://shop.example/faq", "https://shop.example/faq"]);
    world.agent.answer_with(|question| match question {
        "marks" => "*bold* and 2 * 3".to_owned(),
        _ => format!(
            "{} https://shop.example/a/very/long/address?with=many&parts=of_it and {} +49 89 123 456 789 end.",
            "word ".repeat(810),
            "word ".repeat(805)
        ),
    });
    world.text(&ann(), "marks");
    let marks = world.meta.wait_sent("bold");
    assert_eq!(
        marks.body,
        "\u{200c}*bold* and 2 * 3\n\nSources:\nhttps://shop.example/faq"
    );
    assert_eq!(marks.call.json["text"]["preview_url"], false);
    world.text(&Person::phone("15550002222"), "long");
    world.meta.wait_sent("Sources:\nhttps://shop.example/faq");
    let whole = [
        "https://shop.example/a/very/long/address?with=many&parts=of_it",
        "+49 89 123 456 789",
    ];
    eventually("all parts", || {
        let bodies: Vec<String> = world
            .meta
            .sent()
            .into_iter()
            .filter(|sent| sent.to.as_deref() == Some("15550002222"))
            .map(|sent| sent.body)
            .collect();
        bodies.concat().contains("end.").then(|| {
            assert!(bodies.len() >= 3, "{}", bodies.len());
            for piece in whole {
                assert!(bodies.iter().any(|body| body.contains(piece)), "{piece} is torn");
            }
        })
    });
}

/// A pause that Meta asks for by `Retry-After` alone is the number's.
#[test]
fn a_bare_429_is_granted_too() {
    let world = family();
    let limited = Answer::json(429, &Value::Null).with("retry-after", "2");
    world.meta.fault("messages", 1, Fault::Answer(limited));
    world.text(&ann(), "slow down");
    world.meta.wait_sent("slow down");
    let at = attempts(&world, "slow down");
    assert!(at[1] - at[0] >= Duration::from_secs(2), "{:?}", at[1] - at[0]);
}
