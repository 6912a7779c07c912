//! Slack: every refusal that it documents, row by row, and what becomes of the answer.

use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Fault, SlackEvent, World, eventually};

/// They pass by themselves: the part is sent at the next attempt.
const PASSING: &str = "service_unavailable request_timeout";
/// They say nothing about whether it was done: it is looked for, and sent if it is not there.
const AMBIGUOUS: &str = "internal_error fatal_error";
/// They pass, but not within seconds.
const SLOW: &str = "team_added_to_org org_login_required message_limit_exceeded";
/// Nothing is ever taken there again.
const CONVERSATION: &str = "channel_not_found not_in_channel is_archived messages_tab_disabled \
    cannot_reply_to_message ekm_access_denied restricted_action restricted_action_read_only_channel \
    restricted_action_thread_only_channel restricted_action_non_threadable_channel restricted_action_thread_locked \
    slack_connect_file_link_sharing_blocked slack_connect_canvas_sharing_blocked";
/// What we wrote does not please: it is tried bare, once.
const OURS: &str = "no_text msg_blocks_too_long invalid_blocks invalid_blocks_format markdown_text_conflict \
    invalid_arguments metadata_too_large invalid_metadata_format invalid_metadata_schema too_many_attachments";
/// Nothing can be sent for this installation: all is kept until it works again.
const INSTALLATION: &str = "invalid_auth not_authed account_inactive token_revoked token_expired access_denied \
    team_access_not_granted not_allowed_token_type missing_scope no_permission";

/// Refuses so many posts in this channel with this code.
fn refuse(world: &World, channel: &str, code: &str, times: usize) {
    let refusal = Fault::json(200, json!({"ok": false, "error": code}));
    let channel = channel.to_owned();
    world.slack.fault_when(times, refusal, move |call| {
        call.kind == "chat.postMessage" && call.json["channel"] == channel.as_str()
    });
}

fn tries(world: &World, channel: &str) -> usize {
    world.slack.log(|log| {
        let here =
            |call: &&crate::harness::Call| call.kind == "chat.postMessage" && call.json["channel"] == channel;
        log.iter().filter(here).count()
    })
}

fn dead_letters(world: &World) -> Vec<Value> {
    let list = world.cli(&["dead", "list", "--json"]).exits(0).json();
    list.as_array().unwrap().clone()
}

fn channel(code: &str) -> String {
    format!("D{}", code.to_uppercase())
}

#[test]
fn what_passes_is_tried_again() {
    let world = World::start();
    for code in PASSING.split_whitespace().chain(AMBIGUOUS.split_whitespace()) {
        let channel = channel(code);
        refuse(&world, &channel, code, 1);
        world.slack(&SlackEvent::dm(&channel, &format!("after {code}")));
        world.slack.wait_post(&format!("echo: after {code}"));
        assert_eq!(tries(&world, &channel), 2, "{code}");
    }
    world.wait_idle();
    assert_eq!(
        world.slack.count("conversations.history"),
        2,
        "only what is unclear is looked for"
    );
}

#[test]
fn what_passes_slowly_is_kept() {
    let world = World::start();
    for code in SLOW.split_whitespace() {
        refuse(&world, &channel(code), code, 1);
        world.slack(&SlackEvent::dm(&channel(code), "patience"));
    }
    eventually("all to be put off", || {
        let labels = [("channel", "slack"), ("outcome", "retried")];
        (world.metrics().count("chatbridge_deliveries_total", &labels) == 3).then_some(())
    });
    world.still_works("meanwhile");
    assert!(dead_letters(&world).is_empty());
    assert!(
        SLOW.split_whitespace()
            .all(|code| tries(&world, &channel(code)) == 1)
    );
}

#[test]
fn what_will_never_be_taken_is_a_dead_letter_with_its_code() {
    let world = World::start();
    let ours: Vec<&str> = OURS.split_whitespace().collect();
    let codes: Vec<&str> = CONVERSATION
        .split_whitespace()
        .chain(ours.iter().copied())
        .collect();
    for code in &codes {
        refuse(&world, &channel(code), code, 9);
        world.slack(&SlackEvent::dm(&channel(code), "in vain"));
    }
    eventually("all dead letters", || {
        (dead_letters(&world).len() == codes.len()).then_some(())
    });
    let letters = dead_letters(&world);
    for code in codes {
        let letter = letters.iter().find(|letter| letter["code"] == code);
        let letter = letter.unwrap_or_else(|| panic!("{code}: {letters:?}"));
        let address = format!("slack/T1/{}", channel(code));
        assert_eq!(
            (&letter["kind"], &letter["address"]),
            (&json!("delivery"), &json!(address))
        );
        assert!(letter["reason"].as_str().unwrap().contains(code), "{letter}");
        // What may be our own fault is tried bare once; nothing else is tried twice.
        let expected = if ours.contains(&code) { 2 } else { 1 };
        assert_eq!(tries(&world, &channel(code)), expected, "{code}");
    }
    world.still_works("elsewhere");
}

#[test]
fn a_dead_installation_keeps_its_deliveries_until_it_works_again() {
    let codes = Mutex::new(INSTALLATION.split_whitespace());
    let work = || {
        loop {
            let Some(code) = codes.lock().unwrap().next() else {
                break;
            };
            let mut world = World::start();
            world.slack(&SlackEvent::dm("D1", "before"));
            world.slack.wait_post("before");
            refuse(&world, "D1", code, 1);
            world.slack(&SlackEvent::dm("D1", "refused"));
            eventually(code, || {
                let labels = [("channel", "slack"), ("outcome", "held")];
                (world.metrics().count("chatbridge_deliveries_total", &labels) == 1).then_some(())
            });
            // Everything of the workspace waits, and nothing is tried in vain.
            world.slack(&SlackEvent::dm("D2", "waits"));
            world.agent.wait_ask("waits");
            // It is tried again after a minute; whoever sets another token does not wait for that.
            world.crash();
            world.slack.wait_post("echo: refused");
            world.slack.wait_post("echo: waits");
            assert_eq!(tries(&world, "D1") + tries(&world, "D2"), 4, "{code}");
            assert!(dead_letters(&world).is_empty(), "{code}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
}
