//! Files that survive a loss of power, and private files.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Mode of a private file: only its owner reads it.
pub const PRIVATE: u32 = 0o600;
/// Mode of a file that anyone may read.
pub const PUBLIC: u32 = 0o644;

/// Writes `content` so that after a crash at any instant the file is the old one or the new one, whole, and so that
/// the new one is on the disk when this returns.
///
/// # Errors
/// What the file system says; the old file is then still there.
pub fn write_durably(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // The mode given to open is cut by the umask.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(directory)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a private file that is not there yet, durably.
///
/// # Errors
/// What the file system says; `AlreadyExists` if there is one, which is left as it is.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(directory.unwrap_or(Path::new(".")))
    });
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Makes the names in a directory durable.
///
/// # Errors
/// What the file system says.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes a directory with `mode`, and those above it, durably; one that exists is left as it is.
///
/// # Errors
/// What the file system says.
pub fn create_directory(directory: &Path, mode: u32) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let is_named = |path: &&Path| !path.as_os_str().is_empty();
    let missing: Vec<&Path> =
        directory.ancestors().filter(is_named).take_while(|ancestor| !ancestor.is_dir()).collect();
    fs::DirBuilder::new().recursive(true).mode(mode).create(directory)?;
    // The mode given at creation is cut by the umask.
    fs::set_permissions(directory, fs::Permissions::from_mode(mode))?;
    // Each new name stands in the directory above it.
    for made in missing.iter().rev() {
        sync_directory(made.parent().filter(is_named).unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Reads a file that nobody but its owner may read.
///
/// # Errors
/// What the file system says; `PermissionDenied` with a sentence if others can read it.
pub fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("others may read it (mode {mode:04o}); run: chmod 600 {}", path.display()),
        ));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_replaces_the_whole_file_with_the_mode_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write_durably(&path, b"a long first content", PUBLIC).unwrap();
        write_durably(&path, b"second", PRIVATE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, PRIVATE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("request");
        write_new(&path, b"first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, PRIVATE);
        assert_eq!(write_new(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write_durably(&path, b"secret", PRIVATE).unwrap();
        assert_eq!(read_private(&path).unwrap(), b"secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_private(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
