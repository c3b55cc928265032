//! Foreign tools: on the path, or where the test command installed them.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder into which the test command installs tools.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools")
}

/// The path of a tool.
///
/// # Panics
/// If it is not there: tests never pass over what they cannot run.
pub fn tool(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let own = [installed().join("bin"), installed().join("venv/bin"), installed().join("node_modules/.bin")];
    own.into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: `tests/run` installs it"))
}

/// A folder with what a foreign program depends on.
///
/// # Panics
/// If it is not there.
pub fn dependencies(folder: &Path) -> &Path {
    assert!(folder.is_dir(), "{} is missing: `tests/run` installs it", folder.display());
    folder
}

/// The library that gives a program of several threads another time (Debian's package `faketime`).
pub fn faketime_library() -> PathBuf {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    places
        .iter()
        .map(|folder| Path::new(folder).join("libfaketimeMT.so.1"))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("libfaketime is missing: `tests/run` installs it"))
}
