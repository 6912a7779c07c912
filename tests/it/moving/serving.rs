//! A daemon goes on where another stopped, on another database.

use chatbridge::store::Settings;
use chatbridge::store::moving::Move;
use serde_json::{Value, json};

use super::{Target, moved, rows, url_of};
use crate::harness::postgres::on_postgres;
use crate::harness::{
    Call, Fault, Talk, Webhook, World, dead_letters, deliver_all, eventually, judge, wait_all_answered,
};

/// The message that the agent never answers.
const HOPELESS: &str = "hopeless.";

fn talks() -> Vec<Talk> {
    (0..6).map(|n| Talk::new(n % 2 == 0, n)).collect()
}

fn say(talks: &mut [Talk], word: &str) {
    for (n, talk) in talks.iter_mut().enumerate() {
        talk.say(&format!("{word}{n}."));
    }
}

fn names(talks: &[Talk]) -> Vec<String> {
    let all = talks.iter().flat_map(|talk| talk.acknowledged.clone());
    all.filter(|name| name != HOPELESS).collect()
}

/// The conversation in which a message was asked in the end.
fn conversation(world: &World, name: &str) -> Value {
    let asks = world.agent.asks_with(name);
    let answered = asks.iter().rfind(|ask| ask.said["status"] == "success").unwrap();
    answered.said["data"]["conversationId"].clone()
}

/// Threads that were answered, one that a person has, a dead letter; and then messages that wait because the agent refuses.
fn live(world: &mut World, talks: &mut [Talk]) {
    let hopeless = |call: &Call| call.json["question"] == HOPELESS;
    let broken = Fault::json(500, json!({"status": "error", "message": "broken"}));
    world.agent.fault_when(usize::MAX, broken, hopeless);
    world.launch();
    world.cli(&["threads", "pause", "slack/T1/D777"]).exits(0);
    say(&mut talks[..4], "before");
    talks[4].say(HOPELESS);
    deliver_all(world, talks);
    wait_all_answered(world, &names(talks));
    eventually("the dead letter", || dead_letters(world).pop());
    let refused = json!({"status": "error", "message": "Unauthorized", "code": "UNAUTHORIZED"});
    world.agent.fault("ask", usize::MAX, Fault::json(401, refused));
    for word in ["waits", "waits.too"] {
        say(talks, word);
        deliver_all(world, talks);
    }
    world.agent.wait_ask("waits");
    world.terminate();
    world.agent.heal();
}

/// The daemon starts on another database, and everything goes on.
#[track_caller]
fn go_on(world: &mut World, talks: &mut [Talk], to: &Target) {
    let dead = dead_letters(world);
    to.serve(&mut world.config);
    world.launch();
    assert_eq!(dead_letters(world), dead, "dead letters");
    wait_all_answered(world, &names(talks));
    // The platforms deliver once more what was acknowledged before the move.
    for talk in &*talks {
        talk.deliver_again(world);
    }
    say(talks, "after");
    deliver_all(world, talks);
    wait_all_answered(world, &names(talks));
    judge(world, talks, &[(HOPELESS, "dead")]);
    for n in 0..4 {
        let (before, after) = (format!("before{n}."), format!("after{n}."));
        assert_eq!(
            conversation(world, &before),
            conversation(world, &after),
            "talk {n}"
        );
    }
    let paused = world
        .cli(&["threads", "show", "slack/T1/D777", "--json"])
        .exits(0)
        .json();
    assert_eq!(paused["state"], "paused", "{paused}");
}

/// There, on with it, and back to where it came from.
fn there_and_back(world: &mut World, to: Target, back: Target) {
    let mut talks = talks();
    live(world, &mut talks);
    let tables = moved(world, &url_of(world), &to.url);
    assert!(rows(&tables, "work") >= 6, "{tables}");
    go_on(world, &mut talks, &to);
    // What is dead is tried again there, by a word of its operator.
    let letter = dead_letters(world)[0]["id"].as_str().unwrap().to_owned();
    world.cli(&["dead", "replay", &letter]).exits(0);
    wait_all_answered(world, &[HOPELESS.to_owned()]);
    world.terminate();
    moved(world, &to.url, &back.url);
    back.serve(&mut world.config);
    world.launch();
    for talk in &talks {
        talk.deliver_again(world);
    }
    world.still_works("back again");
    world.wait_idle();
    // What was tried again out of its turn was answered out of its turn.
    talks.remove(4);
    judge(world, &talks, &[]);
}

#[test]
fn a_store_goes_on_in_another_file() {
    let mut world = World::stopped();
    let to = Target::file(world.home(), "other.db");
    let back = Target::file(world.home(), "back.db");
    if on_postgres() {
        return there_and_back(&mut world, to, Target::server().unwrap());
    }
    there_and_back(&mut world, to, back);
}

#[test]
fn a_store_goes_on_on_a_server() {
    let Some(to) = Target::server() else { return };
    let mut world = World::stopped();
    let back = Target::file(world.home(), "back.db");
    there_and_back(&mut world, to, back);
}

/// A daemon or a command that nobody thought of acknowledges nothing that would be left behind.
#[test]
fn nobody_writes_in_the_source_meanwhile() {
    let mut world = World::stopped();
    let to = Target::file(world.home(), "other.db");
    let from = url_of(&world);
    if on_postgres() {
        // By another name its connections are not noticed.
        let url = format!("{from}?application_name=unseen");
        world.config.set("store.url", url);
    }
    world.launch();
    world.still_works("before");
    world.wait_idle();
    if !on_postgres() {
        world.terminate();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let settings = |url: &str| Settings {
        url: url.to_owned(),
        ..Settings::default()
    };
    let moving = runtime.block_on(Move::open(&settings(&from), &settings(&to.url)));
    let moving = moving.unwrap();
    let webhook = Webhook::new(true, 9, "meanwhile.");
    if on_postgres() {
        assert!(!webhook.deliver(&world), "acknowledged, and not moved");
    }
    world.cli(&["threads", "pause", "slack/T1/D001"]).exits(1);
    runtime.block_on(moving.run(&mut |_| {})).unwrap();
    world.cli(&["threads", "pause", "slack/T1/D001"]).exits(0);
    if on_postgres() {
        eventually("webhooks to be taken again", || {
            webhook.deliver(&world).then_some(())
        });
        world.slack.wait_post("meanwhile.");
    }
}

/// Killed while questions and parts were under way: the next daemon looks what came of them, on whatever database.
fn what_was_under_way(to: impl FnOnce(&World) -> Option<Target>) {
    let mut world = World::stopped();
    let Some(to) = to(&world) else { return };
    let of = |name: &'static str| {
        move |call: &Call| call.body.windows(name.len()).any(|part| part == name.as_bytes())
    };
    world.agent.fault_when(1, Fault::ActThenHang, of("way0"));
    world.agent.fault_when(1, Fault::Hang, of("way1"));
    world.slack.fault_when(1, Fault::ActThenHang, of("way2"));
    world.meta.fault_when(1, Fault::ActThenHang, of("way3"));
    let mut talks = talks();
    say(&mut talks, "way");
    world.launch();
    deliver_all(&world, &mut talks);
    world.agent.wait_ask("way0");
    world.agent.wait_ask("way1");
    world.slack.wait_post("way2");
    world.meta.wait_sent("way3");
    wait_answered_besides(&world, &["way4.", "way5."]);
    world.kill9();
    moved(&world, &url_of(&world), &to.url);
    to.serve(&mut world.config);
    // From here on that is the world's database.
    let _source = std::mem::replace(&mut world.database, to.server);
    world.launch();
    wait_all_answered(&world, &names(&talks));
    for talk in &talks {
        talk.deliver_again(&world);
    }
    world.still_works("afterwards");
    world.wait_idle();
    judge(&world, &talks, &[]);
}

/// Waits for those that nobody holds up.
fn wait_answered_besides(world: &World, names: &[&str]) {
    eventually("the others to be answered", || {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let replies = crate::harness::replies(world, &names);
        replies.values().all(|count| *count > 0).then_some(())
    });
}

#[test]
fn what_was_under_way_is_taken_over_in_another_file() {
    what_was_under_way(|world| Some(Target::file(world.home(), "other.db")));
}

#[test]
fn what_was_under_way_is_taken_over_on_a_server() {
    what_was_under_way(|_| Target::server());
}
