//! What LiveChatAI's answers mean.

use http::StatusCode;
use serde_json::Value;

use crate::agent::{AgentError, Answer, Disposition, Question};
use crate::outbound;

/// The longest `code` of the service that is repeated to the operator, in bytes.
const LONGEST_CODE: usize = 48;

/// The most sources of an answer that are listed below it, in number. No document of the service names a limit; nobody reads
/// more, and each is compared with all before it.
const MOST_LINKS: usize = 100;

/// Reads the answer to a question.
pub(super) fn read(answer: &outbound::Answer, question: &Question) -> Result<Answer, AgentError> {
    let body = answer.json();
    if !answer.status.is_success() {
        return Err(refused(answer, body.as_ref(), question));
    }
    let Some(body) = body else {
        return Err(unreadable(&answer.body));
    };
    if body["status"].as_str() == Some("error") {
        return Err(error_in_200(&body));
    }
    let data = &body["data"];
    let text = data["response"].as_str().map(str::trim).unwrap_or_default();
    let conversation = data["conversationId"].as_str().filter(|id| !id.is_empty());
    match (text, conversation) {
        ("", _) => Err(retry("empty_answer", "answered with an empty text")),
        // It did answer, and its conversation may show what.
        (_, None) => Err(failure(
            "no_conversation",
            "answered without a conversationId",
            Disposition::Ambiguous,
        )),
        (text, Some(id)) => Ok(Answer {
            conversation_id: id.to_owned(),
            text: text.to_owned(),
            links: links(data),
            answer_id: data["responseMessageId"].as_str().map(Into::into),
        }),
    }
}

/// A 200 that is not JSON. What begins like JSON was cut off after the agent had answered; anything else (a page of a
/// proxy, a notice of maintenance) comes from somebody before the agent.
fn unreadable(body: &[u8]) -> AgentError {
    if body.trim_ascii_start().first() == Some(&b'{') {
        return failure(
            "cut_off",
            "answered, and the answer was cut off",
            Disposition::Ambiguous,
        );
    }
    retry("not_json", "answered with something that is not JSON")
}

/// The addresses that an answer names as its sources; only those that a person can open, each once, and the first
/// [`MOST_LINKS`] of them.
fn links(data: &Value) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for link in data["links"].as_array().into_iter().flatten() {
        if links.len() == MOST_LINKS {
            break;
        }
        let address = link["link"].as_str().unwrap_or_default().trim();
        let openable = address.starts_with("https://") || address.starts_with("http://");
        let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control());
        if openable && plain && !links.iter().any(|known| known == address) {
            links.push(address.to_owned());
        }
    }
    links
}

/// A 200 that holds an error: its code decides, where it is the number of a status.
fn error_in_200(body: &Value) -> AgentError {
    let code = match &body["code"] {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::String(text) => text.parse().unwrap_or(0),
        _ => 0,
    };
    let told = told_code(body);
    let message = format!(
        "answered 200 with an error{}",
        told.map(|code| format!(" ({code})")).unwrap_or_default()
    );
    let disposition = if matches!(code, 401 | 403) {
        Disposition::Hold
    } else {
        Disposition::Retry { after: None }
    };
    failure("error_in_200", &message, disposition)
}

/// An answer with another status than 2xx. Such a question was certainly not answered.
fn refused(answer: &outbound::Answer, body: Option<&Value>, question: &Question) -> AgentError {
    let status = answer.status;
    let said = body
        .and_then(told_code)
        .map(|code| format!(": {code}"))
        .unwrap_or_default();
    let after = answer.retry_after();
    let names_conversation = question.conversation_id.is_some() && body.is_some_and(names_conversation);
    match status.as_u16() {
        401 => {
            let message = format!("refuses the key (401{said}): check agent.api_key");
            failure("unauthorized", &message, Disposition::Hold)
        }
        403 => {
            let message =
                format!("forbids the question (403{said}): check the key's rights and the account's quota");
            failure("forbidden", &message, Disposition::Hold)
        }
        400 | 404 if names_conversation => {
            let message = format!("does not know the conversation ({status}{said})");
            failure("conversation_unknown", &message, Disposition::ForgetConversation)
        }
        404 => {
            let message =
                format!("does not know the agent (404{said}): check agent.agent_id and agent.base_url");
            failure("agent_unknown", &message, Disposition::Hold)
        }
        429 => failure(
            "rate_limited",
            &format!("asks for a pause (429{said})"),
            Disposition::Retry { after },
        ),
        300..=399 => {
            let message = format!("points elsewhere ({status}): check agent.base_url");
            failure("redirected", &message, Disposition::Hold)
        }
        408 | 425 | 500..=599 => failure(
            "server_error",
            &format!("failed ({status}{said})"),
            Disposition::Retry { after },
        ),
        _ => failure(
            "refused",
            &format!("refuses the question ({status}{said})"),
            Disposition::Fail,
        ),
    }
}

fn names_conversation(body: &Value) -> bool {
    let named = |field: &str| {
        body[field]
            .as_str()
            .is_some_and(|text| text.to_ascii_lowercase().contains("conversation"))
    };
    named("code") || named("message")
}

/// The service's code of an error, if it is a plain short word. Its `message` is never repeated: it could quote the
/// question or the key, and neither may reach a log or a list.
fn told_code(body: &Value) -> Option<String> {
    let code = match &body["code"] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (!code.is_empty() && code.len() <= LONGEST_CODE && code.bytes().all(plain)).then_some(code)
}

fn retry(code: &'static str, message: &str) -> AgentError {
    failure(code, message, Disposition::Retry { after: None })
}

fn failure(code: &'static str, message: &str, disposition: Disposition) -> AgentError {
    AgentError {
        code,
        message: format!("LiveChatAI {message}"),
        disposition,
    }
}

/// Finds the answer to a question that was asked before: the last time that the question stands in the conversation,
/// and what the agent said after it.
pub(super) fn find(answer: &outbound::Answer, question: &Question) -> Option<Answer> {
    if answer.status != StatusCode::OK {
        return None;
    }
    let body = answer.json()?;
    let data = &body["data"];
    let messages = unseen(data["messages"].as_array()?, question.after.as_deref())?;
    let asked = messages.iter().rposition(|message| {
        is_persons(message)
            && message["content"]
                .as_str()
                .is_some_and(|text| text.trim() == question.text.trim())
    })?;
    let said = messages[asked + 1..]
        .iter()
        .find(|message| !is_persons(message))?;
    let text = said["content"].as_str()?.trim();
    let answer_id = said["id"].as_str().map(Into::into);
    let conversation_id = data["id"]
        .as_str()
        .map_or_else(|| question.conversation_id.clone(), |id| Some(id.into()))?;
    (!text.is_empty()).then(|| Answer {
        conversation_id,
        text: text.to_owned(),
        links: Vec::new(),
        answer_id,
    })
}

/// The messages behind the last answer that we know of: the same words may have been asked and answered before. None
/// if that answer is not to be seen, for then nothing can be told.
fn unseen<'m>(messages: &'m [Value], after: Option<&str>) -> Option<&'m [Value]> {
    let Some(after) = after else { return Some(messages) };
    let seen = messages
        .iter()
        .position(|message| message["id"].as_str() == Some(after))?;
    Some(&messages[seen + 1..])
}

/// The reference does not list the roles; a person's message bears `user` wherever it was seen.
fn is_persons(message: &Value) -> bool {
    message["role"]
        .as_str()
        .is_some_and(|role| role.eq_ignore_ascii_case("user"))
}
