//! What the daemon tells of itself: the log and the traces.

use super::super::kind::Kind;
use super::{Section, set, unset};

/// Section `log`.
pub(super) const LOG: Section = Section {
    name: "log",
    channel: false,
    doc: "The log, on standard error.",
    keys: &[
        set(
            "level",
            Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]),
            "\"info\"",
            "How much is said: off, error, warn, info, debug or trace.",
        ),
        set(
            "format",
            Kind::Choice(&["text", "json"]),
            "\"text\"",
            "text for people, json for collectors.",
        ),
    ],
};

/// Section `telemetry`.
pub(super) const TELEMETRY: Section = Section {
    name: "telemetry",
    channel: false,
    doc: "Traces by OpenTelemetry.",
    keys: &[
        unset(
            "otlp_endpoint",
            Kind::Url,
            "Where a collector takes OTLP over HTTP, such as http://127.0.0.1:4318. Without one nothing is traced.",
        ),
        unset(
            "otlp_header",
            Kind::Secret,
            "A header for the collector, NAME: VALUE.",
        ),
    ],
};
