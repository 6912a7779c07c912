//! The channels' sections.

use crate::channel::slack::MOST_PROMPTS;

use super::{DAY, HOUR, Key, Kind, NONE, Section, YEAR, between, required, set, unset};

/// Section `slack`.
pub(super) const SLACK: Section = Section {
    name: "slack",
    channel: true,
    doc: "Slack. The channel is off while no key of this section is set.",
    keys: &[
        unset(
            "signing_secret",
            Kind::Secrets,
            "The app's signing secret (Basic Information); two while it is replaced. Needed unless app_token is set.",
        ),
        unset(
            "bot_token",
            Kind::Secret,
            "The bot's token, xoxb-… (OAuth & Permissions).",
        ),
        unset(
            "app_token",
            Kind::Secret,
            "An app-level token, xapp-… (Basic Information): what comes in is fetched by Socket Mode; no public address.",
        ),
        set(
            "socket_connections",
            Kind::Count { least: 1, most: 10 },
            "2",
            "How many connections Socket Mode keeps standing.",
        ),
        unset(
            "client_id",
            Kind::Name,
            "The app's client id (Basic Information): with it, others install the app at /slack/install.",
        ),
        unset(
            "client_secret",
            Kind::Secret,
            "The app's client secret (Basic Information).",
        ),
        set(
            "api_base",
            Kind::Url,
            "\"https://slack.com/api\"",
            "Where the Web API stands.",
        ),
        unset(
            "turn_wait",
            between(NONE, HOUR),
            "How long to collect a burst here; unset: as turn.wait, else 0s.",
        ),
        set(
            "follow_threads",
            Kind::Flag,
            "true",
            "Whether replies in a thread of the bot's need no new mention.",
        ),
        set(
            "agent_view",
            Kind::FlagOr(&["assistant"]),
            "false",
            "Whether the app is an agent at Slack (agent_view), with status, stop button and suggestions; \"assistant\": an older one.",
        ),
        set(
            "prompts",
            Kind::Texts { most: MOST_PROMPTS },
            "[]",
            "Questions that an agent suggests to whoever opens it, four at most.",
        ),
        set(
            "reaction",
            Kind::Text,
            "\"\"",
            "Without agent_view: the emoji on a message while its answer is on its way (eyes); empty: none.",
        ),
        set(
            "command",
            Kind::Text,
            "\"/ask\"",
            "The command that asks a question; empty: none.",
        ),
        set(
            "feedback",
            Kind::Flag,
            "false",
            "Whether buttons stand below an answer: helpful, not helpful, talk to a person.",
        ),
        unset(
            "alert_channel",
            Kind::Id,
            "The channel's id that hears of it when somebody asks for a person.",
        ),
        set(
            "pace",
            between(NONE, HOUR),
            "\"1s\"",
            "The time between two messages in one channel, after a short burst; 0s: no pacing.",
        ),
        set(
            "connect",
            Kind::Policy,
            "\"allow\"",
            "People of other workspaces (Slack Connect): allow, deny, or a list of team ids.",
        ),
        set(
            "allow_channels",
            Kind::Ids,
            "[]",
            "Only these channels; empty: all.",
        ),
        set("deny_channels", Kind::Ids, "[]", "Never these channels."),
        set("allow_users", Kind::Ids, "[]", "Only these people; empty: all."),
        set("deny_users", Kind::Ids, "[]", "Never these people."),
    ],
};

/// Section `whatsapp`.
pub(super) const WHATSAPP: Section = Section {
    name: "whatsapp",
    channel: true,
    doc: "WhatsApp. The channel is off while no key of this section is set.",
    keys: &[
        required(
            "app_secret",
            Kind::Secrets,
            "The Meta app's secret (App settings, Basic); several while it is replaced.",
        ),
        required(
            "verify_token",
            Kind::Secret,
            "What you type as verify token where Meta asks for the webhook.",
        ),
        unset("access_token", Kind::Secret, "The system user's token."),
        set(
            "phone_number_ids",
            Kind::Ids,
            "[]",
            "The numbers that are served; empty: all.",
        ),
        set(
            "api_base",
            Kind::Url,
            "\"https://graph.facebook.com\"",
            "Where the Graph API stands.",
        ),
        set(
            "api_version",
            Kind::ApiVersion,
            "\"v26.0\"",
            "The version of the Graph API.",
        ),
        unset(
            "turn_wait",
            between(NONE, HOUR),
            "How long to collect a burst here; unset: as turn.wait, else 1.2s.",
        ),
        set(
            "reconcile_wait",
            between(NONE, DAY),
            "\"30s\"",
            "How long a send of unknown outcome waits for its status.",
        ),
        set(
            "unknown",
            Kind::Choice(&["resend", "park"]),
            "\"resend\"",
            "What then: resend it, or park it as a dead letter.",
        ),
        set(
            "echo_pause",
            between(NONE, YEAR),
            "\"30m\"",
            "How long the bot is silent where a colleague wrote in the Business app; 0s: not at all.",
        ),
        unset(
            "window_template",
            Kind::Template,
            "The template (NAME/LANGUAGE, one body parameter) for replies after the 24-hour window.",
        ),
        unset(
            "numbers",
            Kind::Tables(NUMBER),
            "Numbers with a token or an agent of their own.",
        ),
    ],
};

/// A table of `[[whatsapp.numbers]]`.
const NUMBER: &[Key] = &[
    required(
        "phone_number_id",
        Kind::Id,
        "Meta's id of the number (not the number itself).",
    ),
    unset(
        "access_token",
        Kind::Secret,
        "Its token, if not whatsapp.access_token.",
    ),
    unset(
        "app_secret",
        Kind::Secrets,
        "The secret of its Meta app, if it has another one; several while one is being replaced.",
    ),
    unset(
        "agent_id",
        Kind::Name,
        "Its agent: short for a table of [[routes]] in front of the others.",
    ),
];
