//! What the daemon tells of itself: the log on standard error, and the metrics.

pub mod lines;
mod names;
pub mod otlp;
mod process;
pub mod trace;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use lines::{Dress, Lines};
pub use names::*;
use names::{Kind, METRICS};

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
    let colours = colours(io::stderr().is_terminal());
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

/// Whether to write in colours, where there is a terminal or not: `NO_COLOR` (no-color.org) forbids them everywhere,
/// `CLICOLOR_FORCE` (bixense.com/clicolors) wants them everywhere, else a terminal has them unless it is a dumb one.
pub fn colours(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    terminal && set("TERM").is_none_or(|value| value != "dumb")
}

/// How often histograms are condensed, so that they do not grow while nobody reads the metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Counts a batch of writes that a store could not commit.
pub fn not_committed() {
    metrics::counter!(COMMITS_FAILED).increment(1);
}

/// Counts a batch of writes that a store committed in this time, or failed to.
pub fn committed(took: Duration, writes: usize, ok: bool) {
    if ok {
        metrics::histogram!(COMMIT_TIME).record(took.as_secs_f64());
        metrics::histogram!(BATCH).record(u32::try_from(writes).unwrap_or(u32::MAX));
    } else {
        not_committed();
    }
}

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
        process::refresh();
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
    let mut builder = Ok(PrometheusBuilder::new());
    for (kind, name, ..) in METRICS {
        if let Kind::Histogram(bounds) = kind {
            builder = builder.and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
            });
        }
    }
    let builder = builder.and_then(PrometheusBuilder::install_recorder);
    for (kind, name, unit, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram(_) => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
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
}
