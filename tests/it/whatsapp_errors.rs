//! WhatsApp: every code of Meta's list that a reply can meet, over HTTP, and what comes of each.

use serde_json::{Value, json};

use crate::harness::{Fault, Incoming, Person, World, eventually, webhook};

/// What will never be sent, with a word of its remedy.
const PERMANENT: [(u32, &str); 17] = [
    (131_047, "only a template"),
    (131_026, "cannot be delivered"),
    (130_403, "blocked"),
    (131_021, "to itself"),
    (131_050, "does not want"),
    (131_030, "API Setup"),
    (131_049, "marketing"),
    (130_472, "experiment"),
    (131_062, "user id"),
    (100, "api_version"),
    (131_008, "api_version"),
    (131_009, "api_version"),
    (131_051, "api_version"),
    (131_052, "media"),
    (131_053, "media"),
    // None of Meta's list: it is looked up by the operator.
    (139_999, "look the code up"),
    (1_234_567_890, "look the code up"),
];

/// What the operator must mend.
const OPERATOR: [u32; 18] = [
    0, 190, 3, 10, 200, 230, 299, 131_005, 131_048, 131_064, 368, 131_031, 131_042, 131_045, 133_010, 33,
    131_037, 133_016,
];

/// What passes by itself: certainly not sent, so it is tried again.
const PASSING: [u32; 4] = [1, 2, 131_000, 131_016];

/// A number of its own for each code, in an account of its own and with a token of its own.
fn number(code: u32) -> String {
    format!("7{code:010}")
}

fn world(codes: &[u32]) -> World {
    World::with(|config| {
        config.set("retry.delivery", json!(["100ms", "100ms", "100ms"]));
        for code in codes {
            let number = number(*code);
            config.append(&format!(
                "[[whatsapp.numbers]]\nphone_number_id = \"{number}\"\naccess_token = \"EAA-test-{number}\""
            ));
        }
    })
}

/// Refuses what this code's number sends, so many times.
fn refuse(world: &World, status: u16, code: u32, times: usize) {
    let error = json!({"error": {"code": code, "message": "(#1) Refused", "type": "OAuthException",
        "error_data": {"details": "as the test says"}}});
    let path = format!("/{}/", number(code));
    world
        .meta
        .fault_when(times, Fault::json(status, error), move |call| {
            call.kind == "messages" && call.path.contains(&path)
        });
}

fn ask(world: &World, code: u32) -> String {
    let text = format!("refused with {code}.");
    let person = Person::both("15550001111", "US.AAA");
    let mut webhook = webhook(&number(code), &[Incoming::text(&person, &text)]);
    webhook["entry"][0]["id"] = json!(format!("account{code}"));
    world.whatsapp(&webhook);
    text
}

fn dead(world: &World) -> Vec<Value> {
    let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
    dead.as_array().unwrap().clone()
}

#[test]
fn what_will_never_be_sent_is_a_dead_letter_with_its_code_and_its_remedy() {
    let world = world(&PERMANENT.map(|(code, _)| code));
    for (code, _) in PERMANENT {
        refuse(&world, 400, code, usize::MAX);
        ask(&world, code);
    }
    let dead = eventually("every refusal among the dead letters", || {
        let dead = dead(&world);
        (dead.len() == PERMANENT.len()).then_some(dead)
    });
    for (code, remedy) in PERMANENT {
        let letter = dead
            .iter()
            .find(|letter| letter["code"] == json!(code.to_string()));
        let reason = letter.unwrap()["reason"].as_str().unwrap();
        assert!(
            reason.contains(remedy) && reason.contains("as the test says"),
            "{code}: {reason}"
        );
    }
    let sends = world
        .meta
        .log(|log| log.iter().filter(|call| call.kind == "messages").count());
    assert_eq!(sends, PERMANENT.len(), "none was tried twice");
    world.still_works("afterwards");
}

#[test]
fn what_the_operator_must_mend_waits_for_them_and_for_nobody_else() {
    let world = world(&OPERATOR);
    for code in OPERATOR {
        refuse(&world, 400, code, usize::MAX);
    }
    let texts = OPERATOR.map(|code| ask(&world, code));
    let held = || world.metrics().count("chatbridge_held_accounts", &[]);
    eventually("every number to be held", || {
        (held() == OPERATOR.len()).then_some(())
    });
    world.still_works("meanwhile");
    assert!(dead(&world).is_empty());
    world.meta.heal();
    for text in texts {
        world.meta.wait_sent(&text);
    }
    eventually("all holds to be over", || (held() == 0).then_some(()));
    assert!(dead(&world).is_empty());
}

#[test]
fn what_passes_by_itself_is_tried_again_until_it_has_passed() {
    let world = world(&PASSING);
    for code in PASSING {
        refuse(&world, 400, code, 2);
    }
    for text in PASSING.map(|code| ask(&world, code)) {
        world.meta.wait_sent(&text);
    }
    assert!(dead(&world).is_empty());
    // With a server's error nobody knows whether it was sent: it is, once more, when no status has told.
    for code in PASSING {
        refuse(&world, 500, code, 1);
    }
    for text in PASSING.map(|code| ask(&world, code)) {
        world.meta.wait_sents(&text, 2);
    }
    let resent = [("channel", "whatsapp"), ("resolution", "resent")];
    assert_eq!(
        world.metrics().count("chatbridge_sends_unknown_total", &resent),
        PASSING.len()
    );
}
