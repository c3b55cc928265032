//! Expiry: the warnings, the refusal and the recovery, on a clock that the tests move.

mod clock_jumps;
mod late;
mod speed;
mod year;

use licensor_tests::{FakeClock, Node, NodeOptions, Root, RootOptions, Service, instant, wait_for};
use serde_json::Value;

const MONTH: u64 = 16;
const WEEK: u64 = 17;
const EXPIRED: u64 = 18;
const CLOCK_JUMPED: u64 = 105;

const CHECK_OFTEN: &str = "[expiry]\ncheck_interval = \"200ms\"\n";
const BY_HAND: &str = "[expiry]\ncheck_interval = \"200ms\"\n[renewal]\nautomatic = false\n";

/// A root and a node that renews only by hand, on one clock.
struct Pair {
    clock: FakeClock,
    root: Root,
    node: Node,
}

impl Pair {
    fn started() -> Self {
        Self::with_root("")
    }

    /// With more tables in the root's configuration.
    fn with_root(tables: &str) -> Self {
        let clock = FakeClock::new();
        let root = Root::started(RootOptions {
            tables: format!("{CHECK_OFTEN}{tables}"),
            environment: clock.environment(),
            ..RootOptions::default()
        });
        let options = NodeOptions { tables: BY_HAND.into(), environment: clock.environment() };
        let node = Node::started(&root, "berlin-1", options);
        Self { clock, root, node }
    }

    /// When the certificate in use expires.
    fn not_after(&self) -> i64 {
        instant(&self.node.status()["certificate"]["not_after"])
    }

    /// Sets the clock to an instant, and waits until both services have noticed that it jumped.
    fn jump_to(&mut self, time: i64) {
        let before = [&*self.root, &*self.node].map(|service| events(service, CLOCK_JUMPED).len());
        self.clock.set_to(time);
        for (service, before) in [&*self.root, &*self.node].into_iter().zip(before) {
            wait_for("the jump of the clock", || {
                (events(service, CLOCK_JUMPED).len() > before).then_some(())
            });
        }
    }

    /// Waits until both services have looked at what is due at the present time: a second jump is noticed after that.
    fn let_them_look(&mut self) {
        for _ in 0..2 {
            let later = self.clock.now() + 600;
            self.jump_to(later);
        }
    }
}

/// Events with this id, in order.
fn events(service: &Service, id: u64) -> Vec<Value> {
    let listed = service.json(&["events", "list", "--id", &id.to_string()]);
    listed.as_array().unwrap().clone()
}

/// Ids of the warnings about one certificate, in order.
fn warnings(service: &Service, serial: &str) -> Vec<u64> {
    let listed = service.json(&["events", "list", "--serial", serial]);
    let ids = listed.as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap());
    ids.filter(|id| [MONTH, WEEK, EXPIRED].contains(id)).collect()
}

/// Waits until the warnings about one certificate are these.
fn wait_for_warnings(service: &Service, serial: &str, expected: &[u64]) {
    wait_for(&format!("the warnings {expected:?}"), || {
        let raised = warnings(service, serial);
        assert!(expected.starts_with(&raised), "{raised:?} is no beginning of {expected:?}");
        (raised == expected).then_some(())
    });
}
