//! Where writes wait: each kind for a task of its own, with a connection of its own.
//!
//! What arrives is written by one task, so that what came first is stored first. What workers made of it does not wait
//! behind that, nor the other way round. And a lease must not end because what it is to be renewed beside waits for a
//! lock that somebody holds: renewing touches nothing that anybody else keeps for long.

use tokio::sync::mpsc;

use super::writer::Job;
use crate::store::StoreError;
use crate::store::ops::Op;

/// So many writes of a kind may wait; a webhook beyond that is refused, so that the platform keeps it and delivers it
/// again.
const WAITING: usize = 4096;

/// How many kinds there are: what arrives, what renews a lease, and all else.
const KINDS: usize = 3;

fn kind(op: &Op) -> usize {
    match op {
        Op::Accept(_) => 0,
        Op::Renew { .. } => 1,
        _ => 2,
    }
}

/// The ways into the queues. While these are there, the tasks go on.
#[derive(Debug)]
pub(super) struct Senders([mpsc::Sender<Job>; KINDS]);

/// The queues, each for its task.
pub(super) type Receivers = [mpsc::Receiver<Job>; KINDS];

/// The ways into the queues for as long as they are open.
#[derive(Debug)]
pub(super) struct Submit([mpsc::WeakSender<Job>; KINDS]);

/// Opens the queues.
pub(super) fn open() -> (Senders, Receivers) {
    let [(one, first), (two, second), (three, third)] = std::array::from_fn(|_| mpsc::channel(WAITING));
    (Senders([one, two, three]), [first, second, third])
}

impl Senders {
    /// The same without keeping the tasks going.
    pub(super) fn submit(&self) -> Submit {
        Submit(self.0.each_ref().map(mpsc::Sender::downgrade))
    }
}

impl Submit {
    /// The way for this operation.
    pub(super) fn way(&self, op: &Op) -> Result<mpsc::Sender<Job>, StoreError> {
        self.0[kind(op)].upgrade().ok_or(StoreError::Closed)
    }
}
