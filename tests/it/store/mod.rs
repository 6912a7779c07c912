//! What every store must do, method by method. The suite knows the trait only; each database runs all of it, and once
//! more with encrypted texts (as `store_veiled`).

mod accepting;
mod colleagues;
mod erasing;
mod expiring;
mod explain;
mod families;
mod figures;
mod histories;
mod identity;
mod installing;
mod operating;
mod people;
mod pressing;
mod replaying;
mod sending;
mod sharing;
mod stopping;
mod turning;
mod veiling;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatbridge::domain::Time;
use chatbridge::domain::account::{AccountKey, AliasKey, DedupKey};
use chatbridge::domain::delivery::{SendClaim, SendOutcome, Settlement};
use chatbridge::domain::identity::{Identifier, Strength};
use chatbridge::domain::message::{Accepted, Admission, Arrival, Inbound, Opens, Treatment};
use chatbridge::domain::routing::{Routes, Rule};
use chatbridge::domain::turn::{CompletedTurn, TurnClaim};
use chatbridge::store::postgres::PostgresStore;
use chatbridge::store::sqlite::{SqliteStore, Tuning};
use chatbridge::store::veil::Veiled;
use chatbridge::store::{Mode, Quota, Settings, Store, StoreError, Work};

use crate::harness::postgres::{Database, on_postgres};

/// The moment at which every test begins.
const START: i64 = 1_800_000_000_000;

/// Whether this is the suite's run with encrypted texts.
fn is_veiled() -> bool {
    module_path!().ends_with("store_veiled")
}

/// What encrypts texts then.
const TEXT_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Where a store lives: in a folder, or in a database of the server.
struct Place {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: on_postgres().then(|| Database::new().unwrap()),
        }
    }

    fn settings(&self) -> Settings {
        let file = || format!("sqlite://{}", self.folder.path().join("test.db").display());
        Settings {
            url: self.database.as_ref().map_or_else(file, Database::url),
            text_key: is_veiled().then(|| TEXT_KEY.into()).into_iter().collect(),
            ..Settings::default()
        }
    }

    async fn open(&self, tuning: Tuning) -> Arc<dyn Store> {
        let settings = self.settings();
        if self.database.is_some() {
            let store = PostgresStore::open(&settings, Mode::Serve).await;
            let store = Arc::new(store.expect("the store opens"));
            return Arc::new(Veiled::new(store, &settings).unwrap());
        }
        // Other tests start processes beside this one. A child that has not begun its program yet holds what was open
        // when it was made, the lock of a store that has just been closed among it.
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            match SqliteStore::open_tuned(&settings, Mode::Serve, tuning).await {
                Err(StoreError::Locked { .. }) if Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                store => {
                    let store = Arc::new(store.expect("the store opens"));
                    return Arc::new(Veiled::new(store, &settings).unwrap());
                }
            }
        }
    }
}

/// A store and where it lives.
struct Bench {
    store: Arc<dyn Store>,
    place: Place,
    tuning: Tuning,
}

impl Bench {
    async fn new() -> Self {
        Self::tuned(Tuning::default()).await
    }

    async fn tuned(tuning: Tuning) -> Self {
        let place = Place::new();
        Self {
            store: place.open(tuning).await,
            place,
            tuning,
        }
    }

    /// Closes the store and opens it again, as a restart does.
    async fn reopen(self) -> Self {
        self.store.close().await;
        let Self { store, place, tuning } = self;
        drop(store);
        Self {
            store: place.open(tuning).await,
            place,
            tuning,
        }
    }

    async fn accept(&self, admissions: Vec<Admission>) -> Vec<Accepted> {
        self.store.accept(admissions).await.unwrap()
    }

    async fn claim_turns(&self, at: Time) -> Vec<TurnClaim> {
        let lanes = self.store.lanes(Work::Turn).await.unwrap();
        let quotas = lanes
            .into_iter()
            .map(|lane| Quota {
                lane: lane.lane,
                most: 100,
            })
            .collect();
        self.store
            .claim_turns(quotas, at, at.plus(LEASE))
            .await
            .unwrap()
            .claims
    }

    async fn claim_sends(&self, at: Time) -> Vec<SendClaim> {
        let lanes = self.store.lanes(Work::Send).await.unwrap();
        let quotas = lanes
            .into_iter()
            .map(|lane| Quota {
                lane: lane.lane,
                most: 100,
            })
            .collect();
        self.store
            .claim_sends(quotas, at, at.plus(LEASE))
            .await
            .unwrap()
            .claims
    }

    /// Answers the only turn that is due, in these parts.
    async fn answer(&self, at: Time, parts: &[&str], claim_first: bool) -> Option<SendClaim> {
        let claim = only(self.claim_turns(at).await);
        self.store
            .complete_turn(claim, completed(parts, claim_first, at))
            .await
            .unwrap()
    }

    async fn states(&self, thread: &str) -> Vec<(String, String, String)> {
        let detail = self
            .store
            .thread(thread)
            .await
            .unwrap()
            .expect("the thread is known");
        detail
            .history
            .into_iter()
            .map(|item| (item.kind, item.text, item.state))
            .collect()
    }
}

const APPLIED: Accepted = Accepted::Applied {
    found: false,
    billed: false,
};

const LEASE: Duration = Duration::from_mins(1);

fn at(millis: i64) -> Time {
    Time::from_millis(START + millis)
}

fn only<T: std::fmt::Debug>(mut items: Vec<T>) -> T {
    assert_eq!(items.len(), 1, "exactly one is expected: {items:?}");
    items.remove(0)
}

fn account() -> AccountKey {
    AccountKey::new("chan", "A1").unwrap()
}

fn routes() -> Routes {
    Routes::new(Vec::<Rule>::new(), "agent")
}

fn alias(name: &str) -> AliasKey {
    account().alias(&[name]).unwrap()
}

fn identifier(name: &str) -> Identifier {
    let strength = match &name[..1] {
        "p" => Strength::Weak,
        "u" => Strength::Strong,
        _ => Strength::Root,
    };
    Identifier {
        alias: alias(name),
        strength,
    }
}

/// A message `id` from whoever goes by these names.
fn inbound(id: &str, names: &[&str], text: &str, sent_at: Time) -> Inbound {
    Inbound {
        account: account(),
        keys: vec![DedupKey::new(&account(), "id", id)],
        identifiers: names.iter().map(|name| identifier(name)).collect(),
        opens: Opens::Thread,
        place: None,
        address: alias(names[0]),
        route: serde_json::json!({ "to": names }),
        country: None,
        platform_id: id.to_owned(),
        sent_at,
        text: text.to_owned(),
        quotes: None,
        treatment: Treatment::Ask,
    }
}

fn admit(arrival: Arrival, at: Time) -> Admission {
    let lane = routes().turn_lane(&account(), None);
    Admission {
        arrival,
        lane,
        wait: Duration::ZERO,
        max_wait: Duration::from_secs(5),
        at,
    }
}

fn message(id: &str, thread: &str, text: &str, at: Time) -> Admission {
    admit(Arrival::Message(inbound(id, &[thread], text, at)), at)
}

fn completed(parts: &[&str], claim_first: bool, at: Time) -> CompletedTurn {
    CompletedTurn {
        conversation_id: "conv".to_owned(),
        answer_id: None,
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        claim_first,
        at,
        lease_until: at.plus(LEASE),
    }
}

fn settlement(outcome: SendOutcome, at: Time) -> Settlement {
    Settlement {
        outcome,
        at,
        claim_next: false,
        lease_until: at.plus(LEASE),
    }
}

fn sent(platform_id: &str, at: Time) -> Settlement {
    settlement(
        SendOutcome::Sent {
            platform_id: Some(platform_id.to_owned()),
        },
        at,
    )
}

fn by_thread(claims: Vec<TurnClaim>) -> HashMap<String, TurnClaim> {
    claims
        .into_iter()
        .map(|claim| (claim.thread.address.as_str().to_owned(), claim))
        .collect()
}
