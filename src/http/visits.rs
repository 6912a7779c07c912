//! Pages for people with a browser: how they look, and the headers that keep them harmless.

use std::sync::{Arc, LazyLock};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HeaderName, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::body::discard;
use crate::channel::Channel;
use crate::channel::visit::{Content, Page, Visit};

/// How a page looks.
const STYLE: &str = "\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f5f5f4;color:#1c1917;\
font:1.0625rem/1.6 system-ui,sans-serif}\
main{max-width:30rem;margin:1.5rem;padding:2rem 2.5rem;background:#fff;border-radius:.75rem;\
box-shadow:0 1px 3px #0002}\
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.3}p{margin:.75rem 0 0}a{color:#0b57d0}\
@media(prefers-color-scheme:dark){body{background:#1c1917;color:#f5f5f4}main{background:#292524}a{color:#8ab4f8}}";

/// Nothing may be loaded, run, framed or sent from a page; only its own style counts, by its digest.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Headers of every answer to a browser. The address of a page may hold what is secret for a while: it is neither
/// kept nor told to the next page.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Lets a channel answer a browser.
pub(super) async fn serve(channel: Arc<dyn Channel>, path: &'static str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body);
    let cookies = parts.headers.get(COOKIE).and_then(|value| value.to_str().ok());
    let page = channel.visit(Visit {
        path,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        cookies: cookies.map(str::to_owned),
    });
    render(page.await)
}

fn render(page: Page) -> Response {
    let mut response = match page.content {
        Content::Redirect(to) => match HeaderValue::from_str(&to) {
            Ok(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
            // A channel builds its addresses of encoded parts only.
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Content::Card {
            status,
            title,
            lines,
            link,
        } => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, html)], document(&title, &lines, link)).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.extend(ALWAYS);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    if let Some(cookie) = page.cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

fn document(title: &str, lines: &[String], link: Option<(&str, &str)>) -> String {
    let title = escape(title);
    let words = lines.iter().map(|line| escape(line));
    let link = link.map(|(words, path)| format!("<a href=\"{}\">{}</a>", escape(path), escape(words)));
    let paragraphs: Vec<String> = words
        .chain(link)
        .map(|inside| format!("<p>{inside}</p>"))
        .collect();
    let text = paragraphs.join("\n");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{text}\n</main>\n</body>\n</html>\n"
    )
}

/// Text as HTML, also within quotes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_card_is_strict_and_shows_words_as_words() {
        let lines = vec!["<script>alert('x')</script> & \"more\"".to_owned()];
        let page = Page::card(StatusCode::BAD_REQUEST, "Not <b>so</b>", lines).with_link("Again", "/a?b=1&c");
        let (parts, body) = render(page.with_cookie("a=b; Path=/".to_owned())).into_parts();
        let html = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert_eq!(parts.status, 400);
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("set-cookie", "a=b; Path=/"),
        ] {
            assert_eq!(parts.headers[name], value, "{name}");
        }
        let policy = parts.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(
            html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;"),
            "{html}"
        );
        assert!(html.contains("<a href=\"/a?b=1&amp;c\">Again</a>"), "{html}");
    }

    #[test]
    fn a_redirect_leads_on() {
        let response = render(Page::redirect("https://a.example/x?y=1"));
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()[LOCATION], "https://a.example/x?y=1");
        assert_eq!(render(Page::redirect("https://a.example/\n")).status(), 500);
    }
}
