//! Closed: the admin listener, and whoever guesses its token.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Heard, Raw, World};

const TOKEN: &str = "admin-token-9d2f";
const GUESSER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
const OPERATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));

fn world() -> World {
    World::with(|config| {
        config.set("admin.token", TOKEN);
    })
}

fn get(world: &World, from: IpAddr, path: &str, authorization: &str) -> Heard {
    let mut raw = Raw::connect_from(from, world.daemon().admin());
    let header = if authorization.is_empty() {
        String::new()
    } else {
        format!("authorization: {authorization}\r\n")
    };
    raw.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{header}\r\n"));
    raw.hear()
}

fn retry_after(heard: &Heard) -> u64 {
    let (_, rest) = heard
        .head
        .split_once("retry-after: ")
        .unwrap_or_else(|| panic!("{heard:?}"));
    rest.lines().next().unwrap().parse().unwrap()
}

/// Ten wrong tokens within a minute from one address, and it is not listened to, whatever it says and on whatever path;
/// others are; and within a minute it is welcome again.
#[test]
fn a_guesser_is_shut_out_for_a_minute_and_nobody_else_is() {
    let world = world();
    let right = format!("Bearer {TOKEN}");
    assert_eq!(get(&world, GUESSER, "/metrics", &right).status, Some(200));
    let begun = Instant::now();
    for n in 0..10 {
        assert_eq!(
            get(&world, GUESSER, "/metrics", &format!("Bearer guess-{n}")).status,
            Some(401)
        );
    }
    for path in ["/metrics", "/api/threads", "/"] {
        let heard = get(&world, GUESSER, path, &right);
        assert_eq!(heard.status, Some(429), "{path}: {heard:?}");
        assert!((1..=60).contains(&retry_after(&heard)), "{heard:?}");
        assert!(!heard.body.contains(TOKEN));
    }
    assert_eq!(get(&world, OPERATOR, "/metrics", &right).status, Some(200));
    // Asking on while shut out does not make it longer.
    let wait = retry_after(&get(&world, GUESSER, "/metrics", &right));
    thread::sleep(Duration::from_secs(wait));
    assert_eq!(get(&world, GUESSER, "/metrics", &right).status, Some(200));
    assert!(begun.elapsed() < Duration::from_secs(75), "{:?}", begun.elapsed());
    assert!(!world.daemon().log().contains(TOKEN));
}

#[test]
fn guesses_at_the_same_instant_count_each() {
    let world = world();
    let refused = thread::scope(|scope| {
        let guess = |n: usize| {
            let guess = format!("Bearer guess-{n}");
            let world = &world;
            scope.spawn(move || get(world, GUESSER, "/metrics", &guess).status)
        };
        let guesses: Vec<_> = (0..60).map(guess).collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .filter(|status| *status == Some(429))
            .count()
    });
    // Those that are looked at at the very same time may pass together: as many as there are processors.
    assert!(refused >= 60 - 10 - 8, "{refused} of 60 were refused");
}

#[test]
fn only_the_bearer_token_opens_and_nothing_like_it() {
    let world = world();
    let near = [
        String::new(),
        TOKEN.to_owned(),
        format!("Basic {TOKEN}"),
        "Bearer".to_owned(),
        format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Bearer {TOKEN}, Bearer {TOKEN}"),
    ];
    for (n, authorization) in near.iter().enumerate() {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(n).unwrap() + 1));
        for path in ["/metrics", "/nothing"] {
            let heard = get(&world, from, path, authorization);
            assert_eq!(heard.status, Some(401), "{authorization:?} {path}: {heard:?}");
            assert!(
                heard.head.contains("www-authenticate: bearer") && !heard.body.contains(TOKEN),
                "{heard:?}"
            );
        }
    }
    // Two of them prove nothing, and neither does a query or what a proxy claims of the address.
    for request in [
        format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"),
        format!("GET /metrics?token={TOKEN}&access_token={TOKEN} HTTP/1.1\r\n\r\n"),
        "GET /metrics HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1\r\nx-real-ip: ::1\r\n\r\n".to_owned(),
    ] {
        assert_eq!(Raw::ask(world.daemon().admin(), &request).status, Some(401), "{request:?}");
    }
    // Each address has its own count: claiming another in a header does not start a new one.
    for n in 0..12 {
        let mut raw = Raw::connect_from(GUESSER, world.daemon().admin());
        raw.send(format!(
            "GET /metrics HTTP/1.1\r\nx-forwarded-for: 10.0.0.{n}\r\nauthorization: Bearer no\r\n\r\n"
        ));
        assert_eq!(
            raw.hear().status,
            Some(if n < 10 { 401 } else { 429 }),
            "guess {n}"
        );
    }
}

/// The public listener knows nothing of what is the operator's.
#[test]
fn the_public_listener_serves_nothing_of_the_operators() {
    let world = world();
    for path in ["/metrics", "/console", "/console/login", "/api/", "/api/threads"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        assert_eq!(
            Raw::ask(world.daemon().public(), request).status,
            Some(404),
            "{path}"
        );
    }
}
