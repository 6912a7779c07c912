//! What the reference says beyond the line of each key: who reads a section, and what an operator should know.

/// What reads a section, by its name. Commands take the same configuration as the daemon.
pub const READERS: &[(&str, &str)] = &[
    (
        "server",
        "the daemon's public listener; `simulate` sends to `bind`; `slack manifest`, `whatsapp setup` and `check` take `public_url`",
    ),
    (
        "admin",
        "the daemon's admin listener; `check` looks whether its port is free",
    ),
    ("log", "`serve` and `demo`"),
    ("telemetry", "`serve`"),
    (
        "store",
        "`serve`, `threads`, `dead`, `migrate`, `backup` and `check`",
    ),
    (
        "agent",
        "`serve` and `check --live`; `dead replay` takes `agent_id`",
    ),
    (
        "slack",
        "`serve`, `check`, `slack manifest`; `simulate slack` signs with its secret",
    ),
    (
        "whatsapp",
        "`serve`, `check`, `whatsapp setup`; `simulate whatsapp` signs with its secret",
    ),
    ("turn", "`serve`"),
    ("retry", "`serve`"),
    ("messages", "`serve`"),
    ("routes", "`serve`, `check --live` and `dead replay`"),
];

/// What an operator should know of a key, by its full name, in sentences.
pub const NOTES: &[(&str, &str)] = &[
    (
        "server.bind",
        "Keep it on this machine, behind a proxy that speaks TLS ([deploy/](../deploy/README.md) brings one). `0.0.0.0:8080` in a container.",
    ),
    (
        "server.public_url",
        "Needed by `slack manifest`, `whatsapp setup`, `check --live` and for installing the app into further Slack workspaces.",
    ),
    (
        "server.body_limit",
        "A larger webhook is answered 413. A proxy in front must let as much through.",
    ),
    (
        "server.shutdown_grace",
        "After SIGTERM. What is not done by then goes on at the next start. Give the supervisor more time than this.",
    ),
    (
        "admin.bind",
        "Keep it where only you and your collector reach it.",
    ),
    (
        "admin.token",
        "It opens the [console](operating.md#the-console), and the metrics from elsewhere (`Authorization: Bearer …`).",
    ),
    (
        "log.level",
        "Message text, phone numbers and secrets are in no line of any level.",
    ),
    (
        "telemetry.otlp_endpoint",
        "See [traces](operating.md#traces). A collector that does not answer delays nothing.",
    ),
    ("telemetry.otlp_header", "Such as `Authorization: Bearer …`."),
    (
        "store.url",
        "An SQLite file must lie on a local disk, and one process serves it. PostgreSQL (15 or newer) is for [several replicas](operating.md#postgresql).",
    ),
    (
        "store.secret_key",
        "Make one with `openssl rand -base64 32`. The first key of a list encrypts, all of them decrypt. On PostgreSQL it must be set once workspaces install the app.",
    ),
    (
        "store.text_key",
        "Keep an old key behind the new one for as long as there are texts that it encrypted: see [encrypted texts](operating.md#encrypted-texts).",
    ),
    (
        "store.retention_days",
        "Dead letters of that age lose their text too: see [old texts](operating.md#old-texts).",
    ),
    (
        "agent.api_key",
        "What waits is kept, and `/readyz` says `agent_refused`.",
    ),
    (
        "agent.timeout",
        "A question that takes longer may have been answered all the same: a conversation that is known is looked at before it is asked again.",
    ),
    (
        "agent.concurrency",
        "For each agent, and on PostgreSQL for each replica. An agent that takes two seconds and is asked 64 at a time answers 32 a second.",
    ),
    (
        "slack.signing_secret",
        "With `app_token` it is only needed for webhooks beside Socket Mode.",
    ),
    (
        "slack.bot_token",
        "It serves the workspace that it belongs to. It may stand beside workspaces that [installed the app](slack.md#several-workspaces).",
    ),
    (
        "slack.app_token",
        "See [Socket Mode](slack.md#without-a-public-url-socket-mode). It needs the scope `connections:write`.",
    ),
    (
        "slack.client_id",
        "It needs `client_secret` and `server.public_url`, and on PostgreSQL `store.secret_key`.",
    ),
    (
        "slack.agent_view",
        "See [an agent](slack.md#an-agent-status-stop-button-suggestions). Slack does not let an agent become a plain bot again.",
    ),
    ("slack.prompts", "Only with `agent_view`."),
    (
        "slack.reaction",
        "The emoji's name without colons. It needs the scope `reactions:write`, and cannot stand beside `agent_view`.",
    ),
    (
        "slack.command",
        "It must be the name that the app's settings have: see [the command](slack.md#the-command).",
    ),
    (
        "slack.feedback",
        "**Interactivity** must be on in the app's settings: see [buttons](slack.md#buttons-below-an-answer).",
    ),
    ("slack.alert_channel", "Invite the bot there."),
    (
        "slack.pace",
        "The burst is sixty messages. Slack itself allows about one message a second and channel.",
    ),
    (
        "slack.connect",
        "A list has the ids of the teams whose people are answered, `T…` or `E…`.",
    ),
    (
        "slack.allow_channels",
        "Direct messages are not concerned. The id stands at the bottom of a channel's **About** tab.",
    ),
    (
        "slack.allow_users",
        "The id is in a person's profile, under **Copy member ID**.",
    ),
    (
        "whatsapp.app_secret",
        "A list serves two purposes: several apps, and a secret that is being replaced.",
    ),
    (
        "whatsapp.access_token",
        "Without one, and without one for the number, replies are held until there is one.",
    ),
    (
        "whatsapp.phone_number_ids",
        "These are Meta's ids, not the numbers themselves. What comes for others is counted and left.",
    ),
    (
        "whatsapp.unknown",
        "`resend`: the person may see it twice. `park`: the person may not see it. `chatbridge_sends_unknown_total` counts both.",
    ),
    (
        "whatsapp.echo_pause",
        "It needs the webhook field `smb_message_echoes`: see [colleagues](whatsapp.md#colleagues-in-the-business-app).",
    ),
    (
        "whatsapp.window_template",
        "Without one, what comes too late is a dead letter with the code `window_closed`. Templates are charged.",
    ),
    (
        "whatsapp.numbers.app_secret",
        "Then that number is heard from this app only, and this app for such numbers only.",
    ),
    (
        "turn.wait",
        "`slack.turn_wait` and `whatsapp.turn_wait` win over it. None of them may be longer than `max_wait`.",
    ),
    (
        "turn.max_age",
        "On WhatsApp a message outside of the 24-hour window is never asked, whatever this says: no answer could be delivered.",
    ),
    ("turn.too_old", "`apologise` sends the text `messages.too_old`."),
    (
        "retry.agent",
        "When the list is used up, the person gets `messages.unavailable`, and a dead letter is kept. What only you can mend (a refused key) is held and uses up nothing.",
    ),
    (
        "retry.delivery",
        "Pauses that a platform asks for use up nothing.",
    ),
    (
        "routes.account",
        "A Slack team's id begins with `T`, an organisation's with `E`.",
    ),
];

/// Who reads a section.
pub fn reader(section: &str) -> Option<&'static str> {
    named(READERS, section)
}

/// What there is to know of a key.
pub fn note(key: &str) -> Option<&'static str> {
    named(NOTES, key)
}

fn named(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, words)| *words)
}
