//! Meta's Graph API, as far as setting a number up calls it: one app, one account, one number.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;

use serde_json::{Value, json};

use super::stub::{Answer, Brain, Call, Stub};
use super::{APP_SECRET, NUMBER};

/// The Meta app, the account and its numbers.
pub(crate) const APP: &str = "670843887433847";
pub(crate) const WABA: &str = "102290129340398";

/// The scopes of a token that is made as the guide says.
const SCOPES: [&str; 2] = ["whatsapp_business_messaging", "whatsapp_business_management"];

/// A stub of the Graph API.
pub(crate) struct GraphStub(Stub<Graph>);

impl Deref for GraphStub {
    type Target = Stub<Graph>;
    fn deref(&self) -> &Stub<Graph> {
        &self.0
    }
}

impl GraphStub {
    /// A number of which nothing is set up yet but the token.
    pub(crate) fn start() -> Self {
        Self(Stub::start(Graph::default()))
    }

    /// The calls that change something.
    pub(crate) fn posts(&self) -> Vec<Call> {
        self.calls()
            .into_iter()
            .filter(|call| call.method == "POST")
            .collect()
    }
}

/// How everything is set.
pub(crate) struct Graph {
    /// The app's callback and fields.
    pub(crate) subscription: Option<(String, Vec<String>)>,
    /// The apps that get the account's webhooks, with the account's own callback for each.
    pub(crate) subscribers: HashMap<String, Option<String>>,
    /// The number's own callback.
    pub(crate) number_callback: Option<String>,
    /// What the token may do.
    pub(crate) scopes: Vec<&'static str>,
    /// When it ends; 0 never.
    pub(crate) expires_at: u64,
    /// Whether the number's health names account and app.
    pub(crate) health: Value,
    /// The numbers of the account.
    pub(crate) numbers: Vec<&'static str>,
}

impl Default for Graph {
    fn default() -> Self {
        let entity =
            |kind: &str, id: &str| json!({"entity_type": kind, "id": id, "can_send_message": "AVAILABLE"});
        Self {
            subscription: None,
            subscribers: HashMap::new(),
            number_callback: None,
            scopes: SCOPES.to_vec(),
            expires_at: 0,
            health: json!({"can_send_message": "AVAILABLE", "entities": [entity("PHONE_NUMBER", NUMBER),
                entity("WABA", WABA), entity("BUSINESS", "506914307656634"), entity("APP", APP)]}),
            numbers: vec![NUMBER],
        }
    }
}

impl Graph {
    /// Everything is set up for this callback.
    pub(crate) fn all_set(&mut self, callback: &str) {
        self.subscription = Some((callback.to_owned(), vec!["messages".to_owned()]));
        self.subscribers.insert(APP.to_owned(), None);
    }
}

impl Brain for Graph {
    fn kind(&self, call: &Call) -> String {
        format!("{} {}", call.method, call.path.trim_start_matches("/v26.0/"))
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let token = call.token().unwrap_or_default();
        let by_app = token == format!("{APP}|{APP_SECRET}");
        let path: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        match (call.method.as_str(), &path[..]) {
            ("GET", ["v26.0", "debug_token"]) if by_app => self.debug(&query(&call.query)),
            ("GET", ["v26.0", APP, "subscriptions"]) if by_app => self.subscriptions(),
            ("POST", ["v26.0", APP, "subscriptions"]) if by_app => self.subscribe(&form(call)),
            (_, ["v26.0", "debug_token"] | ["v26.0", _, "subscriptions"]) => {
                error(101, "Error validating application.")
            }
            _ if token != "EAA-test-token" => {
                error(190, "Invalid OAuth access token EAAsecretsecretsecret42.")
            }
            ("GET", ["v26.0", NUMBER]) => self.number(&query(&call.query)),
            ("POST", ["v26.0", NUMBER]) => {
                let set = call.json["webhook_configuration"]["override_callback_uri"].as_str();
                self.number_callback = set.filter(|set| !set.is_empty()).map(str::to_owned);
                success()
            }
            ("GET", ["v26.0", WABA, "phone_numbers"]) => {
                let numbers = self.numbers.iter().map(|id| json!({"id": id})).collect();
                data(numbers)
            }
            ("GET", ["v26.0", WABA, "subscribed_apps"]) => self.subscribed(),
            ("POST", ["v26.0", WABA, "subscribed_apps"]) => {
                self.subscribers.insert(APP.to_owned(), None);
                success()
            }
            _ => error(
                100,
                "Unsupported request. Object does not exist, or permissions are missing.",
            ),
        }
    }
}

impl Graph {
    fn debug(&self, query: &HashMap<String, String>) -> Answer {
        let valid = query
            .get("input_token")
            .is_some_and(|token| token == "EAA-test-token");
        Answer::json(
            200,
            &json!({"data": {"app_id": APP, "type": "SYSTEM_USER", "application": "Bridge", "is_valid": valid,
                "expires_at": self.expires_at, "scopes": self.scopes,
                "granular_scopes": [{"scope": "whatsapp_business_messaging", "target_ids": [WABA]}]}}),
        )
    }

    fn number(&self, query: &HashMap<String, String>) -> Answer {
        let all = json!({"display_phone_number": "+1 555-000-0000", "verified_name": "Example", "quality_rating": "GREEN",
            "throughput": {"level": "STANDARD"}, "health_status": self.health,
            "webhook_configuration": {"application": self.subscription.as_ref().map(|(callback, _)| callback),
                "phone_number": self.number_callback}});
        let mut told = json!({"id": NUMBER});
        for field in query.get("fields").map_or("", String::as_str).split(',') {
            told[field] = all[field].clone();
        }
        Answer::json(200, &told)
    }

    fn subscriptions(&self) -> Answer {
        let subscription = |(callback, fields): &(String, Vec<String>)| {
            let fields: Vec<Value> = fields
                .iter()
                .map(|name| json!({"name": name, "version": "v26.0"}))
                .collect();
            json!({"object": "whatsapp_business_account", "callback_url": callback, "active": true, "fields": fields})
        };
        data(self.subscription.iter().map(subscription).collect())
    }

    /// Takes a callback if the address answers the handshake.
    fn subscribe(&mut self, form: &HashMap<String, String>) -> Answer {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let callback = field("callback_url");
        if field("object") != "whatsapp_business_account" {
            return error(100, "Param object must be given.");
        }
        let greeting = format!(
            "{callback}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={}",
            field("verify_token")
        );
        if fetch(&greeting).as_deref() != Some("1158201444") {
            return error(2200, "The URL couldn't be validated.");
        }
        let fields = field("fields").split(',').map(str::to_owned).collect();
        self.subscription = Some((callback, fields));
        success()
    }

    fn subscribed(&self) -> Answer {
        let app = |(id, callback): (&String, &Option<String>)| {
            let mut item = json!({"whatsapp_business_api_data": {"id": id, "name": "Bridge",
                "link": format!("https://www.facebook.com/games/?app_id={id}")}});
            if let Some(callback) = callback {
                item["override_callback_uri"] = callback.as_str().into();
            }
            item
        };
        data(self.subscribers.iter().map(app).collect())
    }
}

/// The body of a page, got by a plain connection: the stub's own runtime is busy meanwhile.
fn fetch(url: &str) -> Option<String> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).ok()?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

fn query(text: &str) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://query.invalid/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn form(call: &Call) -> HashMap<String, String> {
    let mut fields = query(&String::from_utf8_lossy(&call.body));
    fields.extend(query(&call.query));
    fields
}

fn data(items: Vec<Value>) -> Answer {
    Answer::json(
        200,
        &json!({"data": items, "paging": {"cursors": {"before": "A", "after": "Z"}}}),
    )
}

fn success() -> Answer {
    Answer::json(200, &json!({"success": true}))
}

fn error(code: u32, message: &str) -> Answer {
    let error = json!({"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"});
    Answer::json(400, &json!({"error": error}))
}
