//! People sign in at a real identity provider, which runs as a process of its own.
#![allow(clippy::unwrap_used)]

mod browser;
mod provider;

use std::time::Duration;

use serde_json::json;

use browser::{Answer, Browser};
use provider::{Bench, Setup};

/// Begins to sign in; the first page of the provider.
async fn begin(bench: &Bench, browser: &mut Browser) -> Answer {
    let answer = browser.get(&bench.url("/oidc/start")).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    visit(browser, &answer.location()).await
}

async fn visit(browser: &mut Browser, url: &str) -> Answer {
    let first = browser.get(url).await;
    browser.wander(first).await
}

/// Logs in at the provider and consents; where the provider sends the browser back to.
async fn log_in(bench: &Bench, browser: &mut Browser, name: &str) -> String {
    let page = begin(bench, browser).await;
    go_on(bench, browser, page, name).await
}

async fn go_on(bench: &Bench, browser: &mut Browser, page: Answer, name: &str) -> String {
    let mut answer = page;
    let mut form = format!("prompt=login&login={name}&password=x");
    while answer.status == 200 {
        let next = browser.post(&answer.action(), &form).await;
        answer = browser.wander(next).await;
        form = "prompt=consent".to_owned();
    }
    let back = answer.location();
    assert!(back.starts_with(&bench.url("/oidc/callback?")), "{back}");
    back
}

/// Signs somebody in with the browser of the test; the answer, and what the start page says then.
async fn sign_in(bench: &mut Bench, name: &str) -> (Answer, Answer) {
    let mut browser = bench.another_browser();
    let back = log_in(bench, &mut browser, name).await;
    let answer = browser.get(&back).await;
    let page = browser.get(&bench.url("/")).await;
    bench.browser = browser;
    (answer, page)
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(sentence), "{}", answer.body);
    let leaks = ["127.0.0.1", "invalid_", "a secret", "No matching key", "Expired:"];
    for leak in leaks {
        assert!(!answer.body.contains(leak), "{leak}: {}", answer.body);
    }
    let session = answer.headers.get_all("set-cookie").iter();
    assert_eq!(session.count(), 0, "nobody is signed in");
}

fn form_token(page: &Answer) -> String {
    let (_, token) = page.body.split_once("name=\"form_token\" value=\"").unwrap();
    format!("form_token={}", token.split('"').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_signs_in_and_changes_things() {
    let mut bench = Bench::open(Setup::default()).await;
    let page = bench.browser.get(&bench.url("/sign-in")).await;
    assert!(page.body.contains("href=\"/oidc/start\""), "{}", page.body);
    let (answer, page) = sign_in(&mut bench, "anna").await;
    assert_eq!((answer.status.as_u16(), answer.header("refresh")), (200, "0; url=/"));
    assert!(page.body.contains("anna@example.org is administrator"), "{}", page.body);
    let answer = bench.browser.post(&bench.url("/"), &form_token(&page)).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "anna@example.org was here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_signs_in_and_changes_nothing() {
    let mut bench = Bench::open(Setup { claims_in: "id_token", ..Setup::default() }).await;
    let (_, page) = sign_in(&mut bench, "bert").await;
    assert!(page.body.contains("bert is viewer"), "{}", page.body);
    let answer = bench.browser.post(&bench.url("/"), &form_token(&page)).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Only an administrator may do this."), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_be_inside_another_claim_and_nobody_is_called_like_a_local_user() {
    let config = json!({ "role_claim": "realm_access.roles" });
    let mut bench = Bench::open(Setup { config, ..Setup::default() }).await;
    let (_, page) = sign_in(&mut bench, "dora").await;
    assert!(page.body.contains("<p>dora is viewer</p>"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_role_is_told_so() {
    let mut bench = Bench::open(Setup::default()).await;
    for (language, sentence) in [
        ("en", "Your organisation knows you, and you have no role here."),
        ("nl", "Uw organisatie kent u, maar u hebt hier geen rol."),
        ("sv", "Din organisation känner dig, men du har ingen roll här."),
    ] {
        bench.browser.language = language;
        let (answer, page) = sign_in(&mut bench, "carl").await;
        assert_refused(&answer, 403, sentence);
        assert_eq!(page.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_keeps_meanwhile_is_for_nobody_else() {
    let mut bench = Bench::open(Setup::default()).await;
    let answer = bench.browser.get(&bench.url("/oidc/start")).await;
    let cookie = answer.header("set-cookie");
    for attribute in ["__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    let location = answer.location();
    for parameter in
        ["response_type=code", "code_challenge_method=S256", "nonce=", "state=", "scope=openid+profile+email"]
    {
        assert!(location.contains(parameter), "{parameter}: {location}");
    }
    let (signed_in, _) = sign_in(&mut bench, "anna").await;
    let cookies: Vec<_> = signed_in.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.iter().any(|line| line.to_str().unwrap().contains("-oidc=; ")), "{cookies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_wrong_state_or_in_another_browser_signs_nobody_in() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    let sentence = "This sign-in did not begin in this browser.";
    let (begin, _) = back.split_once("state=").unwrap();
    let wrong =
        [format!("{begin}state=wrong"), bench.url("/oidc/callback"), format!("{back}&error=access_denied")];
    for (url, mut browser) in [
        (&wrong[0], browser.of_the_same()),
        (&wrong[1], browser.of_the_same()),
        (&back, bench.another_browser()),
        (&wrong[2], bench.another_browser()),
    ] {
        assert_refused(&browser.get(url).await, 403, sentence);
    }
    let mut other = bench.another_browser();
    log_in(&bench, &mut other, "bert").await;
    assert_refused(&other.get(&back).await, 403, sentence);
    assert_eq!(browser.get(&back).await.status, 200, "whose answer it is gets in all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    let mut again = browser.of_the_same();
    assert_eq!(browser.get(&back).await.status, 200);
    assert_refused(&again.get(&back).await, 403, "This sign-in was completed before.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_sign_in_is_not_accepted() {
    let bench = Bench::open(Setup::default()).await;
    let mut victim = bench.another_browser();
    let stolen = log_in(&bench, &mut victim, "anna").await;
    let mut thief = bench.another_browser();
    let own = log_in(&bench, &mut thief, "bert").await;
    let part = |url: &str, name: &str| {
        let (_, rest) = url.split_once(&format!("{name}=")).unwrap();
        rest.split('&').next().unwrap().to_owned()
    };
    let mixed = format!("/oidc/callback?code={}&state={}", part(&stolen, "code"), part(&own, "state"));
    let answer = thief.get(&bench.url(&mixed)).await;
    assert_refused(&answer, 403, "does not accept this sign-in any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_begins_anew() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    bench.clock.advance(Duration::from_secs(600));
    assert_refused(&browser.get(&back).await, 403, "The sign-in took too long.");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_off_is_told_so() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let page = begin(&bench, &mut browser).await;
    let aborted = browser.get(&format!("{}/abort", page.action())).await;
    let aborted = browser.wander(aborted).await;
    let answer = browser.get(&aborted.location()).await;
    assert_refused(&answer, 403, "did not let you in, or you broke off");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_provider_is_not_shown() {
    let bench = Bench::open(Setup { secret: "wrong", ..Setup::default() }).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    let answer = browser.get(&back).await;
    assert_refused(&answer, 403, "reported an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_by_the_clock_of_the_service_is_not_accepted() {
    let ahead = Duration::from_secs(2 * 3600);
    let bench = Bench::open(Setup { ahead, ..Setup::default() }).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    assert_refused(&browser.get(&back).await, 403, "cannot be relied on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_sign_in_is_not_accepted() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let answer = browser.get(&bench.url("/oidc/start")).await;
    let page = visit(&mut browser, &answer.location().replace("nonce=", "nonce=another")).await;
    let back = go_on(&bench, &mut browser, page, "anna").await;
    assert_refused(&browser.get(&back).await, 403, "cannot be relied on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_provider_has_not_signed_is_not_accepted() {
    let bench = Bench::open(Setup { forges: true, ..Setup::default() }).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    assert_refused(&browser.get(&back).await, 403, "cannot be relied on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_provider_is_not_accepted() {
    let bench = Bench::open(Setup::default()).await;
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    assert!(back.contains("&iss=https"), "{back}");
    let answer = browser.get(&back.replace("&iss=https", "&iss=another")).await;
    assert_refused(&answer, 403, "cannot be relied on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_other_keys_is_asked_for_them() {
    let mut bench = Bench::open(Setup::default()).await;
    sign_in(&mut bench, "anna").await;
    bench.stop_provider();
    bench.start_provider();
    let (_, page) = sign_in(&mut bench, "anna").await;
    assert!(page.body.contains("anna@example.org is administrator"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_is_named_and_asked_again_later() {
    let mut bench = Bench::open(Setup { runs: false, ..Setup::default() }).await;
    let sentence = "The sign-in service of your organisation does not answer.";
    let start = bench.url("/oidc/start");
    assert_refused(&bench.browser.get(&start).await, 502, sentence);
    assert_eq!(bench.browser.get(&bench.url("/sign-in")).await.status, 200, "links work all the same");

    bench.start_provider();
    assert_refused(&bench.browser.get(&start).await, 502, sentence);
    bench.clock.advance(Duration::from_secs(5));
    let mut browser = bench.another_browser();
    let back = log_in(&bench, &mut browser, "anna").await;
    bench.stop_provider();
    assert_refused(&browser.get(&back).await, 502, sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whom_nobody_certified_is_not_asked() {
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), stranger.cert.pem()).unwrap();
    let config = json!({ "trust_anchors": file.path() });
    let mut bench = Bench::open(Setup { config, ..Setup::default() }).await;
    let answer = bench.browser.get(&bench.url("/oidc/start")).await;
    assert_refused(&answer, 502, "does not answer");
}
