//! The directory of the embedded store: what a process leaves in it that is stopped while it makes the store or opens it,
//! and how a store that has been in use is told from a new one.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::Path,
};

use super::StoreError;
use crate::file;

/// The file and the key that say that the store has been in use; their content is the version of its format.
const MARKER_FILE: &str = "format";
const MARKER_KEY: &[u8] = b"\0format";
const FORMAT: &[u8] = b"1\n";

/// The file that says that a store is being made: as long as [`MARKER_FILE`] is not beside it, nothing there counts.
const UNFINISHED: &str = "unfinished";
/// How sled calls a snapshot that it has not written to its end; left by a process that was stopped in its start, it
/// would take it for the newest one and refuse to open.
const HALF_WRITTEN: &str = ".generating";

/// Clears away what a process left that was stopped while it made the store or opened it.
pub(super) fn prepare(path: &Path) -> std::io::Result<()> {
    file::create_directory(path, 0o700)?;
    let unfinished = path.join(UNFINISHED);
    let started_anew = unfinished.exists() && !path.join(MARKER_FILE).exists();
    let mut is_new = true;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) {
            continue;
        }
        if started_anew && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if started_anew || name.ends_with(HALF_WRITTEN) {
            fs::remove_file(entry.path())?;
        } else {
            is_new = false;
        }
    }
    if is_new { file::write_durably(&unfinished, b"", file::PRIVATE) } else { file::sync_directory(path) }
}

/// Tells a store that has been in use from a new one: sled starts empty where it finds nothing that it can read.
pub(super) fn mark(path: &Path, database: &sled::Db) -> Result<(), StoreError> {
    let name = || path.display().to_string();
    let failed = |cause: String| StoreError::Directory { path: name(), cause };
    let marker = path.join(MARKER_FILE);
    let used = database.get(MARKER_KEY).map_err(|error| failed(error.to_string()))?;
    match (marker.exists(), used) {
        (true, Some(version)) if version == FORMAT => {}
        (true, Some(_)) => {
            return Err(failed(
                "another release wrote it in a format that this one does not read: start that release".into(),
            ));
        }
        (true, None) => {
            return Err(StoreError::Damaged {
                path: name(),
                cause: "its records are gone or unreadable".into(),
            });
        }
        (false, _) => {
            database.insert(MARKER_KEY, FORMAT).map_err(|error| failed(error.to_string()))?;
            database.flush().map_err(|error| failed(error.to_string()))?;
            File::open(path.join("db"))
                .and_then(|data| data.sync_all())
                .and_then(|()| file::write_durably(&marker, FORMAT, file::PRIVATE))
                .map_err(|error| failed(error.to_string()))?;
        }
    }
    match fs::remove_file(path.join(UNFINISHED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error.to_string())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Batch, SledOptions, SledStore, Store},
        *,
    };

    fn open(directory: &Path) -> Result<SledStore, StoreError> {
        let options =
            SledOptions { directory: directory.to_owned(), cache_bytes: 16 << 20, minimum_free_bytes: 0 };
        SledStore::open(&options)
    }

    async fn put(store: &SledStore, key: &str) {
        let mut batch = Batch::new();
        batch.put(key, "value");
        store.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn a_half_written_snapshot_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("store");
        put(&open(&directory).unwrap(), "a").await;
        fs::write(directory.join("snap.7FFFFFFFFFFFFFFF.generating"), b"half").unwrap();
        assert!(open(&directory).unwrap().get(b"a").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_store_that_was_never_finished_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("store");
        fs::create_dir_all(directory.join("blobs")).unwrap();
        for name in [UNFINISHED, "conf", "db"] {
            fs::write(directory.join(name), [0; 60]).unwrap();
        }
        put(&open(&directory).unwrap(), "a").await;
        assert!(!directory.join(UNFINISHED).exists());
    }

    #[tokio::test]
    async fn a_store_that_was_finished_is_never_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("store");
        put(&open(&directory).unwrap(), "a").await;
        fs::write(directory.join(UNFINISHED), b"").unwrap();
        assert!(open(&directory).unwrap().get(b"a").await.unwrap().is_some());
        fs::remove_file(directory.join(MARKER_FILE)).unwrap();
        assert!(open(&directory).unwrap().get(b"a").await.unwrap().is_some());
        fs::write(directory.join("conf"), [0; 60]).unwrap();
        assert!(matches!(open(&directory), Err(StoreError::Damaged { .. })));
    }
}
