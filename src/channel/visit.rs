//! People who come with a browser: what a channel is told of them, and what they get to see.
//!
//! A channel says only what stands on a page; how it looks, and the headers that keep it harmless, are the
//! listener's affair.

use http::StatusCode;

/// A visit of one of the channel's pages. Nobody knows who it is.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The path, one of the channel's own.
    pub path: &'static str,
    /// The query string, undecoded.
    pub query: String,
    /// The header `Cookie`, if there is one.
    pub cookies: Option<String>,
}

impl Visit {
    /// A parameter of the query, decoded; none if it is absent or there twice.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut values = form(&self.query).into_iter().filter(|(key, _)| key == name);
        let (_, only) = values.next()?;
        if values.next().is_some() { None } else { Some(only) }
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.cookies.as_deref()?.split(';');
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// The pairs of a query or a form, decoded.
fn form(text: &str) -> Vec<(String, String)> {
    let Ok(mut address) = reqwest::Url::parse("http://unused/") else {
        return Vec::new();
    };
    address.set_query(Some(text));
    address.query_pairs().into_owned().collect()
}

/// What a browser gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is.
    pub content: Content,
    /// The header `Set-Cookie`, if one is to be set.
    pub cookie: Option<String>,
}

/// What a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Go to this address.
    Redirect(String),
    /// A few words to read; none of them is markup.
    Card {
        /// The status.
        status: StatusCode,
        /// The heading.
        title: String,
        /// The paragraphs.
        lines: Vec<String>,
        /// A link below: its words, and a path on this host.
        link: Option<(&'static str, &'static str)>,
    },
}

impl Page {
    /// Sends the browser on.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self {
            content: Content::Redirect(to.into()),
            cookie: None,
        }
    }

    /// A few words.
    pub fn card(status: StatusCode, title: impl Into<String>, lines: Vec<String>) -> Self {
        Self {
            content: Content::Card {
                status,
                title: title.into(),
                lines,
                link: None,
            },
            cookie: None,
        }
    }

    /// The same with a link below.
    #[must_use]
    pub fn with_link(mut self, words: &'static str, path: &'static str) -> Self {
        if let Content::Card { link, .. } = &mut self.content {
            *link = Some((words, path));
        }
        self
    }

    /// The same with a cookie to set.
    #[must_use]
    pub fn with_cookie(mut self, cookie: String) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// For a path that the channel names and does not serve.
    pub(super) fn unknown(visit: &Visit) -> Self {
        let line = format!("There is nothing at {}.", visit.path);
        Self::card(StatusCode::NOT_FOUND, "Not found", vec![line])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_cookies_are_read() {
        let visit = Visit {
            path: "/x",
            query: "a=1%202&b=&a2=%C3%BC&twice=1&twice=2".to_owned(),
            cookies: Some("one=1; two=a=b;three".to_owned()),
        };
        for (name, value) in [
            ("a", Some("1 2")),
            ("b", Some("")),
            ("a2", Some("ü")),
            ("twice", None),
            ("c", None),
        ] {
            assert_eq!(visit.parameter(name).as_deref(), value, "{name}");
        }
        for (name, value) in [
            ("one", Some("1")),
            ("two", Some("a=b")),
            ("three", None),
            ("four", None),
        ] {
            assert_eq!(visit.cookie(name), value, "{name}");
        }
    }
}
