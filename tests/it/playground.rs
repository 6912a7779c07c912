//! The page of `chatbridge demo`, in a real browser: what a person writes on each side is answered there, and what
//! fails and recovers shows.

use serde_json::{Value, json};

use crate::harness::{Browser, Demo, eventually, get, post};

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

/// The demo and a browser on its page, once it is live; none where there is no browser.
#[track_caller]
fn open() -> Option<(Demo, Browser)> {
    let browser = Browser::start()?;
    let demo = Demo::start();
    browser.open(&demo.page());
    browser.shows("#link", "live");
    browser.shows("#life", "running");
    Some((demo, browser))
}

/// The text of the latest message's card.
fn latest(browser: &Browser) -> String {
    browser.text("#ways > li:first-child")
}

#[test]
fn what_is_written_on_the_phone_is_answered_on_the_phone() {
    let Some((demo, browser)) = open() else { return };
    // Slowly, so that there is time to show that it was read.
    browser.click("input[value=slow]");
    browser.type_into("#phone-text", &format!("Do you repair zips?{ENTER}"));
    browser.shows("#chat > li:last-child", "Do you repair zips?");
    browser.shows("#chat > li:last-child .ticks", "read");
    browser.shows("#presence", "typing");
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.shows("#presence", "business account");
    assert!(latest(&browser).contains("Do you repair zips?"));
    let answer = browser.text("#chat > li:last-child");
    assert!(answer.contains("zip") || answer.contains("repair"), "{answer}");
    assert!(browser.text("#chat > li:last-child .unseen").contains("Fjord"));
    // Dana keeps her number private: another chat, and it was begun before the page was opened.
    browser.click("input[value=dana]");
    browser.shows("#chat", "What sizes do you have?");
    assert!(!browser.text("#chat").contains("zips"));
    browser.is_sound();
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn what_is_written_in_the_workspace_is_answered_in_its_thread() {
    let Some((_demo, browser)) = open() else {
        return;
    };
    browser.type_into("#workspace-text", &format!("Is it <warm> & dry?{ENTER}"));
    browser.shows("#room-title", "Thread");
    browser.shows("#posts li:first-child", "@assistant Is it <warm> & dry?");
    browser.shows("#posts li:last-child", "APP");
    browser.type_into("#workspace-text", &format!("What did I ask before?{ENTER}"));
    browser.shows("#posts li:nth-child(4)", "Is it <warm> & dry?");
    browser.click("#back");
    browser.shows("#posts li:last-child .thread", "3 replies");
    browser.click("#room-direct");
    browser.shows("#posts", "Can I pay by invoice?");
    browser.type_into("#workspace-text", &format!("And on Sunday?{ENTER}"));
    browser.shows("#posts li:last-child", "Sunday");
    browser.shows("#posts li:last-child", "APP");
    browser.is_sound();
}

#[test]
fn neighbours_that_fail_and_recover_show() {
    let Some((_demo, browser)) = open() else {
        return;
    };
    browser.click("input[value=down]");
    browser.type_into("#phone-text", &format!("How long does shipping take?{ENTER}"));
    browser.shows("#ways > li:first-child .failed", "answered");
    browser.shows("#ways > li:first-child .note", "503");
    browser.shows("#waiting", "1 message");
    browser.click("input[value=well]");
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.shows("#waiting", "0 messages");

    browser.click("#slack-limited");
    browser.type_into("#workspace-text", &format!("When are you open?{ENTER}"));
    browser.shows("#ways > li:first-child .failed", "delivered");
    browser.shows("#ways > li:first-child .note", "429");
    // The other side goes on meanwhile.
    browser.type_into("#phone-text", &format!("And on Saturday?{ENTER}"));
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.click("#slack-limited");
    browser.shows("#ways > li:nth-child(2) .done:last-child", "delivered");

    browser.click("#whatsapp-limited");
    browser.type_into("#phone-text", &format!("Thank you{ENTER}"));
    browser.shows("#ways > li:first-child .note", "130429");
    browser.click("#whatsapp-limited");
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.is_sound();
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let Some((demo, browser)) = open() else { return };
    // One is acknowledged and not answered yet, another comes while nobody listens.
    browser.click("input[value=slow]");
    browser.type_into("#phone-text", &format!("Do you ship to Norway?{ENTER}"));
    browser.shows("#ways > li:first-child .done:nth-child(4)", "asked");
    browser.click("#kill");
    browser.shows("#life", "killed");
    browser.shows("#waiting", "1 message");
    browser.type_into("#workspace-text", &format!("Are you there?{ENTER}"));
    browser.shows("#ways > li:first-child .failed", "received");
    browser.shows("#ways > li:first-child .note", "nobody listens");
    browser.click("input[value=well]");
    browser.click("#kill");
    browser.shows("#life", "running");
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    browser.shows("#ways > li:nth-child(2) .done:last-child", "delivered");
    browser.shows("#chat > li:last-child", "Norway");
    browser.is_sound();
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn what_comes_twice_is_taken_once_and_what_is_forged_not_at_all() {
    let Some((_demo, browser)) = open() else {
        return;
    };
    browser.type_into("#phone-text", &format!("What sizes do you have?{ENTER}"));
    browser.shows("#chat > li:last-child", "true to size");
    browser.shows("#ways > li:first-child .way-text", "What sizes do you have?");
    browser.shows("#ways > li:first-child .done:last-child", "delivered");
    let bubbles = "return document.querySelectorAll('#chat > li').length";
    let before = browser.run(bubbles);
    browser.click("#again");
    browser.shows("#ways > li:first-child .note", "taken once");
    browser.click("#forge");
    browser.shows("#ways > li:first-child .failed", "verified");
    browser.shows("#ways > li:first-child .note", "401");
    assert_eq!(browser.run(bubbles), before);
    browser.is_sound();
}

#[test]
fn the_page_is_used_by_keyboard_and_fits_every_width() {
    let Some((_demo, browser)) = open() else {
        return;
    };
    browser.press(TAB);
    let focused = "return document.activeElement.getAttribute('href')";
    assert_eq!(browser.run(focused), "#phone");
    for _ in 0..12 {
        browser.press(TAB);
        let shown = "const e = document.activeElement; const label = e.matches('input') ? e.nextElementSibling : e;\
                     const r = (label ?? e).getBoundingClientRect(); return r.width > 0 && r.height > 0";
        assert_eq!(browser.run(shown), true, "the focus is somewhere out of sight");
    }
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [320, 700, 1000, 1560] {
            browser.resize(width, 800);
            let wide = browser.run("return document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} at {width}");
            assert_eq!(browser.barriers(), Vec::<String>::new(), "{scheme} at {width}");
        }
    }
}

#[test]
fn only_its_own_page_may_act() {
    let demo = Demo::start();
    let page = demo.page();
    let slow = |headers: &[(&str, &str)]| {
        let own = ("content-type", "application/json".to_owned());
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .chain([own])
            .collect();
        post(
            &format!("{page}/moods"),
            &headers,
            moods("slow").to_string().into(),
        )
        .unwrap()
    };
    for foreign in [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ] {
        assert_eq!(slow(&[foreign]).status, 403, "{foreign:?}");
    }
    assert_eq!(slow(&[("sec-fetch-site", "same-origin")]).status, 204);
    let without_type = post(&format!("{page}/moods"), &[], moods("well").to_string().into()).unwrap();
    assert_eq!(without_type.status, 415, "{without_type:?}");
    assert_eq!(get(&format!("{page}/nothing")).unwrap().status, 404);
    let headers = [("content-type", "application/json".to_owned())];
    for (text, words) in [(" ".to_owned(), "few words"), ("x".repeat(3001), "3000")] {
        let body = json!({"platform": "whatsapp", "hidden": false, "text": text});
        let refused = post(&format!("{page}/say"), &headers, body.to_string().into()).unwrap();
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(words), "{refused:?}");
    }
}

fn moods(agent: &str) -> Value {
    json!({"agent": agent, "slack_limited": false, "whatsapp_limited": false})
}

#[test]
fn ctrl_c_ends_the_daemon_of_a_demo_too() {
    let demo = Demo::start();
    demo.page();
    let bridge = eventually("the daemon's process", || demo.bridge());
    assert_eq!(demo.stop(), Some(0));
    assert!(
        !std::path::Path::new(&format!("/proc/{bridge}")).exists(),
        "process {bridge} lives on"
    );
}
