//! A disk without space: a small one of memory, which only the service's own process sees.

use std::{fs, io::Write, path::PathBuf};

use licensor_tests::{Node, NodeOptions, Root, RootOptions, Service, acquire, health, wait_for};

/// Gives a service a disk of 48 MiB for its data, which comes and goes with its process; its socket stays outside.
/// `first` is run on it before the service.
pub(crate) fn on_small_disk(service: &mut Service, first: &str) {
    let data = service.folder().join("data");
    fs::create_dir_all(&data).unwrap();
    let mount =
        format!("mount -t tmpfs -o size=48m,mode=700 tmpfs '{}' && {first} && exec \"$@\"", data.display());
    let unshare: &[&str] = if rustix::process::geteuid().is_root() { &["-m"] } else { &["-r", "-m"] };
    service.serve_through(&[&["unshare"], unshare, &["sh", "-c", &mount, "sh"]].concat());
}

/// A file that takes all the space that a service has.
pub(crate) struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Takes all but `left` bytes.
    pub(crate) fn take(service: &Service, left: u64) -> Self {
        let seen_by_service = format!("/proc/{}/root{}", service.pid(), service.data("filler").display());
        let path = PathBuf::from(seen_by_service);
        let mut file = fs::File::create(&path).unwrap();
        let block = vec![1; 4096];
        loop {
            let status = rustix::fs::statvfs(path.parent().unwrap()).unwrap();
            let free = status.f_bavail * status.f_frsize;
            if free < left + 4096 || file.write_all(&block).is_err() {
                return Self { path };
            }
        }
    }

    pub(crate) fn free(self) {
        fs::remove_file(self.path).unwrap();
    }
}

pub(crate) const SOCKET: &str = "[admin]\nsocket = \"{folder}/admin.sock\"\n";
/// Space that the services leave free, by default.
pub(crate) const RESERVE: u64 = 8 << 20;

#[test]
fn a_node_whose_disk_is_full_says_so_goes_on_with_what_it_has_and_recovers_by_itself() {
    let root = Root::started(RootOptions::default());
    // The command line does not see the node's disk: the node enrols by itself.
    let enrollment = "[enrollment]\ntoken_file = \"{folder}/token\"\n";
    let tables = format!("{SOCKET}{enrollment}[renewal]\nautomatic = false\n");
    let mut node = Node::new(NodeOptions { tables, ..NodeOptions::default() });
    fs::write(node.folder().join("token"), root.token("berlin-1")).unwrap();
    on_small_disk(&mut node, "true");
    node.start();
    wait_for("the node to be enrolled", || node.status()["enabled"].as_bool().filter(|enabled| *enabled));
    let pid = node.pid();
    let token = node.access_token().unwrap().to_owned();
    let id = token.split('_').nth(1).unwrap();
    // Too little is left; and nothing at all.
    for left in [RESERVE / 2, 0] {
        let serial = node.serial();
        let issued = root.json(&["certificates", "list"]).as_array().unwrap().len();
        let filler = Filler::take(&node, left);
        for _ in 0..2 {
            node.run(&["renew"]).refused(1, &["DISK_FULL", "make room"]);
            for change in [&["access", "create", "--name", "x"][..], &["access", "revoke", id]] {
                node.run(change).refused(1, &["DISK_FULL", "make room"]);
            }
            let refused = acquire(&node);
            assert!(refused.stderr.contains("DISK_FULL"), "{}", refused.stderr);
        }
        assert!(node.is_running());
        let keys = format!("/proc/{}/root{}", node.pid(), node.data("keys").display());
        assert!(fs::read_dir(keys).unwrap().count() <= 4, "each attempt fills the disk further");
        assert_eq!(node.serial(), serial);
        let problem = node.status()["last_renewal_error"].clone();
        assert!(problem.as_str().unwrap().contains("make room"), "{problem}");
        assert_eq!((node.status()["enabled"].as_bool(), health(&node).as_str()), (Some(true), "SERVING"));
        filler.free();
        acquire(&node).ok();
        let renewed = node.json(&["renew"]);
        assert_eq!(node.serial(), renewed["serial"]);
        assert_ne!(renewed["serial"], serial);
        assert!(node.status()["last_renewal_error"].is_null());
        // Whatever the failed attempts reached, the root has issued once.
        assert_eq!(root.json(&["certificates", "list"]).as_array().unwrap().len(), issued + 1);
    }
    // What could not be kept was not done.
    assert_eq!(node.json(&["access", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(node.pid(), pid);
    assert!(node.is_running());
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_root_whose_disk_is_full_issues_nothing_says_why_and_recovers_by_itself() {
    let mut root = Root::new(RootOptions { tables: SOCKET.into(), ..RootOptions::default() });
    // "$@" is the binary, --config, the file and `serve`.
    on_small_disk(&mut root, "\"$1\" \"$2\" \"$3\" init");
    root.start();
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    for left in [RESERVE / 2, 0] {
        let serial = node.serial();
        let filler = Filler::take(&root, left);
        let token = ["token", "create", "--node", "n", "--owner", "O"];
        root.run(&token).refused(1, &["DISK_FULL", "make room"]);
        // Whoever looks for what is wrong is answered; only the log of the system tells of that call.
        root.run(&["status"]).ok();
        wait_for("the line", || root.log().contains("is answered, and could not be kept").then_some(()));
        node.run(&["renew"]).refused(1, &["DISK_FULL"]);
        let status = node.status();
        assert!(status["last_renewal_error"].as_str().unwrap().contains("make room"), "{status}");
        assert_eq!(node.serial(), serial);
        acquire(&node).ok();
        assert!(root.is_running());
        filler.free();
        root.run(&token).ok();
        assert_ne!(node.json(&["renew"])["serial"], serial);
    }
    let listed = root.json(&["certificates", "list", "--node", "berlin-1"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    wait_for("the root to be ready", || (root.ops("/readyz").0 == 200).then_some(()));
}
