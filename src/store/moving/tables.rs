//! Which tables are moved, in which order, and with which columns. `tests/it/moving` compares this with both databases,
//! so that no column is forgotten.

use std::fmt::Write as _;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A number of 64 bits.
    Int,
    /// Yes or no: a number on SQLite, a truth on PostgreSQL.
    Flag,
    /// Bytes.
    Bytes,
}

use Kind::{Bytes, Flag, Int, Text};

/// A column: its name and what it holds.
pub(super) type Column = (&'static str, Kind);

/// A table that is moved.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// So many of the columns, from the first on, are the primary key.
    pub(super) key: usize,
    pub(super) columns: &'static [Column],
    /// The columns by which a message names a row: none of them holds a person's name or number.
    pub(super) shown: &'static [&'static str],
}

/// The tables, in the order in which they are moved: what others refer to comes first.
///
/// Not moved are, of PostgreSQL, `bridge` (made by its first migration) and `lanes` (which running replica sends where:
/// none runs); of SQLite, `fresh_keys`, which are read together with `keys` and arrive there.
pub(super) const TABLES: [Table; 11] = [
    Table {
        name: "threads",
        key: 1,
        columns: &[
            ("id", Text),
            ("account", Text),
            ("place", Text),
            ("address", Text),
            ("state", Text),
            ("paused_until", Int),
            ("conversation_id", Text),
            ("answer_id", Text),
            ("route", Text),
            ("routed_at", Int),
            ("country", Text),
            ("bound", Text),
            ("last_seq", Int),
            ("last_part", Int),
            ("last_inbound_at", Int),
            ("noticed_at", Int),
            ("created_at", Int),
            ("updated_at", Int),
        ],
        shown: &["id"],
    },
    Table {
        name: "aliases",
        key: 1,
        columns: &[
            ("alias", Text),
            ("thread_id", Text),
            ("strength", Int),
            ("since", Int),
        ],
        shown: &["thread_id", "strength"],
    },
    Table {
        name: "messages",
        key: 2,
        columns: &[
            ("thread_id", Text),
            ("seq", Int),
            ("platform_id", Text),
            ("text", Text),
            ("quotes", Text),
            ("state", Text),
            ("code", Text),
            ("reason", Text),
            ("turn", Int),
            ("attempts", Int),
            ("sent_at", Int),
            ("edited_at", Int),
            ("accepted_at", Int),
            ("ended_at", Int),
        ],
        shown: &["thread_id", "seq"],
    },
    Table {
        name: "deliveries",
        key: 2,
        columns: &[
            ("thread_id", Text),
            ("part", Int),
            ("turn", Int),
            ("kind", Text),
            ("body", Text),
            ("state", Text),
            ("attempts", Int),
            ("pauses", Int),
            ("platform_id", Text),
            ("stage", Int),
            ("billable", Int),
            ("code", Text),
            ("reason", Text),
            ("asked_at", Int),
            ("created_at", Int),
            ("attempted_at", Int),
            ("ended_at", Int),
        ],
        shown: &["thread_id", "part"],
    },
    Table {
        name: "work",
        key: 2,
        columns: &[
            ("kind", Int),
            ("thread_id", Text),
            ("lane", Text),
            ("due_at", Int),
            ("since", Int),
            ("wait", Int),
            ("max_wait", Int),
            ("token", Int),
            ("attempts", Int),
            ("ambiguous", Flag),
            ("held", Text),
            ("first", Int),
            ("upto", Int),
            ("reopened", Int),
        ],
        shown: &["kind", "thread_id"],
    },
    Table {
        name: "feedback",
        key: 3,
        columns: &[
            ("thread_id", Text),
            ("turn", Int),
            ("person", Text),
            ("helpful", Int),
            ("at", Int),
        ],
        shown: &["thread_id", "turn"],
    },
    Table {
        name: "keys",
        key: 1,
        columns: &[("key", Int), ("hour", Int)],
        shown: &["key"],
    },
    Table {
        name: "installations",
        key: 1,
        columns: &[
            ("account", Text),
            ("since", Int),
            ("ended_at", Int),
            ("sealed", Bytes),
        ],
        shown: &["account"],
    },
    Table {
        name: "spent",
        key: 1,
        columns: &[("mark", Text), ("until", Int)],
        shown: &["until"],
    },
    Table {
        name: "families",
        key: 1,
        columns: &[("account", Text), ("family", Text)],
        shown: &["account"],
    },
    Table {
        name: "audit",
        key: 1,
        columns: &[
            ("seq", Int),
            ("at", Int),
            ("what", Text),
            ("thread_id", Text),
            ("messages", Int),
            ("deliveries", Int),
            ("names", Int),
            ("ratings", Int),
            ("pages_at", Int),
            ("log_at", Int),
        ],
        shown: &["seq"],
    },
];

impl Table {
    /// The names of its columns, separated by commas.
    pub(super) fn names(&self) -> String {
        names(self.columns)
    }

    /// Where a column stands.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }

    /// Whether the database numbers its rows by itself.
    pub(super) fn is_numbered(&self) -> bool {
        self.name == "audit"
    }

    /// Reads the next rows in the order of the key: from the first on, or behind the key that is bound. Both databases
    /// find the place by the index of the primary key, and both compare texts byte by byte.
    pub(super) fn page(&self, continued: bool, most: usize) -> String {
        let (all, key) = (self.names(), names(&self.columns[..self.key]));
        let mut sql = format!("SELECT {all} FROM {}", self.name);
        if continued {
            let values: Vec<String> = (1..=self.key).map(|n| format!("${n}")).collect();
            let _ = write!(sql, " WHERE ({key}) > ({})", values.join(", "));
        }
        let _ = write!(sql, " ORDER BY {key} LIMIT {most}");
        sql
    }

    /// Counts its rows.
    pub(super) fn count(&self) -> String {
        format!("SELECT count(*) FROM {}", self.name)
    }

    /// A row of it, if there is any.
    pub(super) fn any(&self) -> String {
        format!("SELECT 1 FROM {} LIMIT 1", self.name)
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The tables and their columns, for whoever compares them with a database.
pub fn tables() -> Vec<(&'static str, Vec<&'static str>)> {
    let columns = |table: &Table| table.columns.iter().map(|(name, _)| *name).collect();
    TABLES.iter().map(|table| (table.name, columns(table))).collect()
}

/// The statements that read the tables page by page, for whoever looks at how a database carries them out.
pub fn statements() -> Vec<(String, String)> {
    let page = |table: &Table| (format!("moving: {}", table.name), table.page(true, 2000));
    TABLES.iter().map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_the_key() {
        let feedback = TABLES.iter().find(|table| table.name == "feedback").unwrap();
        assert_eq!(
            feedback.page(true, 7),
            "SELECT thread_id, turn, person, helpful, at FROM feedback \
             WHERE (thread_id, turn, person) > ($1, $2, $3) ORDER BY thread_id, turn, person LIMIT 7"
        );
        assert_eq!(
            TABLES[6].page(false, 7),
            "SELECT key, hour FROM keys ORDER BY key LIMIT 7"
        );
    }

    #[test]
    fn rows_are_named_by_columns_that_are_there() {
        for table in &TABLES {
            assert!(
                table.shown.iter().all(|column| table.place(column).is_some()),
                "{}",
                table.name
            );
        }
    }
}
