//! Black-box tests: the real binary, spoken to over HTTP, with stub platforms and a stub agent on the other side.
//!
//! Each file is a subject. A test is named for the behaviour that it shows; one that answers a defect which similar
//! software shipped says in its comment which. Nothing here reaches into the crate but `store`, the suite that every
//! store must pass, and the list of crash points: signatures, payloads and expectations are written a second time, so that both would have to be
//! wrong in the same way.
//!
//! The tests are plain functions: the stubs live on a runtime of their own, and whoever waits blocks its own thread
//! until the thing happens or a generous deadline passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "literals read best when they are handed over"
)]

mod agent;
mod bad_input;
mod bursts;
mod check;
mod check_live;
mod check_local;
mod closed_admin;
mod closed_bodies;
mod closed_connections;
mod closed_console;
mod closed_elsewhere;
mod closed_names;
mod closed_requests;
mod closed_signed;
mod closed_words;
mod commands;
mod complaints;
mod console;
mod console_door;
mod console_erase;
mod crash;
#[cfg(debug_assertions)]
mod crash_points;
mod delivery;
mod demo;
mod dependencies;
mod deploying;
mod disk;
mod documents;
mod fixtures;
mod floors;
mod harness;
mod history;
mod life;
mod moving;
mod neighbours;
mod observing;
mod operator;
mod pictures;
mod playground;
mod privacy;
mod progress;
mod promises;
mod replicas;
mod second_opinion;
mod slack;
mod slack_actions;
mod slack_agent_opening;
mod slack_agent_stop;
mod slack_agent_view;
mod slack_edits;
mod slack_errors;
mod slack_events;
mod slack_install;
mod slack_installed;
mod slack_manifest;
mod slack_pace;
mod slack_socket;
mod slack_socket_crash;
mod slack_socket_life;
mod slack_socket_setup;
mod soak;
mod store;
#[expect(
    clippy::duplicate_mod,
    reason = "the same suite, once more with encrypted texts"
)]
#[path = "store/mod.rs"]
mod store_veiled;
mod tracing;
mod webhooks;
mod whatsapp;
mod whatsapp_check;
mod whatsapp_echoes;
mod whatsapp_edits;
mod whatsapp_errors;
mod whatsapp_items;
mod whatsapp_kinds;
mod whatsapp_limits;
mod whatsapp_people;
mod whatsapp_presence;
mod whatsapp_setup;
mod whatsapp_window;
