//! A copy of the database, made while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::connect;
use crate::store::seal::key_file;
use crate::store::{Settings, StoreError};

/// A copy that was made.
#[derive(Debug)]
pub struct Backup {
    /// Its size in bytes.
    pub size: u64,
    /// The file with the key that encrypts tokens, if there is one: it is not in the copy.
    pub key_file: Option<PathBuf>,
}

/// Copies the database into a file that is not there yet. The copy is of one moment; it gets its name once it is whole,
/// checked and on the disk.
pub(in crate::store) async fn backup(settings: &Settings, file: &Path) -> Result<Backup, StoreError> {
    let path = connect::path_of(&settings.url)?;
    let failed = |reason: String| StoreError::Backup {
        file: file.display().to_string(),
        reason,
    };
    if !path.exists() {
        return Err(failed(format!("there is no database {} yet", path.display())));
    }
    if fs::symlink_metadata(file).is_ok() {
        return Err(failed("that file is there already; name another".to_owned()));
    }
    let part = Part::make(file).map_err(|error| failed(error.to_string()))?;
    let name = part
        .0
        .to_str()
        .ok_or_else(|| failed("its name is no text".to_owned()))?;
    let mut conn = connect::rewriter(&path).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut conn).await;
    let _ = conn.close().await;
    copied.map_err(|error| failed(error.to_string()))?;
    check(&part.0).await?;
    let size = part
        .become_file(file)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Backup {
        size,
        key_file: Some(key_file(&path)).filter(|key| key.exists()),
    })
}

/// How much of a copy that is to become this file is written so far, in bytes; none if none is being made.
pub(in crate::store) fn so_far(file: &Path) -> Option<u64> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let whole = file.file_name()?.to_str()?;
    let parts = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let parts = parts.flatten().filter(|part| {
        let name = part.file_name();
        let name = name.to_string_lossy();
        let tag = name
            .strip_prefix(whole)
            .and_then(|rest| rest.strip_suffix(".part"));
        tag.is_some_and(|tag| tag.starts_with('.'))
    });
    // One that a killed process has left behind is older.
    let latest = parts
        .filter_map(|part| part.metadata().ok())
        .max_by_key(|part| part.modified().ok())?;
    Some(latest.len())
}

async fn check(copy: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(copy).read_only(true);
    let mut conn = options.connect().await?;
    let checked = connect::quick_check(copy, &mut conn).await;
    let _ = conn.close().await;
    checked
}

/// A copy that is not whole yet. It is removed if it does not become so.
struct Part(PathBuf);

impl Part {
    /// Makes an empty file beside the one that it is to become, for this user alone: SQLite writes into it then.
    fn make(file: &Path) -> std::io::Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{:08x}.part", rand::random::<u32>()));
        let part = Self(PathBuf::from(name));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&part.0)?;
        Ok(part)
    }

    /// Brings it to the disk and gives it its name. Returns its size.
    fn become_file(self, file: &Path) -> std::io::Result<u64> {
        let copy = File::open(&self.0)?;
        copy.sync_all()?;
        match fs::hard_link(&self.0, file) {
            Ok(()) => {}
            // Somebody else made it meanwhile.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // Not every file system has links.
            Err(_) => fs::rename(&self.0, file)?,
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(copy.metadata()?.len())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
