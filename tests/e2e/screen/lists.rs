//! Long lists come in pages.

use std::fmt::Write;

use licensor_tests::{Browser, ENTITLEMENT, Node, NodeOptions, Root, RootOptions, wait_for};

const ENGLISH: &str = "Accept-Language: en";

/// An entitlement with so many modules and services.
fn large(modules: usize, services: usize) -> String {
    let head = ENTITLEMENT.split("[[").next().unwrap();
    let mut document = head.to_owned();
    for module in 0..modules {
        write!(
            document,
            "[[modules]]\nname = \"m{module:03}\"\ntitle = \"Module {module:03}\"\nquantity = 5\n"
        )
        .unwrap();
    }
    for service in 0..services {
        write!(
            document,
            "[[services]]\nname = \"s{service:02}\"\nunit = \"call\"\nallowance = {{ base = 10 }}\n"
        )
        .unwrap();
    }
    document
}

#[test]
fn licences_services_statements_and_events_come_in_pages() {
    let root = Root::started(RootOptions::default());
    let token = root.token("berlin-1");
    root.entitle(&large(150, 30));
    let mut node = Node::new(NodeOptions::default());
    node.enroll(&token);
    node.start();
    wait_for("the entitlement", || (!node.json(&["licenses", "list"]).as_array()?.is_empty()).then_some(()));
    for number in 0..15 {
        let text = format!("Notice {number}");
        let added = node.json(&["events", "add", "--kind", "maintenance", "--description", &text]);
        node.json(&["events", "end", &added["sequence"].to_string()]);
    }
    let browser = Browser::signed_in(&node);
    let count = |path: &str, part: &str| {
        let page = browser.get(path, &[ENGLISH]);
        assert_eq!(page.status, 200, "{path}");
        page.body.matches(part).count()
    };
    let licences = "/licences?vendor=Example";
    assert_eq!(count(licences, "id=\"licence-"), 100);
    assert_eq!(count(&format!("{licences}&page=1"), "id=\"licence-"), 50);
    assert_eq!(count(&format!("{licences}&page=18446744073709551615"), "id=\"licence-"), 0);
    assert_eq!(count(&format!("{licences}&search=module+14"), "id=\"licence-"), 10);
    assert_eq!(count("/usage", "<article"), 24);
    assert_eq!(count("/usage?vendor=Example&services=24", "<article"), 6);
    assert_eq!(count("/status", "18 more are on the page"), 1);
    assert_eq!(count("/status", "id=\"event-"), 25);
    browser.get("/status", &[ENGLISH]).places(&["Older"]);
    // What makes no sense leads to no page, and says so as every page does.
    for path in
        ["/licences?vendor=Example&page=-1", "/status?before=x", "/usage?skip=", "/licences?vendor=nobody"]
    {
        let page = browser.get(path, &[ENGLISH]);
        assert_eq!(page.status, 404, "{path}");
        page.places(&["There is no such page."]);
    }
}
