//! Looking at the database from outside, without changing anything: for the operator's check.

use std::path::PathBuf;

use super::{Settings, StoreError, postgres, seal, sqlite};

/// What a look at the database showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its name: a path, or a server without its password.
    pub name: String,
    /// What is there.
    pub found: Found,
    /// The file of a database of SQLite, whether it is there or not.
    pub file: Option<PathBuf>,
    /// Where the key that was made for it would stand, if it is one of SQLite.
    pub key: Option<PathBuf>,
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No database yet, or an empty one: the first start makes the tables.
    Nothing,
    /// A database of this version.
    UpToDate,
    /// One to which so many migrations must be applied, which the next start does.
    Behind(usize),
    /// One of a newer chatbridge, which this one refuses.
    Newer,
    /// One that is in the middle of a move from another database, and so is refused.
    HalfMoved,
}

impl Found {
    /// Tells by the newest migration in the database, of those that this binary knows.
    pub(super) fn by(newest: i64, known: impl IntoIterator<Item = i64> + Clone) -> Self {
        let latest = known.clone().into_iter().max().unwrap_or(0);
        match known.into_iter().filter(|version| *version > newest).count() {
            _ if newest == 0 => Self::Nothing,
            _ if newest > latest => Self::Newer,
            0 => Self::UpToDate,
            behind => Self::Behind(behind),
        }
    }
}

/// Looks at the database that `store.url` names.
pub async fn look(settings: &Settings) -> Result<Look, StoreError> {
    if settings.is_postgres() {
        let (name, found) = postgres::look(&settings.url).await?;
        return Ok(Look {
            name,
            found,
            file: None,
            key: None,
        });
    }
    let file = sqlite::path_of(&settings.url)?;
    Ok(Look {
        name: file.display().to_string(),
        found: sqlite::look(&file).await?,
        key: Some(seal::key_file(&file)),
        file: Some(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_migration_tells_how_far_a_database_is() {
        for (newest, found) in [
            (0, Found::Nothing),
            (3, Found::Behind(2)),
            (8, Found::UpToDate),
            (9, Found::Newer),
        ] {
            assert_eq!(Found::by(newest, [1, 2, 3, 5, 8]), found, "{newest}");
        }
    }
}
