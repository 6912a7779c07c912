//! The pictures in docs/images, taken of the real pages by `docs/images/make`.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{
    APOLOGY, Browser, Demo, Fault, NUMBER, Person, SlackEvent, Status, World, batch, eventually,
    spread_over_a_day,
};

const ENTER: &str = "\u{e007}";

/// Writes a picture of what is in view.
fn keep(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("CHATBRIDGE_PICTURES") else {
        return;
    };
    // A moment for what moves.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    std::fs::write(
        PathBuf::from(folder).join(format!("{name}.png")),
        browser.picture(false),
    )
    .unwrap();
}

#[test]
#[ignore = "docs/images/make runs it"]
fn the_playground() {
    let browser = Browser::start().expect("a browser");
    let demo = Demo::start();
    browser.resize(1440, 975);
    browser.open(&demo.page());
    browser.shows("#life", "running");
    browser.type_into("#phone-text", &format!("Do you repair zips?{ENTER}"));
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.type_into("#workspace-text", &format!("How long does shipping take?{ENTER}"));
    browser.shows("#posts li:last-child", "APP");
    keep(&browser, "playground-light");
    browser.click("#whatsapp-limited");
    browser.click("input[value=slow]");
    browser.type_into("#phone-text", &format!("And to Norway?{ENTER}"));
    browser.type_into("#workspace-text", &format!("Can I return a jacket?{ENTER}"));
    browser.shows("#ways > li:first-child .done:nth-child(4)", "asked");
    browser.click("#kill");
    browser.shows("#life", "killed");
    browser.type_into("#workspace-text", &format!("Can I pay by invoice?{ENTER}"));
    browser.shows("#ways > li:first-child .failed", "received");
    browser.prefer("dark");
    browser.run("scrollTo({top: 0, behavior: 'instant'})");
    keep(&browser, "playground-dark-killed");
    browser.prefer("light");
    browser.click("#kill");
    browser.click("#whatsapp-limited");
    browser.click("input[value=well]");
    browser.resize(390, 800);
    for part in ["phone", "bridge", "workspace"] {
        browser.run(&format!(
            "document.getElementById('{part}').scrollIntoView({{behavior: 'instant'}})"
        ));
        keep(&browser, &format!("playground-narrow-{part}"));
    }
}

/// A day of a shop: many short exchanges, one that failed, one that a person has taken over.
fn day() -> World {
    let world = World::with(|config| {
        config.set("admin.token", "operator-token-5c1e");
    });
    world.agent.answer_with(|question| match question {
        "Is my parcel on its way?" => "Yes: it left on Monday and arrives tomorrow.".to_owned(),
        _ => "We are open Monday to Friday from 9 am to 6 pm, and on Saturday until 4 pm.".to_owned(),
    });
    for n in 0..90 {
        if n % 3 == 0 {
            world.slack(&SlackEvent::dm(&format!("D{:03}", n % 9), "When are you open?"));
        } else {
            world.text(
                &Person::phone(&format!("155501001{:02}", n % 40)),
                "When are you open?",
            );
        }
    }
    eventually("ninety answers", || {
        (world.slack.posts().len() + world.meta.sent().len() == 90).then_some(())
    });
    spread_over_a_day(&world);
    let carla = Person::phone("15550100142");
    world.text(&carla, "Is my parcel on its way?");
    let sent = world.meta.wait_sent("it left on Monday");
    world.whatsapp(&batch(NUMBER, &[], &[Status::of(&sent.wamid, "read")]));
    let broken = Fault::json(500, json!({"status": "error", "message": "broken"}));
    world.agent.fault("ask", usize::MAX, broken);
    world.slack(&SlackEvent::dm("D777", "Can I pay by invoice?"));
    world.slack.wait_post(APOLOGY);
    world.text(&Person::phone("15550100177"), "Do you ship to Norway?");
    world.meta.wait_sent(APOLOGY);
    world.agent.heal();
    world
}

#[test]
#[ignore = "docs/images/make runs it"]
fn the_console() {
    let world = day();
    let browser = Browser::start().expect("a browser");
    let console = format!("{}/console", world.daemon().admin());
    browser.resize(1200, 860);
    browser.open(&console);
    browser.type_into("#token", &format!("operator-token-5c1e{ENTER}"));
    browser.shows("#link", "live");
    keep(&browser, "console-overview");
    browser.prefer("dark");
    browser.open(&format!("{console}/threads?q=15550100142"));
    browser.click("tbody a");
    browser.shows(".transcript .ours .ticks", "read");
    browser.click("#pause");
    browser.shows(".facts", "paused");
    world.text(
        &Person::phone("15550100142"),
        "Can I talk to somebody about the zip?",
    );
    browser.shows(".transcript li:last-child", "left to a person");
    keep(&browser, "console-thread-dark");
    browser.click("#erase");
    browser.shows("h1", "Erase a thread");
    browser.click("#sure");
    browser.resize(1200, 640);
    keep(&browser, "console-erase-dark");
    browser.prefer("light");
    browser.open(&format!("{console}/dead"));
    browser.shows("#link", "live");
    browser.resize(1200, 610);
    keep(&browser, "console-dead");
    browser.resize(1200, 560);
    browser.open(&format!("{console}/accounts"));
    keep(&browser, "console-accounts");
    browser.resize(1200, 860);
    browser.open(&format!("{console}/threads"));
    keep(&browser, "console-threads");
    browser.open(&format!("{console}/settings"));
    keep(&browser, "console-settings");
    browser.resize(390, 800);
    browser.open(&console);
    browser.shows("#link", "live");
    keep(&browser, "console-narrow");
    browser.prefer("dark");
    browser.open(&format!("{console}/threads?q=15550100142"));
    browser.click("tbody a");
    browser.shows(".transcript .ours .ticks", "read");
    keep(&browser, "console-narrow-dark");
}
