//! chatbridge connects an AI agent made on LiveChatAI to the places where people already write: Slack and WhatsApp.
//!
//! It is one small daemon. The platforms call its webhooks; it verifies the signature, stores the message, answers
//! 200, asks the agent, and posts the answer back where the message came from. What it has acknowledged it never
//! loses, and it never asks the same question twice.
//!
//! # The way of a message
//!
//! ```text
//! platform ──POST──▶ http::public     read the body, bounded in size and time
//!                    channel          verify the signature, read what arrived
//!                                     (or fetch it over a connection of its own: Channel::listen)
//!                    worker::Intake   admit it: which lane, how long to collect a burst
//!                    store            one transaction: keys, thread, message          ──▶ 200
//!                        │
//!                    worker           claim the thread's turn, when it is due
//!                    agent            ask, wait for the answer
//!                    channel          render it into parts
//!                    store            one transaction: conversation, parts, messages answered
//!                        │
//!                    worker           claim the thread's next part
//! platform ◀──POST── channel          send it, or look whether it was sent already
//!                    store            sent, due again later, unknown, or a dead letter
//! ```
//!
//! The acknowledgement comes after the commit, and no transaction spans a call over the network. A wake-up in memory
//! is only a hint: the tables are the truth, so that a crash at any moment leaves nothing that the next start does
//! not find.
//!
//! # The floors
//!
//! Each module imports only from those above it in this list.
//!
//! | floor | what it is |
//! |---|---|
//! | [`domain`] | the words: messages, threads, turns, deliveries, and the rules that must never be wrong, as pure functions |
//! | [`outbound`] | calls to other servers, and the one way in which they fail |
//! | [`crash_point`] | where tests end the process; not in releases |
//! | [`store`] | what is remembered: a trait of whole transactions, and SQLite behind it |
//! | [`agent`] | who answers: a trait, and LiveChatAI behind it |
//! | [`channel`] | where people write: a trait, a folder for each platform, and the registry that lists them |
//! | [`worker`] | what carries messages on: intake, turns, deliveries |
//! | [`http`] | the public and the admin listener, and the bounds of what a connection may cost |
//! | [`console`] | the operator's pages |
//! | [`config`], [`telemetry`] | what the operator sets, and what the operator sees |
//! | [`app`], [`lifecycle`], [`cli`], [`demo`] | the daemon put together, from the first signal to the end, and the commands |
//!
//! # Where to start
//!
//! - To follow a message: [`http::public`], then [`worker::Intake`], then the doc comments of [`store::Store`].
//! - To add a channel: the trait [`channel::Channel`], and [`channel::registry`], which is the only other file to
//!   change.
//! - To add an agent: the trait [`agent::Agent`]. To add a store: the trait [`store::Store`].
//! - To run all of it in a test: [`app::start`].

pub mod agent;
pub mod app;
pub mod channel;
pub mod cli;
pub mod config;
pub mod console;
pub mod crash_point;
pub mod demo;
pub mod domain;
pub mod http;
pub mod lifecycle;
pub mod outbound;
pub mod store;
pub mod telemetry;
pub mod worker;
