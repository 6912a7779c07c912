//! The way in: from what a channel read to what the store has.

use crate::channel::{Acknowledgement, Channel, Received};
use crate::store::StoreError;

/// Takes what a channel read, stores it, wakes the workers.
#[derive(Debug)]
pub struct Intake {}

impl Intake {
    /// Stores everything of one webhook in one transaction and returns what the platform gets as its
    /// acknowledgement. On an error nothing was stored, and the platform shall deliver again.
    pub async fn accept(
        &self,
        channel: &dyn Channel,
        received: Received,
    ) -> Result<Acknowledgement, StoreError> {
        let _ = (channel, received);
        todo!()
    }
}
