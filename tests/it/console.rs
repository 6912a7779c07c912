//! The operator's pages: who gets in, and what a browser shows and does there.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    APOLOGY, Browser, Fault, NUMBER, Page, Person, SlackEvent, Status, World, batch, browse, submit,
};

const TOKEN: &str = "operator-token-5c1e";

fn world() -> World {
    World::with(|config| {
        config.set("admin.token", TOKEN);
    })
}

fn console(world: &World) -> String {
    format!("{}/console", world.daemon().admin())
}

fn ann() -> Person {
    Person::phone("15550001111")
}

/// Posts a form as a page of this very server would.
fn post_form(world: &World, path: &str, cookie: &str, body: &str) -> Page {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    submit(&format!("{}{path}", console(world)), &headers, body)
}

/// Logs in and returns the cookie.
#[track_caller]
fn log_in(world: &World) -> String {
    let page = post_form(world, "/login", "", &format!("token={TOKEN}"));
    assert_eq!((page.status, page.header("location")), (303, "/console"));
    page.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// What the forms of a page send along.
#[track_caller]
fn proof(page: &Page) -> String {
    let (_, after) = page.body.split_once("name=\"proof\" value=\"").unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn without_a_token_there_is_no_console() {
    let world = World::start();
    for path in ["", "/login", "/events?view=/console", "/assets/console.css"] {
        assert_eq!(
            browse(&format!("{}{path}", console(&world)), "").status,
            404,
            "{path}"
        );
    }
}

#[test]
fn nothing_shows_before_the_login() {
    let world = world();
    world.text(&ann(), "a secret question");
    world.meta.wait_sent("a secret question");
    for path in [
        "",
        "/threads?q=1555",
        "/dead",
        "/accounts",
        "/settings",
        "/nothing",
    ] {
        let page = browse(
            &format!("{}{path}", console(&world)),
            "chatbridge_session=guessed",
        );
        assert_eq!(page.status, 303, "{path}");
        assert!(page.header("location").starts_with("/console/login"), "{path}");
    }
    assert_eq!(
        browse(&format!("{}/events?view=/console", console(&world)), "").status,
        401
    );
    assert_eq!(post_form(&world, "/dead/all/replay", "", "proof=x").status, 303);
    let login = browse(&format!("{}/login", console(&world)), "");
    assert_eq!(login.status, 200);
    let policy = login.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!login.body.contains("15550001111"));
    // A session is also good for the metrics, and the token still is.
    let cookie = log_in(&world);
    let metrics = format!("{}/metrics", world.daemon().admin());
    assert_eq!(browse(&metrics, "").status, 401);
    assert_eq!(browse(&metrics, &cookie).status, 200);
}

#[test]
fn the_session_is_kept_from_scripts_and_ends_by_logging_out() {
    let world = world();
    let form = format!("token={TOKEN}");
    let headers = |proto: &'static str| {
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-forwarded-proto", proto),
        ]
    };
    let login = format!("{}/login?to=/console/dead", console(&world));
    for (proto, secure) in [("https", true), ("http", false)] {
        let page = submit(&login, &headers(proto), &form);
        assert_eq!((page.status, page.header("location")), (303, "/console/dead"));
        let cookie = page.header("set-cookie");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
            "{cookie}"
        );
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
    }
    let elsewhere = format!("{}/login?to=https://evil.example", console(&world));
    assert_eq!(
        submit(&elsewhere, &headers("http"), &form).header("location"),
        "/console"
    );
    let cookie = log_in(&world);
    let page = browse(&console(&world), &cookie);
    assert_eq!(page.status, 200);
    let left = post_form(&world, "/logout", &cookie, &format!("proof={}", proof(&page)));
    assert_eq!(left.header("location"), "/console/login");
    assert_eq!(browse(&console(&world), &cookie).status, 303);
}

#[test]
fn a_form_of_another_server_does_nothing() {
    let world = world();
    world.text(&ann(), "hello");
    world.meta.wait_sent("hello");
    let cookie = log_in(&world);
    let list = world.cli(&["threads", "list", "--json"]).exits(0).json();
    let path = format!("/threads/{}/pause", list[0]["id"].as_str().unwrap());
    let proof = proof(&browse(&console(&world), &cookie));
    let body = format!("proof={proof}");
    let url = format!("{}{path}", console(&world));
    let form = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let page = submit(&url, &[form, ("cookie", &cookie), foreign], &body);
        assert_eq!(page.status, 403, "{foreign:?}");
    }
    for wrong in ["", "proof=", "proof=guessed"] {
        assert_eq!(post_form(&world, &path, &cookie, wrong).status, 403, "{wrong}");
    }
    let login = submit(
        &format!("{}/login", console(&world)),
        &[form, ("sec-fetch-site", "cross-site")],
        &format!("token={TOKEN}"),
    );
    assert_eq!(login.status, 403);
    let state = || world.cli(&["threads", "list", "--json"]).exits(0).json()[0]["state"].clone();
    assert_eq!(state(), "open");
    assert_eq!(post_form(&world, &path, &cookie, &body).status, 303);
    assert_eq!(state(), "paused");
    // What is not there, and what cannot be done.
    for nothing in [
        "/threads/none/pause",
        "/threads/slack%2FT1%2FD1/pause",
        &path.replace("pause", "burn"),
    ] {
        assert_eq!(
            post_form(&world, nothing, &cookie, &body).status,
            404,
            "{nothing}"
        );
    }
    let gone = post_form(&world, "/dead/none/replay", &cookie, &body);
    assert_eq!(gone.header("location"), "/console/dead?done=gone");
}

#[test]
fn ten_wrong_tokens_close_the_door_for_a_minute() {
    let world = world();
    let try_it = |token: &str| post_form(&world, "/login", "", &format!("token={token}"));
    for _ in 0..10 {
        let page = try_it("wrong");
        assert_eq!(page.status, 401);
        assert!(page.body.contains("This is not the token"));
        assert!(!page.body.contains("wrong\""), "the token is not shown again");
    }
    let page = try_it(TOKEN);
    assert_eq!(page.status, 429);
    let wait: u64 = page.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(page.header("set-cookie").is_empty());
}

#[test]
fn open_pages_do_not_hold_up_the_end() {
    let mut world = world();
    let cookie = log_in(&world);
    let events = format!("{}/events?view=/console", console(&world));
    let reader = std::thread::spawn(move || browse(&events, &cookie));
    // The stream is open once its first event is there; the page is whole at the latest when the daemon ends.
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    world.terminate();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let page = reader.join().unwrap();
    assert!(page.body.starts_with("event: live\ndata: "), "{page:?}");
}

/// A browser that has logged in; none where there is none.
fn inside(world: &World) -> Option<Browser> {
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
    for path in ["", "/threads", &thread, "/dead", "/accounts", "/settings"] {
        browser.open(&format!("{}{path}", console(&world)));
        browser.shows("#link", "live");
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
