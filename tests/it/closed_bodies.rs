//! Closed: bodies and heads that are larger than they look, or than anybody needs.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Fault, Raw, SlackEvent, World, post, slack_signature, unix_now};

const MIB: u64 = 1024 * 1024;

/// How much more memory a daemon may hold for any of these.
const SPARE: u64 = 96 * MIB;

/// A gzip stream of about a megabyte that becomes 170 times as much: one byte, and then again and again "the last 258
/// bytes once more" (RFC 1951, 3.2.6: the fixed code of length 258 is 11000101, that of distance 1 is 00000).
fn bomb() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b1, 1); // the last block
    bits.push(0b01, 2); // with the fixed codes
    bits.push(u32::from((0x30_u8 + b'0').reverse_bits()), 8); // the letter 0
    for _ in 0..640_000 {
        bits.push(u32::from(0b1100_0101_u8.reverse_bits()), 8);
        bits.push(0, 5);
    }
    bits.push(0, 7); // the end of the block
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&head[..], &bits.bytes, &[0; 8]].concat()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }
}

/// Posts these bytes, signed, under this content encoding.
fn encoded(world: &World, encoding: &str, body: &[u8]) -> u16 {
    let at = unix_now().to_string();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("content-encoding", encoding.to_owned()),
        (
            "x-slack-signature",
            slack_signature(crate::harness::SIGNING_SECRET, &at, body),
        ),
        ("x-slack-request-timestamp", at),
    ];
    post(
        &format!("{}/slack/events", world.daemon().public()),
        &headers,
        body.to_vec(),
    )
    .unwrap()
    .status
}

/// Nothing that comes in is ever unpacked: the bytes are verified and read as they are.
#[test]
fn a_packed_request_is_not_unpacked() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        assert_eq!(encoded(&world, encoding, &bomb()), 400, "{encoding}");
    }
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(grown < SPARE, "{} MiB more", grown / MIB);
    // What only says that it is packed is read as what it is.
    let plain = SlackEvent::dm("D1", "not packed").0.to_string();
    assert_eq!(encoded(&world, "gzip", plain.as_bytes()), 200);
    world.slack.wait_post("echo: not packed");
}

/// Nobody is asked for packed answers, and one that comes all the same stays packed.
#[test]
fn packed_answers_of_the_agent_and_the_platforms_stay_packed() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    let packed = Answer {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("content-encoding", "gzip".to_owned()),
        ],
        body: bomb(),
    };
    world.agent.fault("ask", 2, Fault::Answer(packed.clone()));
    world
        .slack
        .fault("chat.postMessage", 1, Fault::Answer(packed.clone()));
    world.meta.fault("messages", 1, Fault::Answer(packed));
    world.still_works("through the bombs");
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(grown < SPARE, "{} MiB more", grown / MIB);
    let asked = [world.agent.calls(), world.slack.calls(), world.meta.calls()].concat();
    let wants_packed = asked
        .iter()
        .find(|call| call.headers.contains_key("accept-encoding"));
    assert!(wants_packed.is_none(), "{wants_packed:?}");
}

/// An answer without an end is left after a megabyte.
#[test]
fn answers_without_measure_are_left() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    let endless = Answer {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: vec![b' '; 100_000_000],
    };
    world.agent.fault("ask", 1, Fault::Answer(endless.clone()));
    world
        .slack
        .fault("chat.postMessage", 1, Fault::Answer(endless.clone()));
    world.meta.fault("messages", 1, Fault::Answer(endless));
    world.still_works("through the flood");
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(grown < SPARE, "{} MiB more", grown / MIB);
}

#[test]
fn heads_and_announcements_without_measure_are_refused_unread() {
    let world = World::start();
    let post = "POST /slack/events HTTP/1.1\r\nhost: x\r\n";
    let mut many = post.to_owned();
    for n in 0..2000 {
        write!(many, "x-{n}: 1\r\n").unwrap();
    }
    for (request, wanted) in [
        (format!("{post}x: {}\r\n\r\n", "a".repeat(200_000)), 431),
        (format!("{many}\r\n"), 431),
        (
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000)),
            414,
        ),
        (format!("{post}content-length: 999999999999\r\n\r\n"), 413),
        (format!("{post}content-length: 18446744073709551615\r\n\r\n"), 431),
        (
            format!("{post}content-length: 99999999999999999999999\r\n\r\n"),
            400,
        ),
        (
            format!("{post}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
            400,
        ),
    ] {
        let heard = Raw::ask(world.daemon().public(), &request);
        let shown: String = request.chars().take(90).collect();
        let fits = heard.status == Some(wanted) || wanted == 414 && heard.status == Some(431);
        assert!(fits, "{wanted} to {shown:?}: {heard:?}");
    }
    world.still_works("afterwards");
}

/// Strangers send large bodies at once, and none of them ends: what is held for all of them has a bound, and small
/// ones pass by.
#[test]
fn large_bodies_of_strangers_share_a_bound() {
    let world = World::start();
    world.still_works("before");
    let before = world.daemon().memory();
    let head = "POST /whatsapp/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n";
    let mut raws: Vec<Raw> = (0..80).map(|_| Raw::connect(world.daemon().public())).collect();
    let stuffed: usize = thread::scope(|scope| {
        let stuff = |raw| {
            let raw: &mut Raw = raw;
            scope.spawn(|| {
                raw.send(head);
                raw.stuff(&[b' '; 8192], 3_900_000)
            })
        };
        let all: Vec<_> = raws.iter_mut().map(stuff).collect();
        all.into_iter().map(|stuffed| stuffed.join().unwrap()).sum()
    });
    // Much of it lies in the system's buffers at first: looked at again and again while all of it may be read.
    let look = |_| {
        thread::sleep(Duration::from_millis(100));
        world.daemon().memory().saturating_sub(before)
    };
    let grown = (0..40).map(look).max().unwrap();
    println!("{} MiB sent, {} MiB held", stuffed as u64 / MIB, grown / MIB);
    assert!(grown < SPARE + 64 * MIB, "{} MiB more", grown / MIB);
    world.still_works("beside the large");
    drop(raws);
    // A large one that means well gets in again.
    let mut large = SlackEvent::dm("D1", "large");
    large.0["padding"] = Value::String("x".repeat(3_000_000));
    crate::harness::eventually("room for a large one", || {
        let status = world.post_slack(large.0.to_string().as_bytes()).unwrap().status;
        assert!(status == 200 || status == 503, "{status}");
        (status == 200).then_some(())
    });
    world.slack.wait_post("echo: large");
}

#[test]
fn lists_in_lists_without_end_cost_themselves() {
    let world = World::start();
    let before = world.daemon().memory();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = open.repeat(500_000);
        assert_eq!(world.post_slack(deep.as_bytes()).unwrap().status, 400);
        assert_eq!(world.post_whatsapp(deep.as_bytes()).unwrap().status, 400);
        let closed = format!("{}1{}", open.repeat(400_000), close.repeat(400_000));
        let mut event = SlackEvent::dm("D1", &format!("deep {}", open.len())).0;
        event["event"]["blocks"] = json!("@");
        let event = event.to_string().replace("\"@\"", &closed);
        assert_eq!(world.post_slack(event.as_bytes()).unwrap().status, 200);
        world.slack.wait_post(&format!("echo: deep {}", open.len()));
    }
    let grown = world.daemon().memory().saturating_sub(before);
    assert!(grown < SPARE, "{} MiB more", grown / MIB);
}
