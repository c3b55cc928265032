//! What is let through, and what is refused how.

use std::collections::BTreeMap;

use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::{
    form::Change,
    session::{Person, Role},
    test_screen::{TestScreen, UID},
};

/// A page to look at, and a form.
fn own() -> Router {
    let page = async |Viewer(visitor): Viewer| form::token(&visitor);
    let change = async |change: Change<BTreeMap<String, String>>| change.person.name;
    Router::new().route("/page", get(page)).route("/change", post(change))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The value of a cookie that it sets.
    fn cookie(&self, name: &str) -> Option<Cookie<'_>> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines.map(|line| Cookie::parse(line.to_str().unwrap()).unwrap()).find(|cookie| cookie.name() == name)
    }
}

async fn ask(bench: &TestScreen, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !path.starts_with("https:") && !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1:7445");
    }
    if method == "POST" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = bench.pages(own()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// A person signs in: the cookie to send, and the token of the session's forms.
async fn signed_in(bench: &TestScreen, role: Role) -> (String, String) {
    let person = Person { name: "jan@example".into(), role, uid: None };
    let secret = bench.sessions().sign_in(&person).await.unwrap();
    let session = bench.sessions().find(&secret).await.unwrap().unwrap();
    (format!("{}={secret}", bench.screen.cookie), format!("form_token={}", session.form_token))
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect() {
    let bench = TestScreen::open().await;
    let (cookie, _) = signed_in(&bench, Role::Viewer).await;
    let cookie = [("cookie", &*cookie)];
    for (path, headers, status) in [
        ("/page", &cookie[..], 200),
        ("/page", &[], 303),
        ("/sign-in", &[], 200),
        ("/nowhere", &cookie, 404),
        ("/sign-in/wrong", &[], 403),
        ("/sign-in", &[("host", "stranger.example")], 421),
    ] {
        let answer = ask(&bench, "GET", path, headers, "").await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("strict-transport-security"), "", "{path}: there is no TLS");
    }
    let asset = ask(&bench, "GET", &assets::url("app.css"), &[], "").await;
    assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(asset.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn over_tls_browsers_are_told_to_stay_with_it() {
    let bench = TestScreen::at("10.0.0.1:7445").await;
    let answer = ask(&bench, "GET", "/sign-in", &[], "").await;
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn without_tls_only_the_own_host_is_answered() {
    let bench = TestScreen::open().await;
    for (host, status) in [
        ("127.0.0.1:7445", 200),
        ("localhost", 200),
        ("localhost:9", 200),
        ("[::1]:7445", 200),
        ("stranger.example", 421),
        ("127.0.0.1.stranger.example:7445", 421),
        ("localhost:7445.stranger.example", 421),
        ("", 421),
    ] {
        assert_eq!(ask(&bench, "GET", "/sign-in", &[("host", host)], "").await.status, status, "{host}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_signs_in_first() {
    let bench = TestScreen::open().await;
    let answer = ask(&bench, "GET", "/page", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/sign-in"));
    let answer = ask(&bench, "POST", "/change", &[], "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("You are not signed in."), "{}", answer.body);
    let answer = ask(&bench, "POST", "/change", &[("accept-language", "nl")], "").await;
    assert!(answer.body.contains("U bent niet aangemeld."), "{}", answer.body);
    let wrong = format!("{}=AAAA", bench.screen.cookie);
    assert_eq!(ask(&bench, "GET", "/page", &[("cookie", &wrong)], "").await.status, 303);
}

#[tokio::test]
async fn a_form_is_taken_from_a_page_of_this_session_alone() {
    let bench = TestScreen::open().await;
    let (cookie, token) = signed_in(&bench, Role::Administrator).await;
    let (_, others) = signed_in(&bench, Role::Administrator).await;
    let here = "http://127.0.0.1:7445";
    for (body, headers, status) in [
        (&*token, &[][..], 200),
        (&token, &[("origin", here), ("sec-fetch-site", "same-origin")], 200),
        // A proxy has put itself in the place of the host.
        (&token, &[("origin", here), ("host", "localhost:9999")], 200),
        ("", &[], 403),
        ("form_token=", &[], 403),
        (&others, &[], 403),
        (&token[..token.len() - 1], &[], 403),
        (&token, &[("sec-fetch-site", "cross-site")], 403),
        (&token, &[("sec-fetch-site", "same-site")], 403),
        (&token, &[("origin", "https://stranger.example")], 403),
        (&token, &[("origin", "http://127.0.0.1:7446")], 403),
        (&token, &[("origin", "null")], 403),
    ] {
        let headers = [headers, &[("cookie", &*cookie)]].concat();
        let answer = ask(&bench, "POST", "/change", &headers, body).await;
        assert_eq!(answer.status, status, "{body} {headers:?}: {}", answer.body);
        if status == 403 {
            assert!(answer.body.contains("This form was not sent from a page of yours"), "{}", answer.body);
        }
    }
    let long = format!("{token}&x={}", "a".repeat(65 << 10));
    assert_eq!(ask(&bench, "POST", "/change", &[("cookie", &cookie)], &long).await.status, 413);
}

#[tokio::test]
async fn a_form_that_comes_over_http_2_has_its_host_in_the_address() {
    let bench = TestScreen::at("10.0.0.1:7445").await;
    let (cookie, token) = signed_in(&bench, Role::Administrator).await;
    for (origin, status) in [("https://10.0.0.1:7445", 200), ("https://stranger.example", 403)] {
        let headers = [("cookie", &*cookie), ("origin", origin)];
        let answer = ask(&bench, "POST", "https://10.0.0.1:7445/change", &headers, &token).await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let bench = TestScreen::open().await;
    let (cookie, token) = signed_in(&bench, Role::Viewer).await;
    assert_eq!(ask(&bench, "GET", "/page", &[("cookie", &cookie)], "").await.status, 200);
    let answer = ask(&bench, "POST", "/change", &[("cookie", &cookie)], &token).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Only an administrator may do this."), "{}", answer.body);
}

#[tokio::test]
async fn preferences_lead_back_to_a_page_of_this_screen() {
    let bench = TestScreen::open().await;
    for (back, location) in [
        ("/page%3Fa%3Db", "/page?a=b"),
        ("//stranger.example", "/"),
        ("https://stranger.example", "/"),
        ("/%5Cstranger.example", "/"),
        ("%5C%5Cstranger.example", "/"),
        ("/%09/stranger.example", "/"),
        ("/%0A/stranger.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let body = format!("language=sv&theme=dark&back={back}");
        let answer = ask(&bench, "POST", "/preferences", &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, location), "{back}");
        assert_eq!(answer.cookie(LANGUAGE).unwrap().value(), "sv");
        assert_eq!(answer.cookie(THEME).unwrap().value(), "dark");
    }
    let answer = ask(&bench, "POST", "/preferences", &[], "language=xx&theme=xx").await;
    assert!(answer.headers.get(header::SET_COOKIE).is_none());
    let answer = ask(&bench, "POST", "/preferences", &[("sec-fetch-site", "cross-site")], "theme=dark").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn looking_ahead_does_not_use_a_link_up() {
    let bench = TestScreen::open().await;
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    let path = format!("/sign-in/{link}");
    for (method, headers) in [
        ("HEAD", &[][..]),
        ("GET", &[("sec-purpose", "prefetch;prerender")]),
        ("GET", &[("purpose", "prefetch")]),
    ] {
        let answer = ask(&bench, method, &path, headers, "").await;
        assert_eq!(answer.status, 204, "{method} {headers:?}");
        assert!(answer.headers.get(header::SET_COOKIE).is_none());
    }
    let answer = ask(&bench, "GET", &path, &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
    let cookie = answer.cookie(&bench.screen.cookie).unwrap();
    assert_eq!(cookie.name(), "__Host-licensor-7445");
    assert!(cookie.http_only() == Some(true) && cookie.secure() == Some(true), "{cookie}");
    assert_eq!((cookie.same_site(), cookie.path()), (Some(SameSite::Strict), Some("/")));
    let cookie = format!("{}={}", cookie.name(), cookie.value());
    assert_eq!(ask(&bench, "GET", "/page", &[("cookie", &cookie)], "").await.status, 200);
    assert_eq!(ask(&bench, "GET", "/sign-in", &[("cookie", &cookie)], "").await.status, 303);

    let again = ask(&bench, "GET", &path, &[], "").await;
    assert_eq!(again.status, 403);
    assert!(again.body.contains("This link was used before."), "{}", again.body);
    assert!(!again.body.contains(&link), "{}", again.body);
}

#[tokio::test]
async fn who_comes_from_elsewhere_with_a_link_goes_on_from_a_page_of_ours() {
    let bench = TestScreen::open().await;
    let (link, _) = bench.sessions().link(UID).await.unwrap();
    let answer =
        ask(&bench, "GET", &format!("/sign-in/{link}"), &[("sec-fetch-site", "cross-site")], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("refresh")), (200, "0; url=/"));
    assert!(answer.cookie(&bench.screen.cookie).is_some());
}

#[tokio::test]
async fn signing_out_takes_a_form_of_this_session_and_the_cookie_away() {
    let bench = TestScreen::open().await;
    let (cookie, token) = signed_in(&bench, Role::Viewer).await;
    let headers = [("cookie", &*cookie)];
    assert_eq!(ask(&bench, "POST", "/sign-out", &headers, "").await.status, 403);
    let crossing = [("cookie", &*cookie), ("sec-fetch-site", "cross-site")];
    assert_eq!(ask(&bench, "POST", "/sign-out", &crossing, &token).await.status, 403);
    assert_eq!(ask(&bench, "GET", "/page", &headers, "").await.status, 200);

    let answer = ask(&bench, "POST", "/sign-out", &headers, &token).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/sign-in"));
    let gone = answer.cookie(&bench.screen.cookie).unwrap();
    assert_eq!((gone.value(), gone.max_age()), ("", Some(cookie::time::Duration::ZERO)));
    assert_eq!(ask(&bench, "GET", "/page", &headers, "").await.status, 303);
}
