//! What people send that is no text, in words that the agent can be asked: places, contacts, orders, forms, and what
//! surrounds a message.

use serde_json::Value;

use super::json;
use super::kinds::Words;

/// A place: its name and address as far as they are told, and its coordinates.
pub(super) fn location(message: &Value) -> Words {
    let Some(location) = message.get("location") else {
        return Words::None;
    };
    let coordinate = |name| {
        let text = json::scalar(location, name)?;
        let degrees: f64 = text.trim().parse().ok()?;
        degrees.is_finite().then(|| text.trim().to_owned())
    };
    let (Some(latitude), Some(longitude)) = (coordinate("latitude"), coordinate("longitude")) else {
        return Words::None;
    };
    let place: Vec<String> = ["name", "address"]
        .into_iter()
        .filter_map(|name| said(location, name))
        .collect();
    let gap = if place.is_empty() { "" } else { " " };
    let place = place.join(", ");
    Words::Written(format!("Location: {place}{gap}({latitude}, {longitude})"))
}

/// Contacts: a line for each, with the name and the numbers.
pub(super) fn contacts(message: &Value) -> Words {
    let Some(contacts) = message.get("contacts").and_then(Value::as_array) else {
        return Words::None;
    };
    let lines: Vec<String> = contacts.iter().filter_map(contact).collect();
    if lines.is_empty() {
        Words::None
    } else {
        Words::Written(lines.join("\n"))
    }
}

/// A contact's name may be missing, and its number may stand in `phone` or only as `wa_id`.
fn contact(contact: &Value) -> Option<String> {
    let name = contact.get("name").and_then(|name| {
        let parts = ["first_name", "last_name"].into_iter();
        said(name, "formatted_name").or_else(|| {
            let parts: Vec<String> = parts.filter_map(|part| said(name, part)).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        })
    });
    let phones = contact.get("phones").and_then(Value::as_array);
    let number = |phone: &Value| {
        let whole = json::scalar(phone, "wa_id").map(|digits| format!("+{digits}"));
        said(phone, "phone").or(whole)
    };
    let numbers: Vec<String> = phones.into_iter().flatten().filter_map(number).collect();
    let told: Vec<String> = name.into_iter().chain(numbers).collect();
    (!told.is_empty()).then(|| format!("Contact: {}", told.join(", ")))
}

/// An order: a line for each product, and what was written with it.
pub(super) fn order(message: &Value) -> Words {
    let Some(order) = message.get("order") else {
        return Words::None;
    };
    let items = order.get("product_items").and_then(Value::as_array);
    let lines: Vec<String> = items.into_iter().flatten().filter_map(product).collect();
    let written = said(order, "text");
    if lines.is_empty() && written.is_none() {
        return Words::None;
    }
    let head = (!lines.is_empty()).then(|| "Order:".to_owned());
    let all: Vec<String> = head.into_iter().chain(lines).chain(written).collect();
    Words::Written(all.join("\n"))
}

/// `2 × SKU-1, 9.90 EUR each`; quantity and price are written as numbers or as texts.
fn product(item: &Value) -> Option<String> {
    let name = json::scalar(item, "product_retailer_id").filter(|name| !name.trim().is_empty())?;
    let quantity = json::scalar(item, "quantity").unwrap_or_else(|| "1".to_owned());
    let price = json::scalar(item, "item_price").map(|price| {
        let currency = said(item, "currency").map_or(String::new(), |currency| format!(" {currency}"));
        format!(", {price}{currency} each")
    });
    Some(format!("{quantity} × {name}{}", price.unwrap_or_default()))
}

/// A form that was filled in (a flow): a line for each of its simple fields. `response_json` is JSON within a text.
pub(super) fn form(reply: &Value) -> Words {
    let fields =
        json::text(reply, "response_json").and_then(|text| crate::channel::json::read(text.as_bytes()));
    let Some(Value::Object(fields)) = fields else {
        return Words::None;
    };
    let line = |(name, value): (&String, &Value)| {
        // The token is for the business's own bookkeeping.
        let value = (name != "flow_token").then(|| plain(value))??;
        Some(format!("{name}: {value}"))
    };
    let lines: Vec<String> = fields.iter().filter_map(line).collect();
    if lines.is_empty() {
        return Words::None;
    }
    let name = said(reply, "name").filter(|name| name != "flow");
    let head = name.map_or("Form:".to_owned(), |name| format!("Form {name}:"));
    Words::Written(format!("{head}\n{}", lines.join("\n")))
}

/// A simple value, or a list of simple ones, as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .filter(|item| !item.is_array())
                .filter_map(plain)
                .collect();
            (!items.is_empty()).then(|| items.join(", "))
        }
        Value::Object(_) | Value::Null => None,
    }
}

/// A message's words below a line for what else is told of it: that it was forwarded, the product or the
/// advertisement that it is about.
pub(super) fn framed(message: &Value, words: String) -> String {
    let context = message.get("context").unwrap_or(&Value::Null);
    let is = |name| context.get(name).and_then(Value::as_bool) == Some(true);
    let forwarded = (is("forwarded") || is("frequently_forwarded")).then(|| "[Forwarded]".to_owned());
    let product = context
        .get("referred_product")
        .and_then(|product| json::scalar(product, "product_retailer_id"))
        .map(|product| format!("[About the product {product}]"));
    let advertisement = message.get("referral").and_then(advertisement);
    let frame: Vec<String> = [advertisement, product, forwarded]
        .into_iter()
        .flatten()
        .collect();
    if frame.is_empty() || words.is_empty() {
        return words;
    }
    format!("{}\n{words}", frame.join("\n"))
}

/// What the person clicked on before they wrote.
fn advertisement(referral: &Value) -> Option<String> {
    let what = if json::text(referral, "source_type") == Some("post") {
        "post"
    } else {
        "advertisement"
    };
    let told: Vec<String> = ["headline", "body", "source_url"]
        .into_iter()
        .filter_map(|name| said(referral, name))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!told.is_empty()).then(|| format!("[From the {what}: {}]", told.join(" – ")))
}

/// The id of the message that this one replies to. What was forwarded has a context without one.
pub(super) fn quotes(message: &Value) -> Option<String> {
    let id = json::text(message.get("context")?, "id")?;
    super::parse::plain_message_id(id)
}

/// Words in a field, if there are any.
fn said(value: &Value, name: &str) -> Option<String> {
    json::words(value, name).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(text: &str) -> Words {
        Words::Written(text.to_owned())
    }

    #[test]
    fn a_place_is_asked_as_words_and_coordinates() {
        for (place, expected) in [
            (
                json!({"latitude": 48.137, "longitude": 11.576, "name": "Marienplatz", "address": "Munich"}),
                "Location: Marienplatz, Munich (48.137, 11.576)",
            ),
            (
                json!({"latitude": "-1.5", "longitude": "0"}),
                "Location: (-1.5, 0)",
            ),
        ] {
            assert_eq!(location(&json!({ "location": place })), asked(expected));
        }
        for place in [
            json!({"latitude": 1}),
            json!({"latitude": "north", "longitude": 1}),
            json!(null),
        ] {
            assert_eq!(location(&json!({ "location": place })), Words::None);
        }
    }

    #[test]
    fn contacts_are_asked_as_names_and_numbers() {
        let contacts_of = |list: Value| contacts(&json!({ "contacts": list }));
        let list = json!([
            {"name": {"formatted_name": "Ann Bee", "first_name": "Ann"}, "phones": [{"phone": "+1 650 555"}, {"wa_id": "1650"}]},
            {"name": {"first_name": "Cy", "last_name": "Dee"}},
            {"phones": [{"phone": "112"}]},
            {"vcard": "…"}, 7,
        ]);
        assert_eq!(
            contacts_of(list),
            asked("Contact: Ann Bee, +1 650 555, +1650\nContact: Cy Dee\nContact: 112")
        );
        assert_eq!(contacts_of(json!([{}])), Words::None);
        assert_eq!(contacts_of(json!("x")), Words::None);
    }

    #[test]
    fn an_order_is_asked_line_by_line() {
        let items = json!([{"product_retailer_id": "MUG", "quantity": 2, "item_price": 9.9, "currency": "EUR"},
            {"product_retailer_id": "HAT", "quantity": "1"}, {"quantity": 3}]);
        let message = json!({"order": {"catalog_id": "1", "text": "by Friday?", "product_items": items}});
        assert_eq!(
            order(&message),
            asked("Order:\n2 × MUG, 9.9 EUR each\n1 × HAT\nby Friday?")
        );
        assert_eq!(order(&json!({"order": {"product_items": []}})), Words::None);
    }

    #[test]
    fn a_form_is_asked_field_by_field() {
        let filled = r#"{"flow_token":"t","city":"Rome","guests":2,"extras":["pool","spa"],"deep":{"a":1}}"#;
        let reply = json!({"name": "booking", "body": "Sent", "response_json": filled});
        assert_eq!(
            form(&reply),
            asked("Form booking:\ncity: Rome\nextras: pool, spa\nguests: 2")
        );
        for bad in ["{", "[]", "{}", r#"{"flow_token":"t"}"#] {
            assert_eq!(form(&json!({"name": "flow", "response_json": bad})), Words::None);
        }
    }

    #[test]
    fn what_surrounds_a_message_stands_above_it() {
        let message = json!({"context": {"forwarded": true},
            "referral": {"source_type": "ad", "headline": "Blue\nmugs", "source_url": "https://fb.me/1"}});
        assert_eq!(
            framed(&message, "How much?".to_owned()),
            "[From the advertisement: Blue mugs – https://fb.me/1]\n[Forwarded]\nHow much?"
        );
        assert_eq!(framed(&json!({"context": {"id": "x"}}), "Hi".to_owned()), "Hi");
    }
}
