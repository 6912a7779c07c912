//! What Slack's refusals mean: one table, and what follows from it.
//!
//! The codes are those of docs.slack.dev, `chat.postMessage` and `conversations.*`; the classes are our reading of
//! them.

use std::time::Duration;

use crate::channel::{Scope, SendDisposition, SendError};
use crate::outbound::Failure;

use super::client::Trouble;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Too many calls: all of the workspace waits.
    Limited,
    /// It passes by itself.
    Passing,
    /// It passes by itself, but not within seconds.
    Slow,
    /// It failed, and part of it may have been done.
    Ambiguous,
    /// The installation is refused: an operator must act.
    Installation,
    /// This conversation takes nothing more from us.
    Conversation,
    /// We wrote what Slack does not take.
    Ours,
    /// A code that the table does not know.
    Unlisted,
}

/// How long to wait at least after a refusal of class [`Class::Slow`].
const SLOW: Duration = Duration::from_mins(1);

const REINSTALL: &str =
    "install the app anew (Slack app settings, Install App) and set slack.bot_token to its token";
const SCOPES: &str = "add the scope chat:write and those of the manifest (Slack app settings, OAuth & Permissions) and reinstall";
const MIGRATION: &str = "the workspace is moving into an organisation; it comes back by itself";
const MEMBER: &str = "invite the bot to the channel again, then replay";
const POSTING: &str = "the channel's posting permissions shut the bot out; let apps post there, then replay";
const SLACK_CONNECT: &str = "the other organisation's or one's own Slack Connect settings forbid it";
const BUG: &str =
    "Slack does not take the message even as bare text; this is a defect of chatbridge, please report it";

/// Code, class, remedy. A `*` stands for anything; the first row that fits counts.
pub(super) const TABLE: &[(&str, Class, &str)] = &[
    (
        "ratelimited",
        Class::Limited,
        "it is sent when Slack takes it again",
    ),
    (
        "rate_limited",
        Class::Limited,
        "it is sent when Slack takes it again",
    ),
    (
        "service_unavailable",
        Class::Passing,
        "see status.slack.com if it lasts",
    ),
    (
        "request_timeout",
        Class::Passing,
        "the request reached Slack cut off; is something in between shortening it?",
    ),
    ("team_added_to_org", Class::Slow, MIGRATION),
    ("org_login_required", Class::Slow, MIGRATION),
    (
        "message_limit_exceeded",
        Class::Slow,
        "the workspace has reached its plan's limit of messages",
    ),
    (
        "internal_error",
        Class::Ambiguous,
        "see status.slack.com if it lasts",
    ),
    (
        "fatal_error",
        Class::Ambiguous,
        "see status.slack.com if it lasts",
    ),
    ("invalid_auth", Class::Installation, REINSTALL),
    ("not_authed", Class::Installation, REINSTALL),
    ("account_inactive", Class::Installation, REINSTALL),
    ("token_revoked", Class::Installation, REINSTALL),
    ("token_expired", Class::Installation, REINSTALL),
    (
        "access_denied",
        Class::Installation,
        "a workspace administrator has restricted the app; have it approved",
    ),
    (
        "team_access_not_granted",
        Class::Installation,
        "the organisation's administrator must grant the app to this workspace",
    ),
    (
        "not_allowed_token_type",
        Class::Installation,
        "set slack.bot_token to a bot's token; it starts with xoxb-",
    ),
    ("missing_scope", Class::Installation, SCOPES),
    ("no_permission", Class::Installation, SCOPES),
    (
        "channel_not_found",
        Class::Conversation,
        "the channel is gone, or the bot was never in it",
    ),
    ("not_in_channel", Class::Conversation, MEMBER),
    ("is_archived", Class::Conversation, "the channel is archived"),
    (
        "messages_tab_disabled",
        Class::Conversation,
        "switch the Messages tab on (Slack app settings, App Home), then replay",
    ),
    (
        "cannot_reply_to_message",
        Class::Conversation,
        "the message that it answers takes no replies",
    ),
    (
        "ekm_access_denied",
        Class::Conversation,
        "administrators have suspended posting there",
    ),
    ("restricted_action", Class::Conversation, POSTING),
    (
        "restricted_action_read_only_channel",
        Class::Conversation,
        POSTING,
    ),
    (
        "restricted_action_thread_only_channel",
        Class::Conversation,
        POSTING,
    ),
    (
        "restricted_action_non_threadable_channel",
        Class::Conversation,
        "the channel takes no replies in threads",
    ),
    (
        "restricted_action_thread_locked",
        Class::Conversation,
        "the thread is locked",
    ),
    ("slack_connect_*_blocked", Class::Conversation, SLACK_CONNECT),
    ("slack_connect_blocked_*", Class::Conversation, SLACK_CONNECT),
    ("no_text", Class::Ours, BUG),
    ("msg_too_long", Class::Ours, BUG),
    ("msg_blocks_too_long", Class::Ours, BUG),
    ("invalid_blocks", Class::Ours, BUG),
    ("invalid_blocks_format", Class::Ours, BUG),
    ("markdown_text_conflict", Class::Ours, BUG),
    ("invalid_arguments", Class::Ours, BUG),
    ("metadata_too_large", Class::Ours, BUG),
    ("invalid_metadata_*", Class::Ours, BUG),
    ("too_many_attachments", Class::Ours, BUG),
];

/// The class of a code, and the remedy.
pub(super) fn look(code: &str) -> (Class, &'static str) {
    let row = TABLE.iter().find(|(pattern, ..)| fits(pattern, code));
    row.map_or(
        (Class::Unlisted, "see docs.slack.dev for this code"),
        |&(_, class, remedy)| (class, remedy),
    )
}

fn fits(pattern: &str, code: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == code,
        Some((head, tail)) => code.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

/// What the trouble with a post means for the part.
pub(super) fn send_error(trouble: Trouble) -> SendError {
    let retry = SendDisposition::Retry { after: None };
    let error = |code: &str, message: String, disposition| SendError {
        code: code.to_owned(),
        message,
        disposition,
    };
    match trouble {
        Trouble::Call(Failure::NotSent(why)) => error(
            "unreachable",
            format!("Slack could not be reached ({why}); is slack.api_base right?"),
            retry,
        ),
        Trouble::Call(Failure::Unknown(why)) => error(
            "no_answer",
            format!("Slack gave no whole answer ({why})"),
            SendDisposition::Unknown,
        ),
        Trouble::Limited(after) => error(
            "ratelimited",
            format!("Slack wants a pause of {} s", after.as_secs()),
            SendDisposition::Pause {
                scope: Scope::Account,
                after,
            },
        ),
        Trouble::Status(status) if status.is_server_error() => error(
            &format!("http_{}", status.as_u16()),
            format!("Slack answered {status}; see status.slack.com if it lasts"),
            SendDisposition::Unknown,
        ),
        Trouble::Status(status) => error(
            &format!("http_{}", status.as_u16()),
            format!("{status} is no answer of Slack's Web API; is slack.api_base right?"),
            retry,
        ),
        Trouble::Garbled => error(
            "unreadable_answer",
            "Slack's answer cannot be read".to_owned(),
            SendDisposition::Unknown,
        ),
        Trouble::Refused(code) => refusal(&code),
    }
}

/// What a refusal by code means for the part. A code that nobody knows is tried again: the schedule ends it.
pub(super) fn refusal(code: &str) -> SendError {
    let (class, remedy) = look(code);
    let disposition = match class {
        Class::Limited => SendDisposition::Pause {
            scope: Scope::Account,
            after: super::client::DEFAULT_PAUSE,
        },
        Class::Passing | Class::Unlisted => SendDisposition::Retry { after: None },
        Class::Slow => SendDisposition::Retry { after: Some(SLOW) },
        Class::Ambiguous => SendDisposition::Unknown,
        Class::Installation => SendDisposition::Hold,
        Class::Conversation | Class::Ours => SendDisposition::Dead,
    };
    SendError {
        code: code.to_owned(),
        message: format!("Slack refused ({code}): {remedy}"),
        disposition,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const RETRY: SendDisposition = SendDisposition::Retry { after: None };
    const SLOWLY: SendDisposition = SendDisposition::Retry { after: Some(SLOW) };
    const PAUSE: SendDisposition = SendDisposition::Pause {
        scope: Scope::Account,
        after: Duration::from_secs(1),
    };

    #[test]
    fn every_refusal_has_its_disposition() {
        for (codes, disposition) in [
            ("ratelimited rate_limited", PAUSE),
            ("service_unavailable request_timeout a_code_of_tomorrow", RETRY),
            (
                "team_added_to_org org_login_required message_limit_exceeded",
                SLOWLY,
            ),
            ("internal_error fatal_error", SendDisposition::Unknown),
            (
                "invalid_auth not_authed account_inactive token_revoked token_expired",
                SendDisposition::Hold,
            ),
            (
                "access_denied team_access_not_granted not_allowed_token_type",
                SendDisposition::Hold,
            ),
            ("missing_scope no_permission", SendDisposition::Hold),
            (
                "channel_not_found not_in_channel is_archived messages_tab_disabled",
                SendDisposition::Dead,
            ),
            (
                "cannot_reply_to_message ekm_access_denied restricted_action",
                SendDisposition::Dead,
            ),
            (
                "restricted_action_read_only_channel restricted_action_thread_only_channel",
                SendDisposition::Dead,
            ),
            (
                "restricted_action_non_threadable_channel restricted_action_thread_locked",
                SendDisposition::Dead,
            ),
            (
                "slack_connect_file_link_sharing_blocked slack_connect_blocked_file_type",
                SendDisposition::Dead,
            ),
            (
                "no_text msg_too_long msg_blocks_too_long invalid_blocks",
                SendDisposition::Dead,
            ),
            (
                "invalid_blocks_format markdown_text_conflict invalid_arguments",
                SendDisposition::Dead,
            ),
            (
                "metadata_too_large invalid_metadata_format invalid_metadata_schema",
                SendDisposition::Dead,
            ),
            ("too_many_attachments", SendDisposition::Dead),
        ] {
            for code in codes.split(' ') {
                let error = refusal(code);
                assert_eq!((error.disposition, error.code.as_str()), (disposition, code));
                assert!(
                    error.message.contains(code) && error.message.len() > code.len() + 20,
                    "{}",
                    error.message
                );
            }
        }
    }

    #[test]
    fn no_row_stands_in_the_shadow_of_another() {
        for (index, (pattern, ..)) in TABLE.iter().enumerate() {
            let sample = pattern.replace('*', "x");
            let first = TABLE.iter().position(|(other, ..)| fits(other, &sample));
            assert_eq!(first, Some(index), "{pattern}");
        }
        assert_eq!(look("slack_connect_").0, Class::Unlisted);
    }

    #[test]
    fn trouble_on_the_way_is_told_apart_by_whether_slack_may_have_read_it() {
        let status = |code| Trouble::Status(StatusCode::from_u16(code).unwrap());
        for (trouble, code, disposition) in [
            (
                Trouble::Call(Failure::NotSent("refused".to_owned())),
                "unreachable",
                RETRY,
            ),
            (
                Trouble::Call(Failure::Unknown("timed out".to_owned())),
                "no_answer",
                SendDisposition::Unknown,
            ),
            (status(503), "http_503", SendDisposition::Unknown),
            (status(404), "http_404", RETRY),
            (status(302), "http_302", RETRY),
            (Trouble::Garbled, "unreadable_answer", SendDisposition::Unknown),
            (
                Trouble::Limited(Duration::from_secs(30)),
                "ratelimited",
                SendDisposition::Pause {
                    scope: Scope::Account,
                    after: Duration::from_secs(30),
                },
            ),
        ] {
            let error = send_error(trouble);
            assert_eq!((error.code.as_str(), error.disposition), (code, disposition));
        }
    }
}
