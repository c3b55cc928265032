//! The fleet page of the root, as browsers get it.

use std::{
    fs::File,
    net::TcpStream,
    process::{Command, Stdio},
};

use licensor_tests::{
    Browser, Enrolling, Identity, Page, Root, RootOptions, block_on, run, scenario, tool, wait_for,
};

const ENGLISH: &str = "Accept-Language: en";
const EVIL: &str = "<b onclick=\"x\">Evil & Co</b>";

fn root() -> Root {
    Root::started(RootOptions { web: true, ..RootOptions::default() })
}

/// Enrols a node of this owner.
fn enroll(root: &Root, name: &str, owner: &str) -> Identity {
    let created = root.json(&["token", "create", "--node", name, "--owner", owner]);
    block_on(Enrolling::new(created["token"].as_str().unwrap()).enroll()).unwrap()
}

/// Lets the root issue for so long from now on.
fn issue_for(root: &mut Root, validity: &str) {
    assert_eq!(root.stop(), 0);
    root.set("LICENSOR_ROOT__CERTIFICATE__VALIDITY", validity);
    root.start();
}

/// The page once it shows all of these; what has happened gets there within seconds.
fn shown(browser: &Browser, path: &str, parts: &[&str]) -> Page {
    wait_for("the page to show what there is", || {
        let page = browser.get(path, &[ENGLISH]);
        assert_eq!(page.status, 200, "{page:?}");
        parts.iter().all(|part| page.body.contains(part)).then_some(page)
    })
}

/// The tally of nodes that are like this, as the page has it.
fn tally(show: &str, count: u32) -> String {
    format!("<a href=\"/?show={show}\"><strong>{count}</strong>")
}

#[test]
fn there_is_no_page_unless_the_configuration_says_where() {
    let root = Root::started(RootOptions::default());
    assert!(TcpStream::connect(("127.0.0.1", root.web_port)).is_err());
    root.run(&["web", "login"]).refused(1, &["SCREEN_DISABLED", "web.listen"]);
    let refused = root.json(&["events", "list", "--id", "112"]);
    assert!(refused[0]["message"].as_str().unwrap().contains("CreateSignInLink"), "{refused}");
}

#[test]
fn a_link_signs_in_once_and_nobody_sees_anything_without() {
    let root = root();
    enroll(&root, "berlin-1", "Example GmbH");
    let link = root.json(&["web", "login"])["url"].as_str().unwrap().to_owned();
    let calls = root.json(&["events", "list", "--id", "125"]);
    assert!(calls.to_string().contains("CreateSignInLink"), "{calls}");
    let (origin, secret) = link.split_once("/sign-in/").unwrap();
    assert_eq!(origin, format!("http://127.0.0.1:{}", root.web_port));
    let (stranger, path) = (Browser::new(origin), format!("/sign-in/{secret}"));
    for path in ["/", "/?node=berlin-1", "/live", "/nothing"] {
        let page = stranger.get(path, &[ENGLISH]);
        assert!(!page.body.contains("berlin-1"), "{page:?}");
        let to_sign_in = page.status == 303 && page.header("location") == "/sign-in";
        assert!(to_sign_in || page.status == 404, "{path}: {page:?}");
    }
    assert_eq!(stranger.get(&path, &[]).status, 303);
    let again = stranger.get(&path, &[ENGLISH]);
    assert_eq!((again.status, again.header("set-cookie")), (403, ""));
    again.places(&["This link was used before."]);

    let mut browser = Browser::signed_in(&root);
    let page = shown(&browser, "/", &["berlin-1"]);
    for (name, part) in [
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert!(page.header(name).contains(part), "{name}: {page:?}");
    }
    for path in ["/nothing", "/?node=nobody", "/?event=999999", "/?show=everything", "/?page=x"] {
        let page = browser.get(path, &[ENGLISH]);
        assert_eq!(page.status, 404, "{path}");
        page.places(&["There is no such page."]);
    }
    // Nothing can be changed here but the session itself.
    assert_eq!(browser.post("/", "node=berlin-1").status, 404);
    let token = page.body.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(browser.post("/sign-out", "form_token=forged").status, 403);
    assert_eq!(browser.post("/sign-out", &format!("form_token={token}")).status, 303);
    assert_eq!(browser.get("/", &[]).status, 303);
    browser.cookie = Some("__Host-licensor=nothing".into());
    assert_eq!(browser.get("/", &[]).status, 303);
}

#[test]
fn the_page_speaks_three_languages() {
    let root = root();
    enroll(&root, "berlin-1", "Example GmbH");
    let browser = Browser::signed_in(&root);
    shown(&browser, "/", &["berlin-1"]);
    for (language, lang, parts) in [
        ("en", "en", ["Licensing servers", "Time left", "days<svg"]),
        ("nl-BE,nl;q=0.9,en;q=0.5", "nl", ["Licentieservers", "Resterende tijd", "dagen<svg"]),
        ("da;q=0.1,sv", "sv", ["Licensservrar", "Tid kvar", "dagar<svg"]),
        ("ja", "en", ["Licensing servers", "Time left", "days<svg"]),
    ] {
        let page = browser.get("/", &[&format!("Accept-Language: {language}")]);
        page.places(&[&format!("<html lang=\"{lang}\"")]);
        page.places(&parts);
    }
}

#[test]
fn nodes_are_shown_by_expiry_found_and_told_apart() {
    let mut root = root();
    let year = enroll(&root, "year", "Example GmbH");
    let gone = enroll(&root, "gone", "Example GmbH");
    enroll(&root, "ended", "Example GmbH");
    issue_for(&mut root, "20d");
    enroll(&root, "weeks", EVIL);
    issue_for(&mut root, "3d");
    enroll(&root, "days", "Another AB");
    root.run(&["certificates", "revoke", &gone.serial]).ok();
    root.run(&["nodes", "decommission", "ended", "--yes"]).ok();

    let browser = Browser::signed_in(&root);
    let counted = [tally("current", 3), tally("revoked", 1), tally("decommissioned", 1), tally("expired", 0)];
    let page = shown(&browser, "/", &counted.each_ref().map(String::as_str));
    // What runs out first comes first, and what was ended last.
    page.places(&["data-live-from=\"/live\""]);
    let places = page.places(&["node-days", "node-weeks", "node-year", "node-gone", "node-ended"]);
    assert!(places.is_sorted(), "{places:?}");
    page.places(&["less than a week left: 1", "a week to a month left: 1", "six to twelve months left: 1"]);
    // An owner is text and nothing else.
    assert!(!page.body.contains("<b onclick"));
    page.places(&["&lt;b onclick=&quot;x&quot;&gt;Evil &amp; Co&lt;/b&gt;"]);

    let only = |path: &str, expected: &[&str]| {
        let page = browser.get(path, &[ENGLISH]);
        let nodes = ["days", "weeks", "year", "gone", "ended"];
        let found = nodes.into_iter().filter(|node| page.body.contains(&format!("id=\"node-{node}\"")));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{path}");
    };
    only("/?show=1w", &["days"]);
    only("/?show=12m", &["year"]);
    only("/?show=revoked", &["gone"]);
    only("/?show=decommissioned", &["ended"]);
    only("/?show=overdue", &[]);
    only("/?search=WEE", &["weeks"]);
    only("/?search=evil+%26", &["weeks"]);
    only("/?search=gmbh", &["year", "gone", "ended"]);
    only("/?search=gmbh&show=12m", &["year"]);
    only(&format!("/?search={}", year.serial), &["year"]);
    only(&format!("/?search={}", &year.serial[..12].to_uppercase()), &["year"]);
    only("/?search=nothing", &[]);

    let details = browser.get("/?node=gone", &[ENGLISH]);
    details.places(&["id=\"details\"", &gone.serial, "What happened to it", "was revoked"]);
    let event = root.json(&["events", "list", "--id", "111"])[0]["sequence"].as_u64().unwrap();
    browser
        .get(&format!("/?event={event}"), &[ENGLISH])
        .places(&["id=\"details\"", "ended was decommissioned"]);
}

#[test]
fn a_renewal_gets_onto_an_open_page_and_one_that_is_late_is_told() {
    let mut root = root();
    issue_for(&mut root, "30s");
    let mut node = enroll(&root, "quick", "Example GmbH");
    let former = node.serial.clone();
    let browser = Browser::signed_in(&root);
    let enrolled = shown(&browser, "/", &["id=\"node-quick\""]).header("date").to_owned();
    // Records know seconds: the renewal is in another one than the enrolment.
    wait_for("the next second", || (browser.get("/", &[]).header("date") != enrolled).then_some(()));
    // An open page hears of what changes.
    let heard = root.folder().join("heard");
    let cookie = format!("Cookie: {}", browser.cookie.as_deref().unwrap());
    let live = format!("http://127.0.0.1:{}/live", root.web_port);
    let mut listening = Command::new(tool("curl"))
        .args(["--silent", "--no-buffer", "--header", &cookie, &live])
        .stdout(File::create(&heard).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let hears = |what: &str| {
        wait_for("the open page to hear of it", || {
            std::fs::read_to_string(&heard).unwrap().contains(what).then_some(())
        });
    };
    hears("event: hello");
    block_on(node.renew()).unwrap();
    hears("event: changed");
    listening.kill().unwrap();
    listening.wait().unwrap();
    shown(&browser, "/", &[&node.serial, "<dt>renewed in 24 hours</dt><dd>1</dd>"]);
    let details = browser.get("/?node=quick", &[ENGLISH]);
    let places = details.places(&[&format!("title=\"{}\"", node.serial), &format!("title=\"{former}\"")]);
    assert!(places.is_sorted(), "the newest certificate comes first");
    // It does not renew, and time goes on.
    shown(&browser, "/?show=overdue", &["1 should have renewed by now", "id=\"node-quick\""]);
    shown(&browser, "/?show=expired", &["id=\"node-quick\"", "ago"]);
}

#[test]
fn a_page_that_is_not_on_loopback_speaks_tls_with_the_certificate_of_the_root() {
    let tables = "[web]\nlisten = \"0.0.0.0:{web_port}\"\n".to_owned();
    let root = Root::started(RootOptions { tables, ..RootOptions::default() });
    let browser = Browser::signed_in(&root);
    let page = browser.get("/", &[]);
    assert_eq!(page.status, 200);
    assert!(page.header("strict-transport-security").contains("max-age"), "{page:?}");
    // Whoever knows the anchor knows the page.
    let anchor = root.data("trust-anchor.pem");
    let url = format!("https://127.0.0.1:{}/sign-in", root.web_port);
    let curl = ["--silent", "--fail", "--cacert", anchor.to_str().unwrap(), &url];
    assert!(run(Command::new(tool("curl")).args(curl)).ok().contains("root-service web login"));
}

#[test]
fn the_fleet_is_whole_in_a_browser_and_follows_what_happens() {
    let mut root = root();
    enroll(&root, "year", "Example GmbH");
    issue_for(&mut root, "20d");
    enroll(&root, "weeks", EVIL);
    issue_for(&mut root, "3d");
    enroll(&root, "days", "Another AB");
    scenario(&mut root, "fleet", &[], |root, what, _| {
        assert_eq!(what, "another node");
        let token = root.json(&["token", "create", "--node", "newcomer", "--owner", "Example GmbH"]);
        block_on(Enrolling::new(token["token"].as_str().unwrap()).enroll()).unwrap();
        serde_json::Value::Null
    });
}
