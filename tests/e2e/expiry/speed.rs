//! Time that runs a hundred times as fast, timers and all.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use licensor_tests::{Node, NodeOptions, Root, RootOptions, acquire, health, tool, wait_for};

/// A process of `faketime` that keeps one beginning of time for all that are given its environment.
struct FastTime {
    keeper: Child,
    environment: Vec<(String, String)>,
    /// It ends by itself, and takes away what it shares, when this is closed.
    until_closed: Option<ChildStdin>,
}

impl FastTime {
    /// What a killed `faketime` shared is still there under its process's number, and one that gets the same number
    /// does not start: the next one has another.
    fn times(factor: u32) -> Self {
        let started = |time: &Self| time.environment.iter().any(|(name, _)| name == "FAKETIME");
        (0..64).map(|_| Self::begun(factor)).find(started).expect("faketime starts")
    }

    fn begun(factor: u32) -> Self {
        let script = "env | grep -E '^(FAKETIME|LD_PRELOAD)'; echo; read end";
        let mut keeper = Command::new(tool("faketime"))
            .args(["-m", "-f", &format!("+0 x{factor}"), "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(keeper.stdout.take().unwrap()).lines().map_while(Result::ok);
        let environment = lines
            .take_while(|line| !line.is_empty())
            .map(|line| {
                line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()
            })
            .collect();
        let until_closed = keeper.stdin.take();
        Self { keeper, environment, until_closed }
    }
}

impl Drop for FastTime {
    fn drop(&mut self) {
        self.until_closed = None;
        let _ = self.keeper.wait();
    }
}

#[test]
fn in_time_that_runs_a_hundred_times_as_fast_a_node_renews_by_itself_for_several_lifetimes() {
    let time = FastTime::times(100);
    let root = Root::started(RootOptions {
        tables: "[certificate]\nvalidity = \"10m\"\n".into(),
        environment: time.environment.clone(),
        ..RootOptions::default()
    });
    let options = NodeOptions { tables: String::new(), environment: time.environment.clone() };
    let mut node = Node::started(&root, "berlin-1", options);
    let mut serials = vec![node.serial()];
    while serials.len() < 4 {
        let last = serials.last().unwrap().clone();
        serials.push(wait_for("the next renewal", || Some(node.serial()).filter(|serial| *serial != last)));
    }
    assert_eq!(health(&node), "SERVING");
    acquire(&node).ok();
    assert!(!node.event_ids().contains(&18), "it expired in between");
    let known: Vec<String> = root
        .json(&["certificates", "list", "--node", "berlin-1"])
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|certificate| certificate["serial"].as_str().unwrap().to_owned())
        .collect();
    assert!(known.starts_with(&serials), "{known:?} does not begin with {serials:?}");
    assert_eq!(node.stop(), 0);
}
