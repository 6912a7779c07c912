//! What an operator may get wrong, and what they are told.

use super::*;

/// What this file's text and this environment are told.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let error = parse("my.toml", text, environment(variables)).expect_err("there is a mistake");
    error.problems.iter().map(ToString::to_string).collect()
}

/// The only thing that this file's text is told.
fn problem(text: &str) -> String {
    let mut problems = problems(text, &[]);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn all_mistakes_are_told_at_once_each_with_key_and_source() {
    let text = "[server]\nbind = 8080\n[agent]\ntimeout = \"soon\"\n[slack]\nbot_token = \"x\"\n";
    let variables = [
        ("CHATBRIDGE__LOG__LEVEL", "loud"),
        ("CHATBRIDGE__ADMIN__BIND", "localhost:9090"),
    ];
    let problems = problems(text, &variables);
    let wanted = [
        "admin.bind (CHATBRIDGE__ADMIN__BIND): \"localhost:9090\" is no address",
        "agent.timeout (my.toml): \"soon\" is no duration",
        "log.level (CHATBRIDGE__LOG__LEVEL): \"loud\" is not known here; write off, error, warn, info, debug or trace",
        "server.bind (my.toml): is a whole number; write a text in quotes",
        "slack.signing_secret (my.toml): is missing; set it in [slack] or as CHATBRIDGE__SLACK__SIGNING_SECRET",
    ];
    assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
    for (problem, wanted) in problems.iter().zip(wanted) {
        assert!(problem.starts_with(wanted), "{problem}\n{wanted}");
    }
}

#[test]
fn the_error_prints_one_mistake_a_line() {
    let error = parse("my.toml", "[log]\nlevel = 1\nformat = 2\n", []).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
}

#[test]
fn unknown_names_get_a_suggestion() {
    for (text, wanted) in [
        (
            "[server]\nbnid = 1\n",
            "server.bnid (my.toml): is not known; did you mean bind?",
        ),
        (
            "[server]\ntoken = 1\n",
            "server.token (my.toml): is not known; did you mean admin.token?",
        ),
        (
            "[serve]\nbind = 1\n",
            "serve (my.toml): is no section; did you mean server?",
        ),
        (
            "[teams]\n",
            "teams (my.toml): is no section; known are server, admin, log",
        ),
        ("bind = 1\n", "bind (my.toml): is no section"),
        ("server = 1\n", "server (my.toml): is a section; write [server]"),
        (
            "[[routes]]\nagent_id = \"a\"\nplase = \"C1\"\n",
            "routes[0].plase (my.toml): is not known; did you mean place?",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.starts_with(wanted), "{problem}\n{wanted}");
    }
}

#[test]
fn unknown_variables_of_ours_are_told_too() {
    for (variable, wanted) in [
        (
            "CHATBRIDGE__SLAK__BOT_TOKEN",
            "slak (CHATBRIDGE__SLAK__BOT_TOKEN): is no section; did you mean slack?",
        ),
        (
            "CHATBRIDGE__SERVER__BNID",
            "server.bnid (CHATBRIDGE__SERVER__BNID): is not known; did you mean bind?",
        ),
        (
            "CHATBRIDGE__SERVER",
            "server (CHATBRIDGE__SERVER): names a section and no key",
        ),
        (
            "CHATBRIDGE__ROUTES__0__PLACE",
            "routes (CHATBRIDGE__ROUTES__0__PLACE): is a list of tables",
        ),
        (
            "CHATBRIDGE__SERVER__BIND_FILE",
            "server.bind (CHATBRIDGE__SERVER__BIND_FILE): only secrets are read from files",
        ),
    ] {
        let problems = problems("", &[(variable, "x")]);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with(wanted), "{}\n{wanted}", problems[0]);
    }
}

#[test]
fn bad_values_are_told_with_what_to_write() {
    for (text, wanted) in [
        ("[server]\nbind = \"\"\n", "is empty"),
        (
            "[server]\nbind = \"127.0.0.1\"\n",
            "write an IP address and a port",
        ),
        (
            "[server]\npublic_url = \"ftp://x\"\n",
            "is no http or https address",
        ),
        (
            "[server]\npublic_url = \"bridge.example.com\"\n",
            "is no http or https address",
        ),
        (
            "[server]\npublic_url = \"https://u:p@example.com\"\n",
            "and nothing else",
        ),
        ("[server]\nbody_limit = \"4 cows\"\n", "is no size"),
        ("[server]\nbody_limit = -1\n", "is no size"),
        ("[server]\nbody_limit = \"1B\"\n", "is out of bounds"),
        ("[server]\nbody_limit = true\n", "is true or false; write a size"),
        (
            "[server]\nshutdown_grace = 30\n",
            "is a whole number; write a duration with its unit",
        ),
        (
            "[store]\nurl = \"mysql://u:p@h/d\"\n",
            "is no database; write sqlite://PATH",
        ),
        ("[store]\nurl = \"sqlite://\"\n", "is no database"),
        ("[store]\nurl = \"postgres://u:p@h:port/d\"\n", "is no database"),
        ("[store]\nlease = \"10ms\"\n", "is out of bounds"),
        (
            "[agent]\nconcurrency = \"64\"\n",
            "is a text; write a whole number, without quotes",
        ),
        (
            "[agent]\nconcurrency = 0\n",
            "is out of bounds; write a number from 1",
        ),
        ("[agent]\ntimeout = \"0s\"\n", "is out of bounds"),
        ("[agent]\nagent_id = \" \"\n", "is empty"),
        ("[retry]\nagent = [\"1s\", \"x\"]\n", "\"x\" is no duration"),
        ("[retry]\nagent = 5\n", "write a list"),
        (
            "[messages]\nonly_text = false\n",
            "is true or false; write a text",
        ),
        (
            "[turn]\ntoo_old = \"drop\"\n",
            "write record, apologise or answer",
        ),
        (
            "[[routes]]\nchannel = \"teams\"\nagent_id = \"a\"\n",
            "write slack or whatsapp",
        ),
        (
            "[[routes]]\nchannel = \"slack\"\n",
            "routes[0].agent_id (my.toml): is missing",
        ),
        ("[routes]\nchannel = \"slack\"\n", "write [[routes]]"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(wanted), "{problem}\n{wanted}");
    }
}

#[test]
fn bad_values_of_the_channels_are_told_with_what_to_write() {
    for (text, wanted) in [
        (
            format!("{WHATSAPP}api_version = \"26\"\n"),
            "\"26\" is no version",
        ),
        (
            format!("{WHATSAPP}phone_number_ids = [106540352242922]\n"),
            "is a whole number; write a text in quotes",
        ),
        (
            format!("{WHATSAPP}phone_number_ids = [\"+1 650\"]\n"),
            "is no id of a platform",
        ),
        (format!("{WHATSAPP}unknown = \"drop\"\n"), "write resend or park"),
        (
            format!("{WHATSAPP}[[whatsapp.numbers]]\n"),
            "whatsapp.numbers[0].phone_number_id (my.toml): is missing",
        ),
        (
            format!("{SLACK}follow_threads = \"yes\"\n"),
            "is a text; write true or false",
        ),
        (format!("{SLACK}connect = true\n"), "write a list"),
        (
            format!("{SLACK}connect = \"alow\"\n"),
            "\"alow\" is no team id; write \"allow\"",
        ),
        ("[slack]\nsigning_secret = []\n".to_owned(), "is empty"),
        ("[slack]\nsigning_secret = [\"a\", \"\"]\n".to_owned(), "is empty"),
        (
            "[whatsapp]\napp_secret = \"a\"\n".to_owned(),
            "whatsapp.verify_token (my.toml): is missing",
        ),
        (
            "[whatsapp]\nverify_token = \"a\"\n".to_owned(),
            "whatsapp.app_secret (my.toml): is missing",
        ),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(wanted), "{problem}\n{wanted}");
    }
}

#[test]
fn contradictions_are_told() {
    for (text, wanted) in [
        (
            "[admin]\nbind = \"127.0.0.1:8080\"\n".to_owned(),
            "admin.bind (my.toml): 127.0.0.1:8080 is taken by server.bind",
        ),
        (
            "[server]\nbind = \"0.0.0.0:9090\"\n".to_owned(),
            "is taken by server.bind (0.0.0.0:9090)",
        ),
        (
            "[turn]\nwait = \"6s\"\n".to_owned(),
            "turn.wait (my.toml): is longer than turn.max_wait (5s)",
        ),
        (
            format!("{SLACK}turn_wait = \"6s\"\n"),
            "slack.turn_wait (my.toml): is longer than",
        ),
        (
            format!("{SLACK}allow_users = [\"U1\", \"U2\"]\ndeny_users = [\"U2\"]\n"),
            "slack.deny_users (my.toml): U2 is allowed by slack.allow_users too",
        ),
        (
            format!(
                "{WHATSAPP}[[whatsapp.numbers]]\nphone_number_id = \"1\"\n[[whatsapp.numbers]]\nphone_number_id = \"1\"\n"
            ),
            "whatsapp.numbers[1].phone_number_id (my.toml): 1 is there twice",
        ),
        (
            format!("{WHATSAPP}phone_number_ids = [\"2\"]\n[[whatsapp.numbers]]\nphone_number_id = \"1\"\n"),
            "1 is not among whatsapp.phone_number_ids",
        ),
        (
            format!("{SLACK}client_id = \"1.2\"\n[server]\npublic_url = \"https://a.example\"\n"),
            "slack.client_id (my.toml): needs slack.client_secret",
        ),
        (
            format!("{SLACK}client_secret = \"s\"\n"),
            "slack.client_secret (my.toml): needs slack.client_id",
        ),
        (
            format!("{SLACK}client_id = \"1.2\"\nclient_secret = \"s\"\n"),
            "slack.client_id (my.toml): needs server.public_url",
        ),
        (
            format!(
                "{SLACK}client_id = \"1.2\"\nclient_secret = \"s\"\n[server]\npublic_url = \"https://a.example\"\n\
                 [store]\nurl = \"postgres://h/d\"\n"
            ),
            "slack.client_id (my.toml): needs store.secret_key",
        ),
        (
            "[store]\nsecret_key = \"c2hvcnQ=\"\n".to_owned(),
            "store.secret_key (my.toml): holds something other than 32 bytes in base64",
        ),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(wanted), "{problem}\n{wanted}");
    }
}

#[test]
fn two_listeners_may_share_port_zero() {
    let settings = settings(
        "[server]\nbind = \"127.0.0.1:0\"\n[admin]\nbind = \"127.0.0.1:0\"\n",
        &[],
    );
    assert_eq!(settings.admin.bind.port(), 0);
}

#[test]
fn a_secret_comes_from_one_variable_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "k").unwrap();
    let both = [
        ("CHATBRIDGE__AGENT__API_KEY", "k"),
        ("CHATBRIDGE__AGENT__API_KEY_FILE", path.to_str().unwrap()),
    ];
    let told = problems("", &both);
    assert!(
        told[0].contains("is set both by CHATBRIDGE__AGENT__API_KEY and by CHATBRIDGE__AGENT__API_KEY_FILE"),
        "{told:?}"
    );

    std::fs::write(&path, "\n").unwrap();
    assert!(problems("", &both[1..])[0].contains("is empty"));
    std::fs::write(&path, "two\nlines\n").unwrap();
    assert!(problems("", &both[1..])[0].contains("holds a line break"));
}

#[test]
fn no_mistake_shows_a_secret() {
    let token = "xoxb-s3cret";
    let texts = [
        format!("[slack]\nbot_token = \"{token}\n"),
        format!("[slack]\nbot_token = {token}\n"),
        format!("[slack]\nsigning_secret = \"a\\n{token}\"\n"),
        format!("[slack]\nsigning_secret = {{ a = \"{token}\" }}\n"),
        format!("[store]\nurl = \"postgres://u:{token}@h:port/d\"\n"),
        format!("[agent]\nbase_url = \"https://u:{token}@example.com\"\n"),
    ];
    for text in &texts {
        let told = problems(text, &[("CHATBRIDGE__AGENT__API_KEY_FILE", token)]).join("\n");
        assert!(!told.contains("s3cret"), "{told}");
        assert!(
            told.contains("agent.api_key (CHATBRIDGE__AGENT__API_KEY_FILE): the file that it names"),
            "{told}"
        );
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_with_the_line() {
    let problem = problem("[server]\nbind = \n");
    assert!(
        problem.starts_with("my.toml cannot be read: ") && problem.contains("line 2"),
        "{problem}"
    );
}
