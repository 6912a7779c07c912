//! What stands below an answer, and what comes back when somebody presses it.
//!
//! Buttons are blocks, and a message with blocks shows its text only in notifications: the text stands once more in
//! a block of its own, as `rich_text`, in which nothing that the agent wrote comes alive (docs.slack.dev, Block Kit:
//! `rich_text`, `context_actions`, `actions`).

use serde_json::{Value, json};

use crate::domain::DeliveryId;
use crate::domain::texts::Texts;

use super::words;

/// The action of the two buttons that judge an answer.
pub(super) const JUDGE: &str = "chatbridge_judge";

/// The action of the button that calls a person.
pub(super) const CALL_PERSON: &str = "chatbridge_person";

/// The most characters on a button (docs.slack.dev, "Button element").
const LONGEST_LABEL: usize = 75;

/// The words in front of the delivery in what a judging button brings back.
const VERDICTS: [(&str, bool); 2] = [("helpful", true), ("not_helpful", false)];

/// The buttons below an answer.
pub(super) struct Buttons {
    helpful: String,
    not_helpful: String,
    call_person: String,
}

impl Buttons {
    /// Buttons with these words on them; one without a word is left out.
    pub(super) fn new(texts: &Texts) -> Self {
        Self {
            helpful: label(&texts.helpful),
            not_helpful: label(&texts.not_helpful),
            call_person: label(&texts.call_person),
        }
    }

    /// The blocks of a part with the buttons below it; none if there are no buttons.
    pub(super) fn blocks(&self, body: &str, delivery: DeliveryId) -> Option<Value> {
        let mut blocks = vec![text_block(body)];
        if !self.helpful.is_empty() && !self.not_helpful.is_empty() {
            let button = |label: &str, (verdict, _): (&str, bool)| json!({"text": plain(label), "value": format!("{verdict} {delivery}")});
            blocks.push(json!({
                "type": "context_actions",
                "elements": [{
                    "type": "feedback_buttons",
                    "action_id": JUDGE,
                    "positive_button": button(&self.helpful, VERDICTS[0]),
                    "negative_button": button(&self.not_helpful, VERDICTS[1]),
                }],
            }));
        }
        if !self.call_person.is_empty() {
            blocks.push(json!({
                "type": "actions",
                "elements": [{
                    "type": "button",
                    "action_id": CALL_PERSON,
                    "text": plain(&self.call_person),
                    "value": delivery.to_string(),
                }],
            }));
        }
        (blocks.len() > 1).then(|| blocks.into())
    }
}

/// What a judging button brought back: whether the answer was helpful, and the part that it stood below.
pub(super) fn verdict(value: &str) -> Option<(bool, DeliveryId)> {
    let (word, delivery) = value.split_once(' ')?;
    let (_, helpful) = VERDICTS.into_iter().find(|(verdict, _)| *verdict == word)?;
    Some((helpful, delivery.parse().ok()?))
}

fn label(text: &str) -> String {
    text.trim().chars().take(LONGEST_LABEL).collect()
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

/// A part as a block: its words as they are, and its addresses as links that say where they lead.
fn text_block(body: &str) -> Value {
    // The body is escaped for a text field; this one takes it bare.
    let bare = words::unescape(body);
    let mut elements = Vec::new();
    let mut rest = bare.as_str();
    while let Some((start, end)) = address(rest) {
        if start > 0 {
            elements.push(json!({"type": "text", "text": &rest[..start]}));
        }
        elements.push(json!({"type": "link", "url": &rest[start..end]}));
        rest = &rest[end..];
    }
    if !rest.is_empty() || elements.is_empty() {
        elements.push(json!({"type": "text", "text": rest}));
    }
    json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]})
}

/// Where the next address of a page begins and ends. What ends a sentence is not part of it.
fn address(text: &str) -> Option<(usize, usize)> {
    let start = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| text.find(scheme))
        .min()?;
    let run = &text[start..];
    let end = run
        .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '|'))
        .unwrap_or(run.len());
    let run = run[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '*', '_', '`']);
    Some((start, start + run.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::slack::render;
    use crate::domain::ThreadId;

    fn section(body: &str) -> Vec<Value> {
        text_block(body)["elements"][0]["elements"]
            .as_array()
            .unwrap()
            .clone()
    }

    #[test]
    fn a_part_is_words_and_links() {
        let link = |url: &str| json!({"type": "link", "url": url});
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(
            section("Fish &amp; *chips* &lt;!here&gt;"),
            [text("Fish & *chips* <!here>")]
        );
        assert_eq!(
            section("See https://a.example/?x=1&amp;y=2, or (http://b.example)."),
            [
                text("See "),
                link("https://a.example/?x=1&y=2"),
                text(", or ("),
                link("http://b.example"),
                text(").")
            ]
        );
        assert_eq!(section("https://a.example"), [link("https://a.example")]);
        assert_eq!(section(""), [text("")]);
    }

    #[test]
    fn a_verdict_comes_back_as_it_was_given_out() {
        let delivery = DeliveryId::new(ThreadId::new(), 7);
        assert_eq!(verdict(&format!("helpful {delivery}")), Some((true, delivery)));
        assert_eq!(
            verdict(&format!("not_helpful {delivery}")),
            Some((false, delivery))
        );
        for odd in [
            "",
            "helpful",
            "helpful x",
            &delivery.to_string(),
            &format!("great {delivery}"),
        ] {
            assert_eq!(verdict(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_a_block(text in "[a-z .,&<>:/)]*(https?://[a-z./?&]*)?[a-z .]*") {
            let said: String = section(&render::escape(&text))
                .iter()
                .map(|element| element["text"].as_str().or(element["url"].as_str()).unwrap().to_owned())
                .collect();
            prop_assert_eq!(said, text);
        }
    }
}
