//! Spans on their way to a collector: OTLP over HTTP, in its JSON form (opentelemetry.io, "OTLP Specification" and
//! "JSON Protobuf Encoding": ids as hexadecimal digits, 64-bit numbers as texts).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::names::SPANS_DROPPED;
use super::trace::{self, Span};

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(2);
/// So many go in a request.
const BATCH: usize = 512;
/// How long the last ones may take, when the daemon ends.
const LAST: Duration = Duration::from_secs(2);

/// Section `telemetry` of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSettings {
    /// Where the collector takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Without one nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// A header for it, `NAME: VALUE`, such as `Authorization: Bearer …`.
    pub otlp_header: Option<SecretString>,
}

/// Sends what is traced to the collector.
pub struct Exporter {
    client: reqwest::Client,
    url: String,
    header: Option<(String, SecretString)>,
    spans: mpsc::Receiver<Span>,
}

impl Exporter {
    /// Starts to trace, if the settings name a collector.
    pub fn start(settings: &TraceSettings) -> Result<Option<Self>, reqwest::Error> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(None);
        };
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let header = settings.otlp_header.as_ref().and_then(|header| {
            let (name, value) = header.expose_secret().split_once(':')?;
            Some((name.trim().to_owned(), value.trim().into()))
        });
        Ok(trace::start().map(|spans| Self {
            client,
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            header,
            spans,
        }))
    }

    /// Exports until cancelled, and what is left then.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        while cancel
            .run_until_cancelled(self.spans.recv_many(&mut batch, BATCH))
            .await
            .is_some_and(|got| got > 0)
        {
            let gathering = async {
                while batch.len() < BATCH {
                    let room = BATCH - batch.len();
                    if self.spans.recv_many(&mut batch, room).await == 0 {
                        break;
                    }
                }
            };
            let _ = tokio::time::timeout(GATHER, cancel.run_until_cancelled(gathering)).await;
            self.send(&mut batch).await;
        }
        while let Ok(span) = self.spans.try_recv() {
            batch.push(span);
        }
        let _ = tokio::time::timeout(LAST, self.send(&mut batch)).await;
    }

    /// A batch that the collector does not take is dropped: a trace is no message.
    async fn send(&self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let mut request = self.client.post(&self.url).json(&document(batch));
        if let Some((name, value)) = &self.header {
            request = request.header(name, value.expose_secret());
        }
        let sent = request.send().await.and_then(reqwest::Response::error_for_status);
        if let Err(error) = sent {
            metrics::counter!(SPANS_DROPPED).increment(batch.len() as u64);
            let status = error.status().map(|status| status.as_u16());
            tracing::warn!(
                status,
                spans = batch.len(),
                "the collector does not take the traces"
            );
        }
        batch.clear();
    }
}

fn document(spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("service.name", "chatbridge"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeSpans": [{"scope": {"name": "chatbridge"}, "spans": spans}],
    }]})
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span
        .attributes
        .iter()
        .map(|(name, value)| attribute(name, value))
        .collect();
    let mut told = json!({
        "traceId": trace::hex(&span.context.trace),
        "spanId": trace::hex(&span.context.span),
        "name": span.name,
        "kind": span.kind as i32,
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        // 2 is an error, 0 says nothing.
        "status": {"code": if span.failed { 2 } else { 0 }},
    });
    if let Some(parent) = span.parent {
        told["parentSpanId"] = trace::hex(&parent).into();
    }
    told
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
        .to_string()
}
