//! What Meta's refusals mean: the one table, by `error.code`, whatever the HTTP status.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use rand::RngExt;
use serde_json::Value;

use super::json;
use crate::channel::{Scope, SendDisposition, SendError};
use crate::outbound::Answer;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The operator must act.
    Operator,
    /// Meta has a problem. With a 5xx it may have sent the message all the same.
    Transient,
    /// Meta is busy with the number itself, and takes messages again after about this time.
    Settling(Duration),
    /// Too much at once.
    Throttle(Wait),
    /// This message will never be taken.
    Permanent,
}

/// How long a throttle lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// 4^X seconds, X counting the refusals in a row before: what Meta asks for on the pair limit.
    PowersOfFour,
    /// The same, but a minute at most, and somewhat more at random.
    UpToAMinute,
    /// Some minutes: the limit is counted by the hour.
    Minutes,
}

/// Whom a refusal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The person written to.
    Person,
    /// Our number.
    Number,
    /// The whole WhatsApp Business Account: all its numbers, whatever their tokens.
    Account,
    /// The access token or its app: all numbers with the same token, whatever their accounts.
    Token,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// The codes.
    pub codes: RangeInclusive<i64>,
    /// What kind of refusal they are.
    pub class: Class,
    /// Whom they concern.
    pub reach: Reach,
    /// What it is and what to do, for the operator.
    pub remedy: &'static str,
}

const fn row(first: i64, last: i64, class: Class, reach: Reach, remedy: &'static str) -> Row {
    Row {
        codes: first..=last,
        class,
        reach,
        remedy,
    }
}

const fn one(code: i64, class: Class, reach: Reach, remedy: &'static str) -> Row {
    row(code, code, class, reach, remedy)
}

/// Meta's list of error codes of the Cloud API ("Error codes", whatsapp/support/error-codes), as far as sending a text
/// can meet them. Whom a code concerns follows from Meta's words: 368, 131031, 131042 and 80007 speak of the WhatsApp
/// Business Account, 4 of the app, 0, 190, 3, 10 and 2xx of the token and what it may do.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    one(0, Class::Operator, Reach::Token, "Meta does not accept the access token: make a new one for the system user and set whatsapp.access_token"),
    one(190, Class::Operator, Reach::Token, "the access token is invalid or has expired: make a new one for the system user, without an end date, and set whatsapp.access_token"),
    one(3, Class::Operator, Reach::Token, "the app lacks a capability: check its permissions in Meta's dashboard"),
    one(10, Class::Operator, Reach::Token, "a permission is missing or was withdrawn: give the system user whatsapp_business_messaging and the WhatsApp account"),
    row(200, 299, Class::Operator, Reach::Token, "a permission is missing or was withdrawn: give the system user whatsapp_business_messaging and the WhatsApp account"),
    one(131_005, Class::Operator, Reach::Number, "access to the number was denied: assign the WhatsApp account to the system user"),
    one(1, Class::Transient, Reach::Account, "Meta had an unknown error; it is tried again"),
    one(2, Class::Transient, Reach::Account, "Meta's service is down for the moment; it is tried again"),
    one(131_000, Class::Transient, Reach::Person, "Meta could not send and does not say why; it is tried again"),
    one(131_016, Class::Transient, Reach::Account, "Meta's service is overloaded; it is tried again"),
    one(4, Class::Throttle(Wait::Minutes), Reach::Token, "the app made too many calls in this hour; sending goes on in some minutes"),
    one(80_007, Class::Throttle(Wait::Minutes), Reach::Account, "the WhatsApp account made too many calls in this hour; sending goes on in some minutes"),
    one(130_429, Class::Throttle(Wait::UpToAMinute), Reach::Number, "the number sends more messages a second than Meta lets it; sending goes on in a moment"),
    one(131_056, Class::Throttle(Wait::PowersOfFour), Reach::Person, "too many messages to one person in a short time; the next one waits"),
    one(131_057, Class::Settling(Duration::from_mins(1)), Reach::Number, "Meta is raising the number's throughput; it is tried again in a minute"),
    one(131_048, Class::Operator, Reach::Number, "Meta restricts the number for its quality rating: see WhatsApp Manager, Phone numbers"),
    one(131_064, Class::Operator, Reach::Number, "Meta restricts the number for how its messages are classified: see WhatsApp Manager"),
    one(368, Class::Operator, Reach::Account, "the account is blocked for a violation of policy: see Business Support in Meta's dashboard"),
    one(131_031, Class::Operator, Reach::Account, "the account is locked: see Business Support in Meta's dashboard"),
    // The rest of the world is still written to: Meta's words are "restricted from messaging users in this country".
    one(130_497, Class::Operator, Reach::Person, "the account may not write to people in this country: see Meta's messaging policy"),
    one(131_042, Class::Operator, Reach::Account, "the WhatsApp account has no valid payment method, and replies are charged: add one in Billing of Meta's dashboard"),
    one(131_045, Class::Operator, Reach::Number, "the number is not registered: register it in WhatsApp Manager"),
    one(133_010, Class::Operator, Reach::Number, "the number is not registered for the Cloud API: register it in WhatsApp Manager"),
    one(33, Class::Operator, Reach::Number, "the number was deleted: remove it from the configuration or register it again"),
    one(131_037, Class::Operator, Reach::Number, "the number's display name is not approved: set one in WhatsApp Manager"),
    one(133_016, Class::Operator, Reach::Number, "the number was registered too often: wait for some days and register it again"),
    one(131_047, Class::Permanent, Reach::Person, "more than 24 hours have passed since the person last wrote: only a template may be sent"),
    one(131_026, Class::Permanent, Reach::Person, "the message cannot be delivered to this person (no WhatsApp, an old version, terms not accepted)"),
    one(130_403, Class::Permanent, Reach::Person, "the person and the number are blocked from writing to one another"),
    one(131_021, Class::Permanent, Reach::Person, "the number cannot write to itself"),
    one(131_050, Class::Permanent, Reach::Person, "the person does not want these messages any more"),
    one(131_030, Class::Permanent, Reach::Person, "a test number writes only to people on its list: add them under API Setup, or use a real number"),
    one(131_049, Class::Permanent, Reach::Person, "Meta held the message back as marketing; not before a day has passed may it be tried again"),
    one(130_472, Class::Permanent, Reach::Person, "Meta held the message back for an experiment on marketing messages"),
    one(131_062, Class::Permanent, Reach::Person, "this kind of message cannot go to a user id without a phone number"),
    one(100, Class::Permanent, Reach::Person, "Meta takes a parameter for wrong: check whatsapp.api_version, and report a bug if it is right"),
    one(131_008, Class::Permanent, Reach::Person, "Meta misses a parameter: check whatsapp.api_version, and report a bug if it is right"),
    one(131_009, Class::Permanent, Reach::Person, "Meta takes the value of a parameter for wrong: check whatsapp.api_version, and report a bug if it is right"),
    one(131_051, Class::Permanent, Reach::Person, "Meta does not know the type of the message: check whatsapp.api_version, and report a bug if it is right"),
    row(131_052, 131_053, Class::Permanent, Reach::Person, "Meta could not transfer the media"),
];

/// The row of a code.
fn meaning(code: i64) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.codes.contains(&code))
}

/// What a code means and what to do about it, for the operator.
pub(super) fn remedy(code: i64) -> Option<&'static str> {
    meaning(code).map(|row| row.remedy)
}

/// A pause for limits that are counted by the hour, in seconds.
const SOME_MINUTES: u64 = 180;

/// The longest pause for a number that sends too fast.
const A_MINUTE: Duration = Duration::from_mins(1);

/// 4^X is not let grow beyond 4^6 s, which is more than an hour.
const LARGEST_POWER: u32 = 6;

/// How many times in a row a pause was asked for before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pauses {
    /// Of this message.
    pub person: u32,
    /// Of the number, whatever it sent.
    pub number: u32,
}

/// What an answer means that is not a success.
pub(super) fn refusal(answer: &Answer, pauses: Pauses) -> SendError {
    let body = answer.json().unwrap_or(Value::Null);
    let error = body.get("error").unwrap_or(&Value::Null);
    let status = answer.status;
    let code = json::scalar(error, "code").and_then(|code| code.parse::<i64>().ok());
    let Some(code) = code else {
        return without_code(answer);
    };
    let (disposition, remedy) = match meaning(code) {
        Some(row) => (disposition(row, answer, pauses), row.remedy),
        None => unlisted(error, answer),
    };
    // A token may stand in Meta's words about it, so those are left out.
    let said = if matches!(code, 0 | 190) {
        String::new()
    } else {
        format!(" ({})", words(error))
    };
    SendError {
        code: code.to_string(),
        message: format!("{remedy}{said} [HTTP {}]", status.as_u16()),
        disposition,
    }
}

fn disposition(row: &Row, answer: &Answer, pauses: Pauses) -> SendDisposition {
    let before = if row.reach == Reach::Person {
        pauses.person
    } else {
        pauses.number
    };
    let power = 4_u64.pow(before.min(LARGEST_POWER));
    let class = match (row.class, row.reach) {
        (Class::Operator, Reach::Account) => return SendDisposition::HoldFamily,
        (Class::Operator, Reach::Token) => return SendDisposition::HoldAccess,
        (Class::Operator, Reach::Number) => return SendDisposition::Hold,
        (class, _) => class,
    };
    let after = match class {
        // One person's trouble holds up nobody else; theirs is tried again ever more rarely.
        Class::Operator => A_MINUTE.max(Duration::from_secs(power)),
        Class::Permanent => return SendDisposition::Dead,
        Class::Transient if answer.status.is_server_error() => return SendDisposition::Unknown,
        Class::Transient => {
            return SendDisposition::Retry {
                after: answer.retry_after(),
            };
        }
        Class::Settling(after) => return SendDisposition::Retry { after: Some(after) },
        Class::Throttle(Wait::PowersOfFour) => Duration::from_secs(power),
        Class::Throttle(Wait::UpToAMinute) => jittered(Duration::from_secs(power)).min(A_MINUTE),
        Class::Throttle(Wait::Minutes) => jittered(Duration::from_secs(SOME_MINUTES)),
    };
    let after = answer.retry_after().map_or(after, |asked| asked.max(after));
    let scope = match row.reach {
        Reach::Person => Scope::Thread,
        Reach::Number => Scope::Account,
        Reach::Account => Scope::Family,
        Reach::Token => Scope::Access,
    };
    SendDisposition::Pause { scope, after }
}

/// With up to a quarter more, at random: what was refused together does not come back together.
fn jittered(wait: Duration) -> Duration {
    wait + wait.mul_f64(rand::rng().random_range(0.0..0.25))
}

/// A code that the table does not have.
fn unlisted(error: &Value, answer: &Answer) -> (SendDisposition, &'static str) {
    let transient = error.get("is_transient").and_then(Value::as_bool) == Some(true);
    match answer.status {
        status if status.is_server_error() => (
            SendDisposition::Unknown,
            "Meta failed; the message may have been sent",
        ),
        StatusCode::TOO_MANY_REQUESTS => (throttled(answer), "Meta asks for a pause"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            SendDisposition::Hold,
            "Meta refuses the access: check whatsapp.access_token and its permissions",
        ),
        _ if transient => (
            SendDisposition::Retry { after: None },
            "Meta calls it a passing error",
        ),
        _ => (
            SendDisposition::Dead,
            "Meta refuses the message: look the code up in Meta's list of error codes",
        ),
    }
}

/// An answer that does not carry Meta's error object.
fn without_code(answer: &Answer) -> SendError {
    let status = answer.status;
    let (disposition, message) = match status {
        status if status.is_server_error() || status.is_success() => (
            SendDisposition::Unknown,
            "the answer says nothing about the message, which may have been sent",
        ),
        StatusCode::TOO_MANY_REQUESTS => (throttled(answer), "a pause is asked for"),
        StatusCode::REQUEST_TIMEOUT => (SendDisposition::Unknown, "the request took too long to arrive"),
        _ => (
            SendDisposition::Hold,
            "this is not an answer of the Graph API: check whatsapp.api_base, whatsapp.api_version and any proxy",
        ),
    };
    SendError {
        code: format!("http_{}", status.as_u16()),
        message: format!("{message} [HTTP {}]", status.as_u16()),
        disposition,
    }
}

fn throttled(answer: &Answer) -> SendDisposition {
    let after = answer.retry_after().unwrap_or_else(|| jittered(A_MINUTE / 2));
    SendDisposition::Pause {
        scope: Scope::Account,
        after,
    }
}

/// Meta's words in an error object, as `title: details`, without what should not be written down.
pub(super) fn words(error: &Value) -> String {
    let title = json::text(error, "title").or_else(|| json::text(error, "message"));
    let details = error
        .get("error_data")
        .and_then(|data| json::text(data, "details"));
    let said: Vec<&str> = title
        .into_iter()
        .chain(details.filter(|details| title != Some(details)))
        .collect();
    if said.is_empty() {
        "no reason was given".to_owned()
    } else {
        discreet(&said.join(": "))
    }
}

/// The most characters of Meta's words that are kept.
const LONGEST_WORDS: usize = 400;

/// Without whatever may be a phone number (seven digits or more) or a token (24 letters and digits or more).
fn discreet(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '.');
    let mut out = String::new();
    for piece in text.split_inclusive(|c| !in_word(c)) {
        let word = piece.trim_end_matches(|c| !in_word(c));
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        if digits >= 7 || word.len() >= 24 && digits > 0 {
            out.push('…');
            out.push_str(&piece[word.len()..]);
        } else {
            out.push_str(piece);
        }
    }
    let kept = out.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS);
    kept.collect()
}

#[cfg(test)]
mod tests;
