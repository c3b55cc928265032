//! The services as processes: started as in production, with what they use of CPU and memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use licensor::clock::SharedClock;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::SERVICE_CORE;

/// The folder with the binaries that are measured: the one that this binary is in.
pub(crate) fn binaries() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
    for name in ["root-service", "license-service"] {
        if !folder.join(name).exists() {
            bail!("{} is missing; run: cargo build --release", folder.join(name).display());
        }
    }
    Ok(folder)
}

/// A command of a service, with its configuration.
pub(crate) fn command(name: &str, config: &Path, pinned: bool) -> Result<Command> {
    let program = binaries()?.join(name);
    let mut command = if pinned {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &SERVICE_CORE.to_string()]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg("--config").arg(config).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    Ok(command)
}

/// Runs a command that ends by itself; returns what it printed.
pub(crate) fn run(mut command: Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    child.stdin.take().context("standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// A port of this machine that nobody uses.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A root with its data.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) address: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) pinned: bool,
    config: PathBuf,
}

impl Root {
    /// Makes a root below `directory`.
    pub(crate) fn init(directory: &Path, pinned: bool) -> Result<Self> {
        let data_dir = directory.join("root");
        let config = directory.join("root.toml");
        let address = free_port()?;
        let text =
            format!("data_dir = {data_dir:?}\nlisten = \"{address}\"\nops_listen = \"{}\"\n", free_port()?);
        fs::write(&config, text)?;
        let mut init = command("root-service", &config, pinned)?;
        init.arg("init");
        run(init, "")?;
        Ok(Self { address, data_dir, pinned, config })
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&self, clock: &SharedClock) -> Result<Service> {
        let command = command("root-service", &self.config, self.pinned)?;
        Service::start(command, &self.config.with_extension("log"), self.address, clock).await
    }
}

/// A running service; killed when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
}

impl Service {
    /// Runs `command serve` with its log in a file, and waits until `address` accepts connections.
    pub(crate) async fn start(
        mut command: Command,
        log: &Path,
        address: SocketAddr,
        clock: &SharedClock,
    ) -> Result<Self> {
        let child = command.arg("serve").stdin(Stdio::null()).stderr(File::create(log)?).spawn()?;
        let mut service = Self { child };
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = service.child.try_wait()? {
                bail!("{command:?}: {status}: {}", fs::read_to_string(log)?);
            }
            pause(clock, 20).await;
        }
        Ok(service)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it in good order: meanwhile this side of the connections is closed, too.
    pub(crate) async fn stop(mut self, clock: &SharedClock) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the service ended with {status}");
                return Ok(());
            }
            pause(clock, 20).await;
        }
    }

    /// CPU time so far, once the service has come to rest.
    pub(crate) async fn settled_cpu(&self, clock: &SharedClock) -> Result<CpuTime> {
        let mut latest = self.cpu()?;
        for _ in 0..6000 {
            pause(clock, 10).await;
            let now = self.cpu()?;
            if now.since(&latest) < Duration::from_micros(50) {
                return Ok(now);
            }
            latest = now;
        }
        bail!("the service does not come to rest")
    }

    fn cpu(&self) -> Result<CpuTime> {
        let process = Path::new("/proc").join(self.id().to_string());
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(process.join("task"))? {
            let thread = thread?;
            // A thread may end between the two calls; `since` sees that it is gone.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds = text.split(' ').next().unwrap_or_default().parse()?;
            threads.insert(thread.file_name().to_string_lossy().parse()?, nanoseconds);
        }
        let stat = fs::read_to_string(process.join("stat"))?;
        // After the name in parentheses: fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap_or_default().1.split_whitespace().collect();
        let ticks = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(CpuTime { threads, ticks })
    }

    /// Resident memory, bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time (user and system) of a process: of each thread in nanoseconds, of all that ever were in ticks.
#[derive(Debug)]
pub(crate) struct CpuTime {
    threads: BTreeMap<u32, u64>,
    ticks: u64,
}

impl CpuTime {
    /// What was used since the process began.
    pub(crate) fn whole(&self) -> Duration {
        Duration::from_millis(self.ticks * 10)
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        if earlier.threads.keys().any(|thread| !self.threads.contains_key(thread)) {
            // What a thread used up to its end is in the total only.
            return Duration::from_millis((self.ticks - earlier.ticks) * 10);
        }
        let sum = |threads: &BTreeMap<u32, u64>| threads.values().sum::<u64>();
        Duration::from_nanos(sum(&self.threads).saturating_sub(sum(&earlier.threads)))
    }
}

/// Waits between two looks at something.
pub(crate) async fn pause(clock: &SharedClock, milliseconds: u64) {
    let time = Duration::from_millis(milliseconds);
    clock.wait_until(clock.now() + time, time).await;
}
