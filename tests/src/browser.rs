//! Scenarios in a real browser: each is a script in `tests/browser`, and asks its test for what happens outside the browser.

use std::{
    io::{BufRead, BufReader, Read, Seek, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{Service, dependencies, tool};

/// A script that runs; it does not outlive its test.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the scenario `name` at the screen of `service`, with this for it to read as `process.env.NAME`. What it asks for
/// is done, and answered, by `act`; commands of the service it runs without its help.
///
/// # Panics
/// If the scenario finds something wrong, or something that it needs is missing.
pub fn scenario(
    service: &mut Service,
    name: &str,
    settings: &[(&str, &str)],
    mut act: impl FnMut(&mut Service, &str, &Value) -> Value,
) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    dependencies(&here.join("node_modules"));
    let mut said = tempfile::tempfile().unwrap();
    let mut script = Command::new(tool("node"));
    script.arg(here.join(format!("{name}.mjs"))).envs(settings.iter().copied());
    script.env("CHROMIUM", tool("chromium")).env("OUT", here.join("out"));
    script.env("ORIGIN", format!("http://127.0.0.1:{}", service.web_port));
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said.try_clone().unwrap());
    let mut script = Script(script.spawn().unwrap());
    let mut answers = script.0.stdin.take().unwrap();
    for line in BufReader::new(script.0.stdout.take().unwrap()).lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let what = asked["what"].as_str().unwrap();
        let answer = match what {
            "service" => {
                let arguments = asked["details"].as_array().unwrap().iter();
                service.json(&arguments.map(|argument| argument.as_str().unwrap()).collect::<Vec<_>>())
            }
            _ => act(service, what, &asked["details"]),
        };
        // A script that has given up meanwhile says why when it ends.
        let _ = writeln!(answers, "{answer}");
    }
    let status = script.0.wait().unwrap();
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{name}: {text}");
}
