//! Every key that the operator may set, in one table: the checks, the shipped files and the reference all come from it.

mod channels;
pub mod notes;
mod telling;

use std::time::Duration;

use super::kind::Kind;

/// A section of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name, as in `[name]`.
    pub name: &'static str,
    /// Whether it is a channel's: its defaults count only if the operator sets one of its keys.
    pub channel: bool,
    /// What it is about, in a line.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key of a section.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// Its default, as written in TOML.
    pub default: Option<&'static str>,
    /// Whether the section is of no use without it.
    pub required: bool,
    /// What it does, in a line.
    pub doc: &'static str,
}

const fn set(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default: Some(default),
        required: false,
        doc,
    }
}

const fn unset(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        required: false,
        doc,
    }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        required: true,
        doc,
    }
}

const fn between(least: Duration, most: Duration) -> Kind {
    Kind::Duration { least, most }
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(24 * 365);
const NONE: Duration = Duration::ZERO;
const CENTURY: Duration = Duration::from_hours(24 * 36_525);
const INSTANT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

/// The channels' names, which are also their sections'.
pub const CHANNELS: &[&str] = &["slack", "whatsapp"];

/// The section of this name.
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// The tables `[[routes]]`.
pub const ROUTES: Key = unset(
    "routes",
    Kind::Tables(&[
        unset("channel", Kind::Choice(CHANNELS), "Only this channel."),
        unset(
            "account",
            Kind::Name,
            "Only this account: a Slack workspace, a WhatsApp phone_number_id.",
        ),
        unset("place", Kind::Name, "Only this room: a Slack channel's id."),
        required("agent_id", Kind::Name, "The agent that answers there."),
    ]),
    "Which agent answers where: the first table that matches wins, else agent.agent_id.",
);

/// The sections, in the order in which they are documented.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "server",
        channel: false,
        doc: "The public listener: the platforms call it.",
        keys: &[
            set("bind", Kind::Address, "\"127.0.0.1:8080\"", "Address and port."),
            unset(
                "public_url",
                Kind::Url,
                "The address by which the world reaches this listener.",
            ),
            set(
                "body_limit",
                Kind::Size {
                    least: 1024,
                    most: 64 * 1024 * 1024,
                },
                "\"4MiB\"",
                "The largest body that is read (Meta sends up to 3 MB).",
            ),
            set(
                "shutdown_grace",
                between(NONE, HOUR),
                "\"30s\"",
                "How long what is under way may take at a stop.",
            ),
        ],
    },
    Section {
        name: "admin",
        channel: false,
        doc: "The operator's listener: metrics, and the console.",
        keys: &[
            set("bind", Kind::Address, "\"127.0.0.1:9090\"", "Address and port."),
            unset(
                "token",
                Kind::Secret,
                "The operator's token. Without one only /metrics is served, to this machine.",
            ),
        ],
    },
    telling::LOG,
    telling::TELEMETRY,
    Section {
        name: "store",
        channel: false,
        doc: "What is remembered.",
        keys: &[
            set(
                "url",
                Kind::Database,
                "\"sqlite://data/chatbridge.db\"",
                "The database: sqlite://PATH, made if absent, or postgres://USER:PASSWORD@HOST:PORT/NAME.",
            ),
            set(
                "lease",
                Kind::Duration {
                    least: Duration::from_secs(1),
                    most: Duration::from_mins(10),
                },
                "\"15s\"",
                "On PostgreSQL: when the work of a replica that is not heard of is taken over.",
            ),
            unset(
                "secret_key",
                Kind::Keys,
                "Encrypts tokens: 32 bytes in base64, a list to rotate. On SQLite a key is made beside the database if there is none.",
            ),
            unset(
                "text_key",
                Kind::Keys,
                "Encrypts the text of messages and answers: 32 bytes in base64, a list to rotate. Without it they stand as they are.",
            ),
            unset(
                "retention_days",
                Kind::Count {
                    least: 1,
                    most: 36_500,
                },
                "So many days after its end the text of a message or answer is removed. Unset: it stays.",
            ),
        ],
    },
    Section {
        name: "agent",
        channel: false,
        doc: "The LiveChatAI agent that answers.",
        keys: &[
            set(
                "base_url",
                Kind::Url,
                "\"https://app.livechatai.com\"",
                "Where the API stands.",
            ),
            unset(
                "api_key",
                Kind::Secret,
                "The account's key. Without one all questions wait.",
            ),
            unset(
                "agent_id",
                Kind::Name,
                "The agent that answers where no route says otherwise.",
            ),
            set(
                "timeout",
                between(INSTANT, HOUR),
                "\"60s\"",
                "How long one question may take.",
            ),
            set(
                "concurrency",
                Kind::Count {
                    least: 1,
                    most: 10_000,
                },
                "64",
                "How many questions an agent gets at once.",
            ),
            set(
                "links",
                Kind::Choice(&["list", "off"]),
                "\"list\"",
                "Whether the agent's sources are listed below its answer.",
            ),
        ],
    },
    channels::SLACK,
    channels::WHATSAPP,
    Section {
        name: "turn",
        channel: false,
        doc: "When the agent is asked.",
        keys: &[
            unset(
                "wait",
                between(NONE, HOUR),
                "How long to collect a burst; unset: each channel its own (Slack 0s, WhatsApp 1.2s).",
            ),
            set(
                "max_wait",
                between(NONE, HOUR),
                "\"5s\"",
                "How long a burst may be collected in all.",
            ),
            set(
                "max_age",
                between(SECOND, CENTURY),
                "\"24h\"",
                "How old a message may be, by the platform's time, to be asked.",
            ),
            set(
                "too_old",
                Kind::Choice(&["record", "apologise", "answer"]),
                "\"record\"",
                "What becomes of an older one: record it, apologise to the person, or answer all the same.",
            ),
        ],
    },
    Section {
        name: "retry",
        channel: false,
        doc: "The waits between attempts. When they are used up, a dead letter is kept.",
        keys: &[
            set(
                "agent",
                Kind::Schedule,
                "[\"1s\", \"5s\", \"20s\", \"1m\", \"3m\"]",
                "Asking the agent.",
            ),
            set(
                "delivery",
                Kind::Schedule,
                "[\"1s\", \"4s\", \"16s\", \"1m\", \"5m\", \"15m\", \"1h\"]",
                "Delivering a part of an answer.",
            ),
        ],
    },
    Section {
        name: "messages",
        channel: false,
        doc: "What a person may see of the bridge itself. An empty text is not sent.",
        keys: &[
            set(
                "unavailable",
                Kind::Text,
                "\"I can't answer right now. Please try again later.\"",
                "When all attempts to answer have failed.",
            ),
            set(
                "only_text",
                Kind::Text,
                "\"I can only read text messages.\"",
                "When something other than text came.",
            ),
            set(
                "file_not_read",
                Kind::Text,
                "\"I read your words, but I can't open files yet.\"",
                "When words came with a file: they are asked, the file is not.",
            ),
            set(
                "too_old",
                Kind::Text,
                "\"Sorry, I could not answer in time. Please write again if you still need an answer.\"",
                "When a message came too late (turn.too_old = \"apologise\").",
            ),
            set(
                "person_called",
                Kind::Text,
                "\"I have asked for a person. I stay silent here until they have answered.\"",
                "When somebody asked for a person.",
            ),
            set(
                "forgotten",
                Kind::Text,
                "\"I have forgotten our conversation. Your next question begins a new one.\"",
                "When somebody had the conversation forgotten.",
            ),
            set(
                "stopped",
                Kind::Text,
                "\"OK, I have stopped.\"",
                "When somebody stopped the bot before it had answered.",
            ),
            set(
                "thinking",
                Kind::Text,
                "\"is thinking…\"",
                "Behind an assistant's name while an answer is on its way; agents have Slack's own words.",
            ),
            set(
                "suggestions",
                Kind::Text,
                "\"You could ask:\"",
                "Above the questions that an agent suggests.",
            ),
            set(
                "help",
                Kind::Text,
                "\"Write {command} and your question. {command} reset begins a new conversation.\"",
                "How the command is used; {command} stands for its name.",
            ),
            set(
                "helpful",
                Kind::Text,
                "\"Helpful\"",
                "On the button for a helpful answer. Without a text there is no such button.",
            ),
            set(
                "not_helpful",
                Kind::Text,
                "\"Not helpful\"",
                "On the button for an answer that did not help.",
            ),
            set(
                "call_person",
                Kind::Text,
                "\"Talk to a person\"",
                "On the button that calls a person. Without a text there is no such button.",
            ),
        ],
    },
];
