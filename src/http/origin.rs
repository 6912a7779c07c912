//! Whose pages may speak to a listener that browsers reach.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method};

use super::errors::ApiError;

/// What a browser says of the page that makes a request (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a proxy tells of the name by which it was called.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether the request that these headers are of was made by a page of this very server, or by no page. A browser
/// tells by `Sec-Fetch-Site`, older ones by `Origin`. No page can make a browser send `X-Forwarded-Host` to another
/// server, so that a proxy's is believed.
pub fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text(ORIGIN).is_none_or(|origin| {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        host.is_some() && (host == text(HOST) || host == text(FORWARDED_HOST))
    });
    site && origin
}

/// Whether the request names this machine by an address and not by a name that a stranger may have pointed here.
fn is_addressed(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

/// Lets only this machine's own pages act: for a listener without a login. It must be called by an address or as
/// `localhost`, and a request that changes something must come from a page of this very server.
pub async fn own_pages_only(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_addressed(headers) && (reads || is_own(headers)) {
        next.run(request).await
    } else {
        ApiError::Forbidden("only the pages of this server may do this, called by its address")
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_page_of_another_server_is_told_apart() {
        for (site, origin, own) in [
            ("same-origin", "http://127.0.0.1:9090", true),
            ("none", "https://127.0.0.1:9090", true),
            ("cross-site", "http://127.0.0.1:9090", false),
            ("same-site", "http://127.0.0.1:9090", false),
            ("same-origin", "http://127.0.0.1:9091", false),
            ("same-origin", "http://evil.example", false),
            ("same-origin", "null", false),
        ] {
            let headers = headers(&[
                ("host", "127.0.0.1:9090"),
                ("sec-fetch-site", site),
                ("origin", origin),
            ]);
            assert_eq!(is_own(&headers), own, "{site} {origin}");
        }
        assert!(is_own(&headers(&[("host", "127.0.0.1:9090")])));
        assert!(is_own(&headers(&[
            ("host", "127.0.0.1:9090"),
            ("x-forwarded-host", "bridge.example"),
            ("origin", "https://bridge.example"),
        ])));
    }

    #[test]
    fn a_name_that_was_pointed_here_is_no_address() {
        for (host, address) in [
            ("127.0.0.1:80", true),
            ("localhost", true),
            ("localhost:8080", true),
            ("[::1]:8080", true),
            ("evil.example:80", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(is_addressed(&headers(&[("host", host)])), address, "{host}");
        }
        assert!(!is_addressed(&HeaderMap::new()));
    }
}
