//! What the fuzz targets share: the channels as a daemon has them, requests as the platforms sign them, and what must
//! hold of everything that comes out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chatbridge::channel::registry::{self, Needs};
use chatbridge::channel::signature::{Unverified, sign};
use chatbridge::channel::{Channel, Endpoint, Received, Rejection, WebhookRequest};
use chatbridge::config;
use chatbridge::domain::clock::ManualClock;
use chatbridge::domain::family::FamilyStore;
use chatbridge::domain::installation::{InstallationStore, Installed, KeepError};
use chatbridge::domain::message::{Arrival, Fate};
use chatbridge::domain::{AccountKey, Time};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::SecretString;

/// The secret of both platforms.
pub const SECRET: &str = "fuzzed-secret";
/// The token of Meta's handshake.
pub const VERIFY_TOKEN: &str = "fuzzed-token";
/// The present moment.
pub const NOW: i64 = 1_766_458_030;

/// Keeps nothing, for there is nothing to keep.
struct Nowhere;

#[async_trait]
impl InstallationStore for Nowhere {
    async fn put(&self, _: &AccountKey, _: &SecretString, at: Time) -> Result<Time, KeepError> {
        Ok(at)
    }

    async fn renew(&self, _: &AccountKey, _: &SecretString, _: Time) -> Result<bool, KeepError> {
        Ok(false)
    }

    async fn list(&self, _: &str) -> Result<Vec<Installed>, KeepError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &AccountKey, _: Time) -> Result<bool, KeepError> {
        Ok(false)
    }

    async fn spend(&self, _: &str, _: Time, _: Time) -> Result<bool, KeepError> {
        Ok(true)
    }
}

#[async_trait]
impl FamilyStore for Nowhere {
    async fn keep_family(&self, _: &AccountKey, _: &str) -> Result<(), KeepError> {
        Ok(())
    }

    async fn families(&self, _: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        Ok(Vec::new())
    }
}

/// The channel of this name, with everything on that has to do with what arrives.
pub fn channel(name: &str) -> Arc<dyn Channel> {
    let text = format!(
        "[slack]\nsigning_secret = \"{SECRET}\"\nbot_token = \"xoxb-1\"\nfeedback = true\n\
         [whatsapp]\napp_secret = \"{SECRET}\"\nverify_token = \"{VERIFY_TOKEN}\"\naccess_token = \"t\"\n\
         [agent]\nagent_id = \"a\"\n"
    );
    let settings = config::parse("fuzz", &text, []).expect("a good configuration");
    // Whoever comes second finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Arc::new(Nowhere);
    let needs = Needs {
        texts: &settings.messages,
        clock: Arc::new(ManualClock::at(Time::from_secs(NOW))),
        public_url: None,
        installations: store.clone(),
        families: store,
    };
    let channels = registry::channels(&settings.channels, &needs).expect("channels");
    let wanted = channels.into_iter().find(|channel| channel.name() == name);
    wanted.expect("such a channel")
}

/// A channel and its routes: whatever a platform signs, however odd, is read or refused as malformed, fit to be stored,
/// and read the same twice.
pub struct Door {
    channel: Arc<dyn Channel>,
    posts: Vec<Endpoint>,
}

impl Door {
    /// The door of the channel of this name.
    pub fn of(name: &str) -> Self {
        let channel = channel(name);
        let posts = posts(&*channel);
        Self { channel, posts }
    }

    /// Posts an input, whose first byte chooses the route.
    pub fn post(&self, data: &[u8]) {
        let Some((route, body)) = data.split_first() else {
            return;
        };
        let endpoint = &self.posts[usize::from(*route) % self.posts.len()];
        let read = || signed(&*self.channel, endpoint, body);
        let first = read();
        assert_eq!(format!("{first:?}"), format!("{:?}", read()), "read in two ways");
        check(&*self.channel, first);
    }
}

/// The routes that a channel takes POSTs on.
pub fn posts(channel: &dyn Channel) -> Vec<Endpoint> {
    let mut endpoints = channel.endpoints();
    endpoints.retain(|endpoint| endpoint.method == Method::POST);
    endpoints
}

/// A request with these headers; none if a value is none that HTTP can carry.
pub fn request(
    endpoint: &Endpoint,
    query: Option<&str>,
    headers: &[(&'static str, &[u8])],
    body: &[u8],
) -> Option<WebhookRequest> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).ok()?,
        );
    }
    Some(WebhookRequest {
        endpoint: endpoint.clone(),
        query: query.map(str::to_owned),
        sealed: Unverified::new(map, Bytes::copy_from_slice(body)),
    })
}

/// Slack's signature of a body at a time.
pub fn slack_signature(at: &[u8], body: &[u8]) -> String {
    format!("v0={}", sign(&SECRET.into(), &[b"v0:", at, b":", body]))
}

/// Meta's signature of a body.
pub fn meta_signature(body: &[u8]) -> String {
    format!("sha256={}", sign(&SECRET.into(), &[body]))
}

/// Hands over a body that is signed as it should be.
pub fn signed(channel: &dyn Channel, endpoint: &Endpoint, body: &[u8]) -> Result<Received, Rejection> {
    let at = NOW.to_string();
    let (slack, meta) = (slack_signature(at.as_bytes(), body), meta_signature(body));
    let headers: [(&'static str, &[u8]); 3] = [
        ("x-slack-signature", slack.as_bytes()),
        ("x-slack-request-timestamp", at.as_bytes()),
        ("x-hub-signature-256", meta.as_bytes()),
    ];
    channel.receive(request(endpoint, None, &headers, body).expect("plain headers"))
}

/// What must hold of whatever a signed body brings: it is refused as malformed, or it is fit to be stored.
pub fn check(channel: &dyn Channel, outcome: Result<Received, Rejection>) {
    let received = match outcome {
        Ok(received) => received,
        Err(Rejection::Malformed { .. }) => return,
        Err(other) => panic!("a signed body was turned away: {other:?}"),
    };
    for reason in &received.dropped {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        assert!(
            !reason.is_empty() && reason.chars().all(plain),
            "a label of a metric: {reason:?}"
        );
    }
    for farewell in &received.farewells {
        assert_eq!(farewell.account.channel(), channel.name());
    }
    for arrival in &received.arrivals {
        fit(channel.name(), arrival);
    }
}

/// Names of a platform go into keys, addresses and logs: nothing in them may steer anything.
fn plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A database takes no text with the character NUL.
fn storable(text: &str) {
    assert!(!text.contains('\0'), "{text:?}");
}

fn fit(name: &str, arrival: &Arrival) {
    let own =
        |account: &AccountKey| assert!(account.channel() == name && plain(account.as_str()), "{account}");
    match arrival {
        Arrival::Message(message) => {
            own(&message.account);
            let within = format!("{}/", message.account);
            let address = message.address.as_str();
            assert!(address.starts_with(&within) && plain(address), "{address:?}");
            assert!(
                !message.keys.is_empty(),
                "nothing would tell it from its second delivery"
            );
            assert!(!message.identifiers.is_empty(), "nobody would know its thread");
            assert!(!message.platform_id.is_empty());
            let texts = [&message.platform_id, &message.text];
            let more = message.quotes.iter().chain(&message.place);
            texts.into_iter().chain(more).for_each(|text| storable(text));
            let route = message
                .route
                .as_object()
                .into_iter()
                .flat_map(|route| route.values());
            route.filter_map(|value| value.as_str()).for_each(storable);
            let country = message.country.as_deref().unwrap_or("DE");
            assert!(
                country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()),
                "{country:?}"
            );
        }
        Arrival::Edit(edit) => {
            own(&edit.account);
            assert!(!edit.text.is_empty());
            storable(&edit.text);
            storable(&edit.platform_id);
        }
        Arrival::Withdraw(withdrawal) => {
            own(&withdrawal.account);
            storable(&withdrawal.platform_id);
        }
        Arrival::Act(act) => {
            own(&act.account);
            assert!(
                !act.keys.is_empty(),
                "nothing would tell it from its second delivery"
            );
        }
        Arrival::Receipt(receipt) => {
            own(&receipt.account);
            storable(&receipt.platform_id);
            if let Fate::Failed { code, reason } = &receipt.fate {
                assert!(!code.is_empty());
                storable(code);
                storable(reason);
            }
        }
        _ => {}
    }
}
