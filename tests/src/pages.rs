//! A browser as far as tests need one: it asks for pages, with the cookie that signed it in.

use std::process::Command;

use crate::{Service, run, tool};

/// What a service answered to a browser.
#[derive(Debug)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// Lines of the header, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The page.
    pub body: String,
}

impl Page {
    /// The value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The places of these on the page, which must all be there.
    pub fn places(&self, parts: &[&str]) -> Vec<usize> {
        let place = |part: &&str| {
            self.body.find(*part).unwrap_or_else(|| panic!("`{part}` is not on the page: {}", self.body))
        };
        parts.iter().map(place).collect()
    }
}

/// A browser.
#[derive(Debug)]
pub struct Browser {
    origin: String,
    /// The cookie of its session, if it is signed in.
    pub cookie: Option<String>,
}

impl Browser {
    /// A browser that nobody has signed in with.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.to_owned(), cookie: None }
    }

    /// A browser that the local administrator of a service is signed in with, by a link of `web login`.
    pub fn signed_in(service: &Service) -> Self {
        let link = service.json(&["web", "login"])["url"].as_str().unwrap().to_owned();
        let (origin, path) = link.split_once("/sign-in/").unwrap();
        let mut browser = Self::new(origin);
        let answer = browser.get(&format!("/sign-in/{path}"), &[]);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("__Host-"), "{answer:?}");
        browser.cookie = Some(cookie);
        browser
    }

    /// Asks for a path with these lines of a header.
    pub fn get(&self, path: &str, headers: &[&str]) -> Page {
        self.ask(path, headers, &[])
    }

    /// Sends a form, from a page of this site.
    pub fn post(&self, path: &str, form: &str) -> Page {
        let origin = format!("Origin: {}", self.origin);
        self.ask(path, &[&origin], &["--data", form])
    }

    fn ask(&self, path: &str, headers: &[&str], arguments: &[&str]) -> Page {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--include", "--insecure"]).args(arguments);
        for header in headers {
            curl.args(["--header", header]);
        }
        if let Some(cookie) = &self.cookie {
            curl.args(["--header", &format!("Cookie: {cookie}")]);
        }
        let text = run(curl.arg(format!("{}{path}", self.origin))).ok();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Page { status, headers, body: body.to_owned() }
    }
}
