//! Neighbours at their worst: the agent and the platforms hang, break off, trickle, flood, send pages or send people
//! elsewhere. Time and memory stay within bounds, P1 to P4 hold, and the operator sees what it was.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Call, Fault, Figures, Talk, World, dead_letters, deliver_all, deliver_twice, eventually, judge,
    wait_all_answered,
};

/// No honest answer comes near it, and none of it may be kept.
const HUNDRED_MEGABYTES: u64 = 100_000_000;

/// More than the answers of all cases at once may add to the memory, in KiB: each is read up to 1 MiB.
const MEMORY: u64 = 24 * 1024;

/// More than all cases together may take: each call has its bound, and they do not wait for one another.
const TIME: Duration = Duration::from_secs(50);

/// A misbehaviour, and a word by which the log tells it.
type Case = (&'static str, Fault, &'static str);

/// How everybody can misbehave without a word of their own.
fn common() -> Vec<Case> {
    vec![
        ("hang.", Fault::Hang, "timed out"),
        ("success-then-hang.", Fault::ActThenHang, "timed out"),
        ("drip.", Fault::Drip(Duration::from_millis(300)), "timed out"),
        (
            "flood.",
            Fault::Flood(HUNDRED_MEGABYTES),
            "larger than 1048576 bytes",
        ),
        (
            "flood-again.",
            Fault::Flood(HUNDRED_MEGABYTES),
            "larger than 1048576 bytes",
        ),
        ("reset.", Fault::CutOff, "gave no whole answer"),
        ("close.", Fault::Close, "gave no whole answer"),
        ("success-then-close.", Fault::ActThenClose, "gave no whole answer"),
    ]
}

/// Plays all cases at once, each on threads of its own, in a conversation that is known. `misbehave` sets the fault
/// for the call that holds a name.
fn play(slack: bool, cases: Vec<Case>, misbehave: impl Fn(&World, &'static str, Fault)) -> (World, Figures) {
    let world = World::with(|config| {
        config
            .set("agent.timeout", "3s")
            .set("agent.concurrency", 32)
            .set("retry.agent", json!(vec!["200ms"; 6]))
            .set("retry.delivery", json!(vec!["200ms"; 6]));
    });
    let mut talks: Vec<Talk> = (0..cases.len()).map(|n| Talk::new(slack, n)).collect();
    talks
        .iter_mut()
        .enumerate()
        .for_each(|(n, talk)| talk.say(&format!("hello{n}.")));
    deliver_all(&world, &mut talks);
    let names: Vec<String> = (0..cases.len()).map(|n| format!("hello{n}.")).collect();
    wait_all_answered(&world, &names);

    let (before, since) = (world.daemon().peak_memory(), Instant::now());
    for (talk, (name, fault, _)) in talks.iter_mut().zip(&cases) {
        misbehave(&world, name, fault.clone());
        talk.say(name);
    }
    deliver_all(&world, &mut talks);
    let names: Vec<String> = cases.iter().map(|(name, ..)| (*name).to_owned()).collect();
    wait_all_answered(&world, &names);
    let (took, grown) = (since.elapsed(), world.daemon().peak_memory() - before);
    println!("{} cases took {took:?} and {grown} KiB", cases.len());
    assert!(took < TIME, "it took {took:?}");
    assert!(grown < MEMORY, "the memory grew by {grown} KiB");
    for (_, _, word) in &cases {
        world.daemon().wait_log(word);
    }
    deliver_twice(&world, &mut talks);
    world.wait_idle();
    let figures = judge(&world, &talks, &[]);
    println!("{figures:?}");
    world.still_works("afterwards");
    (world, figures)
}

fn holds(call: &Call, name: &str) -> bool {
    call.body.windows(name.len()).any(|part| part == name.as_bytes())
}

#[test]
fn the_agent_at_its_worst() {
    let mut cases = common();
    let inside = json!({"status": "error", "message": "no credit", "code": "CREDIT"});
    cases.push((
        "page.",
        Fault::Answer(Answer::html(200)),
        "something that is not JSON",
    ));
    cases.push(("gateway.", Fault::Answer(Answer::html(502)), "failed (502"));
    cases.push((
        "error-inside.",
        Fault::json(200, inside),
        "answered 200 with an error (CREDIT)",
    ));
    let (_, figures) = play(true, cases, |world, name, fault| {
        let asked = move |call: &Call| call.kind == "ask" && holds(call, name);
        world.agent.fault_when(1, fault, asked);
    });
    assert_eq!(
        figures.asked_twice, 0,
        "what was answered is found in the conversation"
    );
}

#[test]
fn slack_at_its_worst() {
    let mut cases = common();
    let inside = json!({"ok": false, "error": "internal_error"});
    cases.push(("page.", Fault::Answer(Answer::html(200)), "answer cannot be read"));
    cases.push(("gateway.", Fault::Answer(Answer::html(502)), "502"));
    cases.push(("error-inside.", Fault::json(200, inside), "internal_error"));
    let (_, figures) = play(true, cases, |world, name, fault| {
        let posted = move |call: &Call| call.kind == "chat.postMessage" && holds(call, name);
        world.slack.fault_when(1, fault, posted);
    });
    assert_eq!(figures.twice, 0, "what was posted is found");
}

#[test]
fn meta_at_its_worst() {
    let mut cases = common();
    let inside = json!({"error": {"code": 131_000, "message": "Something went wrong"}});
    cases.push((
        "page.",
        Fault::Answer(Answer::html(200)),
        "says nothing about the message, which may have been sent [HTTP 200]",
    ));
    cases.push(("gateway.", Fault::Answer(Answer::html(502)), "502"));
    cases.push(("error-inside.", Fault::json(200, inside), "131000"));
    let (world, figures) = play(false, cases, |world, name, fault| {
        let sent = move |call: &Call| call.kind == "messages" && holds(call, name);
        world.meta.fault_when(1, fault, sent);
    });
    // Nothing tells whether they were taken: success-then-hang, drip, two floods, reset, success-then-close.
    assert_eq!(figures.twice, 6, "{}", world.metrics());
}

/// No question, no reply and no token follows a redirect.
#[test]
fn nobody_is_followed_elsewhere() {
    let elsewhere = World::stopped();
    let world = World::start();
    let location = |url: String| Fault::Answer(Answer::html(307).with("location", &url));
    world.agent.fault("ask", 1, location(elsewhere.agent.url()));
    world
        .slack
        .fault("chat.postMessage", 1, location(elsewhere.slack.url()));
    world.meta.fault("messages", 1, location(elsewhere.meta.url()));
    world.still_works("after redirects");
    world.still_works("once more");
    for calls in [
        elsewhere.agent.calls(),
        elsewhere.slack.calls(),
        elsewhere.meta.calls(),
    ] {
        assert_eq!(calls.len(), 0, "{calls:?}");
    }
    // The operator is told where to look.
    world.daemon().wait_log("agent.base_url");
}

/// A neighbour that speaks no TLS where it is expected: nothing is sent, nothing is lost, and the operator reads why.
#[test]
fn a_tls_error_loses_nothing() {
    let mut world = World::stopped();
    let secure = |url: String| url.replace("http://", "https://");
    let (agent, slack, meta) = (world.agent.url(), world.slack.url(), world.meta.url());
    world.config.set("agent.base_url", secure(agent.clone()));
    world.launch();
    let mut talks = [Talk::new(true, 0), Talk::new(false, 1)];
    talks[0].say("slack-asks.");
    talks[1].say("whatsapp-asks.");
    deliver_all(&world, &mut talks);
    let dead = eventually("the questions to be given up", || {
        Some(dead_letters(&world)).filter(|dead| dead.len() == 2)
    });
    assert!(
        dead.iter().all(|letter| letter["code"] == "unreachable"),
        "{dead:?}"
    );
    assert_eq!(world.agent.calls().len(), 0);

    world.terminate();
    world
        .config
        .set("agent.base_url", agent)
        .set("slack.api_base", secure(format!("{slack}/api")))
        .set("whatsapp.api_base", secure(meta.clone()));
    world.launch();
    replay(&world, &dead);
    let dead = eventually("the reply to be given up", || {
        let mut letters = dead_letters(&world);
        letters.retain(|letter| letter["kind"] == "delivery");
        (!letters.is_empty()).then_some(letters)
    });
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0]["code"], "unreachable");
    // Slack has not even said whose token it is: what is for it waits.
    world.daemon().wait_log("is slack.api_base right?");

    world.terminate();
    world
        .config
        .set("slack.api_base", format!("{slack}/api"))
        .set("whatsapp.api_base", meta);
    world.launch();
    replay(&world, &dead);
    let names = ["slack-asks.".to_owned(), "whatsapp-asks.".to_owned()];
    wait_all_answered(&world, &names);
    judge(&world, &talks, &[]);
}

fn replay(world: &World, letters: &[Value]) {
    for letter in letters {
        world
            .cli(&["dead", "replay", letter["id"].as_str().unwrap()])
            .exits(0);
    }
}

/// Strangers need no signature to send a body: however many send large ones at once, and never end them, the memory
/// stays bounded, and the platforms are served meanwhile.
#[test]
fn strangers_with_large_bodies_take_little_memory_and_stand_in_nobodys_way() {
    let world = World::start();
    world.still_works("before");
    let address = world.daemon().public().trim_start_matches("http://").to_owned();
    let before = world.daemon().memory();
    let strangers: Vec<_> = (0..100)
        .map(|n| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut stream = std::net::TcpStream::connect(&address).unwrap();
                stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                let path = ["/slack/events", "/whatsapp/webhook"][n % 2];
                // Every second one does not say how much is to come.
                let framing = if n % 4 < 2 {
                    "content-length: 4000000"
                } else {
                    "transfer-encoding: chunked"
                };
                let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n");
                let chunk = if n % 4 < 2 {
                    String::new()
                } else {
                    "3d0900\r\n".to_owned()
                };
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(chunk.as_bytes()).unwrap();
                // It may be taken or not; the last byte never comes.
                let _ = stream.write_all(&vec![b' '; 3_999_999]);
                stream
            })
        })
        .collect();
    let streams: Vec<_> = strangers
        .into_iter()
        .map(|stranger| stranger.join().unwrap())
        .collect();
    let grown = world.daemon().memory().saturating_sub(before);
    world.still_works("meanwhile");
    drop(streams);
    println!("100 strangers with 4 MB each: {grown} KiB more");
    assert!(grown < 120 * 1024, "{grown} KiB more");
}
