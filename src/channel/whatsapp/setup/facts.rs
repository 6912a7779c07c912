//! What Meta says of a token, a number, an account and an app. A field that is missing is not known, and nothing more.

use serde_json::Value;

use super::super::json;

/// The `object` of a subscription that concerns WhatsApp.
pub(super) const OBJECT: &str = "whatsapp_business_account";

/// What `debug_token` says.
#[derive(Debug, Default)]
pub(super) struct TokenFacts {
    /// Whether it can be used.
    pub valid: bool,
    /// The permissions.
    pub scopes: Vec<String>,
    /// Until when, in seconds since the epoch; none for ever.
    pub expires_at: Option<i64>,
    /// The WhatsApp Business Accounts that it was given, as far as Meta lists them.
    pub accounts: Vec<String>,
}

/// What a number is.
#[derive(Debug, Default)]
pub(super) struct Number {
    /// The number as people write it.
    pub display: Option<String>,
    /// The name that people see.
    pub name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<String>,
    /// `STANDARD`, `HIGH` or `NOT_APPLICABLE`.
    pub throughput: Option<String>,
    /// `AVAILABLE`, `LIMITED` or `BLOCKED`.
    pub health: Option<String>,
    /// What limits or blocks it, in Meta's words.
    pub hindrances: Vec<String>,
    /// The account that it belongs to, by its health.
    pub account: Option<String>,
    /// The app that was looked through, by its health: that of the token.
    pub app: Option<String>,
    /// The callback that is set for the number itself.
    pub callback: Option<String>,
    /// The callback that is set for the account.
    pub account_callback: Option<String>,
    /// The callback that is set for the app.
    pub app_callback: Option<String>,
}

/// An app that gets an account's webhooks.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The callback that is set for the account.
    pub callback: Option<String>,
}

/// Where an app gets its webhooks, and which.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// The address.
    pub callback: Option<String>,
    /// Whether it is in use.
    pub active: bool,
    /// The fields.
    pub fields: Vec<String>,
}

impl TokenFacts {
    /// Reads the answer of `debug_token`.
    pub(super) fn read(body: &Value) -> Self {
        let data = body.get("data").unwrap_or(&Value::Null);
        let ours = |granted: &&Value| {
            json::text(granted, "scope").is_some_and(|scope| scope.starts_with("whatsapp_business"))
        };
        Self {
            valid: data.get("is_valid").and_then(Value::as_bool) == Some(true),
            scopes: texts(data.get("scopes")),
            // Meta writes 0 for a token that never ends.
            expires_at: data
                .get("expires_at")
                .and_then(Value::as_i64)
                .filter(|at| *at > 0),
            accounts: items(data.get("granular_scopes"))
                .filter(ours)
                .flat_map(|granted| texts(granted.get("target_ids")))
                .collect(),
        }
    }
}

impl Number {
    /// Reads a number's fields.
    pub(super) fn read(body: &Value) -> Self {
        let text = |name| json::text(body, name).map(str::to_owned);
        let health = body.get("health_status").unwrap_or(&Value::Null);
        let callbacks = body.get("webhook_configuration").unwrap_or(&Value::Null);
        let entity = |kind: &str| {
            let found = items(health.get("entities"))
                .find(|entity| json::text(entity, "entity_type") == Some(kind))?;
            json::scalar(found, "id")
        };
        Self {
            display: text("display_phone_number"),
            name: text("verified_name"),
            quality: text("quality_rating"),
            throughput: body
                .get("throughput")
                .and_then(|throughput| json::text(throughput, "level"))
                .map(str::to_owned),
            health: json::text(health, "can_send_message").map(str::to_owned),
            hindrances: items(health.get("entities")).flat_map(hindrances).collect(),
            account: entity("WABA"),
            app: entity("APP"),
            // Set as `override_callback_uri`, read as `phone_number`.
            callback: address(callbacks, "phone_number")
                .or_else(|| address(callbacks, "override_callback_uri")),
            account_callback: address(callbacks, "whatsapp_business_account"),
            app_callback: address(callbacks, "application"),
        }
    }
}

impl Subscriber {
    /// Reads one of an account's `subscribed_apps`.
    pub(super) fn read(item: &Value) -> Option<Self> {
        let app = item.get("whatsapp_business_api_data").unwrap_or(item);
        Some(Self {
            id: json::scalar(app, "id")?,
            name: json::text(app, "name").unwrap_or("unnamed").to_owned(),
            callback: address(item, "override_callback_uri"),
        })
    }
}

impl Subscription {
    /// Finds WhatsApp's among an app's subscriptions.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let ours = items(body.get("data")).find(|item| json::text(item, "object") == Some(OBJECT))?;
        Some(Self {
            callback: address(ours, "callback_url"),
            active: ours.get("active").and_then(Value::as_bool) != Some(false),
            fields: items(ours.get("fields"))
                .filter_map(|field| field.as_str().or_else(|| json::text(field, "name")))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// Why a part of the way to people (the number, the account, the business, the app) is limited or blocked.
fn hindrances(entity: &Value) -> Vec<String> {
    let kind = json::text(entity, "entity_type").unwrap_or("part");
    let errors = items(entity.get("errors")).map(|error| {
        let said = ["error_description", "possible_solution"].map(|name| json::text(error, name));
        said.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    errors
        .chain(texts(entity.get("additional_info")))
        .filter(|words| !words.is_empty())
        .map(|words| format!("{kind}: {words}"))
        .collect()
}

/// An address in this field; an empty one is none.
fn address(value: &Value, name: &str) -> Option<String> {
    json::text(value, name)
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
}

/// The items of a list.
pub(super) fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    items(list).filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_read_as_meta_documents_it() {
        let read = Number::read(&json!({
            "display_phone_number": "+1 555-000-0000", "verified_name": "Jasper's", "quality_rating": "GREEN",
            "throughput": {"level": "STANDARD"},
            "health_status": {"can_send_message": "BLOCKED", "entities": [
                {"entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE"},
                {"entity_type": "WABA", "id": "2", "can_send_message": "BLOCKED", "errors": [
                    {"error_code": 141_006, "error_description": "No payment method.",
                     "possible_solution": "Add one."}]},
                {"entity_type": "BUSINESS", "id": "3", "can_send_message": "LIMITED",
                 "additional_info": ["Not verified."]},
                {"entity_type": "APP", "id": "4", "can_send_message": "AVAILABLE"}]},
            "webhook_configuration": {"phone_number": "https://n", "application": "https://a",
                "whatsapp_business_account": ""}}));
        assert_eq!(
            (read.account.as_deref(), read.app.as_deref()),
            (Some("2"), Some("4"))
        );
        assert_eq!(
            read.hindrances,
            ["WABA: No payment method. Add one.", "BUSINESS: Not verified."]
        );
        assert_eq!(read.callback.as_deref(), Some("https://n"));
        assert_eq!(read.account_callback, None);
        assert_eq!(read.app_callback.as_deref(), Some("https://a"));
        assert_eq!(Number::read(&json!({})).display, None);
    }

    #[test]
    fn a_token_names_its_permissions_and_accounts() {
        let read = TokenFacts::read(&json!({"data": {"is_valid": true, "expires_at": 0,
            "scopes": ["whatsapp_business_messaging", "public_profile"],
            "granular_scopes": [{"scope": "whatsapp_business_messaging", "target_ids": ["2"]},
                {"scope": "pages_messaging", "target_ids": ["9"]}]}}));
        assert!(read.valid && read.expires_at.is_none());
        assert_eq!(
            (read.scopes.len(), read.accounts.as_slice()),
            (2, &["2".to_owned()][..])
        );
        assert!(!TokenFacts::read(&json!({"data": {"is_valid": false}})).valid);
    }

    #[test]
    fn a_subscription_is_whatsapps_own() {
        let page = json!({"object": "page", "callback_url": "https://p", "fields": []});
        let ours = json!({"object": OBJECT, "callback_url": "https://c", "active": true,
            "fields": [{"name": "messages", "version": "v26.0"}, "account_update"]});
        let read = Subscription::read(&json!({"data": [page, ours]})).unwrap();
        assert_eq!(read.callback.as_deref(), Some("https://c"));
        assert_eq!(
            (read.active, read.fields.join(" ")),
            (true, "messages account_update".to_owned())
        );
        assert!(Subscription::read(&json!({"data": [page]})).is_none());
    }
}
