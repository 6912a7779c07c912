//! What becomes of installations: removed, made anew, kept, refused, renewed.

use std::path::Path;

use serde_json::json;

use crate::harness::slack_door::{
    Browser, answered, dm, ignored, install, news, not_installed, open_door, revoked, uninstalled, world,
};
use crate::harness::{CLIENT, Fault, Gate, World, eventually, unix_now};

/// Keys, as `openssl rand -base64 32` would make them.
const FIRST_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const SECOND_KEY: &str = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI=";

#[test]
fn a_removed_app_is_forgotten_whichever_news_comes_first() {
    for order in [true, false] {
        let world = world();
        install(&world, "T1", "xoxb-one");
        install(&world, "T2", "xoxb-two");
        answered(&world, "T1", "xoxb-one", "before");
        let now = unix_now();
        let mut told = [uninstalled("T1", now), revoked("T1", now)];
        if order {
            told.reverse();
        }
        world.slack(&told[0]);
        ignored(&world, "T1");
        world.slack(&told[1]);
        ignored(&world, "T1");
        answered(&world, "T2", "xoxb-two", "the other stays");
        assert!(!database_holds(&world, "xoxb-one"));
    }
}

#[test]
fn an_installation_in_between_survives_the_second_news() {
    for order in [true, false] {
        let mut world = world();
        install(&world, "T1", "xoxb-old");
        let now = unix_now();
        let mut told = [uninstalled("T1", now), revoked("T1", now)];
        if order {
            told.reverse();
        }
        world.slack(&told[0]);
        install(&world, "T1", "xoxb-new");
        world.slack(&told[1]);
        answered(&world, "T1", "xoxb-new", "still here");
        world.crash();
        answered(&world, "T1", "xoxb-new", "and after a restart");
    }
}

/// A retry of an old event, or one that was long under way.
#[test]
fn news_from_before_the_installation_change_nothing() {
    let world = world();
    install(&world, "T1", "xoxb-one");
    world.slack(&uninstalled("T1", unix_now() - 30));
    world.slack(&revoked("T1", unix_now() - 30));
    answered(&world, "T1", "xoxb-one", "still here");
    // A person's own token is no affair of the bot's.
    let tokens = json!({"oauth": ["UT1"], "bot": []});
    world.slack(&news(
        "T1",
        json!({"type": "tokens_revoked", "tokens": tokens}),
        unix_now(),
    ));
    answered(&world, "T1", "xoxb-one", "and still");
}

#[test]
fn installations_outlive_a_crash_and_a_stop() {
    let mut world = world();
    install(&world, "T1", "xoxb-one");
    world.crash();
    answered(&world, "T1", "xoxb-one", "after the crash");
    world.terminate();
    world.launch();
    answered(&world, "T1", "xoxb-one", "after the stop");
    // What comes before the installations were read is not turned away either.
    assert_eq!(not_installed(&world), 0);
}

/// Whether any file of the daemon but its configuration and log holds this text.
fn database_holds(world: &World, text: &str) -> bool {
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let files = std::fs::read_dir(world.home()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("chatbridge.db")
        })
        .any(|path| holds(&path))
}

#[test]
fn tokens_cannot_be_read_in_the_database() {
    let mut world = world();
    world.slack.grants_with(
        "c",
        "T1",
        "xoxe.xoxb-access",
        json!({"refresh_token": "xoxe-refresh", "expires_in": 43_200}),
    );
    assert_eq!(Browser::set_out(&world).come_back(&world, "c").status, 200);
    answered(&world, "T1", "xoxe.xoxb-access", "hello");
    world.terminate();
    assert!(database_holds(&world, "hello") && database_holds(&world, "slack/T1"));
    for secret in ["xoxe.xoxb-access", "xoxe-refresh", CLIENT.1] {
        assert!(!database_holds(&world, secret), "{secret}");
        assert!(!world.daemon().log().contains(secret), "{secret}");
    }
    // Nobody gave a key: one was made, for this user only, and the log says so.
    let key = world.home().join("chatbridge.db.key");
    assert!(
        world.daemon().log().contains("chatbridge.db.key"),
        "{}",
        world.daemon().log()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let text = std::fs::read_to_string(key).unwrap();
    assert!(!world.daemon().log().contains(text.trim()));
}

#[test]
fn the_key_can_be_replaced_without_installing_again() {
    let mut world = World::with(|config| {
        open_door(config);
        config.set("store.secret_key", FIRST_KEY);
    });
    assert!(!world.home().join("chatbridge.db.key").exists());
    install(&world, "T1", "xoxb-one");
    for keys in [json!([SECOND_KEY, FIRST_KEY]), json!(SECOND_KEY)] {
        world.terminate();
        world.config.set("store.secret_key", keys);
        world.launch();
        answered(
            &world,
            "T1",
            "xoxb-one",
            &format!("with {}", world.config.to_toml().len()),
        );
    }
    // Without the key nothing is lost: it waits for the key, or for another installation.
    world.terminate();
    world.config.set("store.secret_key", FIRST_KEY);
    world.launch();
    world.slack(&dm("T1", "who can read this?"));
    world.agent.wait_ask("who can read this?");
    eventually("the log to tell the remedy", || {
        world.daemon().log().contains("store.secret_key").then_some(())
    });
    install(&world, "T1", "xoxb-anew");
    assert_eq!(world.slack.wait_post("who can read this?").token, "xoxb-anew");
}

#[test]
fn what_a_dead_installation_holds_goes_out_when_it_is_installed_again() {
    let world = world();
    install(&world, "T1", "xoxb-one");
    install(&world, "T2", "xoxb-two");
    world.slack.kill("xoxb-one", "invalid_auth");
    for text in ["first", "second", "third"] {
        world.slack(&dm("T1", text));
        world.agent.wait_ask(text);
    }
    eventually("the account to be held", || {
        world.daemon().log().contains("nothing can be sent").then_some(())
    });
    // Nobody else waits for it, and Slack is left alone.
    answered(&world, "T2", "xoxb-two", "meanwhile");
    let tried = |world: &World| {
        world.slack.log(|log| {
            log.iter()
                .filter(|call| call.kind == "chat.postMessage" && call.token() == Some("xoxb-one"))
                .count()
        })
    };
    // One for each thread that was under way; here all are one.
    assert!(tried(&world) <= 3, "{}", tried(&world));
    install(&world, "T1", "xoxb-new");
    for text in ["first", "second", "third"] {
        assert_eq!(world.slack.wait_post(text).token, "xoxb-new");
    }
    let posts: Vec<String> = world.slack.posts().into_iter().map(|post| post.channel).collect();
    assert_eq!(
        posts.iter().filter(|channel| *channel == "DT1").count(),
        3,
        "{posts:?}"
    );
    assert!(
        world
            .cli(&["dead", "list", "--json"])
            .exits(0)
            .json()
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_was_asked_before_the_removal_waits_for_the_next_installation() {
    let world = world();
    install(&world, "T1", "xoxb-one");
    let gate = Gate::closed();
    world.agent.fault("ask", 1, Fault::Hold(gate.clone()));
    world.slack(&dm("T1", "a slow one"));
    world.agent.wait_ask("a slow one");
    world.slack(&uninstalled("T1", unix_now()));
    gate.open();
    eventually("the answer to be held", || {
        world.daemon().log().contains("not_installed").then_some(())
    });
    assert!(world.slack.posts().is_empty());
    install(&world, "T1", "xoxb-new");
    assert_eq!(world.slack.wait_post("a slow one").token, "xoxb-new");
}

#[test]
fn the_static_token_stands_beside_installations() {
    let world = World::with(|config| {
        open_door(config);
        config.set("slack.bot_token", "xoxb-test-token");
    });
    world.slack.wait_count("auth.test", 1);
    install(&world, "T2", "xoxb-two");
    answered(&world, "T1", "xoxb-test-token", "by the static token");
    answered(&world, "T2", "xoxb-two", "by the installation");
    ignored(&world, "T3");
    // Slack is asked whether the static token lives on; it does.
    world.slack(&uninstalled("T1", unix_now()));
    world.slack.wait_count("auth.test", 2);
    answered(&world, "T1", "xoxb-test-token", "still");
}

#[test]
fn an_organisation_installs_for_all_of_its_workspaces() {
    let world = world();
    let organisation = json!({"team": null, "enterprise": {"id": "E1", "name": "Grid"}, "is_enterprise_install": true,
        "bot_user_id": "UE1"});
    world.slack.grants_with("c", "E1", "xoxb-grid", organisation);
    let page = Browser::set_out(&world).come_back(&world, "c");
    assert!(page.status == 200 && page.body.contains("Grid"), "{page:?}");
    for team in ["T1", "T2"] {
        let in_grid = json!([{"enterprise_id": "E1", "team_id": team, "user_id": "UE1", "is_bot": true,
            "is_enterprise_install": true}]);
        world.slack(&dm(team, team).envelope("authorizations", in_grid));
        assert_eq!(world.slack.wait_post(&format!("echo: {team}")).token, "xoxb-grid");
    }
    // A workspace that installed it by itself is another one.
    ignored(&world, "T1");
    install(&world, "T2", "xoxb-two");
    let in_organisation = |event: crate::harness::SlackEvent| {
        let mut event = event.envelope("enterprise_id", "E1");
        event.0.as_object_mut().unwrap().remove("authorizations");
        event
    };
    let grid = json!([{"enterprise_id": "E1", "team_id": "T1", "user_id": "UE1", "is_bot": true,
        "is_enterprise_install": true}]);
    // Both pieces of its end concern the workspace's own installation, and not the organisation's.
    world.slack(&in_organisation(uninstalled("T2", unix_now())));
    world.slack(&in_organisation(revoked("T2", unix_now())));
    ignored(&world, "T2");
    world.slack(&dm("T1", "still the organisation").envelope("authorizations", grid.clone()));
    world.slack.wait_post("echo: still the organisation");
    // The organisation's end is told under the name of one of its workspaces.
    world.slack(&in_organisation(uninstalled("T1", unix_now())));
    let before = not_installed(&world);
    world.slack(&dm("T1", "nobody").envelope("authorizations", grid));
    assert_eq!(not_installed(&world), before + 1);
}

#[test]
fn a_token_that_ends_is_renewed_once_and_outlives_a_crash() {
    let mut world = world();
    world.slack.grants_with(
        "c",
        "T1",
        "xoxe.xoxb-1",
        json!({"refresh_token": "xoxe-1", "expires_in": 0}),
    );
    world.slack.renews("xoxe-1", "T1", "xoxe.xoxb-2");
    assert_eq!(Browser::set_out(&world).come_back(&world, "c").status, 200);
    for number in 0..8 {
        let event = dm("T1", &format!("question {number}.")).with("channel", format!("D{number}"));
        world.slack(&event);
    }
    for post in world.slack.wait_posts(8) {
        assert_eq!(post.token, "xoxe.xoxb-2");
    }
    let renewals = |world: &World| {
        world.slack.log(|log| {
            log.iter()
                .filter(|call| String::from_utf8_lossy(&call.body).contains("grant_type=refresh_token"))
                .count()
        })
    };
    assert_eq!(renewals(&world), 1);
    world.crash();
    answered(&world, "T1", "xoxe.xoxb-2", "after the crash");
    assert_eq!(renewals(&world), 1);
}
