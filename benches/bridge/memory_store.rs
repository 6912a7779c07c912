//! A store that keeps nothing beyond the moment: what the pipeline costs without storage.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use chatbridge::domain::delivery::{DeliveryKind, SendClaim, SendOutcome, Settlement};
use chatbridge::domain::family::FamilyStore;
use chatbridge::domain::installation::{InstallationStore, Installed, KeepError};
use chatbridge::domain::message::{Accepted, Admission, Arrival, Lane};
use chatbridge::domain::routing::{Routes, send_lane};
use chatbridge::domain::thread::Thread;
use chatbridge::domain::turn::{Burial, ClaimKey, CompletedTurn, Deferral, Pending, TurnClaim};
use chatbridge::domain::{AccountKey, ClaimToken, DedupKey, DeliveryId, MessageId, ThreadId, Time, TurnId};
use chatbridge::store::operator::{
    AccountRow, Answered, DeadLetter, DeadQuery, ThreadChange, ThreadDetail, ThreadQuery, ThreadRow,
};
use chatbridge::store::privacy::{AuditLine, Erased, Erasure, Expired, PrivacyStore, Traces};
use chatbridge::store::{Backlog, Claims, LaneDue, Quota, Store, StoreError, Swept, Work};
use secrecy::SecretString;

#[derive(Default)]
struct State {
    keys: HashSet<DedupKey>,
    turns: HashMap<Lane, VecDeque<TurnClaim>>,
    sends: HashMap<Lane, VecDeque<SendClaim>>,
}

/// Turns and parts in queues. Each message is a thread of its own, as the benchmark's are.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<State>);

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn claim(admission: &Admission) -> Option<(TurnClaim, &[DedupKey])> {
    let Arrival::Message(inbound) = &admission.arrival else {
        return None;
    };
    let id = ThreadId::new();
    let thread = Thread {
        id,
        account: inbound.account.clone(),
        place: inbound.place.clone(),
        address: inbound.address.clone(),
        conversation_id: None,
        answer_id: None,
        route: inbound.route.clone(),
        country: None,
        last_inbound_at: inbound.sent_at,
    };
    let message = Pending {
        id: MessageId::new(id, 1),
        platform_id: inbound.platform_id.clone(),
        text: inbound.text.clone(),
        quoted: None,
        sent_at: inbound.sent_at,
        accepted_at: admission.at,
    };
    let key = ClaimKey {
        thread: id,
        token: ClaimToken::new(),
        lane: admission.lane.clone(),
    };
    let turn = TurnId::new(id, 1);
    Some((
        TurnClaim {
            key,
            turn,
            attempt: 1,
            ambiguous: false,
            thread,
            messages: vec![message],
        },
        &inbound.keys,
    ))
}

fn take<C>(queues: &mut HashMap<Lane, VecDeque<C>>, quotas: Vec<Quota>, now: Time) -> Claims<C> {
    let mut taken = Claims {
        claims: Vec::new(),
        lanes: Vec::new(),
    };
    for quota in quotas {
        let queue = queues.entry(quota.lane.clone()).or_default();
        let most = (quota.most as usize).min(queue.len());
        taken.claims.extend(queue.drain(..most));
        taken.lanes.push(LaneDue {
            lane: quota.lane,
            due_at: (!queue.is_empty()).then_some(now),
        });
    }
    taken
}

/// Nobody installs anything during a benchmark.
#[async_trait]
impl InstallationStore for MemoryStore {
    async fn put(&self, _: &AccountKey, _: &SecretString, _: Time) -> Result<Time, KeepError> {
        Err(KeepError("nothing is kept here".to_owned()))
    }

    async fn renew(&self, _: &AccountKey, _: &SecretString, _: Time) -> Result<bool, KeepError> {
        Ok(false)
    }

    async fn list(&self, _: &str) -> Result<Vec<Installed>, KeepError> {
        Ok(Vec::new())
    }

    async fn forget(&self, _: &AccountKey, _: Time) -> Result<bool, KeepError> {
        Ok(false)
    }

    async fn spend(&self, _: &str, _: Time, _: Time) -> Result<bool, KeepError> {
        Ok(false)
    }
}

/// Nothing is learned either.
#[async_trait]
impl FamilyStore for MemoryStore {
    async fn keep_family(&self, _: &AccountKey, _: &str) -> Result<(), KeepError> {
        Ok(())
    }

    async fn families(&self, _: &str) -> Result<Vec<(AccountKey, String)>, KeepError> {
        Ok(Vec::new())
    }
}

/// What is not kept need not be forgotten.
#[async_trait]
impl PrivacyStore for MemoryStore {
    async fn threads_of(&self, _: &str) -> Result<Vec<ThreadRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn erasable(&self, _: &str) -> Result<Option<Erased>, StoreError> {
        Ok(None)
    }

    async fn erase(&self, _: Erasure, _: Time) -> Result<Option<Erased>, StoreError> {
        Ok(None)
    }

    async fn clear(&self, _: Time) -> Result<Traces, StoreError> {
        Ok(Traces::None)
    }

    async fn audit(&self, _: u32) -> Result<Vec<AuditLine>, StoreError> {
        Ok(Vec::new())
    }

    async fn expire(&self, _: Time, _: Option<String>) -> Result<Expired, StoreError> {
        Ok(Expired::default())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, batch: Vec<Admission>) -> Result<Vec<Accepted>, StoreError> {
        let mut state = self.state();
        let mut outcomes = Vec::with_capacity(batch.len());
        for admission in &batch {
            let Some((claim, keys)) = claim(admission) else {
                outcomes.push(Accepted::Unknown);
                continue;
            };
            let fresh = keys.iter().filter(|key| state.keys.insert(**key)).count();
            if fresh == keys.len() {
                state
                    .turns
                    .entry(admission.lane.clone())
                    .or_default()
                    .push_back(claim);
                outcomes.push(Accepted::Queued);
            } else {
                outcomes.push(Accepted::Duplicate);
            }
        }
        Ok(outcomes)
    }

    async fn lanes(&self, _: Work) -> Result<Vec<LaneDue>, StoreError> {
        Ok(Vec::new())
    }

    async fn claim_turns(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        _: Time,
    ) -> Result<Claims<TurnClaim>, StoreError> {
        Ok(take(&mut self.state().turns, quotas, now))
    }

    async fn complete_turn(
        &self,
        claim: TurnClaim,
        done: CompletedTurn,
    ) -> Result<Option<SendClaim>, StoreError> {
        let lane = send_lane(&claim.thread.account);
        let send = SendClaim {
            key: ClaimKey {
                lane: lane.clone(),
                ..claim.key
            },
            delivery: DeliveryId::new(claim.thread.id, 1),
            thread: claim.thread,
            kind: DeliveryKind::Answer,
            last: done.parts.len() == 1,
            body: done.parts.into_iter().next().unwrap_or_default(),
            attempt: 1,
            pauses: 0,
            unknown: false,
            asked_at: None,
            created_at: done.at,
            last_attempt_at: None,
        };
        if done.claim_first {
            return Ok(Some(send));
        }
        self.state().sends.entry(lane).or_default().push_back(send);
        Ok(None)
    }

    async fn defer_turn(&self, _: ClaimKey, _: Deferral) -> Result<(), StoreError> {
        Err(StoreError::Fenced)
    }

    async fn bury_turn(&self, _: TurnClaim, _: Burial) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim_sends(
        &self,
        quotas: Vec<Quota>,
        now: Time,
        _: Time,
    ) -> Result<Claims<SendClaim>, StoreError> {
        Ok(take(&mut self.state().sends, quotas, now))
    }

    async fn settle(
        &self,
        claim: SendClaim,
        settlement: Settlement,
    ) -> Result<Option<SendClaim>, StoreError> {
        if !matches!(settlement.outcome, SendOutcome::Sent { .. }) {
            self.state()
                .sends
                .entry(claim.key.lane.clone())
                .or_default()
                .push_back(claim);
        }
        Ok(None)
    }

    async fn release(&self, _: Work, _: &str, _: Time) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn recover(&self, _: &Routes, _: Time, _: Time) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn sweep(&self, _: Time, _: i64) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn threads(&self, _: ThreadQuery) -> Result<Vec<ThreadRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn thread(&self, _: &str) -> Result<Option<ThreadDetail>, StoreError> {
        Ok(None)
    }

    async fn change_thread(
        &self,
        _: &str,
        _: ThreadChange,
        _: Time,
    ) -> Result<Option<ThreadRow>, StoreError> {
        Ok(None)
    }

    async fn dead(&self, _: DeadQuery) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: &str, _: &Routes, _: Time) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn purge(&self, _: &str, _: Time) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn prolong(
        &self,
        _work: Work,
        keys: Vec<ClaimKey>,
        _until: Time,
    ) -> Result<HashSet<ClaimToken>, StoreError> {
        Ok(keys.into_iter().map(|key| key.token).collect())
    }

    async fn answered(&self, _: Time) -> Result<Vec<Answered>, StoreError> {
        Ok(Vec::new())
    }

    async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn close(&self) {}
}
