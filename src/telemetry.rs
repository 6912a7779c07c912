//! What the daemon tells of itself: the log on standard error, and the metrics.

pub mod lines;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use lines::{Dress, Lines};

/// Section `log` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How much is said.
    pub level: Level,
    /// For whom.
    pub format: Format,
}

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Who reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// People.
    Text,
    /// Collectors: one JSON object a line.
    Json,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts the log; a second call changes nothing.
///
/// Libraries never say more than warnings: at their lower levels they write out what they send and receive, and that
/// may hold tokens and people's words. A panic is told by its place only, for the same reason.
pub fn init(settings: &Settings) {
    std::panic::set_hook(Box::new(|panic| {
        // Not the message: it may quote what a person wrote.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect of chatbridge: please report it with this place");
    }));
    let level = LevelFilter::from(settings.level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_PKG_NAME"), level);
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let dress = match settings.format {
        Format::Json => Dress::Json,
        Format::Text if colours => Dress::Coloured,
        Format::Text => Dress::Plain,
    };
    let lines = fmt::layer()
        .with_writer(Lines::new(io::stderr, dress))
        .with_ansi(colours);
    let lines = match settings.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // It fails only if a log runs already, as in a test that starts several daemons.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .try_init();
}

/// How often histograms are condensed, so that they do not grow while nobody reads the metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The upper bounds of the buckets of `chatbridge_time_to_answer_seconds`: from a stub's answer to a long retry.
const ANSWER_BUCKETS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0, 180.0, 600.0,
];

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Webhooks by channel and outcome.
pub const WEBHOOKS: &str = "chatbridge_webhooks_total";
/// Connections over which channels fetch what arrives.
pub const CONNECTIONS: &str = "chatbridge_connections";
/// How often such a connection was replaced or lost.
pub const RECONNECTS: &str = "chatbridge_reconnects_total";
/// Messages and parts that wait.
pub const WAITING: &str = "chatbridge_waiting_messages";
/// The age of the oldest of them.
pub const OLDEST_WAITING: &str = "chatbridge_oldest_waiting_seconds";
/// The time from a person's message to its answer.
const TIME_TO_ANSWER: &str = "chatbridge_time_to_answer_seconds";

/// The metrics whose names are fixed, with what a reader of `/metrics` is told of them.
const METRICS: &[(Kind, &str, Unit, &str)] = &[
    (
        Kind::Counter,
        WEBHOOKS,
        Unit::Count,
        "Webhooks that came in, by channel and what became of them.",
    ),
    (
        Kind::Counter,
        "chatbridge_messages_total",
        Unit::Count,
        "Messages out of webhooks, by channel and outcome.",
    ),
    (
        Kind::Counter,
        "chatbridge_turns_total",
        Unit::Count,
        "Questions to the agent, by channel and outcome.",
    ),
    (
        Kind::Counter,
        "chatbridge_deliveries_total",
        Unit::Count,
        "Attempts to deliver a part, by channel and outcome.",
    ),
    (
        Kind::Counter,
        "chatbridge_sends_unknown_total",
        Unit::Count,
        "Deliveries of which nobody knew whether they were sent, by channel and how that ended.",
    ),
    (
        Kind::Counter,
        "chatbridge_feedback_total",
        Unit::Count,
        "What people say of answers, by channel and verdict (helpful, not_helpful).",
    ),
    (
        Kind::Counter,
        "chatbridge_billable_messages_total",
        Unit::Count,
        "Messages that the platform charges for, by number.",
    ),
    (
        Kind::Counter,
        RECONNECTS,
        Unit::Count,
        "Connections for what arrives that were replaced or lost, by channel and reason.",
    ),
    (
        Kind::Gauge,
        CONNECTIONS,
        Unit::Count,
        "Connections that stand for what arrives, by channel; none where the platform calls.",
    ),
    (
        Kind::Histogram,
        TIME_TO_ANSWER,
        Unit::Seconds,
        "From a person's message to the delivery of its answer, in seconds.",
    ),
    (
        Kind::Gauge,
        WAITING,
        Unit::Count,
        "Messages without an answer and parts not sent yet.",
    ),
    (
        Kind::Gauge,
        OLDEST_WAITING,
        Unit::Seconds,
        "How long the oldest of them has waited, in seconds.",
    ),
    (
        Kind::Gauge,
        "chatbridge_held_agents",
        Unit::Count,
        "Agents that are not asked until the operator has acted.",
    ),
];

/// The metrics of this process, installed by the first call.
pub fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(install)
}

/// The metrics of this process.
#[derive(Debug)]
pub struct Metrics(Option<PrometheusHandle>);

impl Metrics {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Condenses the histograms from time to time, until cancelled.
    pub async fn upkeep(&self, cancel: CancellationToken) {
        while cancel
            .run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY))
            .await
            .is_some()
        {
            if let Some(handle) = &self.0 {
                handle.run_upkeep();
            }
        }
    }
}

fn install() -> Metrics {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(TIME_TO_ANSWER.to_owned()), &ANSWER_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder);
    for (kind, name, unit, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
    if let Err(error) = &builder {
        tracing::error!(%error, "there are no metrics: somebody else in this process records them");
    }
    Metrics(builder.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_is_counted_with_its_help() {
        let metrics = metrics();
        metrics::counter!("chatbridge_turns_total", "channel" => "test", "outcome" => "answered")
            .increment(2);
        metrics::histogram!(TIME_TO_ANSWER, "channel" => "test").record(0.7);
        let text = metrics.render();
        assert!(
            text.contains("# HELP chatbridge_turns_total Questions to the agent"),
            "{text}"
        );
        assert!(
            text.contains(r#"chatbridge_turns_total{channel="test",outcome="answered"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"chatbridge_time_to_answer_seconds_bucket{channel="test",le="1"} 1"#),
            "{text}"
        );
    }

    #[test]
    fn the_fixed_names_are_described_once() {
        let mut names: Vec<_> = METRICS.iter().map(|(_, name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        assert!(
            METRICS
                .iter()
                .all(|(kind, name, ..)| name.ends_with("_total") == (*kind == Kind::Counter))
        );
    }
}
