//! Every crash point that there is: the daemon dies there, starts again, and P1 to P4 hold by the stubs' own logs.
//!
//! The list stands in `chatbridge::crash_point`. Each deed of it has a scene below, so that none is forgotten.

mod scenes;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use chatbridge::crash_point::{ALL, Deed};

use crate::harness::{Counted, Figures, World, deliver_twice, judge, wait_all_answered};
use scenes::{Dies, Scene, scene};

/// How the process ends at a crash point.
const ABORTED: i32 = 6;

/// The places of a deed: those of a channel are two.
fn places(deed: Deed) -> &'static [&'static str] {
    match deed {
        Deed::Send | Deed::LookForSend | Deed::Acknowledge => &["@slack", "@whatsapp"],
        _ => &[""],
    }
}

/// Walks the points before and after a deed.
fn walk(deed: Deed, name: &str) {
    for side in ["before", "after"] {
        for place in places(deed) {
            let point = format!("{side}.{name}{place}");
            let figures = crash_at(&point, scene(deed));
            println!("{point}: {figures:?}");
        }
    }
}

/// Plays a scene in which a process dies at this point, and judges what is there after the next start.
fn crash_at(point: &str, scene: Scene) -> Figures {
    let mut world = World::stopped();
    let mut talks = scene.talks();
    (scene.set)(&mut world);
    if let Some(earlier) = scene.earlier {
        earlier(&mut world, &mut talks);
    }
    world.config.env("CHATBRIDGE_CRASH_AT", point);
    world.write_config();
    match scene.dies {
        Dies::Starting => died(&world, point, &["serve"]),
        Dies::Command(command) => {
            let words = command(&world);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            died(&world, point, &words);
            world.kill9();
        }
        Dies::Serving(until) => {
            world.launch();
            until(&mut world, &mut talks);
            let status = world.daemon_mut().wait_end();
            assert_eq!(
                status.signal(),
                Some(ABORTED),
                "{point}: {}",
                world.daemon().log()
            );
        }
    }
    world.config.unset_env("CHATBRIDGE_CRASH_AT");
    world.launch();
    (scene.then)(&mut world, &mut talks);
    deliver_twice(&world, &mut talks);
    let given_up = |name: &String| scene.given_up.iter().any(|(given_up, _)| given_up == name);
    let mut names: Vec<String> = talks.iter().flat_map(|talk| talk.acknowledged.clone()).collect();
    names.retain(|name| !given_up(name));
    wait_all_answered(&world, &names);
    judge(&world, &talks, scene.given_up, Counted::by(&world))
}

/// Runs a command to its death at the point.
#[track_caller]
fn died(world: &World, point: &str, command: &[&str]) {
    let ended = world.cli(command);
    assert_eq!(ended.code, None, "{command:?} does not pass {point}: {ended:?}");
    assert!(ended.stderr.contains("the crash point is reached"), "{ended:?}");
}

/// A test for each deed, and one that all of the list have one.
macro_rules! walked {
    ($($test:ident = $name:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                let found = ALL.into_iter().find(|(_, name)| *name == $name);
                let (deed, name) = found.expect("there is such a deed");
                walk(deed, name);
            }
        )*

        #[test]
        fn every_crash_point_is_walked() {
            let walked = [$($name),*];
            let all: Vec<&str> = ALL.into_iter().map(|(_, name)| name).collect();
            assert_eq!(all, walked, "the list of crash points and the walks differ");
        }
    };
}

walked! {
    a_crash_at_the_migration = "migrate",
    a_crash_as_it_takes_over = "recover",
    a_crash_as_messages_are_accepted = "accept",
    a_crash_as_turns_are_claimed = "claim_turns",
    a_crash_as_an_answer_is_recorded = "complete_turn",
    a_crash_as_a_turn_is_put_back = "defer_turn",
    a_crash_as_a_turn_is_given_up = "bury_turn",
    a_crash_as_parts_are_claimed = "claim_sends",
    a_crash_as_a_part_is_settled = "settle",
    a_crash_as_what_was_held_is_released = "release",
    a_crash_as_old_keys_are_removed = "sweep",
    a_crash_of_a_command_that_changes_a_thread = "change_thread",
    a_crash_of_a_command_that_replays = "replay",
    a_crash_of_a_command_that_purges = "purge",
    a_crash_as_an_installation_is_kept = "install",
    a_crash_as_a_store_is_moved = "move",
    a_crash_around_a_question = "ask",
    a_crash_around_a_look_for_an_answer = "look_for_answer",
    a_crash_around_a_send = "send",
    a_crash_around_a_look_for_a_part = "look_for_send",
    a_crash_around_an_acknowledgement = "acknowledge",
}

/// Nobody can end a release by a variable: neither it nor a name is in what is compiled without debug assertions.
#[test]
fn a_release_holds_no_crash_point() {
    let folder = tempfile::tempdir().unwrap();
    let compile = |assertions: &str| {
        let object = folder.path().join(format!("{assertions}.o"));
        let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let status = Command::new(compiler)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "obj",
                "-O",
                "-C",
            ])
            .arg(format!("debug-assertions={assertions}"))
            .arg("-o")
            .arg(&object)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/crash_point.rs"))
            .status()
            .unwrap();
        assert!(status.success());
        String::from_utf8_lossy(&std::fs::read(&object).unwrap()).into_owned()
    };
    let (with, without) = (compile("on"), compile("off"));
    for word in ["CHATBRIDGE_CRASH_AT", "complete_turn", "look_for_send"] {
        assert!(
            with.contains(word),
            "{word} is to be found where there are crash points"
        );
        assert!(!without.contains(word), "{word} is in a release");
    }
}

/// A word that names no point ends the process at once: a walk that misses its point would prove nothing.
#[test]
fn a_crash_point_that_there_is_not_is_told() {
    let mut world = World::stopped();
    world.write_config();
    for wrong in ["before.nothing", "within.accept", "accept", "after.accept:often"] {
        world.config.env("CHATBRIDGE_CRASH_AT", wrong);
        let ended = world.cli(&["serve"]);
        assert_eq!(ended.code, None, "{ended:?}");
        assert!(ended.stderr.contains(wrong), "{ended:?}");
        world.config.unset_env("CHATBRIDGE_CRASH_AT");
    }
}
