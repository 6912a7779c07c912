//! The operator's pages in a browser: what they show, and what an operator does on them.

use serde_json::json;

use crate::harness::{APOLOGY, Browser, Fault, NUMBER, Person, SlackEvent, Status, World, batch};

pub(crate) const TOKEN: &str = "operator-token-5c1e";

/// A daemon with a console.
pub(crate) fn world() -> World {
    World::with(|config| {
        config.set("admin.token", TOKEN);
    })
}

/// Where it is.
pub(crate) fn console(world: &World) -> String {
    format!("{}/console", world.daemon().admin())
}

pub(crate) fn ann() -> Person {
    Person::phone("15550001111")
}

/// A browser that has logged in; none where there is none.
pub(crate) fn inside(world: &World) -> Option<Browser> {
    let browser = Browser::start()?;
    browser.open(&format!("{}/threads", console(world)));
    browser.type_into("#token", &format!("{TOKEN}\u{e007}"));
    browser.shows("h1", "Threads");
    browser.shows("#link", "live");
    Some(browser)
}

#[test]
fn an_operator_logs_in_and_sees_answers_come() {
    let world = world();
    let Some(browser) = Browser::start() else { return };
    browser.open(&console(&world));
    browser.shows("h1", "chatbridge console");
    browser.is_sound();
    browser.type_into("#token", "wrong\u{e007}");
    browser.shows("[role=alert]", "This is not the token");
    browser.run("document.querySelector('#token').value = ''");
    browser.type_into("#token", &format!("{TOKEN}\u{e007}"));
    browser.shows("h1", "Overview");
    browser.shows("#link", "live");
    browser.shows("#live", "Nobody has written yet");
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    world.slack(&SlackEvent::dm("D1", "direct"));
    world.slack.wait_post("direct");
    browser.shows(".tile:first-child", "Answers today\n2");
    browser.shows("tbody tr:first-child", "slack");
    browser.shows("tbody tr:last-child", "whatsapp");
    let chart = "return document.querySelector('.chart').getAttribute('aria-label')";
    let words = browser.run(chart).to_string();
    assert!(words.contains("2 in the last 24 hours"), "{words}");
    // Only the refused login may complain.
    let refused = browser.complaints();
    assert!(refused.iter().all(|line| line.contains("401")), "{refused:?}");
    browser.is_sound();
    browser.click(".leave button");
    browser.shows("h1", "chatbridge console");
}

#[test]
fn an_operator_finds_a_thread_and_takes_it_over() {
    let world = world();
    world.text(&ann(), "Do you <b>ship</b>?");
    let sent = world.meta.wait_sent("Do you <b>ship</b>?");
    world.slack(&SlackEvent::dm("D1", "direct"));
    world.slack.wait_post("direct");
    let Some(browser) = inside(&world) else { return };
    browser.shows("tbody", "slack/T1/D1");
    browser.type_into("#q", "15550001111\u{e007}");
    browser.lacks("tbody", "slack");
    browser.shows("tbody", &format!("whatsapp/{NUMBER}/15550001111"));
    browser.is_sound();
    browser.click("tbody a");
    browser.shows(".transcript .theirs", "Do you <b>ship</b>?");
    browser.shows(".transcript .ours", "echo: Do you <b>ship</b>?");
    let read = Status::of(&sent.wamid, "read");
    world.whatsapp(&batch(NUMBER, &[], &[read]));
    browser.shows(".transcript .ours .ticks", "read");
    browser.click("#pause");
    browser.shows(".notice", "The thread is paused");
    browser.shows(".facts", "paused");
    world.text(&ann(), "to a person");
    browser.shows(".transcript li:last-child", "left to a person");
    browser.is_sound();
    browser.click("#resume");
    browser.shows(".facts", "open");
    browser.click("#reset");
    browser.shows(".notice", "opens a new conversation");
    world.text(&ann(), "anew");
    world.meta.wait_sent("anew");
    assert_eq!(world.agent.wait_ask("anew").json["conversationId"], json!(null));
    assert_eq!(world.agent.times_asked("to a person"), 0);
}

#[test]
fn an_operator_sees_why_something_failed_and_tries_it_again() {
    let world = world();
    let broken = Fault::json(500, json!({"status": "error", "message": "broken"}));
    world.agent.fault("ask", usize::MAX, broken);
    world.slack(&SlackEvent::dm("D1", "first try"));
    world.text(&ann(), "hopeless");
    world.slack.wait_post(APOLOGY);
    world.meta.wait_sent(APOLOGY);
    let Some(browser) = inside(&world) else { return };
    browser.open(&console(&world));
    browser.shows(".tile.bad", "Failed\n2");
    browser.click(".tile.bad a");
    browser.shows("h1", "Dead letters");
    browser.shows(".letters", "A message was never answered");
    browser.shows(".letters", "slack/T1/D1");
    browser.is_sound();
    world.agent.heal();
    browser.click("[aria-label='Replay: slack/T1/D1']");
    browser.shows(".notice", "Back to work");
    world.slack.wait_post("echo: first try");
    // The list follows by itself; what was unfolded stays so.
    browser.lacks(".letters", "slack/T1/D1");
    browser.click(".letters summary");
    browser.click(".letters .danger");
    browser.shows(".notice", "forgotten");
    browser.shows("#live", "There are no dead letters");
    let dead = world.cli(&["dead", "list", "--json"]).exits(0).json();
    assert_eq!(dead, json!([]));
    browser.is_sound();
}

#[test]
fn what_is_held_and_how_all_is_set_shows() {
    let world = world();
    let refused = Fault::json(401, json!({"status": "error", "message": "Unauthorized"}));
    world.agent.fault("ask", usize::MAX, refused);
    world.text(&ann(), "hello");
    let Some(browser) = inside(&world) else { return };
    browser.open(&console(&world));
    browser.shows(".problem", "is not asked");
    browser.shows(".tile:last-child", "Held agents\n1");
    browser.shows(".tile.busy", "Waiting\n1");
    browser.click("nav a[href='/console/accounts']");
    browser.shows("tbody", NUMBER);
    browser.shows("tbody", "works");
    browser.shows("#live", "People can be answered for 1 day");
    browser.is_sound();
    browser.click("nav a[href='/console/settings']");
    browser.shows("#live", "retry.agent");
    browser.shows("#live", "100ms, 200ms, 400ms");
    browser.shows("#live", "chatbridge.toml");
    browser.shows("#live", "config/default.toml");
    let page = browser
        .run("return document.documentElement.outerHTML")
        .to_string();
    for secret in [TOKEN, "key-test", "xoxb-test-token", "EAA-test-token"] {
        assert!(!page.contains(secret), "{secret} is shown");
    }
    browser.is_sound();
    world.agent.heal();
    world.meta.wait_sent("hello");
    browser.click("nav a[href='/console']");
    browser.shows("#live", "every agent is asked");
}

#[test]
fn the_pages_fit_every_width_in_light_and_dark() {
    let world = world();
    world.text(&ann(), "a_long_word_".repeat(60).as_str());
    world.meta.wait_sent("a_long_word_");
    let Some(browser) = inside(&world) else { return };
    let list = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let thread = format!("/threads/{}", list[0]["id"].as_str().unwrap());
    let erase = format!("{thread}/erase");
    let person = "/erase?person=15550001111";
    for path in [
        "",
        "/threads",
        &thread,
        &erase,
        person,
        "/erased",
        "/dead",
        "/accounts",
        "/settings",
    ] {
        browser.open(&format!("{}{path}", console(&world)));
        if path == person {
            browser.shows("tbody", "15550001111");
        } else {
            browser.shows("#link", "live");
        }
        for (scheme, width) in [("light", 320), ("dark", 320), ("dark", 900), ("light", 1400)] {
            browser.prefer(scheme);
            browser.resize(width, 800);
            let wide = browser.run("return document.documentElement.scrollWidth");
            assert!(
                wide.as_u64().unwrap() <= u64::from(width),
                "{path}: {wide} at {width}"
            );
            assert_eq!(
                browser.barriers(),
                Vec::<String>::new(),
                "{path}: {scheme} at {width}"
            );
        }
    }
}
