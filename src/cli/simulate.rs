//! `chatbridge simulate`.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{ConfigFile, Usage, output};
use crate::channel;
use crate::config::Settings;
use crate::demo::graph::Graph;
use crate::demo::slack::{CHANNEL, PEOPLE, Slack};
use crate::demo::state::DemoState;
use crate::demo::webhooks::slack::{self, Installation, Message};
use crate::demo::webhooks::whatsapp::{self, Number, Person};
use crate::demo::webhooks::{Acknowledged, Postman, Signed};
use crate::demo::{reachable, transcript};
use crate::outbound::{self, Failure};

/// How long Slack may take to say where the bot is installed.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Who writes on WhatsApp, if nobody else is named: a number that is reserved for fiction.
const WRITER: &str = "15550100142";

const EXAMPLES: &str = "\
Examples:
  chatbridge simulate slack \"When are you open?\"
  chatbridge simulate slack --thread 1766458026.240809 \"And on Sunday?\"
  chatbridge simulate slack --channel D0DIRECT \"Just between us\"
  chatbridge simulate whatsapp --user 15550100142 \"Do you ship to Norway?\"
  chatbridge simulate whatsapp --payload recorded.json --config /etc/chatbridge.toml

Address and secrets come from the configuration. Where that has no section for the platform, they
come from a demo that runs on this machine (chatbridge demo). Answers go where the daemon sends
them: to a real platform, or to the demo's transcript. Status 0: the daemon took the event.";

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    platform: Platform,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where the daemon is reached, if not at server.bind: its scheme, host and port
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Platform {
    /// A message in Slack: a mention of the bot in a channel, a reply in a thread, or a direct message.
    #[command(after_help = EXAMPLES)]
    Slack(SlackArgs),
    /// A message on WhatsApp.
    #[command(after_help = EXAMPLES)]
    Whatsapp(WhatsAppArgs),
}

#[derive(Debug, clap::Args)]
struct SlackArgs {
    #[command(flatten)]
    what: What,
    /// Reply in the thread with this root, without a mention.
    #[arg(long, value_name = "TS", conflicts_with = "payload")]
    thread: Option<String>,
    /// Who writes.
    #[arg(long, value_name = "ID", default_value = PEOPLE[0].0)]
    user: String,
    /// Where; an id that begins with D is a direct message.
    #[arg(long, value_name = "ID", default_value = CHANNEL.0)]
    channel: String,
}

#[derive(Debug, clap::Args)]
struct WhatsAppArgs {
    #[command(flatten)]
    what: What,
    /// Who writes: a phone number, or a user id such as US.13491208655302741918 for somebody without one.
    #[arg(long, value_name = "PHONE_OR_ID", default_value = WRITER)]
    user: String,
    /// To which of the business's numbers, by Meta's id of it [default: the first that is configured]
    #[arg(long, value_name = "ID")]
    channel: Option<String>,
}

#[derive(Debug, clap::Args)]
struct What {
    /// What the person writes.
    #[arg(required_unless_present = "payload")]
    text: Option<String>,
    /// Send this recorded webhook as it is, freshly signed; an old message in it may be too old to be answered.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "user", "channel"])]
    payload: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = args.common.config.load()?;
    match args.platform {
        Platform::Slack(slack) => simulate_slack(&slack, args.common.url, settings).await,
        Platform::Whatsapp(whatsapp) => simulate_whatsapp(&whatsapp, args.common.url, settings).await,
    }
}

async fn simulate_slack(args: &SlackArgs, url: Option<String>, settings: Settings) -> anyhow::Result<()> {
    let configured = settings.channels.slack.clone();
    let (daemon, secret) = match &configured {
        Some(slack) => (
            Daemon::configured(url, &settings),
            first(&slack.signing_secret, "slack.signing_secret")?,
        ),
        None => Daemon::of_demo(url, "slack", |demo| &demo.signing_secret)?,
    };
    if let Some(file) = &args.what.payload {
        let body = read(file)?;
        return daemon
            .send("webhook", &body, slack::sign(&secret, body.clone()))
            .await;
    }
    let installation = match &configured {
        Some(slack) => installation(slack).await,
        None => Slack::installation(),
    };
    let message = Message {
        channel: &args.channel,
        user: &args.user,
        thread: args.thread.as_deref(),
        text: args.what.text.as_deref().unwrap_or_default(),
    };
    let events = slack::events(&installation, &message);
    if let [_, _] = &events[..] {
        output::line("A mention comes as two events; the bridge answers it once.")?;
    }
    for event in events {
        let body = event.to_string().into_bytes();
        let event = &event["event"];
        let name = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let what = format!("{} in {}, ts {}", name("type"), name("channel"), name("ts"));
        daemon
            .send(&what, &body, slack::sign(&secret, body.clone()))
            .await?;
    }
    Ok(())
}

async fn simulate_whatsapp(
    args: &WhatsAppArgs,
    url: Option<String>,
    settings: Settings,
) -> anyhow::Result<()> {
    let configured = settings.channels.whatsapp.as_ref();
    let (daemon, secret) = match configured {
        Some(whatsapp) => (
            Daemon::configured(url, &settings),
            first(&whatsapp.app_secret, "whatsapp.app_secret")?,
        ),
        None => Daemon::of_demo(url, "whatsapp", |demo| &demo.app_secret)?,
    };
    if let Some(file) = &args.what.payload {
        let body = read(file)?;
        return daemon
            .send("webhook", &body, whatsapp::sign(&secret, body.clone()))
            .await;
    }
    let served = configured.and_then(|whatsapp| {
        let own = whatsapp.numbers.first().map(|number| &number.phone_number_id);
        whatsapp.phone_number_ids.first().or(own).cloned()
    });
    let number = Graph::number();
    let number = Number {
        id: args.channel.clone().or(served).unwrap_or(number.id),
        display: number.display,
    };
    let webhook = whatsapp::text(
        &number,
        &person(&args.user)?,
        args.what.text.as_deref().unwrap_or_default(),
    );
    let body = whatsapp::bytes(&webhook);
    let what = format!("message to number {}", number.id);
    daemon
        .send(&what, &body, whatsapp::sign(&secret, body.clone()))
        .await
}

/// A person by a phone number however it is written, or by a user id.
fn person(id: &str) -> anyhow::Result<Person> {
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    let phone = !digits.is_empty() && id.chars().all(|c| c.is_ascii_digit() || "+ -().".contains(c));
    let country = id
        .split_once('.')
        .is_some_and(|(country, rest)| country.len() == 2 && !rest.is_empty());
    if !phone && !country {
        let message =
            format!("{id:?} is neither a phone number nor a user id such as US.13491208655302741918");
        return Err(Usage(message).into());
    }
    Ok(Person {
        name: if id == WRITER {
            "Carla".to_owned()
        } else {
            String::new()
        },
        phone: phone.then_some(digits),
        user_id: country.then(|| id.to_owned()),
    })
}

/// Where the app is installed, as Slack itself says. Without its word the daemon will hardly take the event for its
/// own, which is said.
async fn installation(settings: &channel::slack::Settings) -> Installation {
    match ask(settings).await {
        Ok(installation) => installation,
        Err(reason) => {
            let substitute = Slack::installation();
            eprintln!(
                "note: Slack does not say where the bot is installed ({reason}), so the event is for {}, which the \
                 daemon may ignore",
                substitute.team
            );
            substitute
        }
    }
}

async fn ask(settings: &channel::slack::Settings) -> Result<Installation, String> {
    let token = settings.bot_token.as_ref().ok_or("slack.bot_token is not set")?;
    let client = outbound::client(PATIENCE).map_err(|error| error.to_string())?;
    let url = format!("{}/auth.test", settings.api_base.trim_end_matches('/'));
    let request = client.post(url).bearer_auth(token.expose_secret());
    let answer = outbound::call(request)
        .await
        .map_err(|failure| failure.to_string())?;
    let answer = answer.json().unwrap_or(Value::Null);
    let field = |name: &str| answer[name].as_str().map(str::to_owned);
    match (field("team_id"), field("user_id")) {
        (Some(team), Some(bot)) => Ok(Installation { team, bot }),
        _ => Err(field("error").unwrap_or_else(|| "it answered something else".to_owned())),
    }
}

fn first(secrets: &[SecretString], key: &str) -> anyhow::Result<SecretString> {
    let given = secrets.iter().find(|secret| !secret.expose_secret().is_empty());
    given
        .cloned()
        .ok_or_else(|| Usage(format!("{key} is empty: there is nothing to sign with")).into())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| Usage(format!("{} cannot be read: {error}", file.display())).into())
}

/// The daemon that is written to.
struct Daemon {
    url: String,
    demo: Option<DemoState>,
}

impl Daemon {
    fn configured(url: Option<String>, settings: &Settings) -> Self {
        let url = url.unwrap_or_else(|| format!("http://{}", reachable(settings.server.bind)));
        Self { url, demo: None }
    }

    /// The daemon of a demo that runs, and its secret.
    fn of_demo(
        url: Option<String>,
        section: &str,
        secret: impl Fn(&DemoState) -> &String,
    ) -> anyhow::Result<(Self, SecretString)> {
        let Some(demo) = DemoState::find() else {
            let message = format!(
                "the configuration has no section [{section}], and no demo runs: name a file with --config, or run \
                 chatbridge demo in another terminal"
            );
            return Err(Usage(message).into());
        };
        let secret = SecretString::from(secret(&demo).as_str());
        let url = url.unwrap_or_else(|| format!("http://{}", demo.address));
        Ok((
            Self {
                url,
                demo: Some(demo),
            },
            secret,
        ))
    }

    /// Sends a webhook and shows what the daemon says to it.
    async fn send(&self, what: &str, body: &[u8], signed: Signed) -> anyhow::Result<()> {
        if let Some(demo) = &self.demo
            && let Err(failure) = demo.tell(body).await
        {
            eprintln!("note: the demo's transcript will not show the message: the demo {failure}");
        }
        output::line(&output::tame(&format!("{what}  ->  {}", self.url)))?;
        let acknowledged = match Postman::new(&self.url)?.post(signed).await {
            Ok(acknowledged) => acknowledged,
            Err(failure @ Failure::NotSent(_)) => {
                return Err(anyhow!("{} {failure}; is the daemon running?", self.url));
            }
            Err(failure @ Failure::Unknown(_)) => return Err(anyhow!("{} {failure}", self.url)),
        };
        output::line(&told(&acknowledged))?;
        if !acknowledged.status.is_success() {
            bail!("the daemon did not take it: {}", acknowledged.status);
        }
        Ok(())
    }
}

fn told(acknowledged: &Acknowledged) -> String {
    let body = output::tame(acknowledged.body.trim());
    let body = if body.is_empty() { "empty body" } else { &body };
    let took = transcript::duration(acknowledged.took);
    format!("  {} in {took}, {body}", acknowledged.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_a_phone_number_or_a_user_id() {
        assert_eq!(
            person("+1 555-010-0142").unwrap().phone.as_deref(),
            Some("15550100142")
        );
        let hidden = person("NO.2960").unwrap();
        assert_eq!((hidden.phone, hidden.user_id.as_deref()), (None, Some("NO.2960")));
        for bad in ["", "Carla", "NO.", "+"] {
            assert!(person(bad).unwrap_err().is::<Usage>(), "{bad}");
        }
    }

    #[test]
    fn an_acknowledgement_is_told_in_a_line() {
        let acknowledged = Acknowledged {
            status: http::StatusCode::OK,
            took: std::time::Duration::from_millis(3),
            body: String::new(),
        };
        assert_eq!(told(&acknowledged), "  200 OK in 3 ms, empty body");
    }
}
