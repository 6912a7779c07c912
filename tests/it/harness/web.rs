//! HTTP from the outside, and the runtime on which the stubs live.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

/// The runtime of all stubs and of the client.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    });
    &RUNTIME
}

fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Whoever comes second finds it installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(2))
            .build()
            .unwrap()
    });
    &CLIENT
}

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// Posts a body. An error is a call without a whole answer.
pub(crate) fn post(url: &str, headers: &[(&str, String)], body: Vec<u8>) -> Result<Reply, String> {
    let mut request = client().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    runtime().block_on(call(request))
}

/// An answer as a browser sees it.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: http::HeaderMap,
    /// The body.
    pub(crate) body: String,
}

impl Page {
    /// A header; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Visits a page with a browser that has this cookie.
pub(crate) fn browse(url: &str, cookie: &str) -> Page {
    try_browse(url, cookie).unwrap()
}

/// The same, where it may break off.
pub(crate) fn try_browse(url: &str, cookie: &str) -> reqwest::Result<Page> {
    let mut request = client().get(url);
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    visit(request)
}

/// Sends a form, as a browser would.
pub(crate) fn submit(url: &str, headers: &[(&str, &str)], body: &str) -> Page {
    let mut request = client().post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    visit(request).unwrap()
}

fn visit(request: reqwest::RequestBuilder) -> reqwest::Result<Page> {
    runtime().block_on(async {
        let response = request.send().await?;
        Ok(Page {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    })
}

/// Gets a page.
pub(crate) fn get(url: &str) -> Result<Reply, String> {
    runtime().block_on(call(client().get(url)))
}

pub(super) async fn call(request: reqwest::RequestBuilder) -> Result<Reply, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(|error| error.to_string())?;
    Ok(Reply {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
