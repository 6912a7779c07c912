//! What the ends of turns and sends write: decisions in memory, between one read and one write.

pub(super) mod sends;
pub(super) mod turns;
