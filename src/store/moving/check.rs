//! Whether what arrived is what was sent: both databases are read side by side, row by row.

use std::cmp::Ordering;

use super::end::{End, Rows};
use super::error::MoveError;
use super::tables::{TABLES, Table};
use super::value::{Checksum, Row, Value, row_name};
use super::{MovedTable, Phase, Step, Told};
use crate::store::veil;

/// After so many rows it is told how far it is.
const TELL: u64 = 1000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) tables: Vec<MovedTable>,
    /// How many tokens are encrypted.
    pub(super) tokens: u64,
    /// How many texts are encrypted.
    pub(super) texts: u64,
}

/// Compares all tables. The first difference is the end of it.
pub(super) async fn check(
    from: &mut dyn End,
    to: &mut dyn End,
    most: usize,
    total: u64,
    told: Told<'_>,
) -> Result<Checked, MoveError> {
    let mut checked = Checked::default();
    let mut done = 0;
    let names = (from.name().to_owned(), to.name().to_owned());
    let cleans = !to.keeps_nul();
    for table in &TABLES {
        let (mut sent, mut arrived) = (Checksum::of(table), Checksum::of(table));
        let (mut theirs, mut ours) = (Rows::of(from, table, most), Rows::of(to, table, most));
        loop {
            let (mut one, other) = (theirs.next().await?, ours.next().await?);
            if cleans {
                one.iter_mut().flatten().for_each(Value::without_nul);
            }
            let row = match (one, other) {
                (None, None) => break,
                (Some(one), Some(other)) if one == other => {
                    sent.add(&one);
                    arrived.add(&other);
                    other
                }
                (one, other) => return Err(differs(&names, table, one, other)),
            };
            checked.look_at(table, &row);
            done += 1;
            if done % TELL == 0 || done == total {
                told(Step {
                    phase: Phase::Checking,
                    done,
                    total,
                });
            }
        }
        let ((_, sent), (rows, arrived)) = (sent.end(), arrived.end());
        if sent != arrived {
            return Err(differs(&names, table, None, None));
        }
        checked.tables.push(MovedTable {
            table: table.name,
            rows,
            checksum: arrived,
        });
    }
    Ok(checked)
}

impl Checked {
    /// Counts what is encrypted.
    fn look_at(&mut self, table: &Table, row: &[Value]) {
        for value in row {
            match value {
                Value::Bytes(_) => self.tokens += 1,
                Value::Text(text) if text.starts_with(veil::SEALED) => self.texts += 1,
                _ => {}
            }
        }
        debug_assert_eq!(row.len(), table.columns.len());
    }
}

fn differs(
    names: &(String, String),
    table: &'static Table,
    one: Option<Row>,
    other: Option<Row>,
) -> MoveError {
    let key = |row: &Option<Row>| row.as_ref().map(|row| row[..table.key].to_vec());
    let order = match (key(&one), key(&other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let (what, row) = match order {
        Ordering::Less => ("a row is missing", one),
        Ordering::Greater => ("a row is there that was not sent", other),
        Ordering::Equal => ("a row has other values", one),
    };
    MoveError::Differs {
        from: names.0.clone(),
        target: names.1.clone(),
        table: table.name,
        what,
        row: row.map_or_else(|| "by its checksum".to_owned(), |row| row_name(table, &row)),
    }
}
