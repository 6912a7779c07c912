//! Between rows and types, the same for both databases.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use super::operator::{AccountRow, Answered, DeadLetter, HistoryItem, ThreadRow};
use super::plan::writes::{DeliveryNow, Found, OpenMessage, SentPart, Stoppable, ThreadNow};
use super::privacy::{self, AuditLine, Erased};
use crate::domain::account::{AccountKey, AliasKey};
use crate::domain::message::Route;
use crate::domain::thread::{Thread, ThreadState};
use crate::domain::{ClaimToken, DeliveryId, MessageId, ThreadId, Time, secrets};

/// A row, as far as its values are read: texts, numbers and truths.
pub(super) trait Cells {
    /// A text.
    fn text(&self, index: usize) -> Result<&str, StoreError>;
    /// A text, if there is one.
    fn maybe_text(&self, index: usize) -> Result<Option<&str>, StoreError>;
    /// A number.
    fn int(&self, index: usize) -> Result<i64, StoreError>;
    /// A number, if there is one.
    fn maybe_int(&self, index: usize) -> Result<Option<i64>, StoreError>;
    /// Whether something is so; no value is no.
    fn flag(&self, index: usize) -> Result<bool, StoreError>;
    /// Bytes, if there are any.
    fn maybe_bytes(&self, index: usize) -> Result<Option<&[u8]>, StoreError>;
}

macro_rules! cells {
    ($row:ty) => {
        impl Cells for $row {
            fn text(&self, index: usize) -> Result<&str, StoreError> {
                Ok(self.try_get(index)?)
            }

            fn maybe_text(&self, index: usize) -> Result<Option<&str>, StoreError> {
                Ok(self.try_get(index)?)
            }

            fn int(&self, index: usize) -> Result<i64, StoreError> {
                Ok(self.try_get(index)?)
            }

            fn maybe_int(&self, index: usize) -> Result<Option<i64>, StoreError> {
                Ok(self.try_get(index)?)
            }

            fn flag(&self, index: usize) -> Result<bool, StoreError> {
                Ok(self.try_get::<Option<bool>, _>(index)?.unwrap_or(false))
            }

            fn maybe_bytes(&self, index: usize) -> Result<Option<&[u8]>, StoreError> {
                Ok(self.try_get(index)?)
            }
        }
    };
}

cells!(SqliteRow);
cells!(PgRow);

/// A row that is read from this column on: in front stands which statement it is of.
pub(super) struct From<'r>(pub(super) &'r SqliteRow, pub(super) usize);

impl Cells for From<'_> {
    fn text(&self, index: usize) -> Result<&str, StoreError> {
        self.0.text(self.1 + index)
    }

    fn maybe_text(&self, index: usize) -> Result<Option<&str>, StoreError> {
        self.0.maybe_text(self.1 + index)
    }

    fn int(&self, index: usize) -> Result<i64, StoreError> {
        self.0.int(self.1 + index)
    }

    fn maybe_int(&self, index: usize) -> Result<Option<i64>, StoreError> {
        self.0.maybe_int(self.1 + index)
    }

    fn flag(&self, index: usize) -> Result<bool, StoreError> {
        self.0.flag(self.1 + index)
    }

    fn maybe_bytes(&self, index: usize) -> Result<Option<&[u8]>, StoreError> {
        self.0.maybe_bytes(self.1 + index)
    }
}

/// Rows as the JSON that a statement takes them from.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// A duration as stored.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

/// The hour since the epoch, in which keys are dated.
pub(super) fn hour(at: Time) -> i64 {
    at.secs().div_euclid(3600)
}

/// A value that the database should not hold.
fn corrupt(index: usize, what: &str) -> StoreError {
    sqlx::Error::ColumnDecode {
        index: index.to_string(),
        source: format!("not {what}").into(),
    }
    .into()
}

pub(super) fn id<T: FromStr>(row: &impl Cells, index: usize) -> Result<T, StoreError> {
    row.text(index)?.parse().map_err(|_| corrupt(index, "an id"))
}

pub(super) fn account(row: &impl Cells, index: usize) -> Result<AccountKey, StoreError> {
    AccountKey::from_stored(row.text(index)?).ok_or_else(|| corrupt(index, "an account"))
}

pub(super) fn alias(row: &impl Cells, index: usize) -> Result<AliasKey, StoreError> {
    Ok(AliasKey::from_stored(row.text(index)?.to_owned()))
}

pub(super) fn time(row: &impl Cells, index: usize) -> Result<Time, StoreError> {
    Ok(Time::from_millis(row.int(index)?))
}

pub(super) fn optional_time(row: &impl Cells, index: usize) -> Result<Option<Time>, StoreError> {
    Ok(row.maybe_int(index)?.map(Time::from_millis))
}

/// A text of one's own, if there is one.
pub(super) fn optional_text(row: &impl Cells, index: usize) -> Result<Option<String>, StoreError> {
    Ok(row.maybe_text(index)?.map(str::to_owned))
}

/// A number that counts something.
pub(super) fn count(row: &impl Cells, index: usize) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.int(index)?.max(0)).unwrap_or(u32::MAX))
}

pub(super) fn thread_state(row: &impl Cells, index: usize) -> Result<ThreadState, StoreError> {
    Ok(if row.text(index)? == "paused" {
        ThreadState::Paused
    } else {
        ThreadState::Open
    })
}

pub(super) fn route(row: &impl Cells, index: usize) -> Result<Route, StoreError> {
    serde_json::from_str(row.text(index)?).map_err(|_| corrupt(index, "a route"))
}

/// The columns that [`thread`] reads, in its order, of a table `t`.
macro_rules! thread_columns {
    () => {
        "t.id, t.account, t.place, t.address, t.conversation_id, t.route, t.country, t.last_inbound_at, t.answer_id"
    };
}
pub(super) use thread_columns;

/// Whether a delivery, of a table `d`, is the last part of an answer; the parts of a turn stand together.
macro_rules! last_part {
    () => {
        "d.kind = 'answer' AND NOT EXISTS (SELECT 1 FROM deliveries AS n WHERE n.thread_id = d.thread_id
             AND n.part = d.part + 1 AND n.kind = 'answer' AND n.turn IS NOT DISTINCT FROM d.turn)"
    };
}
pub(super) use last_part;

/// A thread out of nine columns from `at` on.
pub(super) fn thread(row: &impl Cells, at: usize) -> Result<Thread, StoreError> {
    Ok(Thread {
        id: id(row, at)?,
        account: account(row, at + 1)?,
        place: optional_text(row, at + 2)?,
        address: alias(row, at + 3)?,
        conversation_id: optional_text(row, at + 4)?,
        route: route(row, at + 5)?,
        country: optional_text(row, at + 6)?,
        last_inbound_at: time(row, at + 7)?,
        answer_id: optional_text(row, at + 8)?,
    })
}

/// The columns that [`thread_now`] reads, in its order, of a table `t`.
macro_rules! thread_now_columns {
    () => {
        "t.bound, t.last_seq, t.last_part, t.state, t.noticed_at, t.route, t.address, t.routed_at, t.paused_until"
    };
}
pub(super) use thread_now_columns;

/// A thread as far as accepting concerns it, out of nine columns from `at` on.
pub(super) fn thread_now(row: &impl Cells, at: usize) -> Result<ThreadNow, StoreError> {
    Ok(ThreadNow {
        bound: optional_text(row, at)?.map(AliasKey::from_stored),
        last_seq: row.int(at + 1)?,
        last_part: row.int(at + 2)?,
        state: thread_state(row, at + 3)?,
        noticed_at: optional_time(row, at + 4)?,
        route: route(row, at + 5)?,
        address: alias(row, at + 6)?,
        routed_at: time(row, at + 7)?,
        paused_until: optional_time(row, at + 8)?,
    })
}

/// `thread, part, account, platform_id, state, stage, billed`
pub(super) fn delivery_now(row: &impl Cells) -> Result<DeliveryNow, StoreError> {
    Ok(DeliveryNow {
        id: DeliveryId::new(id(row, 0)?, row.int(1)?),
        account: account(row, 2)?,
        platform_id: optional_text(row, 3)?,
        state: row.text(4)?.to_owned(),
        stage: row.int(5)?,
        billed: row.int(6)? != 0,
    })
}

/// `thread, seq, platform_id, edited_at`
pub(super) fn open_message(row: &impl Cells) -> Result<OpenMessage, StoreError> {
    Ok(OpenMessage {
        id: MessageId::new(id(row, 0)?, row.int(1)?),
        platform_id: row.text(2)?.to_owned(),
        edited_at: optional_time(row, 3)?,
    })
}

/// `thread, until, token, waits`: what can be called off.
pub(super) fn take_stoppable(found: &mut Found, row: &impl Cells) -> Result<(), StoreError> {
    let stoppable = Stoppable {
        asking: row.maybe_int(2)?.map(ClaimToken::from),
        waits: row.flag(3)?,
    };
    found.stoppable.insert((id(row, 0)?, time(row, 1)?), stoppable);
    Ok(())
}

/// `thread, part, turn, account` and the columns of [`thread_now`]: a part, and its thread.
pub(super) fn take_part(found: &mut Found, row: &impl Cells) -> Result<(), StoreError> {
    let thread: ThreadId = id(row, 0)?;
    let now = thread_now(row, 4)?;
    let part = SentPart {
        turn: row.maybe_int(2)?,
        account: account(row, 3)?,
        address: now.address.clone(),
    };
    found.parts.insert(DeliveryId::new(thread, row.int(1)?), part);
    found.threads.insert(thread, now);
    Ok(())
}

/// `id, account, address, state, conversation_id, updated_at`
pub(super) fn thread_row(row: &impl Cells) -> Result<ThreadRow, StoreError> {
    let account = account(row, 1)?;
    Ok(ThreadRow {
        id: row.text(0)?.to_owned(),
        channel: account.channel().to_owned(),
        account: account.account().to_owned(),
        address: row.text(2)?.to_owned(),
        state: row.text(3)?.to_owned(),
        conversation_id: optional_text(row, 4)?,
        last_at: time(row, 5)?.to_string(),
    })
}

/// `at, kind, id, state, text, reason`
pub(super) fn history_item(row: &impl Cells) -> Result<HistoryItem, StoreError> {
    Ok(HistoryItem {
        at: time(row, 0)?.to_string(),
        kind: row.text(1)?.to_owned(),
        id: row.text(2)?.to_owned(),
        state: row.text(3)?.to_owned(),
        text: row.text(4)?.to_owned(),
        reason: reason(row, 5)?,
        stage: optional_text(row, 6)?,
    })
}

/// `channel, hour, bound, count`
pub(super) fn answered(row: &impl Cells) -> Result<Answered, StoreError> {
    Ok(Answered {
        channel: row.text(0)?.to_owned(),
        hour: Time::from_secs(row.int(1)? * 3600),
        within: row.maybe_int(2)?,
        count: u64::try_from(row.int(3)?).unwrap_or(0),
    })
}

/// `account, threads, last_at, waiting, dead`
pub(super) fn account_row(row: &impl Cells) -> Result<AccountRow, StoreError> {
    let account = account(row, 0)?;
    let number = |index| Ok::<_, StoreError>(u64::try_from(row.int(index)?).unwrap_or(0));
    Ok(AccountRow {
        channel: account.channel().to_owned(),
        account: account.account().to_owned(),
        threads: number(1)?,
        last_at: time(row, 2)?,
        waiting: number(3)?,
        dead: number(4)?,
    })
}

/// `id, kind, thread, address, at, attempts, code, reason`
pub(super) fn dead_letter(row: &impl Cells) -> Result<DeadLetter, StoreError> {
    let at = optional_time(row, 4)?;
    Ok(DeadLetter {
        id: row.text(0)?.to_owned(),
        kind: row.text(1)?.to_owned(),
        thread: row.text(2)?.to_owned(),
        address: row.text(3)?.to_owned(),
        at: at.as_ref().map(Time::to_string).unwrap_or_default(),
        attempts: row.int(5)?,
        code: optional_text(row, 6)?.unwrap_or_default(),
        reason: reason(row, 7)?.unwrap_or_default(),
    })
}

/// Why something is as it is, as an operator may read it: others wrote some of it, and may have put a token in.
fn reason(row: &impl Cells, index: usize) -> Result<Option<String>, StoreError> {
    Ok(row.maybe_text(index)?.map(secrets::hidden))
}

/// What erasing a thread removes: `address, conversation_id, messages, deliveries, names, ratings`
pub(super) fn erasable(row: &impl Cells, id: &str) -> Result<Erased, StoreError> {
    Ok(Erased {
        id: Some(id.to_owned()),
        address: optional_text(row, 0)?,
        conversation_id: optional_text(row, 1)?,
        messages: count(row, 2)?.into(),
        deliveries: count(row, 3)?.into(),
        names: count(row, 4)?.into(),
        ratings: count(row, 5)?.into(),
    })
}

/// The part that names somebody, out of `thread, part, body`, if it does.
pub(super) fn mention(row: &impl Cells, name: &str) -> Result<Option<DeliveryId>, StoreError> {
    if !privacy::mentions(row.text(2)?, name) {
        return Ok(None);
    }
    Ok(Some(DeliveryId::new(id(row, 0)?, row.int(1)?)))
}

/// The thread that has a person's name, out of `thread, alias`, if it is one.
pub(super) fn thread_of(row: &impl Cells, person: &str) -> Result<Option<String>, StoreError> {
    let own = privacy::names(row.text(1)?, person);
    own.then(|| row.text(0).map(str::to_owned)).transpose()
}

/// `seq, at, what, thread, messages, deliveries, names, ratings, log_at`
pub(super) fn audit_line(row: &impl Cells) -> Result<AuditLine, StoreError> {
    Ok(AuditLine {
        seq: row.int(0)?,
        at: time(row, 1)?.to_string(),
        what: row.text(2)?.to_owned(),
        thread: optional_text(row, 3)?,
        messages: row.int(4)?,
        deliveries: row.int(5)?,
        names: row.int(6)?,
        ratings: row.int(7)?,
        cleared_at: optional_time(row, 8)?.as_ref().map(Time::to_string),
    })
}
