//! Closed: requests that two parsers could read in two ways, methods and hosts that are not meant.

use std::fmt::Write;

use crate::harness::slack_door::{PUBLIC, world as with_workspaces};
use crate::harness::{Heard, Raw, SIGNING_SECRET, SlackEvent, World, slack_signature, unix_now};

/// Sends the bytes on a connection of their own; all that comes back until it is closed.
fn all_of(world: &World, bytes: &str) -> String {
    let mut raw = Raw::connect(world.daemon().public());
    raw.send(bytes);
    raw.rest()
}

/// How many answers stand in what came back.
fn answers(heard: &str) -> usize {
    heard.matches("HTTP/1.1 ").count()
}

/// RFC 9112, 6.1 and 6.3: a message that is framed twice ought to be handled as an error, and its connection closed.
/// The request that hides in its body is never answered.
#[test]
fn a_request_that_is_framed_twice_is_refused_and_ends_the_connection() {
    let world = World::start();
    let hidden = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = hidden.len() + 5;
    let post = "POST /slack/events HTTP/1.1\r\nhost: x\r\n";
    for head in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: 4\r\ncontent-length: {length}\r\n"),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: identity\r\n".to_owned(),
        format!("content-length: +{length}\r\n"),
        format!("content-length: {length}, {length}\r\n"),
        "content-length: -1\r\n".to_owned(),
        "content-length: 0x10\r\n".to_owned(),
    ] {
        let heard = all_of(&world, &format!("{post}{head}\r\n0\r\n\r\n{hidden}"));
        assert_eq!(answers(&heard), 1, "{head:?}: {heard}");
        assert!(
            heard.starts_with("HTTP/1.1 400") || heard.starts_with("HTTP/1.1 401"),
            "{head:?}: {heard}"
        );
    }
    world.still_works("after twins");
}

#[test]
fn heads_that_are_no_heads_are_refused() {
    let world = World::start();
    for head in [
        "POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-length : 5\r\n\r\nhello",
        "POST /slack/events HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n",
        "POST /slack/events HTTP/1.1\r\nhost: x\r\nx\0y: a\r\ncontent-length: 0\r\n\r\n",
        "POST /slack/events HTTP/1.1\r\nhost: x\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        "POST /slack/events HTTP/1.1\r\nhost: x\r\nx: a\u{1b}[2J\r\ncontent-length: 0\r\n\r\n",
        "GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello this is TLS",
    ] {
        let heard = all_of(&world, head);
        assert!(
            answers(&heard) <= 1 && !heard.starts_with("HTTP/1.1 2"),
            "{head:?}: {heard}"
        );
    }
    world.still_works("after no heads");
}

/// Many requests on one connection, sent before the first is answered: all are answered, in order.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let world = World::start();
    let mut all = String::new();
    for n in 0..300 {
        let path = if n % 2 == 0 { "/healthz" } else { "/nothing" };
        write!(all, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    }
    let mut raw = Raw::connect(world.daemon().public());
    assert!(raw.send(&all));
    for n in 0..300 {
        let wanted = if n % 2 == 0 { 200 } else { 404 };
        assert_eq!(raw.hear().status, Some(wanted), "answer {n}");
    }
}

/// One signed request by its method, path and further headers.
fn signed(world: &World, method: &str, path: &str, more: &str) -> Heard {
    let body = SlackEvent::dm("D1", &format!("by {method}")).0.to_string();
    let at = unix_now().to_string();
    let signature = slack_signature(SIGNING_SECRET, &at, body.as_bytes());
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nx-slack-signature: {signature}\r\n\
         x-slack-request-timestamp: {at}\r\n{more}\r\n"
    );
    Raw::ask(world.daemon().public(), head + &body)
}

#[test]
fn only_the_methods_that_are_meant_do_anything() {
    let world = World::start();
    for method in [
        "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTS",
    ] {
        let heard = signed(
            &world,
            method,
            "/slack/events",
            "x-http-method-override: POST\r\n",
        );
        assert!(matches!(heard.status, Some(400 | 405)), "{method}: {heard:?}");
        assert!(!heard.body.contains("by "), "{method} is echoed: {heard:?}");
    }
    let overridden = signed(
        &world,
        "POST",
        "/whatsapp/webhook",
        "x-http-method-override: GET\r\n",
    );
    assert_eq!(overridden.status, Some(401), "{overridden:?}");
    for request in [
        "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        "POST /readyz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    ] {
        let heard = Raw::ask(world.daemon().public(), request);
        assert!(
            matches!(heard.status, Some(400 | 404 | 405)),
            "{request:?}: {heard:?}"
        );
    }
    let handshake = "HEAD /whatsapp/webhook?hub.mode=subscribe&hub.challenge=7&hub.verify_token=wrong HTTP/1.1\r\n\
        host: x\r\nconnection: close\r\n\r\n";
    assert!(all_of(&world, handshake).starts_with("HTTP/1.1 403"));
    world.still_works("after odd methods");
    assert!(world.agent.asks_with("by ").is_empty());
}

/// Nothing is built of the Host header or of what a proxy adds: links lead where `server.public_url` says.
#[test]
fn the_host_header_leads_nobody_astray() {
    let world = with_workspaces();
    for headers in [
        "host: evil.example\r\n",
        "host: evil.example\r\nx-forwarded-host: evil.example\r\nforwarded: host=evil.example;proto=http\r\n",
        "host: evil.example:80@bridge.example\r\n",
        "host: a\r\nhost: evil.example\r\n",
        "host: \r\n",
        "",
    ] {
        let request = format!("GET /slack/install HTTP/1.1\r\n{headers}\r\n");
        let heard = Raw::ask(world.daemon().public(), request);
        if heard.status == Some(302) {
            let callback = format!("{PUBLIC}/slack/oauth/callback").to_lowercase();
            let callback = callback.replace(':', "%3a").replace('/', "%2f");
            assert!(heard.head.contains(&callback), "{headers:?}: {heard:?}");
        } else {
            assert_eq!(heard.status, Some(400), "{headers:?}: {heard:?}");
        }
        assert!(!format!("{heard:?}").contains("evil"), "{headers:?}: {heard:?}");
    }
    let absolute = "GET http://evil.example/slack/install HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    let heard = Raw::ask(world.daemon().public(), absolute);
    assert!(!format!("{heard:?}").contains("evil"), "{heard:?}");
}
