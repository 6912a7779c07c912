//! The bridge at play: a simulated Slack, a simulated WhatsApp and a small agent on this machine.

pub mod agent;
mod faq;
pub mod graph;
pub mod journal;
pub mod server;
pub mod slack;
pub mod webhooks;
