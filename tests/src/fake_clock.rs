//! Another time for the real binaries: libfaketime, told by a file that a test writes anew to move the clock.

use std::{fs, time::Duration};

use tempfile::TempDir;

use crate::faketime_library;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A clock that the processes of one test share: so far ahead of the machine's own, and running as fast.
#[derive(Debug)]
pub struct FakeClock {
    folder: TempDir,
    ahead: i64,
}

impl FakeClock {
    /// A clock that shows the machine's time.
    #[expect(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        let mut clock = Self { folder: tempfile::tempdir().unwrap(), ahead: 0 };
        clock.set(0);
        clock
    }

    /// The environment of processes that follow this clock. Their timers run on steady time, which stays as it is.
    pub fn environment(&self) -> Vec<(String, String)> {
        let library = faketime_library();
        let file = self.folder.path().join("ahead");
        [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// By how many seconds it is ahead.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    /// Puts it so many seconds ahead of the machine's time (behind: negative).
    pub fn set(&mut self, ahead: i64) {
        // A reader sees the old content or the new one, never half of it.
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, self.folder.path().join("ahead")).unwrap();
        self.ahead = ahead;
    }

    /// Moves it by so many seconds.
    pub fn advance(&mut self, seconds: i64) {
        self.set(self.ahead + seconds);
    }

    /// Sets it to an instant, given in seconds since 1970.
    pub fn set_to(&mut self, instant: i64) {
        self.set(instant - machine_seconds());
    }

    /// What it shows, in seconds since 1970.
    pub fn now(&self) -> i64 {
        machine_seconds() + self.ahead
    }
}

/// The machine's time, in whole seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the test is what moves the clock of the services")]
fn machine_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap()
}

/// Seconds since 1970 of what the commands print (RFC 3339, UTC).
pub fn instant(text: &serde_json::Value) -> i64 {
    let time = humantime::parse_rfc3339(text.as_str().unwrap()).unwrap();
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
