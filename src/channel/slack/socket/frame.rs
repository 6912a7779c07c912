//! What Slack says over a socket: a greeting, envelopes with something for us, and goodbyes.
//!
//! Read as leniently as everything of Slack's: what is absent or new never fails (docs.slack.dev, "Using Socket Mode").

use std::time::Duration;

use serde_json::Value;

use crate::channel::signature::Verified;

use super::super::envelope::text;

/// What came over a socket.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// The connection stands.
    Hello {
        /// How long Slack means to keep it.
        lasts: Option<Duration>,
        /// How many the app has now, this one included.
        connections: Option<u64>,
    },
    /// The connection comes to an end.
    Goodbye(&'static Goodbye),
    /// Something for us, to be acknowledged.
    Envelope(Envelope),
    /// Something that nobody waits to be acknowledged.
    Other,
}

/// Something for us.
#[derive(Debug, PartialEq)]
pub(super) struct Envelope {
    /// By this it is acknowledged.
    pub(super) id: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// What would have been posted to a request URL; null if it is absent.
    pub(super) payload: Value,
    /// How often it was delivered before.
    pub(super) attempt: u64,
}

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What goes to the request URL of events.
    Event,
    /// A command, its form as an object.
    Command,
    /// What goes to the request URL of interactivity, without the form around it.
    Interaction,
    /// What nobody here knows.
    Unknown,
}

/// How Slack announces the end of a connection.
#[derive(Debug, PartialEq)]
pub(super) struct Goodbye {
    /// Slack's word for the reason, which is also ours.
    pub(super) reason: &'static str,
    /// Whether envelopes still come until Slack closes it, so that another may take its place first.
    pub(super) lingers: bool,
    /// How long to wait at least before the next connection.
    pub(super) pause: Duration,
    /// What the operator can do; nothing if it is Slack's ordinary course.
    pub(super) remedy: Option<&'static str>,
}

/// The documented reasons, and one that Slack's own libraries know. The last row stands for all that are new.
const GOODBYES: &[Goodbye] = &[
    Goodbye {
        reason: "warning",
        lingers: true,
        pause: Duration::ZERO,
        remedy: None,
    },
    Goodbye {
        reason: "refresh_requested",
        lingers: true,
        pause: Duration::ZERO,
        remedy: None,
    },
    Goodbye {
        reason: "link_disabled",
        lingers: false,
        pause: Duration::from_mins(1),
        remedy: Some(
            "Socket Mode is switched off; Slack app settings, Socket Mode: switch Enable Socket Mode on, or remove \
             slack.app_token",
        ),
    },
    Goodbye {
        reason: "too_many_websockets",
        lingers: false,
        pause: Duration::from_secs(30),
        remedy: Some(
            "the app has ten connections already; does it run elsewhere too? Lower slack.socket_connections",
        ),
    },
    Goodbye {
        reason: "other",
        lingers: true,
        pause: Duration::ZERO,
        remedy: None,
    },
];

/// Reads a frame; none if it is not JSON.
pub(super) fn read(frame: &Verified) -> Option<Frame> {
    let mut body = crate::channel::json::read(frame.bytes())?;
    let kind = text(&body, "type").unwrap_or_default();
    let debug = |name: &str| {
        body.pointer(&format!("/debug_info/{name}"))
            .and_then(Value::as_u64)
    };
    match kind {
        "hello" => {
            return Some(Frame::Hello {
                lasts: debug("approximate_connection_time").map(Duration::from_secs),
                connections: body.get("num_connections").and_then(Value::as_u64),
            });
        }
        "disconnect" => return Some(Frame::Goodbye(goodbye(text(&body, "reason").unwrap_or_default()))),
        _ => {}
    }
    let kind = match kind {
        "events_api" => Kind::Event,
        "slash_commands" => Kind::Command,
        "interactive" => Kind::Interaction,
        _ => Kind::Unknown,
    };
    let Some(id) = text(&body, "envelope_id").map(str::to_owned) else {
        return Some(Frame::Other);
    };
    Some(Frame::Envelope(Envelope {
        id,
        kind,
        attempt: body.get("retry_attempt").and_then(Value::as_u64).unwrap_or(0),
        payload: body.get_mut("payload").map(Value::take).unwrap_or_default(),
    }))
}

fn goodbye(reason: &str) -> &'static Goodbye {
    let known = GOODBYES.iter().find(|goodbye| goodbye.reason == reason);
    known.unwrap_or(&GOODBYES[GOODBYES.len() - 1])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn frame(body: &Value) -> Frame {
        read(&Verified::by_our_connection(Bytes::from(body.to_string()))).unwrap()
    }

    #[test]
    fn a_greeting_says_how_long_it_lasts() {
        let hello = json!({"type": "hello", "num_connections": 2, "connection_info": {"app_id": "A1"},
            "debug_info": {"host": "applink", "approximate_connection_time": 18060}});
        let lasts = Some(Duration::from_mins(301));
        assert_eq!(
            frame(&hello),
            Frame::Hello {
                lasts,
                connections: Some(2)
            }
        );
        assert_eq!(
            frame(&json!({"type": "hello"})),
            Frame::Hello {
                lasts: None,
                connections: None
            }
        );
    }

    #[test]
    fn every_goodbye_has_its_row() {
        for (reason, row, lingers) in [
            ("warning", "warning", true),
            ("refresh_requested", "refresh_requested", true),
            ("link_disabled", "link_disabled", false),
            ("too_many_websockets", "too_many_websockets", false),
            ("of tomorrow", "other", true),
        ] {
            let Frame::Goodbye(goodbye) = frame(&json!({"type": "disconnect", "reason": reason})) else {
                panic!("{reason}");
            };
            assert_eq!((goodbye.reason, goodbye.lingers), (row, lingers), "{reason}");
        }
    }

    #[test]
    fn what_has_an_id_is_an_envelope_whatever_it_holds() {
        for (word, kind) in [
            ("events_api", Kind::Event),
            ("slash_commands", Kind::Command),
            ("interactive", Kind::Interaction),
            ("options", Kind::Unknown),
        ] {
            let body = json!({"type": word, "envelope_id": "e1", "payload": {"a": 1}, "retry_attempt": 2,
                "retry_reason": "timeout", "accepts_response_payload": true});
            let wanted = Envelope {
                id: "e1".to_owned(),
                kind,
                payload: json!({"a": 1}),
                attempt: 2,
            };
            assert_eq!(frame(&body), Frame::Envelope(wanted), "{word}");
        }
        let Frame::Envelope(bare) = frame(&json!({"envelope_id": "e2"})) else {
            panic!("no envelope")
        };
        assert_eq!(
            (bare.kind, bare.payload, bare.attempt),
            (Kind::Unknown, Value::Null, 0)
        );
        assert_eq!(frame(&json!({"type": "events_api", "payload": {}})), Frame::Other);
        assert_eq!(frame(&json!([1])), Frame::Other);
        assert_eq!(read(&Verified::by_our_connection(Bytes::from("{"))), None);
    }
}
