//! The Graph API as far as the set-up needs it: what a token may do, what a number, an account and an app are set to.
//!
//! The calls and their fields are those of Meta's Graph API reference and its page *Webhook overrides*. Reading is
//! lenient: a field that is missing is not known, and nothing more.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::super::json;
use super::facts::{self, Number, OBJECT, Subscriber, Subscription, TokenFacts};
use super::trouble::{Trouble, read};
use crate::outbound::{self, Failure};

/// How long a call may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked of a number.
const NUMBER_FIELDS: &str =
    "display_phone_number,verified_name,quality_rating,throughput,health_status,webhook_configuration";

/// How many items a page of a list has, and how many pages are read at most.
const PAGE: &str = "100";
const PAGES: usize = 10;

/// A caller of the Graph API.
pub(super) struct Graph {
    pub(super) http: reqwest::Client,
    /// Address and version, without a slash at the end.
    base: String,
}

impl Graph {
    pub(super) fn new(api_base: &str, api_version: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            base: format!(
                "{}/{}",
                api_base.trim_end_matches('/'),
                api_version.trim_matches('/')
            ),
        })
    }

    /// What a token may do, as an app is told (`APP_ID|APP_SECRET`).
    pub(super) async fn token(
        &self,
        token: &SecretString,
        app_key: &SecretString,
    ) -> Result<TokenFacts, Trouble> {
        let query = [("input_token", token.expose_secret())];
        let body = self.get("debug_token", &query, app_key).await?;
        Ok(TokenFacts::read(&body))
    }

    /// A number.
    pub(super) async fn number(&self, id: &str, token: &SecretString) -> Result<Number, Trouble> {
        let body = self.get(id, &[("fields", NUMBER_FIELDS)], token).await?;
        Ok(Number::read(&body))
    }

    /// The numbers of an account.
    pub(super) async fn numbers(&self, account: &str, token: &SecretString) -> Result<Vec<String>, Trouble> {
        let list = self.list(&format!("{account}/phone_numbers"), token).await?;
        Ok(list.iter().filter_map(|item| json::scalar(item, "id")).collect())
    }

    /// The apps that get an account's webhooks.
    pub(super) async fn subscribers(
        &self,
        account: &str,
        token: &SecretString,
    ) -> Result<Vec<Subscriber>, Trouble> {
        let list = self.list(&format!("{account}/subscribed_apps"), token).await?;
        Ok(list.iter().filter_map(Subscriber::read).collect())
    }

    /// Where an app gets its webhooks; none if it was never told.
    pub(super) async fn subscription(
        &self,
        app: &str,
        app_key: &SecretString,
    ) -> Result<Option<Subscription>, Trouble> {
        let body = self.get(&format!("{app}/subscriptions"), &[], app_key).await?;
        Ok(Subscription::read(&body))
    }

    /// Sets where an app gets its webhooks, and which, in place of what was set. Meta calls the address at once.
    pub(super) async fn subscribe(
        &self,
        app: &str,
        app_key: &SecretString,
        callback: &str,
        verify_token: &SecretString,
        fields: &[String],
    ) -> Result<(), Trouble> {
        let form = [
            ("object", OBJECT),
            ("callback_url", callback),
            ("verify_token", verify_token.expose_secret()),
            ("fields", &fields.join(",")),
        ];
        let request = self
            .http
            .post(format!("{}/{app}/subscriptions", self.base))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(&form));
        done(call(request, app_key).await)
    }

    /// Lets the token's app have an account's webhooks, at the app's own callback: one that was set for the account is
    /// gone thereby.
    pub(super) async fn join(&self, account: &str, token: &SecretString) -> Result<(), Trouble> {
        let request = self.http.post(format!("{}/{account}/subscribed_apps", self.base));
        done(call(request, token).await)
    }

    /// Takes a number's own callback away.
    pub(super) async fn clear_number(&self, number: &str, token: &SecretString) -> Result<(), Trouble> {
        let request = self.http.post(format!("{}/{number}", self.base));
        let nothing = json!({"webhook_configuration": {"override_callback_uri": ""}});
        done(call(request.json(&nothing), token).await)
    }

    async fn get(&self, path: &str, query: &[(&str, &str)], token: &SecretString) -> Result<Value, Trouble> {
        let unusable = |_| {
            Trouble::Call(Failure::NotSent(
                "whatsapp.api_base with this path is no address".to_owned(),
            ))
        };
        let mut address = Url::parse(&format!("{}/{path}", self.base)).map_err(unusable)?;
        if !query.is_empty() {
            address.query_pairs_mut().extend_pairs(query);
        }
        call(self.http.get(address), token).await
    }

    /// All pages of a list.
    async fn list(&self, path: &str, token: &SecretString) -> Result<Vec<Value>, Trouble> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut query = vec![("limit", PAGE)];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let body = self.get(path, &query, token).await?;
            found.extend(facts::items(body.get("data")).cloned());
            let paging = body.get("paging").unwrap_or(&Value::Null);
            after = paging
                .get("cursors")
                .and_then(|cursors| json::text(cursors, "after"))
                .filter(|_| paging.get("next").is_some())
                .map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

async fn call(request: RequestBuilder, token: &SecretString) -> Result<Value, Trouble> {
    let request = request.bearer_auth(token.expose_secret().trim());
    read(&outbound::call(request).await.map_err(Trouble::Call)?)
}

/// A change is made if Meta says so.
fn done(answer: Result<Value, Trouble>) -> Result<(), Trouble> {
    let answer = answer?;
    if answer.get("success").and_then(Value::as_bool) == Some(false) {
        return Err(Trouble::Refused {
            code: -1,
            words: "Meta says that it was no success, and not why".to_owned(),
        });
    }
    Ok(())
}

/// A form as a body.
fn encoded(form: &[(&str, &str)]) -> String {
    // The address around it is only there because its query is written by the same rules.
    let Ok(mut url) = Url::parse("http://form.invalid/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_unless_meta_says_no() {
        assert!(done(Ok(json!({"success": true}))).is_ok());
        assert!(done(Ok(json!({"success": false}))).is_err());
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(encoded(&[("a", "x y&z"), ("b", "é")]), "a=x+y%26z&b=%C3%A9");
    }
}
