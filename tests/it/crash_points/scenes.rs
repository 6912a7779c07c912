//! The scenes in which each deed is done.

use std::time::Duration;

use chatbridge::crash_point::Deed;
use serde_json::json;

use crate::harness::postgres::Database;
use crate::harness::slack_door::{Browser, install, open_door};
use crate::harness::{APOLOGY, Call, Fault, Talk, World, dead_letters, deliver_all, eventually};

/// The message that the agent never answers.
const HOPELESS: &str = "hopeless.";

/// What happens before the process dies, and after.
pub(super) struct Scene {
    /// The configuration, and how the others misbehave.
    pub(super) set: fn(&mut World),
    /// What happens in an earlier life, if there is one.
    pub(super) earlier: Option<fn(&mut World, &mut [Talk])>,
    /// Which process dies, and by what.
    pub(super) dies: Dies,
    /// What happens after the next start, before the platforms deliver again.
    pub(super) then: fn(&mut World, &mut [Talk]),
    /// The messages that get no answer, and the state that they end in.
    pub(super) given_up: &'static [(&'static str, &'static str)],
    /// Whether somebody writes what the agent never answers.
    hopeless: bool,
}

/// Which process dies.
pub(super) enum Dies {
    /// The daemon, while this happens.
    Serving(fn(&mut World, &mut [Talk])),
    /// The daemon, as it starts.
    Starting,
    /// This command, beside the daemon.
    Command(fn(&World) -> Vec<String>),
}

impl Scene {
    /// Two people on each platform write three messages each, and everybody behaves.
    fn usual() -> Self {
        Self {
            set: |_| {},
            earlier: None,
            dies: Dies::Serving(|world, talks| deliver_all(world, talks)),
            then: |_, _| {},
            given_up: &[],
            hopeless: false,
        }
    }

    /// The people and what they write.
    pub(super) fn talks(&self) -> Vec<Talk> {
        let mut talks: Vec<Talk> = (0..4).map(|n| Talk::new(n % 2 == 0, n)).collect();
        for (n, talk) in talks.iter_mut().enumerate() {
            (0..3).for_each(|m| talk.say(&format!("t{n}m{m}.")));
        }
        if self.hopeless {
            let mut talk = Talk::new(true, 99);
            talk.say(HOPELESS);
            talks.push(talk);
        }
        talks
    }
}

/// The scene of a deed.
pub(super) fn scene(deed: Deed) -> Scene {
    let usual = Scene::usual();
    match deed {
        Deed::Accept
        | Deed::ClaimTurns
        | Deed::CompleteTurn
        | Deed::Settle
        | Deed::Ask
        | Deed::Send
        // It comes by ten seconds after the start.
        | Deed::Sweep
        | Deed::Acknowledge => usual,
        Deed::Migrate => Scene {
            dies: Dies::Starting,
            ..usual
        },
        Deed::Recover => Scene {
            earlier: Some(die_while_asking_and_sending),
            dies: Dies::Starting,
            ..usual
        },
        Deed::DeferTurn => Scene {
            set: |world| {
                let overloaded = json!({"status": "error", "message": "overloaded", "code": "OVERLOADED"});
                world.agent.fault("ask", 2, Fault::json(503, overloaded));
            },
            ..usual
        },
        // An apology is claimed by a commit of its own.
        Deed::BuryTurn | Deed::ClaimSends => Scene {
            set: answer_no_hopeless,
            given_up: &[(HOPELESS, "dead")],
            hopeless: true,
            ..usual
        },
        Deed::Release => Scene {
            set: |world| {
                let refused = json!({"status": "error", "message": "Unauthorized", "code": "UNAUTHORIZED"});
                world.agent.fault("ask", 1, Fault::json(401, refused));
            },
            ..usual
        },
        Deed::LookForAnswer => looking_for_an_answer(),
        Deed::LookForSend => Scene {
            set: |world| {
                world.slack.fault("chat.postMessage", 1, Fault::ActThenClose);
                world.meta.fault("messages", 1, Fault::ActThenClose);
            },
            ..usual
        },
        Deed::ChangeThread | Deed::Replay | Deed::Purge => by_command(deed),
        Deed::Install => installing(),
        Deed::Move => moving(),
    }
}

/// A question to a known conversation gets no whole answer.
fn looking_for_an_answer() -> Scene {
    Scene {
        set: |world| {
            world.config.set("agent.timeout", "1s");
            let asked = |call: &Call| call.json["question"] == "late.";
            world.agent.fault_when(1, Fault::ActThenHang, asked);
        },
        dies: Dies::Serving(|world, talks| {
            deliver_all(world, talks);
            world.slack.wait_post("t0m2.");
            talks[0].say("late.");
            deliver_all(world, talks);
        }),
        ..Scene::usual()
    }
}

/// An operator's command dies beside the daemon; then it is given again.
fn by_command(deed: Deed) -> Scene {
    let usual = Scene {
        set: answer_no_hopeless,
        earlier: Some(give_up_hopeless),
        hopeless: true,
        ..Scene::usual()
    };
    match deed {
        Deed::Replay => Scene {
            dies: Dies::Command(|world| command(&["dead", "replay", &letter(world)])),
            then: |world, _| {
                world.agent.heal();
                for letter in dead_letters(world) {
                    world.cli(&["dead", "replay", letter["id"].as_str().unwrap()]);
                }
            },
            ..usual
        },
        Deed::Purge => Scene {
            dies: Dies::Command(|world| command(&["dead", "purge", &letter(world), "--yes"])),
            then: |world, _| {
                for letter in dead_letters(world) {
                    let id = letter["id"].as_str().unwrap();
                    world.cli(&["dead", "purge", id, "--yes"]).exits(0);
                }
            },
            given_up: &[(HOPELESS, "ignored")],
            ..usual
        },
        _ => Scene {
            dies: Dies::Command(|_| command(&["threads", "pause", "slack/T1/D000"])),
            then: |world, talks| {
                for change in ["pause", "resume"] {
                    world.cli(&["threads", change, "slack/T1/D000"]).exits(0);
                }
                talks[0].say("afterwards.");
            },
            given_up: &[(HOPELESS, "dead")],
            ..usual
        },
    }
}

/// Somebody installs the app, and the browser breaks off; nobody is listened to before that.
fn installing() -> Scene {
    Scene {
        set: |world| open_door(&mut world.config),
        dies: Dies::Serving(|world, _| {
            world.slack.grants("code-1", "T1", "xoxb-one");
            Browser::set_out(world).breaks_off(world, "code-1");
        }),
        then: |world, _| install(world, "T1", "xoxb-two"),
        ..Scene::usual()
    }
}

/// The store is moved into another database, and that breaks off: the next start is on the old one.
fn moving() -> Scene {
    Scene {
        earlier: Some(|world, talks| {
            world.launch();
            deliver_all(world, talks);
            world.terminate();
        }),
        dies: Dies::Command(|world| {
            let file = |name: &str| format!("sqlite://{}", world.home().join(name).display());
            let from = world
                .database
                .as_ref()
                .map_or_else(|| file("chatbridge.db"), Database::url);
            command(&["migrate", "--from", &from, "--to", &file("moved.db")])
        }),
        ..Scene::usual()
    }
}

fn letter(world: &World) -> String {
    dead_letters(world)[0]["id"].as_str().unwrap().to_owned()
}

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn answer_no_hopeless(world: &mut World) {
    let broken = json!({"status": "error", "message": "broken"});
    let asked = |call: &Call| call.json["question"] == HOPELESS;
    world
        .agent
        .fault_when(usize::MAX, Fault::json(500, broken), asked);
}

fn give_up_hopeless(world: &mut World, talks: &mut [Talk]) {
    world.launch();
    deliver_all(world, talks);
    world.slack.wait_post(APOLOGY);
    eventually("the dead letter", || dead_letters(world).pop());
}

/// The daemon is killed while questions and parts are under way.
fn die_while_asking_and_sending(world: &mut World, talks: &mut [Talk]) {
    let of = |name: &'static str| {
        move |call: &Call| call.body.windows(name.len()).any(|part| part == name.as_bytes())
    };
    world.agent.fault_when(1, Fault::ActThenHang, of("t0m"));
    world.agent.fault_when(1, Fault::Hang, of("t1m"));
    world.slack.fault_when(1, Fault::ActThenHang, of("t2m"));
    world.meta.fault_when(1, Fault::ActThenHang, of("t3m"));
    world.launch();
    deliver_all(world, talks);
    world.agent.wait_ask("t0m");
    world.agent.wait_ask("t1m");
    world.slack.wait_post("t2m");
    world.meta.wait_sent("t3m");
    std::thread::sleep(Duration::from_millis(50));
    world.kill9();
}
