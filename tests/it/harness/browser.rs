//! A browser: Chromium, spoken to through its driver by the protocol of the W3C, `WebDriver`.
//!
//! `tests/run` installs both and names the driver in `CHATBRIDGE_CHROMEDRIVER`. Without it the tests that need a
//! browser say that they were skipped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::web::runtime;
use super::{Reply, eventually};

/// How long the browser may take for one command.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is told to Chromium: no windows, no helpers of its own that call out.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// The key under which the driver hands elements over.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    /// Goes with the browser.
    profile: TempDir,
}

/// An element of a page.
#[derive(Clone)]
pub(crate) struct Element(String);

impl Browser {
    /// A browser with a fresh profile; none where no driver is named.
    pub(crate) fn start() -> Option<Self> {
        let Some(driver) = std::env::var_os("CHATBRIDGE_CHROMEDRIVER") else {
            println!("skipped: CHATBRIDGE_CHROMEDRIVER names no driver of Chromium");
            return None;
        };
        // Whoever comes second finds it installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .find_map(|line| {
                line.unwrap()
                    .rsplit_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .unwrap();
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            profile,
        };
        let home = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([home.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        }}});
        let opened = browser.post("", &wanted);
        let id = opened["sessionId"].as_str().unwrap().to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.resize(1560, 1200);
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let request = self
            .client
            .post(format!("{}{path}", self.session))
            .body(body.to_string());
        answer(path, request).unwrap_or_else(|error| panic!("{error}"))
    }

    fn get(&self, path: &str) -> Value {
        answer(path, self.client.get(format!("{}{path}", self.session)))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens an address and waits until it is loaded.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// Makes the page so wide and high, in its own pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", &size);
        self.tell("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
    }

    /// Lets the page believe that the person prefers dark or light.
    pub(crate) fn prefer(&self, scheme: &str) {
        let scheme = json!({"name": "prefers-color-scheme", "value": scheme});
        self.tell("Emulation.setEmulatedMedia", &json!({"features": [scheme]}));
    }

    /// Ends what moves: a colour that is fading in is no finding.
    fn settle(&self) {
        self.run("document.getAnimations().forEach(animation => { try { animation.finish() } catch {} })");
    }

    /// A command of Chromium's own protocol.
    fn tell(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        )
    }

    /// Runs a script and returns what it returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same for a script that ends by calling its last argument.
    #[track_caller]
    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// The first element that a CSS selector finds, as soon as there is one.
    #[track_caller]
    pub(crate) fn find(&self, selector: &str) -> Element {
        let body = json!({"using": "css selector", "value": selector}).to_string();
        eventually(&format!("{selector} on {}", self.url()), || {
            let request = self.client.post(format!("{}/element", self.session));
            let found = answer(selector, request.body(body.clone())).ok()?;
            Some(Element(found[ELEMENT].as_str()?.to_owned()))
        })
    }

    /// Clicks on it as a person would, as soon as that is possible.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        eventually(&format!("a click on {selector}"), || {
            let element = self.find(selector).0;
            let request = self
                .client
                .post(format!("{}/element/{element}/click", self.session));
            answer(selector, request.body("{}")).ok()
        });
    }

    /// Types into it; `\u{e007}` is Enter, `\u{e004}` is Tab.
    #[track_caller]
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).0;
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Presses a key, wherever the focus is.
    pub(crate) fn press(&self, key: &str) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]});
        self.post("/actions", &actions);
    }

    /// All text that a selector's elements show, in lines.
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!(
            "return [...document.querySelectorAll({})].map(e => e.innerText).join('\\n')",
            Value::from(selector)
        );
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the elements of a selector show these words.
    #[track_caller]
    pub(crate) fn shows(&self, selector: &str, words: &str) {
        let mut shown = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(words, || {
                shown = self.text(selector);
                shown.contains(words).then_some(())
            });
        }));
        assert!(found.is_ok(), "{selector} does not show {words:?} but:\n{shown}");
    }

    /// Waits until no element of a selector shows these words.
    #[track_caller]
    pub(crate) fn lacks(&self, selector: &str, words: &str) {
        eventually(&format!("{selector} without {words}"), || {
            (!self.text(selector).contains(words)).then_some(())
        });
    }

    /// What the console of the page holds of warnings and errors.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let bad = |entry: &&Value| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING"));
        entries.iter().filter(bad).map(ToString::to_string).collect()
    }

    /// Everything that the page has loaded from elsewhere than its own server.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let script = "return performance.getEntriesByType('resource').map(e => e.name)\
                      .filter(name => new URL(name).origin !== location.origin)";
        let names = self.run(script);
        let names = names.as_array().cloned().unwrap_or_default();
        names.iter().map(ToString::to_string).collect()
    }

    /// What axe-core finds wrong with the page for people with a disability, of its two worst grades; nothing where
    /// `CHATBRIDGE_AXE` names no copy of it.
    pub(crate) fn barriers(&self) -> Vec<String> {
        let Some(axe) = std::env::var_os("CHATBRIDGE_AXE") else {
            println!("skipped: CHATBRIDGE_AXE names no axe-core");
            return Vec::new();
        };
        let axe = std::fs::read_to_string(axe).unwrap();
        let script = format!(
            "const done = arguments[arguments.length - 1];\n{axe};\naxe.run({{resultTypes: ['violations']}})\
             .then(found => done(found.violations), error => done([{{impact: 'serious', id: String(error)}}]))"
        );
        self.settle();
        let found = self.run_async(&script);
        let grave = |rule: &&Value| matches!(rule["impact"].as_str(), Some("serious" | "critical"));
        let told = |rule: &Value| {
            let nodes = rule["nodes"].as_array().cloned().unwrap_or_default();
            let places: Vec<String> = nodes.iter().map(|node| node["html"].to_string()).collect();
            format!("{}: {} at {}", rule["id"], rule["help"], places.join(", "))
        };
        found.as_array().unwrap().iter().filter(grave).map(told).collect()
    }

    /// Fails if the page complains, loads from elsewhere, or shuts people out.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        let url = self.url();
        assert_eq!(self.complaints(), Vec::<String>::new(), "the console of {url}");
        assert_eq!(self.strangers(), Vec::<String>::new(), "loaded by {url}");
        assert_eq!(self.barriers(), Vec::<String>::new(), "barriers on {url}");
    }

    /// A picture of the page, as PNG: of what is in view, or of all.
    pub(crate) fn picture(&self, whole: bool) -> Vec<u8> {
        let picture = self.tell(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": whole}),
        );
        let data = picture["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(data).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.client.post(format!("{}/se/log", self.session));
            let log = answer("the log", log.body(r#"{"type": "browser"}"#));
            eprintln!("the browser's log: {log:#?}");
        }
        // The driver ends the browser with the session.
        let ended = self.client.delete(&self.session);
        let _ = answer("the end", ended);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The value that the driver answers with, or its error.
fn answer(what: &str, request: reqwest::RequestBuilder) -> Result<Value, String> {
    let reply: Result<Reply, String> = runtime().block_on(super::web::call(request));
    let reply = reply.map_err(|error| format!("{what}: {error}"))?;
    let value = reply.json()["value"].clone();
    if reply.status == 200 {
        Ok(value)
    } else {
        Err(format!("{what}: {}: {}", value["error"], value["message"]))
    }
}
