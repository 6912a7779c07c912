//! The real pipeline in this process: its clock is driven, its neighbours are the stubs, its database is a file or, in
//! the run on PostgreSQL, a server's.
//!
//! There too the driven clock is the daemon's: what a real one reads off the server is passed over. Its leases are longer
//! than any call of a history. What a crash leaves claimed is free when they end: the next time that time passes, it passes
//! until then.

use std::cell::Cell;
use std::ffi::OsString;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge::app::{self, Overrides, Running};
use chatbridge::config;
use chatbridge::domain::clock::ManualClock;
use chatbridge::domain::{Clock, Time};
use chatbridge::store::operator::{ThreadChange, ThreadDetail};
use chatbridge::store::{self, Mode, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{
    APP_SECRET, DEADLINE, Incoming, NUMBER, Person, SIGNING_SECRET, SlackEvent, World, eventually, post,
    slack_signature, unix_now, waiting_work, webhook, whatsapp_signature,
};

use super::model::is_slack;

/// How much the clock moves at each look; more than any wait of the configuration in a few looks.
const TICK: Duration = Duration::from_secs(1);

/// How long the claims of the dead hold, where others could take them over: longer than the longest call.
const LEASE: Duration = Duration::from_mins(40);

/// How the operator's connections are called, and how the daemon's are.
const OPERATOR: &str = "?application_name=operator";
const DAEMONS: &str = "SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'chatbridge'";

/// A body that a platform delivered, and to whom.
#[derive(Clone)]
pub(super) struct Delivered {
    slack: bool,
    body: Value,
}

/// A bridge, its neighbours, and the platforms that deliver to it.
pub(super) struct Bridge {
    pub(super) world: World,
    clock: Arc<ManualClock>,
    /// A life: gone with all its tasks when it is dropped.
    life: Option<(Runtime, Running)>,
    /// The operator's, beside the daemon.
    operator: (Runtime, Arc<dyn Store>),
    /// When the last leases of the dead end, where there are leases.
    bereaved: Cell<Option<Time>>,
    /// What was written so far: time stamps differ by a millisecond at least, as no person is faster.
    made: u64,
}

impl Bridge {
    pub(super) fn start() -> Self {
        let mut world = World::stopped();
        world
            .config
            .set("turn.wait", "5s")
            .set("agent.timeout", "30m")
            .set("retry.agent", json!(vec!["1s"; 8]))
            .set("retry.delivery", json!(vec!["1s"; 8]));
        let clock = Arc::new(ManualClock::at(Time::from_secs(
            i64::try_from(unix_now()).unwrap(),
        )));
        let life = Some(begin(&world, &clock));
        let runtime = runtime(1);
        let mut settings = settings(&world).store;
        if world.database.is_some() {
            settings.url.push_str(OPERATOR);
        }
        let store = runtime.block_on(store::open(&settings, Mode::Command)).unwrap();
        Self {
            world,
            clock,
            life,
            operator: (runtime, store),
            bereaved: Cell::new(None),
            made: 0,
        }
    }

    /// The daemon dies where it stands, and starts again.
    pub(super) fn crash(&mut self) {
        let (runtime, running) = self.life.take().unwrap();
        drop(running);
        runtime.shutdown_timeout(Duration::from_secs(5));
        if let Some(database) = &self.world.database {
            // What it had sent to the server may still be carried out.
            eventually("its sessions to end", || {
                (database.count(DAEMONS) == 0).then_some(())
            });
            self.bereaved.set(Some(self.clock.now().plus(LEASE + TICK)));
        }
        self.life = Some(begin(&self.world, &self.clock));
    }

    /// A message that is written so long ago; it is not delivered yet.
    pub(super) fn write(&mut self, thread: usize, text: &str, ago: Duration) -> Delivered {
        let at = self.clock.now().minus(ago);
        self.made += 1;
        let (slack, body) = if is_slack(thread) {
            let ts = format!("{}.{:03}000", at.secs(), self.made % 1000);
            let event = SlackEvent::dm(&place(thread), text)
                .with("ts", ts.as_str())
                .with("event_ts", ts)
                .envelope("event_time", at.secs());
            (true, event.0)
        } else {
            let message = Incoming::text(&Person::phone(&place(thread)), text);
            let message = message.with("timestamp", at.secs().to_string());
            (false, webhook(NUMBER, &[message]))
        };
        Delivered { slack, body }
    }

    /// The news that a message on Slack was changed, or taken back where there is no new text.
    pub(super) fn revise(&mut self, of: &Delivered, old: &str, new: Option<&str>) -> Delivered {
        self.made += 1;
        let now = format!("{}.{:03}000", self.clock.now().secs(), self.made % 1000);
        let mut before = of.body["event"].clone();
        before["text"] = json!(old);
        let mut after = before.clone();
        after["edited"] = json!({"user": before["user"], "ts": now});
        let mut event = json!({"type": "message", "hidden": true, "channel": before["channel"],
            "channel_type": "im", "ts": now, "event_ts": now, "previous_message": before});
        if let Some(new) = new {
            after["text"] = json!(new);
            event["subtype"] = json!("message_changed");
            event["message"] = after;
        } else {
            event["subtype"] = json!("message_deleted");
            event["deleted_ts"] = before["ts"].clone();
        }
        let mut news = SlackEvent(of.body.clone()).again();
        news.0["event"] = event;
        Delivered {
            slack: true,
            body: news.0,
        }
    }

    /// A platform delivers, and must be thanked. Slack may deliver the same under another event id.
    #[track_caller]
    pub(super) fn deliver(&self, delivered: &Delivered, again: bool) {
        let body = if again && delivered.slack {
            SlackEvent(delivered.body.clone()).again().0
        } else {
            delivered.body.clone()
        };
        let (body, now) = (body.to_string(), self.clock.now().secs().to_string());
        let json = ("content-type", "application/json".to_owned());
        let (path, headers) = if delivered.slack {
            let signature = slack_signature(SIGNING_SECRET, &now, body.as_bytes());
            let headers = vec![
                json,
                ("x-slack-signature", signature),
                ("x-slack-request-timestamp", now.clone()),
            ];
            ("/slack/events", headers)
        } else {
            let signature = whatsapp_signature(APP_SECRET, body.as_bytes());
            (
                "/whatsapp/webhook",
                vec![json, ("x-hub-signature-256", signature)],
            )
        };
        let (_, running) = self.life.as_ref().unwrap();
        let url = format!("http://{}{path}", running.public_addr);
        let reply = post(&url, &headers, body.into_bytes()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Time goes on until at most so many messages and parts wait, or `until` holds.
    #[track_caller]
    pub(super) fn pass_until(&self, waiting: u64, until: impl Fn(&World) -> bool) {
        if let Some(end) = self.bereaved.take() {
            self.skip(end.since(self.clock.now()));
        }
        let patience = Instant::now() + DEADLINE;
        let (runtime, store) = &self.operator;
        loop {
            // What is under way on the wire is given a moment before the clock moves on.
            for _ in 0..6 {
                let left = runtime.block_on(store.backlog()).unwrap().waiting;
                if left <= waiting || until(&self.world) {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            assert!(
                Instant::now() < patience,
                "what waits is not dealt with: {} at {}",
                waiting_work(&self.world),
                self.clock.now().millis()
            );
            self.skip(TICK);
        }
    }

    /// So much time is gone at once, for everybody.
    pub(super) fn skip(&self, span: Duration) {
        self.clock.advance(span);
        let now = u64::try_from(self.clock.now().secs()).unwrap();
        self.world.slack.clock(now);
    }

    /// So much time goes on in small steps, in each of which the workers look around.
    pub(super) fn look_around(&self, span: Duration) {
        for _ in 0..10 {
            self.skip(span / 10);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// An operator changes a thread by its address.
    #[track_caller]
    pub(super) fn change(&self, thread: usize, change: ThreadChange) {
        let (runtime, store) = &self.operator;
        let name = address(thread);
        let done = store.change_thread(&name, change, self.clock.now());
        runtime.block_on(done).unwrap();
    }

    /// A thread as the operator sees it.
    pub(super) fn thread(&self, thread: usize) -> Option<ThreadDetail> {
        let (runtime, store) = &self.operator;
        runtime.block_on(store.thread(&address(thread))).unwrap()
    }
}

/// Begins a life as soon as the one before has let go of the database.
fn begin(world: &World, clock: &Arc<ManualClock>) -> (Runtime, Running) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let patience = Instant::now() + DEADLINE;
    loop {
        let runtime = runtime(2);
        let settings = settings(world);
        let overrides = Overrides {
            clock: Some(clock.clone()),
            poll: Some(Duration::from_millis(10)),
            ..Overrides::default()
        };
        match runtime.block_on(app::start(settings, overrides)) {
            Ok(running) => return (runtime, running),
            Err(error) => {
                assert!(
                    Instant::now() < patience && error.to_string().contains("already serves"),
                    "{error}"
                );
                runtime.shutdown_background();
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn settings(world: &World) -> config::Settings {
    let environment = Vec::<(OsString, OsString)>::new();
    let mut settings = config::parse("history", &world.config.to_toml(), environment).unwrap();
    settings.store.lease = LEASE;
    settings
}

fn runtime(threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// Where a thread's replies go.
pub(super) fn place(thread: usize) -> String {
    if is_slack(thread) {
        format!("D{thread}")
    } else {
        format!("1555600000{thread}")
    }
}

fn address(thread: usize) -> String {
    if is_slack(thread) {
        format!("slack/T1/{}", place(thread))
    } else {
        format!("whatsapp/{NUMBER}/{}", place(thread))
    }
}
