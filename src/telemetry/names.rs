//! The metrics: their names, and what a reader of `/metrics` is told of each.
//!
//! Labels have few values, all of them fixed in the code or named in the configuration: nothing that strangers write
//! becomes a label.

use metrics::Unit;

/// Webhooks by channel and outcome.
pub const WEBHOOKS: &str = "chatbridge_webhooks_total";
/// Webhooks that were turned away, by channel and reason.
pub const REJECTED: &str = "chatbridge_webhooks_rejected_total";
/// Messages out of webhooks, by channel and outcome.
pub const MESSAGES: &str = "chatbridge_messages_total";
/// Questions to the agent, by channel and outcome.
pub const TURNS: &str = "chatbridge_turns_total";
/// Attempts to deliver a part, by channel and outcome.
pub const DELIVERIES: &str = "chatbridge_deliveries_total";
/// Deliveries of which nobody knew whether they were sent, by channel and how that ended.
pub const SENDS_UNKNOWN: &str = "chatbridge_sends_unknown_total";
/// What platforms tell of parts that they took, by channel and stage.
pub const RECEIPTS: &str = "chatbridge_receipts_total";
/// What people say of answers.
pub const FEEDBACK: &str = "chatbridge_feedback_total";
/// Messages that the platform charges for, by number.
pub const BILLABLE: &str = "chatbridge_billable_messages_total";
/// The time from a person's message to its answer.
pub const TIME_TO_ANSWER: &str = "chatbridge_time_to_answer_seconds";
/// Messages and parts that wait.
pub const WAITING: &str = "chatbridge_waiting_messages";
/// The age of the oldest of them.
pub const OLDEST_WAITING: &str = "chatbridge_oldest_waiting_seconds";
/// Parts of which nobody knows at the moment whether they were sent.
pub const UNKNOWN: &str = "chatbridge_unknown_deliveries";
/// Dead letters that wait for the operator.
pub const DEAD_LETTERS: &str = "chatbridge_dead_letters";
/// Agents that wait for the operator.
pub const HELD_AGENTS: &str = "chatbridge_held_agents";
/// Accounts that wait for the operator.
pub const HELD_ACCOUNTS: &str = "chatbridge_held_accounts";
/// Connections over which channels fetch what arrives.
pub const CONNECTIONS: &str = "chatbridge_connections";
/// How often such a connection was replaced or lost.
pub const RECONNECTS: &str = "chatbridge_reconnects_total";
/// Calls to other servers, by service and outcome.
pub const CALLS: &str = "chatbridge_outbound_calls_total";
/// How long calls to other servers take.
pub const CALL_TIME: &str = "chatbridge_outbound_call_seconds";
/// How long a commit takes.
pub const COMMIT_TIME: &str = "chatbridge_store_commit_seconds";
/// How many writes share a commit.
pub const BATCH: &str = "chatbridge_store_batch_operations";
/// Batches that failed as a whole.
pub const COMMITS_FAILED: &str = "chatbridge_store_commits_failed_total";
/// Statements that were sent to a database server.
pub const STATEMENTS: &str = "chatbridge_store_statements_total";
/// Batches that other replicas were in the way of.
pub const CONTENDED: &str = "chatbridge_store_contended_total";
/// Leases that ended before the work did.
pub const LEASES_LOST: &str = "chatbridge_leases_lost_total";
/// Spans that no collector got.
pub const SPANS_DROPPED: &str = "chatbridge_spans_dropped_total";
/// Which build this is: always 1.
pub const BUILD: &str = "chatbridge_build_info";
/// When the process was started.
pub const STARTED: &str = "chatbridge_process_start_time_seconds";
/// The memory that the process occupies.
pub const MEMORY: &str = "chatbridge_process_resident_memory_bytes";
/// The time that the process computed.
pub const CPU: &str = "chatbridge_process_cpu_seconds_total";
/// The files and connections that the process has open.
pub const OPEN_FILES: &str = "chatbridge_process_open_fds";
/// The most that it may have open.
pub const MOST_FILES: &str = "chatbridge_process_max_fds";

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// From a stub's answer to a long retry.
const ANSWER_BUCKETS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0, 180.0, 600.0,
];
/// From a neighbour in the same house to the longest time-out.
const CALL_BUCKETS: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// From a fast disk to one that is in trouble.
const COMMIT_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];
/// From a lone write to the largest batch.
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

use Kind::{Counter, Gauge, Histogram};

/// All metrics.
pub(super) const METRICS: &[(Kind, &str, Unit, &str)] = &[
    (
        Counter,
        WEBHOOKS,
        Unit::Count,
        "Webhooks that came in, by channel and what became of them.",
    ),
    (
        Counter,
        REJECTED,
        Unit::Count,
        "Webhooks that were turned away, by channel and the code of the reason.",
    ),
    (
        Counter,
        MESSAGES,
        Unit::Count,
        "Messages out of webhooks, by channel and outcome (queued, duplicate, or why not asked).",
    ),
    (
        Counter,
        TURNS,
        Unit::Count,
        "Questions to the agent, by channel and outcome.",
    ),
    (
        Counter,
        DELIVERIES,
        Unit::Count,
        "Attempts to deliver a part, by channel and outcome (unknown: it may have been sent).",
    ),
    (
        Counter,
        SENDS_UNKNOWN,
        Unit::Count,
        "Deliveries of which nobody knew whether they were sent, by channel and how that ended (absent: the platform does not have it; resent: nothing could tell, a person may have got it twice).",
    ),
    (
        Counter,
        RECEIPTS,
        Unit::Count,
        "What the platform told later of parts that it took, by channel and stage.",
    ),
    (
        Counter,
        FEEDBACK,
        Unit::Count,
        "What people say of answers, by channel and verdict (helpful, not_helpful).",
    ),
    (
        Counter,
        BILLABLE,
        Unit::Count,
        "Messages that the platform charges for, by number.",
    ),
    (
        Histogram(ANSWER_BUCKETS),
        TIME_TO_ANSWER,
        Unit::Seconds,
        "From a person's message to the delivery of its answer, in seconds.",
    ),
    (
        Gauge,
        WAITING,
        Unit::Count,
        "Messages without an answer and parts not sent yet.",
    ),
    (
        Gauge,
        OLDEST_WAITING,
        Unit::Seconds,
        "How long the oldest of them has waited, in seconds.",
    ),
    (
        Gauge,
        UNKNOWN,
        Unit::Count,
        "Parts of which nobody knows at the moment whether they were sent.",
    ),
    (
        Gauge,
        DEAD_LETTERS,
        Unit::Count,
        "Dead letters that wait for the operator, by kind (message, delivery).",
    ),
    (
        Gauge,
        HELD_AGENTS,
        Unit::Count,
        "Agents that are not asked until the operator has acted.",
    ),
    (
        Gauge,
        HELD_ACCOUNTS,
        Unit::Count,
        "Accounts, or groups of accounts with one token, whose replies wait for the operator.",
    ),
    (
        Gauge,
        CONNECTIONS,
        Unit::Count,
        "Connections that stand for what arrives, by channel; none where the platform calls.",
    ),
    (
        Counter,
        RECONNECTS,
        Unit::Count,
        "Connections for what arrives that were replaced or lost, by channel and reason.",
    ),
    (
        Counter,
        CALLS,
        Unit::Count,
        "Calls to the agent and the platforms, by service and outcome (ok, refused, limited, failed, not_sent, no_answer).",
    ),
    (
        Histogram(CALL_BUCKETS),
        CALL_TIME,
        Unit::Seconds,
        "How long calls to the agent and the platforms take, in seconds, by service.",
    ),
    (
        Histogram(COMMIT_BUCKETS),
        COMMIT_TIME,
        Unit::Seconds,
        "How long the store takes to commit a batch of writes, in seconds.",
    ),
    (
        Histogram(BATCH_BUCKETS),
        BATCH,
        Unit::Count,
        "How many writes share a commit of the store.",
    ),
    (
        Counter,
        COMMITS_FAILED,
        Unit::Count,
        "Batches of writes that the store did not take as a whole.",
    ),
    (
        Counter,
        STATEMENTS,
        Unit::Count,
        "Statements sent to the database server (PostgreSQL only).",
    ),
    (
        Counter,
        CONTENDED,
        Unit::Count,
        "Batches begun anew because another replica was in the way (PostgreSQL only).",
    ),
    (
        Counter,
        LEASES_LOST,
        Unit::Count,
        "Leases that ended before the work did: another replica took it over.",
    ),
    (
        Counter,
        SPANS_DROPPED,
        Unit::Count,
        "Spans of traces that no collector got.",
    ),
    (Gauge, BUILD, Unit::Count, "Which build this is: always 1."),
    (
        Gauge,
        STARTED,
        Unit::Seconds,
        "When the process was started, in seconds since the epoch.",
    ),
    (
        Gauge,
        MEMORY,
        Unit::Bytes,
        "The memory that the process occupies, in bytes.",
    ),
    (
        Counter,
        CPU,
        Unit::Seconds,
        "The time that the process computed, in whole seconds.",
    ),
    (
        Gauge,
        OPEN_FILES,
        Unit::Count,
        "The files and connections that the process has open.",
    ),
    (
        Gauge,
        MOST_FILES,
        Unit::Count,
        "The most files and connections that the process may have open.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_described_once_and_named_for_its_kind() {
        let mut names: Vec<_> = METRICS.iter().map(|(_, name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for (kind, name, unit, help) in METRICS {
            assert!(name.starts_with("chatbridge_") && help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Counter, "{name}");
            assert!(*unit != Unit::Seconds || name.contains("_seconds"), "{name}");
            if let Histogram(bounds) = kind {
                assert!(bounds.is_sorted(), "{name}");
            }
        }
    }
}
