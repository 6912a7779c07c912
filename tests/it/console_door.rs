//! Who gets into the operator's pages, and what keeps them from everybody else.

use std::time::{Duration, Instant};

use crate::console::{TOKEN, ann, console, world};
use crate::harness::{Page, World, browse, submit};

/// Posts a form as a page of this very server would.
pub(crate) fn post_form(world: &World, path: &str, cookie: &str, body: &str) -> Page {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    submit(&format!("{}{path}", console(world)), &headers, body)
}

/// Logs in and returns the cookie.
#[track_caller]
pub(crate) fn log_in(world: &World) -> String {
    let page = post_form(world, "/login", "", &format!("token={TOKEN}"));
    assert_eq!((page.status, page.header("location")), (303, "/console"));
    page.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// What the forms of a page send along.
#[track_caller]
pub(crate) fn proof(page: &Page) -> String {
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
