//! Claiming what is due, as far as there are places to work on it.

use std::collections::HashMap;

use super::board::Board;
use super::leases::Leases;
use crate::domain::Time;
use crate::domain::message::Lane;
use crate::domain::turn::ClaimKey;
use crate::store::{Claims, Quota, StoreError, Work};

/// Claims of one kind of work.
pub(super) struct Claiming<'w> {
    pub(super) work: Work,
    pub(super) board: &'w Board,
    pub(super) leases: &'w Leases,
    pub(super) now: Time,
    /// When the leases end.
    pub(super) until: Time,
}

impl Claiming<'_> {
    /// Asks the store for as much as there are places, and gives back those that were not needed.
    pub(super) async fn claim<C, F>(
        self,
        ask: impl FnOnce(Vec<Quota>) -> F,
        key: impl Fn(&C) -> &ClaimKey,
    ) -> Result<Vec<C>, StoreError>
    where
        F: Future<Output = Result<Claims<C>, StoreError>>,
    {
        let quotas = self.board.quotas(self.now);
        if quotas.is_empty() {
            return Ok(Vec::new());
        }
        match ask(quotas.clone()).await {
            Ok(claims) => {
                let mut got: HashMap<Lane, u32> = HashMap::new();
                for key in claims.claims.iter().map(key) {
                    *got.entry(key.lane.clone()).or_default() += 1;
                    self.leases.begin(self.work, key, self.until);
                }
                self.board.claimed(&quotas, &got, claims.lanes);
                Ok(claims.claims)
            }
            Err(error) => {
                self.board.claimed(&quotas, &HashMap::new(), Vec::new());
                Err(error)
            }
        }
    }
}
