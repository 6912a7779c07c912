//! The counters that alarms look at stand at nought from the start: what begins with its first one looks as if nothing
//! had been counted.

use std::sync::Arc;

use metrics::{counter, gauge};

use crate::channel::Channel;
use crate::telemetry::{DELIVERIES, HELD_ACCOUNTS, HELD_AGENTS, SENDS_UNKNOWN, TURNS};

/// What may become of a question, as far as somebody should be told of it.
const TURN_OUTCOMES: [&str; 4] = ["answered", "retried", "held", "dead"];
/// What may become of a part.
const DELIVERY_OUTCOMES: [&str; 6] = ["sent", "retried", "paused", "held", "unknown", "dead"];
/// How an unclear send may end.
const RESOLUTIONS: [&str; 4] = ["found", "absent", "resent", "parked"];

/// Begins to count for these channels.
pub(super) fn begin(channels: &[Arc<dyn Channel>]) {
    gauge!(HELD_AGENTS).set(0.0);
    gauge!(HELD_ACCOUNTS).set(0.0);
    for channel in channels {
        let name = channel.name();
        for (metric, outcomes) in [(TURNS, &TURN_OUTCOMES[..]), (DELIVERIES, &DELIVERY_OUTCOMES[..])] {
            for outcome in outcomes {
                counter!(metric, "channel" => name, "outcome" => *outcome).increment(0);
            }
        }
        for resolution in RESOLUTIONS {
            counter!(SENDS_UNKNOWN, "channel" => name, "resolution" => resolution).increment(0);
        }
    }
}

/// Counts what became of a question.
pub(super) fn turn(channel: &str, outcome: &'static str) {
    counter!(TURNS, "channel" => channel.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts what became of a part of which nobody knew whether it was sent.
pub(super) fn unknown(channel: &'static str, resolution: &'static str) {
    counter!(SENDS_UNKNOWN, "channel" => channel, "resolution" => resolution).increment(1);
}
