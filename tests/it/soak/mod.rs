//! Endurance: the same tests short in every run, and long by `tests/run --soak`, which sets `CHATBRIDGE_SOAK`.
//!
//! Each writes its figures into `soak.md` in cargo's target folder. The long run plays them on SQLite and on PostgreSQL.

mod endurance;
mod fairness;
mod histories;
mod kills;

use std::fmt::{Display, Write as _};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::harness::postgres::on_postgres;

/// One of two sizes: the usual run's, or the long one's.
fn size<T>(short: T, long: T) -> T {
    if std::env::var_os("CHATBRIDGE_SOAK").is_some() {
        long
    } else {
        short
    }
}

/// Writes figures down, for people, and says them.
fn report(title: &str, since: Instant, figures: &[(&str, &dyn Display)]) {
    let store = if on_postgres() { "PostgreSQL" } else { "SQLite" };
    let mut text = format!("\n## {title}, on {store}\n\n| figure | |\n|---|---|\n");
    let took = format!("{} s", since.elapsed().as_secs());
    for (name, value) in figures.iter().chain(&[("duration", &took as &dyn Display)]) {
        writeln!(text, "| {name} | {value} |").unwrap();
    }
    println!("{text}");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(target.join("soak.md"))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
