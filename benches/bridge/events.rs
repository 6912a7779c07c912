//! The events that are sent: signed, of the size and shape that the platforms send, each unlike the others.

use chatbridge::channel::signature::sign;
use secrecy::SecretString;

/// The secret that the servers are started with.
pub(crate) const SECRET: &str = "benchmark-signing-secret";

/// The word with which the servers let themselves be found by Meta.
pub(crate) const VERIFY_TOKEN: &str = "benchmark-word";

/// The number that people write to.
pub(crate) const PHONE_NUMBER_ID: &str = "106540352242922";

/// A mention in a channel: 1.25 KB. Each opens a thread of its own.
const MENTION: &str = r#"{"token":"xAbCdEfGhIjKlMnOpQrStUvW","team_id":"T00BENCH","context_team_id":"T00BENCH","context_enterprise_id":null,"api_app_id":"A00BENCHAPP","event":{"type":"app_mention","user":"U00WRITER01","ts":"{TS}","client_msg_id":"66cc9473-12a2-4934-bd57-30{ID}","text":"<@U00BENCHBOT> bench {ID} When do you open on Saturdays, and may I bring the shoes back that I bought last week?","team":"T00BENCH","blocks":[{"type":"rich_text","block_id":"jEztr","elements":[{"type":"rich_text_section","elements":[{"type":"user","user_id":"U00BENCHBOT"},{"type":"text","text":" When do you open on Saturdays, and may I bring the shoes back that I bought last week?"}]}]}],"channel":"C00BENCHCHAN","event_ts":"{TS}"},"type":"event_callback","event_id":"Ev0A{ID}","event_time":{SECONDS},"authorizations":[{"enterprise_id":null,"team_id":"T00BENCH","user_id":"U00BENCHBOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"event_context":"4-eyJldCI6ImFwcF9tZW50aW9uIiwidGlkIjoiVDAzU0g3RzAxR1UiLCJhaWQiOiJBMEE1RlVYUDFFRCIsImNpZCI6IkMwQTUxMU1CQ1VXIn0eyJldCI6ImFwcF9tZW50aW9uIiwidGlkIjoiVDAzU0g3RzAxR1UiLCJhaWQiOiJBMEE1RlVYUDFFRCIsImNpZCI6IkMwQTUxMU1CQ1VXIn0"}"#;

/// A text of a person: 0.7 KB. Each is written by somebody else.
const TEXT: &str = r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"Bench Writer"},"wa_id":"4915{ID}","user_id":"DE.1349{ID}"}],"messages":[{"from":"4915{ID}","from_user_id":"DE.1349{ID}","id":"wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEw{ID}","timestamp":"{SECONDS}","text":{"body":"bench {ID} When do you open on Saturdays, and may I bring the shoes back that I bought last week?"},"type":"text"}]},"field":"messages"}]}]}"#;

/// What Meta tells of an answer once it is sent.
const STATUS: &str = r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},"contacts":[{"profile":{"name":"Bench Writer"},"wa_id":"4915{ID}","user_id":"DE.1349{ID}"}],"statuses":[{"id":"wamid.ANSWER{ID}","status":"sent","timestamp":"{SECONDS}","recipient_id":"4915{ID}","recipient_user_id":"DE.1349{ID}","biz_opaque_callback_data":"{MARK}"}]},"field":"messages"}]}]}"#;

/// Where the events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Slack's Events API.
    Slack,
    /// Meta's WhatsApp Cloud API.
    WhatsApp,
}

impl Platform {
    /// As a reader calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Slack => "Slack",
            Self::WhatsApp => "WhatsApp",
        }
    }

    /// The whole request that brings the event of this number.
    pub(crate) fn event(self, id: usize) -> Vec<u8> {
        let now = jiff::Timestamp::now().as_second().to_string();
        let number = format!("{id:08}");
        let template = match self {
            Self::Slack => MENTION.replace("{TS}", &format!("{now}.{:06}", id % 1_000_000)),
            Self::WhatsApp => TEXT.to_owned(),
        };
        let body = template.replace("{ID}", &number).replace("{SECONDS}", &now);
        self.post(&now, &body)
    }

    /// A request that a server answers with 200 once it is up, and that makes no work: Slack's check of an address, and
    /// Meta's.
    pub(crate) fn greeting(self) -> Vec<u8> {
        if self == Self::WhatsApp {
            return format!(
                "GET /whatsapp/webhook?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1 HTTP/1.1\r\n\
                 host: bench\r\n\r\n"
            )
            .into_bytes();
        }
        let now = jiff::Timestamp::now().as_second().to_string();
        let body = r#"{"token":"xAbCdEfGhIjKlMnOpQrStUvW","challenge":"here","type":"url_verification"}"#;
        self.post(&now, body)
    }

    /// Meta's word that an answer was sent, with the mark that it was sent with.
    pub(crate) fn status(id: &str, mark: &str) -> Vec<u8> {
        let now = jiff::Timestamp::now().as_second().to_string();
        let body = STATUS
            .replace("{ID}", id)
            .replace("{SECONDS}", &now)
            .replace("{MARK}", mark);
        Self::WhatsApp.post(&now, &body)
    }

    fn post(self, now: &str, body: &str) -> Vec<u8> {
        let secret = SecretString::from(SECRET);
        let (path, signed) = match self {
            Self::Slack => {
                let signature = sign(&secret, &[b"v0:", now.as_bytes(), b":", body.as_bytes()]);
                let signed = format!("x-slack-request-timestamp: {now}\r\nx-slack-signature: v0={signature}");
                ("/slack/events", signed)
            }
            Self::WhatsApp => {
                let signature = sign(&secret, &[body.as_bytes()]);
                (
                    "/whatsapp/webhook",
                    format!("x-hub-signature-256: sha256={signature}"),
                )
            }
        };
        format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{signed}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// An event's number: eight digits behind the word "bench", in JSON or in a form.
pub(crate) fn number(text: &str) -> Option<&str> {
    let rest = &text[text.find("bench")? + 5..];
    let rest = ["%20", " ", "+"]
        .iter()
        .find_map(|space| rest.strip_prefix(space))?;
    rest.get(..8)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
