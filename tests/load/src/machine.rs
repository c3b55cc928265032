//! The machine that is measured on, and which of its cores a process runs on.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use licensor::clock::SharedClock;

use crate::measure::percentile;

/// What a reader has to know of the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) description: String,
}

impl Machine {
    /// Describes this machine; `directory` is where the services keep their data.
    pub(crate) fn describe(directory: &Path, clock: &SharedClock, pinned: bool) -> Result<Self> {
        let cpu_info = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu_info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown CPU", |(_, model)| model);
        let cores = cpu_info.lines().filter(|line| line.starts_with("processor")).count();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let (file_system, device) = file_system(directory)?;
        let sync = sync_time(directory, clock)?.as_secs_f64() * 1e3;
        let places = if pinned {
            "service pinned to one core, load generator to another"
        } else {
            "NOT pinned to cores (`taskset` is missing or refused)"
        };
        let description = format!(
            "{model}, {cores} cores; Linux {}; {file_system} on {device} (write of 4 KiB and fdatasync: {sync:.2} ms); {}; {places}",
            kernel.trim(),
            rustc_version(),
        );
        Ok(Self { description })
    }
}

/// Moves the main thread of this process to `core`; whether that could be done.
pub(crate) fn pin(core: usize) -> bool {
    Command::new("taskset")
        .args(["--cpu-list", "--pid", &core.to_string(), &std::process::id().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn rustc_version() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    version.map_or_else(|| "rustc unknown".into(), |version| version.trim().to_owned())
}

/// Kind and device of the file system that `directory` is on (proc_pid_mountinfo(5)).
fn file_system(directory: &Path) -> Result<(String, String)> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mount = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        directory.starts_with(point).then(|| (point.components().count(), file_system))
    });
    let (_, found) = mount.max_by_key(|(depth, _)| *depth).context("no mount point")?;
    let mut words = found.split(' ').map(str::to_owned);
    Ok((words.next().unwrap_or_default(), words.next().unwrap_or_default()))
}

/// What the disk needs to make 4 KiB durable, in a file that does not grow: the median.
fn sync_time(directory: &Path, clock: &SharedClock) -> Result<Duration> {
    let mut file = File::create(directory.join("sync"))?;
    file.write_all(&[0; 200 * 4096])?;
    file.sync_all()?;
    let mut times = Vec::new();
    for block in 0..200 {
        let start = clock.elapsed();
        file.write_all_at(&[1; 4096], block * 4096)?;
        file.sync_data()?;
        times.push(clock.elapsed() - start);
    }
    Ok(percentile(&mut times, 0.5))
}
