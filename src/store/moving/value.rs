//! Values as they are between two databases, and their checksum, which is the same wherever they are stored.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tables::Table;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// No value.
    Null,
    /// A number, or yes (1) or no (0).
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes. They are in no key, so they are never written as JSON.
    #[serde(skip)]
    Bytes(Vec<u8>),
}

/// A row: the values of a table's columns, in their order.
pub(super) type Row = Vec<Value>;

impl Value {
    /// About how much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Null | Self::Int(_) => 0,
                Self::Text(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
            }
    }

    /// PostgreSQL keeps no NUL in a text: what arrives there has the replacement character in its place, as what is
    /// accepted there.
    pub(super) fn without_nul(&mut self) {
        if let Self::Text(text) = self
            && text.contains('\0')
        {
            *text = text.replace('\0', "\u{fffd}");
        }
    }

    /// As a message shows it.
    fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Null => "none".into(),
            Self::Int(number) => number.to_string().into(),
            Self::Text(text) => text.into(),
            Self::Bytes(_) => "bytes".into(),
        }
    }
}

/// What names a row in a message: no person's name or number.
pub(super) fn row_name(table: &Table, row: &[Value]) -> String {
    let named = table.shown.iter().filter_map(|column| {
        let value = row.get(table.place(column)?)?;
        Some(format!("{column} {}", value.shown()))
    });
    named.collect::<Vec<_>>().join(", ")
}

/// A checksum over the rows of a table in the order of their keys: SHA-256 over the names of the columns and over each
/// value with its kind and length in front, so that no two different tables read the same.
#[derive(Debug, Clone)]
pub(super) struct Checksum {
    digest: Sha256,
    /// Filled for each row and handed over as a whole: the digest likes long pieces best.
    encoded: Vec<u8>,
    rows: u64,
}

impl Checksum {
    pub(super) fn of(table: &Table) -> Self {
        let mut digest = Sha256::new();
        digest.update(format!("{}: {}\n", table.name, table.names()));
        Self {
            digest,
            encoded: Vec::new(),
            rows: 0,
        }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: &[Value]) {
        self.encoded.clear();
        for value in row {
            match value {
                Value::Null => self.encoded.push(0),
                Value::Int(number) => {
                    self.encoded.push(1);
                    self.encoded.extend_from_slice(&number.to_be_bytes());
                }
                Value::Text(text) => self.piece(2, text.as_bytes()),
                Value::Bytes(bytes) => self.piece(3, bytes),
            }
        }
        self.digest.update(&self.encoded);
        self.rows += 1;
    }

    fn piece(&mut self, kind: u8, bytes: &[u8]) {
        self.encoded.push(kind);
        self.encoded
            .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.encoded.extend_from_slice(bytes);
    }

    /// How many rows were added, and their checksum in hexadecimal digits.
    pub(super) fn end(self) -> (u64, String) {
        (self.rows, hex(&self.digest.finalize()))
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tables::TABLES;
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn sum(rows: &[&[Value]]) -> String {
        let mut sum = Checksum::of(&TABLES[0]);
        rows.iter().for_each(|row| sum.add(row));
        sum.end().1
    }

    #[test]
    fn different_rows_have_different_checksums() {
        let all = [
            sum(&[]),
            sum(&[&[Value::Null]]),
            sum(&[&[text("")]]),
            sum(&[&[Value::Bytes(Vec::new())]]),
            sum(&[&[Value::Int(0)]]),
            sum(&[&[text("ab"), text("c")]]),
            sum(&[&[text("a"), text("bc")]]),
            sum(&[&[text("1")], &[text("2")]]),
            sum(&[&[text("2")], &[text("1")]]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(!all[n + 1..].contains(one), "{n}");
        }
        assert_eq!(sum(&[&[text("ab")]]), sum(&[&[text("ab")]]));
    }

    #[test]
    fn a_key_is_remembered_as_json() {
        let key = vec![Value::Int(i64::MIN), text("a\0\"ü"), Value::Int(i64::MAX)];
        let json = serde_json::to_string(&key).unwrap();
        assert!(!json.contains('\0'));
        assert_eq!(serde_json::from_str::<Row>(&json).unwrap(), key);
    }

    #[test]
    fn a_message_names_a_row_without_a_person() {
        let aliases = TABLES.iter().find(|table| table.name == "aliases").unwrap();
        let row = [text("c/A/15550001111"), text("t1"), Value::Int(1), Value::Int(2)];
        assert_eq!(row_name(aliases, &row), "thread_id t1, strength 1");
    }

    #[test]
    fn postgresql_gets_no_nul() {
        let mut value = text("a\0b");
        value.without_nul();
        assert_eq!(value, text("a\u{fffd}b"));
    }
}
