//! The peer of a seat: PostgreSQL, measured by `postgresql.sh` in the same run.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Transactions of the peer.
const TRANSACTIONS: &str = "20000";

/// What the peer did: transactions a second and CPU of a transaction (µs), by calls in flight.
pub(crate) type Peer = BTreeMap<usize, (f64, f64)>;

/// Runs the script.
pub(crate) fn measure(script: &Path) -> Result<Peer> {
    let output = Command::new("bash").arg(script).arg(TRANSACTIONS).output();
    let output = output.with_context(|| format!("{} cannot be run", script.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| read(line).with_context(|| format!("not understood: {line}"))).collect()
}

/// `64 in flight: 2891/s, 551.4 us of CPU a transaction`
fn read(line: &str) -> Option<(usize, (f64, f64))> {
    let (in_flight, rest) = line.split_once(" in flight: ")?;
    let (per_second, cpu) = rest.split_once("/s, ")?;
    Some((in_flight.parse().ok()?, (per_second.parse().ok()?, cpu.split_once(' ')?.0.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script_is_understood() {
        let line = "64 in flight: 2891/s, 551.4 us of CPU a transaction";
        assert_eq!(read(line), Some((64, (2891.0, 551.4))));
        assert_eq!(read("error: install the package postgresql-15"), None);
    }
}
