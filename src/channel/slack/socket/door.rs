//! Opening connections: asking Slack for an address, turning the call to it into a WebSocket, waiting for the greeting.
//!
//! One connection at a time is opened, so that a pause that Slack asks for, or that a row of failures teaches, holds for
//! all of them.

use std::time::Duration;

use futures_util::StreamExt;
use http::HeaderName;
use http::header::{CONNECTION, UPGRADE};
use reqwest::Url;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::channel::signature::Verified;
use crate::outbound::{self, Upgrade};

use super::super::client::{Client, TIMEOUT};
use super::super::envelope::text;
use super::frame::{self, Frame};
use super::refusal::Refusal;
use super::state::State;

/// The Web API's method that gives out addresses.
const METHOD: &str = "apps.connections.open";

/// How long Slack may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// A connection that lasted for less counts as a failure.
const STEADY: Duration = Duration::from_secs(10);

/// The wait after a first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that failures alone teach.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The read buffer of a connection, in bytes. Most envelopes have one or two thousand.
const BUFFER: usize = 16 * 1024;

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
const VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");

/// A connection.
pub(super) type Link = WebSocketStream<reqwest::Upgraded>;

/// Opens connections.
pub(super) struct Door {
    api: Client,
    http: reqwest::Client,
    token: SecretString,
    /// Whether a connection may go without TLS: where the Web API's own address does, as in a test.
    plain: bool,
    pace: Mutex<Pace>,
}

/// When the next connection may be opened.
struct Pace {
    failures: u32,
    not_before: Instant,
}

impl Door {
    /// A door for the holder of this app-level token, at the Web API of `api_base`.
    pub(super) fn new(api_base: &str, token: SecretString) -> Result<Self, reqwest::Error> {
        Ok(Self {
            api: Client::new(api_base)?,
            http: outbound::client(TIMEOUT)?,
            token,
            plain: api_base.starts_with("http:"),
            pace: Mutex::new(Pace {
                failures: 0,
                not_before: Instant::now(),
            }),
        })
    }

    /// Opens a connection that takes messages of this many bytes at most, however long it takes. Returns it with how
    /// long Slack means to keep it.
    pub(super) async fn open(&self, limit: usize, state: &State) -> (Link, Option<Duration>) {
        let mut pace = self.pace.lock().await;
        loop {
            sleep_until(pace.not_before).await;
            match self.try_open(limit).await {
                Ok(opened) => return opened,
                Err(refusal) => {
                    pace.failed(refusal.pause);
                    let (code, remedy) = (&refusal.code, refusal.remedy);
                    let wait = pace.not_before.saturating_duration_since(Instant::now());
                    tracing::warn!(
                        code,
                        wait = wait.as_secs_f32(),
                        "no connection to Slack: {}; {remedy}",
                        refusal.found
                    );
                    state.missed(format!("{}; {remedy}", refusal.found));
                }
            }
        }
    }

    /// Takes note that a connection ended, and how long it lasted.
    pub(super) async fn ended(&self, lasted: Duration, pause: Duration) {
        let mut pace = self.pace.lock().await;
        if lasted >= STEADY && pause.is_zero() {
            pace.failures = 0;
        } else {
            pace.failed(pause);
        }
    }

    async fn try_open(&self, limit: usize) -> Result<(Link, Option<Duration>), Refusal> {
        let address = address(&self.api, &self.token).await?;
        let mut link = self.connect(address, limit).await?;
        let lasts = timeout(GREETING, greeting(&mut link)).await;
        let lasts = lasts.unwrap_or_else(|_| {
            let found = "Slack does not greet on the connection";
            Err(Refusal::new("no_hello", found, "it is tried again"))
        })?;
        Ok((link, lasts))
    }

    async fn connect(&self, mut address: Url, limit: usize) -> Result<Link, Refusal> {
        let scheme = match address.scheme() {
            "wss" => "https",
            "ws" if self.plain => "http",
            _ => "",
        };
        if address.set_scheme(scheme).is_err() {
            let found = "the address that Slack gave out for the connection is not wss://";
            return Err(Refusal::new(
                "no_websocket",
                found,
                "is slack.api_base Slack's own?",
            ));
        }
        let key = generate_key();
        let request = self
            .http
            .get(address)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(VERSION, "13")
            .header(KEY, &key);
        match outbound::upgrade(request).await {
            Err(failure) => Err(Refusal::of_failure(&failure)),
            Ok(Upgrade::Declined(answer)) => Err(Refusal::of_answer(&answer)),
            Ok(Upgrade::Agreed(headers, connection)) => {
                let wanted = derive_accept_key(key.as_bytes());
                if headers
                    .get(ACCEPT)
                    .is_none_or(|said| said.as_bytes() != wanted.as_bytes())
                {
                    let found = "what answers there does not speak the WebSocket protocol";
                    return Err(Refusal::new(
                        "no_websocket",
                        found,
                        "is slack.api_base Slack's own?",
                    ));
                }
                let config = WebSocketConfig::default()
                    .read_buffer_size(BUFFER)
                    .max_message_size(Some(limit))
                    .max_frame_size(Some(limit));
                Ok(WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await)
            }
        }
    }
}

/// Asks Slack for the address of a connection. It is good once, and for a short time.
pub(in crate::channel::slack) async fn address(api: &Client, token: &SecretString) -> Result<Url, Refusal> {
    let heard = api.inquire(METHOD, token).await.map_err(Refusal::of_call)?;
    let address = text(&heard.body, "url").and_then(|url| Url::parse(url).ok());
    address.ok_or_else(|| Refusal::of_call(super::super::client::Trouble::Garbled))
}

/// Waits for the greeting, and for nothing else: what comes before it is delivered again.
async fn greeting(link: &mut Link) -> Result<Option<Duration>, Refusal> {
    while let Some(Ok(message)) = link.next().await {
        if !(message.is_text() || message.is_binary()) {
            continue;
        }
        match frame::read(&Verified::by_our_connection(message.into_data())) {
            Some(Frame::Hello { lasts, connections }) => {
                tracing::debug!(?lasts, connections, "Slack greets");
                return Ok(lasts);
            }
            Some(Frame::Goodbye(goodbye)) => {
                let found = format!("Slack ends the connection ({})", goodbye.reason);
                let remedy = goodbye.remedy.unwrap_or("it is tried again");
                return Err(Refusal::new(goodbye.reason, found, remedy).after(goodbye.pause));
            }
            _ => {}
        }
    }
    let found = "the connection ended before Slack greeted";
    Err(Refusal::new("no_hello", found, "it is tried again"))
}

impl Pace {
    /// One failure more. A little chance keeps many daemons from coming back in step.
    fn failed(&mut self, pause: Duration) {
        self.failures = self.failures.saturating_add(1);
        let wait = wait(self.failures).mul_f64(rand::random_range(0.5..1.0));
        self.not_before = self.not_before.max(Instant::now() + wait.max(pause));
    }
}

fn wait(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute() {
        let seconds: Vec<u64> = [1, 2, 3, 6, 7, 40]
            .map(|failures| wait(failures).as_secs())
            .into();
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60]);
    }

    #[tokio::test]
    async fn only_what_is_encrypted_is_called_where_the_web_api_is() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (base, address, code) in [
            ("https://slack.com/api", "ws://127.0.0.1:9/", "no_websocket"),
            ("https://slack.com/api", "http://127.0.0.1:9/", "no_websocket"),
            ("http://127.0.0.1:9/api", "http://127.0.0.1:9/", "no_websocket"),
            // Allowed, and nobody is there.
            ("https://slack.com/api", "wss://127.0.0.1:9/", "unreachable"),
            ("http://127.0.0.1:9/api", "ws://127.0.0.1:9/", "unreachable"),
        ] {
            let door = Door::new(base, SecretString::from("xapp-1")).unwrap();
            let refusal = door.connect(Url::parse(address).unwrap(), 1024).await.err();
            assert_eq!(
                refusal.map(|refusal| refusal.code).as_deref(),
                Some(code),
                "{base} {address}"
            );
        }
    }

    #[test]
    fn a_pause_that_is_asked_for_is_never_cut_short() {
        let mut pace = Pace {
            failures: 0,
            not_before: Instant::now(),
        };
        let begun = Instant::now();
        pace.failed(Duration::from_secs(40));
        pace.failed(Duration::ZERO);
        let pause = pace.not_before - begun;
        assert!((40..50).contains(&pause.as_secs()), "{pause:?}");
    }
}
