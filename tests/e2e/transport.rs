//! TLS as OpenSSL sees it: 1.3 alone, and nothing to resume.

use std::process::Command;

use licensor_tests::{Node, NodeOptions, Ran, Root, RootOptions, Service, run_with_input};

/// Connects with OpenSSL, and ends the connection at once.
fn s_client(service: &Service, root: &Root, arguments: &[&str]) -> Ran {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &service.address(), "-verify_return_error", "-CAfile"]);
    command.arg(root.data("trust-anchor.pem")).args(["-alpn", "h2"]).args(arguments);
    run_with_input(&mut command, "Q\n")
}

fn pair() -> (Root, Node) {
    let root = Root::started(RootOptions::default());
    let node = Node::started(&root, "berlin-1", NodeOptions::default());
    (root, node)
}

#[test]
fn tls_13_is_spoken_and_nothing_older() {
    let (root, node) = pair();
    for service in [&*root, &*node] {
        let newest = s_client(service, &root, &["-tls1_3", "-verify_ip", "127.0.0.1"]).ok();
        assert!(newest.contains("New, TLSv1.3"), "{newest}");
        assert!(newest.contains("ALPN protocol: h2"), "{newest}");
        assert!(newest.contains("Verify return code: 0 (ok)"), "{newest}");
        s_client(service, &root, &["-tls1_2"]).refused(1, &["alert protocol version"]);
    }
}

#[test]
fn another_protocol_than_http_2_is_refused() {
    let (root, node) = pair();
    for service in [&*root, &*node] {
        s_client(service, &root, &["-alpn", "http/1.1"]).refused(1, &["alert no application protocol"]);
    }
}

#[test]
fn no_session_ticket_is_issued_and_no_session_is_resumed() {
    let (root, node) = pair();
    for service in [&*root, &*node] {
        let session = root.folder().join("session.pem");
        let path = session.to_str().unwrap();
        let first = s_client(service, &root, &["-msg", "-sess_out", path, "-reconnect"]).ok();
        assert!(!first.contains("NewSessionTicket"), "{first}");
        assert!(!first.contains("Reused,"), "{first}");
        // OpenSSL keeps a session without a ticket, if it keeps one; the server knows nothing of it.
        if session.exists() {
            let second = s_client(service, &root, &["-sess_in", path]).ok();
            assert!(second.contains("New, TLSv1.3") && !second.contains("Reused,"), "{second}");
        }
    }
}
