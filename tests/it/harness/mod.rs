//! What the tests stand on: stub platforms, a stub agent, the daemon as a process, signed senders.

mod agent_stub;
mod browser;
mod config;
mod daemon;
mod database;
mod demo;
pub(crate) mod files;
mod graph_stub;
mod meta_stub;
mod metrics;
pub(crate) mod postgres;
mod program;
pub(crate) mod proxy;
mod raw;
mod resends;
mod self_test;
pub(crate) mod server;
mod sign;
pub(crate) mod slack_door;
mod slack_events;
mod slack_oauth;
mod slack_sockets;
mod slack_stub;
mod slack_surface;
pub(crate) mod source;
pub(crate) mod stub;
mod talks;
mod terminal;
pub(crate) mod tool;
mod traffic;
mod verdict;
mod web;
mod whatsapp_webhooks;
mod wire;
mod world;

pub(crate) use agent_stub::AgentStub;
pub(crate) use browser::Browser;
pub(crate) use config::Config;
pub(crate) use daemon::Daemon;
pub(crate) use database::{
    Lock, Reader, change_rows, checkpoint, count_rows, pretend_newer, recorded_attempts, spread_over_a_day,
    waiting_work,
};
pub(crate) use demo::Demo;
pub(crate) use graph_stub::{APP, GraphStub, WABA};
pub(crate) use meta_stub::MetaStub;
pub(crate) use metrics::Metrics;
pub(crate) use program::{Finished, binary, run, run_on_terminal, run_watched};
pub(crate) use raw::{Heard, Raw};
pub(crate) use sign::{hex, slack_signature, whatsapp_signature};
pub(crate) use slack_events::SlackEvent;
pub(crate) use slack_oauth::{CLIENT, SCOPES};
pub(crate) use slack_sockets::{APP_TOKEN, Sockets, again, envelope, enveloped};
pub(crate) use slack_stub::{SlackStub, unescape};
pub(crate) use stub::{Answer, Call, Fault, Gate};
pub(crate) use talks::{Talk, deliver_all, deliver_twice};
pub(crate) use traffic::{Webhook, replies, said, seed, wait_all_answered};
pub(crate) use verdict::{Figures, dead_letters, judge};
pub(crate) use web::{Page, Reply, browse, get, post, submit, try_browse};
pub(crate) use whatsapp_webhooks::{Incoming, Person, Status, batch, echo, webhook};
pub(crate) use world::{
    APOLOGY, APP_SECRET, FILE_NOT_READ, NUMBER, ONLY_TEXT, SIGNING_SECRET, TOO_OLD, VERIFY_TOKEN, World,
    eventually, meta_posts, unix_now,
};

use std::time::Duration;

/// How long anything may take before a test gives up on it. Far beyond what a loaded machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
