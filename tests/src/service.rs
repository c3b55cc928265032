//! The two services, each in a folder of its own on free ports.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Once, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Ran, run, run_with_input};

/// The binaries under test, built once if they are not up to date.
fn binary(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "root-service", "-p", "license-service"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        run(build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).ok();
    });
    folder.join(name)
}

/// A port that nobody listens on. None is given out twice, nor one that the kernel gives to outgoing connections: between
/// this call and the service's start nobody else takes it.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test runs at the same time begin at different places.
        let place = std::process::id().wrapping_mul(479).wrapping_add(GIVEN.fetch_add(1, Ordering::SeqCst));
        let port = u16::try_from(FIRST + place % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `look` finds something. There is no time limit: a test that hangs says at what with this line.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut looks = 0_u32;
    loop {
        if let Some(found) = look() {
            return found;
        }
        looks += 1;
        if looks.is_multiple_of(1_000) {
            eprintln!("still waiting for {what}");
        }
        // The pause between two looks.
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// Events that tell that an entitlement was put, and came into force.
const OF_ENTITLEMENTS: [u64; 2] = [126, 127];

/// A service: its folder, and its process while it runs.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    folder: TempDir,
    config: PathBuf,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// A command that runs `serve` as its own end, if it is not run as it is.
    through: Vec<String>,
    access_token: OnceLock<String>,
    /// TLS port.
    pub port: u16,
    /// Plain HTTP port for operations.
    pub ops_port: u16,
    /// Port of the screen, if the configuration names it.
    pub web_port: u16,
}

impl Service {
    pub(crate) fn new(name: &'static str, config: &str, environment: Vec<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, ops_port, web_port) = (free_port(), free_port(), free_port());
        let path = folder.path().join("config.toml");
        let text = config
            .replace("{folder}", folder.path().to_str().unwrap())
            .replace("{port}", &port.to_string())
            .replace("{ops_port}", &ops_port.to_string())
            .replace("{web_port}", &web_port.to_string());
        fs::write(&path, text).unwrap();
        let (through, access_token) = (Vec::new(), OnceLock::new());
        Self {
            name,
            folder,
            config: path,
            child: None,
            environment,
            through,
            access_token,
            port,
            ops_port,
            web_port,
        }
    }

    /// The folder of this service; `data` in it is the data directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Sets a variable for every command from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Runs `serve` through this command, which takes the rest as its arguments and ends in it.
    pub fn serve_through(&mut self, command: &[&str]) {
        self.through = command.iter().map(|&word| word.to_owned()).collect();
    }

    /// Takes a variable away again.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// A command line of this service's binary with its configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary(self.name));
        command.arg("--config").arg(&self.config).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Runs a command with this on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        run_with_input(&mut self.command(arguments), input)
    }

    /// Runs a command with `--output json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--output", "json"]].concat()).json()
    }

    /// Starts `serve`, and waits until it answers on its admin socket. Its log is `log` in the folder.
    pub fn start(&mut self) {
        self.spawn();
        let mut child = self.child.take().unwrap();
        wait_for("the service to answer", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{} ended with {status}: {}", self.name, self.log());
            }
            (self.run(&["status"]).code == 0).then_some(())
        });
        self.child = Some(child);
    }

    /// Starts `serve` without waiting for it.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut serve = self.command(&["serve"]);
        if let [program, arguments @ ..] = &self.through[..] {
            let mut through = Command::new(program);
            through.args(arguments).arg(serve.get_program()).args(serve.get_args());
            through.envs(self.environment.iter().map(|(name, value)| (name, value)));
            serve = through;
        }
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
    }

    /// Runs `serve`, which must end by itself.
    pub fn serve_in_vain(&self) -> Ran {
        let file = self.folder.path().join("in-vain");
        let log = fs::File::create(&file).unwrap();
        let mut child =
            self.command(&["serve"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let status = wait_for("the end of `serve`", || {
            let serves = fs::read_to_string(&file).unwrap_or_default().contains("\"message\":\"serving\"");
            if serves {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{} serves", self.name);
            }
            child.try_wait().unwrap()
        });
        let stderr = fs::read_to_string(&file).unwrap();
        Ran { code: status.code().unwrap_or(-1), stdout: String::new(), stderr }
    }

    /// What the service logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The process id while it runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it does not run").id()
    }

    /// Tells it to stop (SIGTERM), and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("it does not run"));
        // A process that has just ended is as good as one that was told to.
        let _ = kill_process(pid, signal);
    }

    /// Waits for its end; its exit code, -1 after a signal.
    pub fn wait(&mut self) -> i32 {
        self.child.take().expect("it does not run").wait().unwrap().code().unwrap_or(-1)
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// An access token of a licensing server for everything, made when it is first asked for; `None` of a root, which has
    /// none.
    pub fn access_token(&self) -> Option<&str> {
        if self.name != "license-service" {
            return None;
        }
        Some(self.access_token.get_or_init(|| {
            let allow =
                ["licenses", "assignments", "usage", "statements"].map(|what| ["--allow", what]).concat();
            let create = ["access", "create", "--name", "bench", "--ttl", "3650d"];
            let created = self.json(&[&create[..], &allow].concat());
            created["token"].as_str().unwrap().to_owned()
        }))
    }

    /// `https`-less address of the TLS port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Gets a path from the port for operations: status code and body.
    pub fn ops(&self, path: &str) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}{path}", self.ops_port);
        let ran = run(Command::new("curl").args(["--silent", "--write-out", "\n%{http_code}", &url]));
        let (body, code) = ran.stdout.rsplit_once('\n').unwrap();
        (code.parse().unwrap(), body.to_owned())
    }

    /// The value of a metric line that begins with `name`, if it is there.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.ops("/metrics");
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Ids of all events, in order, but for those of the entitlement that everyone on the bench has.
    pub fn event_ids(&self) -> Vec<u64> {
        let events = self.json(&["events", "list"]);
        let ids = events.as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap());
        ids.filter(|id| !OF_ENTITLEMENTS.contains(id)).collect()
    }

    /// How many entries the log has, with those that are listed only when they are asked for.
    pub fn entries(&self) -> usize {
        let count = |arguments: &[&str]| self.json(arguments).as_array().unwrap().len();
        ["125", "134"].map(|id| count(&["events", "list", "--id", id])).iter().sum::<usize>()
            + count(&["events", "list"])
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.is_some() {
            if thread::panicking() {
                eprintln!("log of {}:\n{}", self.name, self.log());
            }
            self.kill();
        }
    }
}
