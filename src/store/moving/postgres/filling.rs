//! Statements with values.

use sqlx::AssertSqlSafe;

use super::Query;
use crate::store::moving::tables::{Kind, Table};
use crate::store::moving::value::{Row, Value};

/// A statement that writes these rows: the values of each column are handed over as a list.
pub(super) fn filled(table: &Table, rows: &[Row]) -> Query {
    let list = |(n, (_, kind)): (usize, &(&str, Kind))| {
        let of = match kind {
            Kind::Text => "text",
            Kind::Int => "bigint",
            Kind::Flag => "boolean",
            Kind::Bytes => "bytea",
        };
        format!("${}::{of}[]", n + 1)
    };
    let lists: Vec<String> = table.columns.iter().enumerate().map(list).collect();
    let over = if table.is_numbered() {
        "OVERRIDING SYSTEM VALUE "
    } else {
        ""
    };
    let sql = format!(
        "INSERT INTO {} ({}) {over}SELECT * FROM unnest({})",
        table.name,
        table.names(),
        lists.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (place, (_, kind)) in table.columns.iter().enumerate() {
        let column = rows.iter().map(|row| &row[place]);
        query = match kind {
            Kind::Text => query.bind(column.map(text).collect::<Vec<_>>()),
            Kind::Int => query.bind(column.map(int).collect::<Vec<_>>()),
            Kind::Flag => {
                let flags = column.map(|value| int(value).map(|number| number != 0));
                query.bind(flags.collect::<Vec<_>>())
            }
            Kind::Bytes => query.bind(column.map(bytes).collect::<Vec<_>>()),
        };
    }
    query
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// Binds a value of a key.
pub(super) fn bound(query: Query, value: &Value) -> Query {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_str()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
    }
}
