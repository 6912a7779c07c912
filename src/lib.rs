//! chatbridge connects an AI agent to the places where people write.

pub mod agent;
pub mod channel;
pub mod domain;
pub mod http;
pub mod outbound;
pub mod store;
pub mod worker;
