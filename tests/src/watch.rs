//! `events watch` as a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde_json::Value;

use crate::Service;

/// A process that watches the events of a service.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    seen: Arc<Mutex<Vec<Value>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches from the first event on.
    pub fn start(service: &Service) -> Self {
        let mut command = service.command(&["events", "watch", "--from", "1", "--output", "json"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap();
                into.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Self { child, seen, reader: Some(reader) }
    }

    /// What it has printed so far.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it ends by itself; its exit code.
    pub fn wait(&mut self) -> i32 {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
