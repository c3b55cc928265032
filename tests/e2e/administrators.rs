//! The local administrator: who gets through the admin socket, and that there is no other way.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::PathBuf,
    process::Command,
};

use licensor_tests::{
    Grpc, Node, NodeOptions, Refusal, Root, RootOptions, Service, Workshop, answer, decoded, run,
    run_with_input, tool, wait_for,
};
use serde_json::{Value, json};

const ROOT_ADMIN: &str = "licensor.certification.v1.CertificationAdminService";
const NODE_ADMIN: &str = "licensor.licensing.v1.LicensingAdminService";

/// A user who is nobody in particular, and one whom the configuration names.
const STRANGER: u32 = 65_534;
pub(crate) const NAMED: u32 = 4_242;

/// A folder that everyone can read, with the programs under test: those of a checkout may lie where others cannot go.
pub(crate) struct Programs(tempfile::TempDir);

impl Programs {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn copy(&self, program: &std::ffi::OsStr) -> PathBuf {
        let original = PathBuf::from(program);
        let copy = self.0.path().join(original.file_name().unwrap());
        if !copy.exists() {
            // By another process: no test that forks meanwhile holds the copy open for writing.
            run(Command::new("cp").arg(original).arg(&copy)).ok();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    /// The same command as another user runs it. One who is not root needs sudo for that.
    pub(crate) fn as_user(&self, uid: u32, command: &Command) -> Command {
        let mut other = if rustix::process::geteuid().is_root() {
            Command::new(tool("setpriv"))
        } else {
            let mut sudo = Command::new(tool("sudo"));
            sudo.arg("-n").arg(tool("setpriv"));
            sudo
        };
        let uid = uid.to_string();
        other.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "env"]);
        other.args(command.get_envs().map(|(name, value)| {
            format!("{}={}", name.to_str().unwrap(), value.unwrap_or_default().to_str().unwrap())
        }));
        other.arg(self.copy(command.get_program())).args(command.get_args()).current_dir("/");
        other
    }
}

/// Lets everyone read the configuration of a service.
pub(crate) fn readable(service: &Service) {
    fs::set_permissions(service.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(service.config(), fs::Permissions::from_mode(0o644)).unwrap();
}

/// A root and a node whose configuration everyone can read.
fn services(tables: &str) -> (Root, Node) {
    let root = Root::started(RootOptions { tables: tables.into(), ..RootOptions::default() });
    let options = NodeOptions { tables: tables.into(), ..NodeOptions::default() };
    let node = Node::started(&root, "berlin-1", options);
    for service in [&*root, &*node] {
        readable(service);
    }
    (root, node)
}

/// Commands that only an administrator may run.
fn commands(service: &Service) -> Vec<Vec<&'static str>> {
    let of_both = [vec!["status"], vec!["events", "list"], vec!["events", "watch", "--from", "1"]];
    let own = if service.data("authority-key.pem").exists() {
        vec![vec!["token", "create", "--node", "rogue", "--owner", "Rogue"], vec!["nodes", "list"]]
    } else {
        vec![
            vec!["renew"],
            vec!["access", "create", "--name", "rogue"],
            vec!["access", "list"],
            vec!["access", "revoke", "0011223344556677"],
            vec!["events", "add", "--kind", "no-login", "--description", "rogue"],
            vec!["events", "end", "1"],
        ]
    };
    of_both.into_iter().chain(own).collect()
}

/// Checks that this user is refused by every command, and that nothing changes.
fn check_refused(programs: &Programs, service: &Service, uid: u32) {
    for arguments in commands(service) {
        let command = service.command(&arguments);
        let who = format!("uid {uid} is not a local administrator");
        let words = [&who, "`admin.uids`", "reason: NOT_LOCAL_ADMINISTRATOR"];
        run(&mut programs.as_user(uid, &command)).refused(1, &words);
    }
}

#[test]
fn the_socket_is_its_owners_alone_and_strangers_are_told_so() {
    let (root, node) = services("");
    let programs = Programs::new();
    let (ledger, serial) = (root.ledger(), node.serial());
    for service in [&*root, &*node] {
        let socket = fs::symlink_metadata(service.data("admin.sock")).unwrap();
        assert!(socket.file_type().is_socket());
        assert_eq!(socket.mode() & 0o777, 0o600);
        assert_eq!(socket.uid(), rustix::process::geteuid().as_raw());
        check_refused(&programs, service, STRANGER);
    }
    let enroll = programs.as_user(STRANGER, &node.command(&["enroll", "--token", "-"]));
    run_with_input(&mut { enroll }, &root.token("rogue")).refused(1, &["reason: NOT_LOCAL_ADMINISTRATOR"]);
    assert_eq!(root.ledger()["certificates"], ledger["certificates"]);
    assert_eq!(node.serial(), serial);
}

#[test]
fn where_other_administrators_are_named_the_service_itself_refuses_everyone_else() {
    let (root, node) = services(&format!("[admin]\nuids = [{NAMED}]\n"));
    let programs = Programs::new();
    let (ledger, serial) = (root.ledger(), node.serial());
    for (service, admin, method, proto) in [
        (&*root, ROOT_ADMIN, "ListNodes", "licensor/certification/v1/admin.proto"),
        (&*node, NODE_ADMIN, "RenewCertificate", "licensor/licensing/v1/admin.proto"),
    ] {
        let socket = service.data("admin.sock");
        assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o666, "anyone can connect");
        check_refused(&programs, service, STRANGER);
        let method = format!("{admin}/{method}");
        for (proto, method) in [
            (proto, method.as_str()),
            ("licensor/event/v1/event.proto", "licensor.event.v1.EventService/ListEvents"),
        ] {
            let grpc = Grpc::unix(&socket);
            let described = grpc.clone().described_by(proto);
            let refusal = call_as(&programs, STRANGER, &described, method);
            assert_eq!(refusal.code, 7, "{refusal:?}");
            assert!(refusal.message.contains("uid 65534 is not a local administrator"), "{refusal:?}");
            let info = decoded(&refusal.details[0]["@value"]);
            assert!(String::from_utf8_lossy(&info).contains("NOT_LOCAL_ADMINISTRATOR"), "{refusal:?}");
            // Nor is a stranger told what there is to call.
            let refusal = call_as(&programs, STRANGER, &grpc, method);
            assert!(refusal.message.contains("uid 65534 is not a local administrator"), "{refusal:?}");
        }
        // Some of those calls have a line each: not all of them, or a stranger could fill the disk.
        let told = "somebody who is no administrator called on the admin socket";
        let lines = wait_for("a line", || {
            let log = service.log();
            let lines = log.lines().filter(|line| line.contains(told) && line.contains("65534")).count();
            (lines > 2).then_some(lines)
        });
        assert!(lines <= 5, "{lines}");
    }
    assert_eq!((root.ledger(), node.serial()), (ledger, serial), "nothing changed");
    assert_eq!(node.json(&["access", "list"]), json!([]));

    // Those who are named get in, and events say who they were.
    let create = root.command(&["token", "create", "--node", "berlin-2", "--owner", "Example GmbH"]);
    run(&mut programs.as_user(NAMED, &create)).ok();
    let created = root.json(&["events", "list", "--id", "106"]);
    assert_eq!(created.as_array().unwrap().last().unwrap()["activated_by"], format!("uid:{NAMED}"));
    let renewed = run(&mut programs.as_user(NAMED, &node.command(&["renew", "--output", "json"]))).json();
    assert_eq!(node.serial(), renewed["serial"]);
    let enroll = node.command(&["enroll", "--token", "-", "--output", "json"]);
    let enrolled = run_with_input(&mut programs.as_user(NAMED, &enroll), &root.token("berlin-2")).json();
    assert_eq!(node.serial(), enrolled["serial"]);
    for service in [&*root, &*node] {
        run(&mut programs.as_user(NAMED, &service.command(&["status"]))).ok();
    }
}

/// How a call of this user is refused.
fn call_as(programs: &Programs, uid: u32, grpc: &Grpc, method: &str) -> Box<Refusal> {
    answer(run_with_input(&mut programs.as_user(uid, &grpc.command(method)), "{}")).expect_err("a refusal")
}

#[test]
fn nothing_administrative_is_reachable_over_the_network() {
    let (root, node) = services("");
    let workshop = Workshop::new();
    workshop.key("key.pem", "P-256");
    let client = workshop.enroll(&root, "client", "key.pem");
    let ledger = root.ledger();
    let serial = node.serial();
    let node_port = Grpc::tls(&node.address(), &root.data("trust-anchor.pem"));

    let common = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    let check_list = |grpc: &Grpc, own: &[&str]| {
        assert_eq!(grpc.services(), [common.as_slice(), own].concat());
    };
    check_list(
        &root.grpc(),
        &["licensor.certification.v1.CertificationService", "licensor.event.v1.EventService"],
    );
    check_list(
        &node_port,
        &[
            "licensor.event.v1.EventService",
            "licensor.licensing.v1.LicensingService",
            "licensor.licensing.v1.MeteringService",
            "licensor.licensing.v1.StatusService",
        ],
    );
    assert!(Grpc::unix(&root.data("admin.sock")).services().contains(&ROOT_ADMIN.to_owned()));
    assert!(Grpc::unix(&node.data("admin.sock")).services().contains(&NODE_ADMIN.to_owned()));

    for (port, service, proto, requests) in [
        (
            root.grpc(),
            ROOT_ADMIN,
            "licensor/certification/v1/admin.proto",
            vec![
                ("CreateToken", json!({ "node": "rogue", "owner": "Rogue" })),
                ("ListTokens", json!({})),
                ("ListNodes", json!({})),
                ("ListCertificates", json!({})),
                ("GetRootStatus", json!({})),
            ],
        ),
        (
            node_port,
            NODE_ADMIN,
            "licensor/licensing/v1/admin.proto",
            vec![
                ("RenewCertificate", json!({})),
                ("Enroll", json!({ "token": root.token("rogue") })),
                ("CreateAccessToken", json!({ "name": "rogue" })),
                ("ListAccessTokens", json!({})),
                ("RevokeAccessToken", json!({ "id": "0011223344556677" })),
                ("AddEvent", json!({ "kind": "SYSTEM_EVENT_KIND_NO_LOGIN", "description": "rogue" })),
                ("EndEvent", json!({ "sequence": 1 })),
            ],
        ),
    ] {
        for (method, request) in requests {
            for port in [port.clone(), port.clone().with(&client.certificate, &client.key)] {
                let method = format!("{service}/{method}");
                let refusal = port.described_by(proto).call(&method, &request).unwrap_err();
                assert_eq!(refusal.code, 12, "{method}: {refusal:?}");
            }
        }
    }
    assert_eq!(root.ledger()["certificates"], ledger["certificates"]);
    assert_eq!(root.ledger()["nodes"], ledger["nodes"]);
    assert_eq!(node.serial(), serial);
    assert_eq!(node.json(&["access", "list"]), json!([]));
    // The socket's services do not answer on the port for operations either.
    for service in [&*root, &*node] {
        let (status, _) = service.ops(&format!("/{ROOT_ADMIN}/ListNodes"));
        assert_eq!(status, 404);
    }
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_its_place_can_be_chosen() {
    let mut root = Root::new(RootOptions {
        tables: "[admin]\nsocket = \"{folder}/admin\"\n".into(),
        ..RootOptions::default()
    });
    root.run(&["init"]).ok();
    root.start();
    let socket = root.folder().join("admin");
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    assert!(!root.data("admin.sock").exists());
    root.kill();
    assert!(socket.exists());
    root.start();
    assert_eq!(root.json(&["nodes", "list"]), Value::Array(Vec::new()));
    assert_eq!(root.stop(), 0);
    assert!(!socket.exists(), "a service that ends in good order takes its socket along");
}
