//! The janitor, with a clock that the tests move.

use super::*;
use crate::domain::account::{AccountKey, DedupKey};
use crate::domain::clock::ManualClock;
use crate::domain::identity::{Identifier, Strength};
use crate::domain::message::{Admission, Arrival, Inbound, Opens, Treatment};
use crate::domain::routing::{Routes, Rule};
use crate::store::{Mode, Settings};

const DAY: Duration = Duration::from_hours(24);

struct Bench {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    janitor: Janitor,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            url: format!("sqlite://{}", folder.path().join("test.db").display()),
            ..Settings::default()
        };
        let store = crate::store::open(&settings, Mode::Serve).await.unwrap();
        let clock = Arc::new(ManualClock::at(Time::from_millis(1_800_000_000_000)));
        Self {
            janitor: Janitor::new(store.clone(), clock.clone(), Some(2 * DAY)),
            store,
            clock,
            _folder: folder,
        }
    }

    /// A message that is recorded and left: it has ended.
    async fn ended(&self, id: &str) {
        let (account, at) = (AccountKey::new("chan", "A1").unwrap(), self.clock.now());
        let address = account.alias(&[id]).unwrap();
        let inbound = Inbound {
            keys: vec![DedupKey::new(&account, "id", id)],
            identifiers: vec![Identifier {
                alias: address.clone(),
                strength: Strength::Root,
            }],
            opens: Opens::Thread,
            place: None,
            address,
            route: serde_json::json!({}),
            country: None,
            platform_id: id.to_owned(),
            sent_at: at,
            text: "words".to_owned(),
            quotes: None,
            treatment: Treatment::Ignore {
                reason: "kind",
                notice: None,
            },
            account: account.clone(),
        };
        let admission = Admission {
            arrival: Arrival::Message(inbound),
            lane: Routes::new(Vec::<Rule>::new(), "agent").turn_lane(&account, None),
            wait: Duration::ZERO,
            max_wait: Duration::ZERO,
            at,
        };
        self.store.accept(vec![admission]).await.unwrap();
    }

    async fn text(&self, id: &str) -> String {
        let detail = self
            .store
            .thread(&format!("chan/A1/{id}"))
            .await
            .unwrap()
            .unwrap();
        detail.history[0].text.clone()
    }
}

#[tokio::test]
async fn texts_go_when_their_days_are_over_and_are_looked_for_once_a_day() {
    let mut bench = Bench::new().await;
    bench.ended("t1").await;
    bench.janitor.visit().await;
    assert_eq!(bench.text("t1").await, "words");
    bench.clock.advance(DAY + EVERY);
    bench.ended("t2").await;
    bench.janitor.visit().await;
    assert_eq!(bench.text("t1").await, "words", "a day is less than two");
    bench.clock.advance(DAY / 2 + DAY / 4);
    bench.janitor.visit().await;
    bench.clock.advance(Duration::from_hours(5));
    bench.janitor.visit().await;
    assert_eq!(
        bench.text("t1").await,
        "words",
        "the next round begins a day after the last"
    );
    bench.clock.advance(Duration::from_hours(2));
    bench.janitor.visit().await;
    assert_eq!(
        (bench.text("t1").await, bench.text("t2").await),
        (String::new(), "words".to_owned())
    );
}

#[tokio::test]
async fn without_a_number_of_days_texts_stay() {
    let mut bench = Bench::new().await;
    bench.janitor.retention = None;
    bench.ended("t1").await;
    bench.clock.advance(1000 * DAY);
    bench.janitor.visit().await;
    assert_eq!(bench.text("t1").await, "words");
}
