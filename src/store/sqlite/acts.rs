//! What people do besides writing, between the database and the [`plan`](super::plan): edits, withdrawals, acts.

mod stops;

use std::collections::HashSet;

use serde_json::json;
use sqlx::{Row, SqliteConnection};

use super::plan::Plan;
use super::rows;
use super::writes::{Found, OpenMessage, SentPart, ThreadNow};
use crate::domain::act::{Act, Deed, Whereabouts};
use crate::domain::identity::Identifier;
use crate::domain::message::Arrival;
use crate::domain::{AliasKey, DeliveryId, MessageId, ThreadId, Time};
use crate::store::StoreError;

/// The messages that may still be changed, by a name of their thread and their own. A turn that was put back without
/// counting has not begun: nobody has read its question.
const READ_OPEN: &str = "
    SELECT m.thread_id, m.seq, m.platform_id, m.edited_at
      FROM jsonb_each(?) AS j
     CROSS JOIN aliases AS a ON a.alias = j.value ->> 0
     CROSS JOIN work AS w ON w.kind = 1 AND w.thread_id = a.thread_id
     CROSS JOIN messages AS m ON m.thread_id = w.thread_id AND m.seq >= w.first
     WHERE m.platform_id = j.value ->> 1 AND m.state = 'pending'
       AND (w.upto IS NULL OR m.seq > w.upto OR w.token IS NULL AND w.attempts = 0 AND NOT w.ambiguous)";

/// The parts that acts are about, and their threads.
const READ_PARTS: &str = "
    SELECT d.thread_id, d.part, d.turn, t.account, t.bound, t.last_seq, t.last_part, t.state, t.noticed_at, t.route,
           t.address, t.routed_at, t.paused_until
      FROM jsonb_each(?) AS j
     CROSS JOIN deliveries AS d ON d.thread_id = j.value ->> 0 AND d.part = j.value ->> 1
     CROSS JOIN threads AS t ON t.id = d.thread_id";

/// A message that was taken back says nothing any more. A turn that loses a message that way, or says something else
/// now, begins anew with what there is.
const WRITE_REVISIONS: &str = "
    UPDATE messages SET text = coalesce(j.text, ''), edited_at = j.edited_at,
           state = CASE WHEN j.text IS NULL THEN 'ignored' ELSE state END,
           code = CASE WHEN j.text IS NULL THEN 'deleted' ELSE code END,
           ended_at = CASE WHEN j.text IS NULL THEN j.at ELSE ended_at END
      FROM (SELECT value ->> 0 AS thread_id, value ->> 1 AS seq, value ->> 2 AS text, value ->> 3 AS edited_at,
                   value ->> 4 AS at FROM jsonb_each(?)) AS j
     WHERE messages.thread_id = j.thread_id AND messages.seq = j.seq AND messages.state = 'pending';
    UPDATE work SET first = min(first, coalesce(reopened, first)), reopened = NULL, upto = NULL
     WHERE kind = 1 AND thread_id IN (SELECT value ->> 0 FROM jsonb_each(?))
       AND token IS NULL AND attempts = 0 AND NOT ambiguous";

const WRITE_SPOKEN: &str = "
    UPDATE threads SET last_part = max(threads.last_part, j.last_part), updated_at = j.at
      FROM (SELECT value ->> 0 AS id, value ->> 1 AS last_part, value ->> 2 AS at FROM jsonb_each(?)) AS j
     WHERE threads.id = j.id";

const WRITE_RESETS: &str = "
    UPDATE threads SET conversation_id = NULL WHERE id IN (SELECT value FROM jsonb_each(?))";

const WRITE_RATINGS: &str = "
    INSERT INTO feedback (thread_id, turn, person, helpful, at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each(?) WHERE true
        ON CONFLICT (thread_id, turn, person) DO UPDATE SET helpful = excluded.helpful, at = excluded.at
           WHERE excluded.at >= feedback.at";

/// What the batch's edits and acts need to know beyond aliases and keys, and the aliases that they name.
#[derive(Default)]
pub(super) struct Asked {
    messages: Vec<(String, String)>,
    parts: HashSet<(ThreadId, i64)>,
    /// Answers that are called off, by a name of their thread, and when.
    stops: Vec<(AliasKey, Time)>,
    /// Rooms that are to hear of a part's thread.
    rooms: Vec<(DeliveryId, String)>,
}

impl Asked {
    /// Notes what one arrival needs; returns the aliases that it names.
    pub(super) fn note(&mut self, arrival: &Arrival) -> Vec<AliasKey> {
        let mut names = Vec::new();
        match arrival {
            Arrival::Edit(edit) => {
                names.extend(edit.identifiers.iter().map(|name| name.alias.clone()));
                self.message(&edit.identifiers, &edit.platform_id);
            }
            Arrival::Withdraw(withdrawal) => {
                names.extend(withdrawal.identifiers.iter().map(|name| name.alias.clone()));
                self.message(&withdrawal.identifiers, &withdrawal.platform_id);
            }
            Arrival::Act(act) => self.act(act, &mut names),
            _ => {}
        }
        names
    }

    fn message(&mut self, identifiers: &[Identifier], platform_id: &str) {
        for identifier in identifiers {
            self.messages
                .push((identifier.alias.as_str().to_owned(), platform_id.to_owned()));
        }
    }

    fn act(&mut self, act: &Act, names: &mut Vec<AliasKey>) {
        match &act.on {
            Whereabouts::Delivery(part) => {
                self.parts.insert((part.thread, part.number));
                let room = act.alert.as_ref().map(|alert| alert.room.clone());
                self.rooms.extend(room.map(|room| (*part, room)));
            }
            Whereabouts::Known { identifiers } => {
                names.extend(identifiers.iter().map(|name| name.alias.clone()));
                if act.deed == Deed::Stop {
                    self.stops
                        .extend(identifiers.iter().map(|name| (name.alias.clone(), act.at)));
                }
            }
            Whereabouts::Place { identifiers, .. } => {
                names.extend(identifiers.iter().map(|name| name.alias.clone()));
                let room = act.alert.as_ref().map(|alert| alert.room.as_str());
                names.extend(room.and_then(|room| act.account.alias(&[room])));
            }
        }
        if let Deed::Reset { also } = &act.deed {
            names.extend(also.iter().cloned());
        }
    }

    /// Reads it. Returns the aliases of the rooms that are to hear of something.
    pub(super) async fn read(
        &self,
        conn: &mut SqliteConnection,
        found: &mut Found,
    ) -> Result<Vec<AliasKey>, StoreError> {
        if !self.messages.is_empty() {
            let read = sqlx::query(READ_OPEN).bind(rows::json(&self.messages)?);
            for row in read.fetch_all(&mut *conn).await? {
                found.open.push(OpenMessage {
                    id: MessageId::new(rows::id(&row, 0)?, row.try_get(1)?),
                    platform_id: row.try_get(2)?,
                    edited_at: rows::optional_time(&row, 3)?,
                });
            }
        }
        if !self.parts.is_empty() {
            let read = sqlx::query(READ_PARTS).bind(rows::json(&self.parts)?);
            for row in read.fetch_all(&mut *conn).await? {
                let thread = rows::id(&row, 0)?;
                let address = AliasKey::from_stored(row.try_get(10)?);
                let part = SentPart {
                    turn: row.try_get(2)?,
                    account: rows::account(&row, 3)?,
                    address: address.clone(),
                };
                found.parts.insert(DeliveryId::new(thread, row.try_get(1)?), part);
                let now = ThreadNow {
                    bound: row.try_get::<Option<String>, _>(4)?.map(AliasKey::from_stored),
                    last_seq: row.try_get(5)?,
                    last_part: row.try_get(6)?,
                    state: rows::thread_state(&row, 7)?,
                    noticed_at: rows::optional_time(&row, 8)?,
                    route: rows::route(&row, 9)?,
                    address,
                    routed_at: rows::time(&row, 11)?,
                    paused_until: rows::optional_time(&row, 12)?,
                };
                found.threads.insert(thread, now);
            }
        }
        stops::read(conn, &self.stops, found).await?;
        let room = |(part, room): &(DeliveryId, String)| found.parts.get(part)?.account.alias(&[room]);
        Ok(self.rooms.iter().filter_map(room).collect())
    }
}

/// Writes what the plan made of edits and acts, after everything that they may concern.
pub(super) async fn write(conn: &mut SqliteConnection, plan: &Plan) -> Result<(), StoreError> {
    if !plan.revisions.is_empty() {
        let row = |(id, revision): (&MessageId, &super::writes::RevisionWrite)| {
            let edited_at = revision.edited_at.map(Time::millis);
            json!([
                id.thread,
                id.number,
                revision.text,
                edited_at,
                revision.at.millis()
            ])
        };
        let revisions = rows::json(&plan.revisions.iter().map(row).collect::<Vec<_>>())?;
        let write = sqlx::query(WRITE_REVISIONS).bind(&revisions).bind(&revisions);
        write.execute(&mut *conn).await?;
    }
    if !plan.spoken.is_empty() {
        let row = |(thread, at): (&ThreadId, &Time)| {
            let now = plan.found.threads.get(thread)?;
            Some(json!([thread, now.last_part, at.millis()]))
        };
        let spoken = rows::json(&plan.spoken.iter().filter_map(row).collect::<Vec<_>>())?;
        sqlx::query(WRITE_SPOKEN).bind(spoken).execute(&mut *conn).await?;
    }
    if !plan.resets.is_empty() {
        let resets = rows::json(&plan.resets)?;
        sqlx::query(WRITE_RESETS).bind(resets).execute(&mut *conn).await?;
    }
    if !plan.ratings.is_empty() {
        let ratings = rows::json(&plan.ratings)?;
        sqlx::query(WRITE_RATINGS)
            .bind(ratings)
            .execute(&mut *conn)
            .await?;
    }
    stops::write(conn, &plan.stops).await?;
    for (thread, at) in &plan.silenced {
        super::changes::pause(conn, &thread.to_string(), *at).await?;
    }
    Ok(())
}
