//! The pictures in docs/images, taken of the real pages by `docs/images/make`.

use std::path::PathBuf;

use crate::harness::{Browser, Demo};

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
    browser.resize(1440, 940);
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
    browser.type_into("#workspace-text", &format!("On Saturday too?{ENTER}"));
    browser.shows("#ways > li:first-child .done:nth-child(4)", "asked");
    browser.click("#kill");
    browser.shows("#life", "killed");
    browser.type_into("#workspace-text", &format!("Are you there?{ENTER}"));
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
