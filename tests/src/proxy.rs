//! A network that can fail: a TCP proxy in front of a service.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What happens to the answers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// They get through.
    Pass,
    /// So many bytes get through; the rest waits until this changes.
    Hold(usize),
    /// So many bytes get through; then the connection is cut.
    Cut(usize),
}

/// A proxy between clients and one service. Requests always get through.
#[derive(Debug)]
pub struct Proxy {
    /// The port that clients connect to.
    pub port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    to: Option<u16>,
    answers: Answers,
    /// Connections whose answers reached the bound.
    stopped: usize,
    connections: usize,
    /// Bytes of the longest answers of one connection.
    largest: usize,
}

impl Proxy {
    /// A proxy that leads nowhere yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Inner { to: None, answers: Answers::Pass, stopped: 0, connections: 0, largest: 0 };
        let state = Arc::new(State { inner: Mutex::new(inner), changed: Condvar::new() });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.lock().connections += 1;
                let to = shared.lock().to;
                // Without a destination, or one that does not listen, the connection is closed at once.
                let Some(server) = to.and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) else {
                    continue;
                };
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                client.set_nodelay(true).unwrap();
                to_server.set_nodelay(true).unwrap();
                thread::spawn(move || pass(from_client, to_server));
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.answer(server, client));
            }
        });
        Self { port, state }
    }

    /// `host:port` that clients connect to.
    pub fn address(&self) -> String {
        SocketAddr::from(([127, 0, 0, 1], self.port)).to_string()
    }

    /// Leads to this port from now on; `None`: connections are closed at once.
    pub fn lead_to(&self, port: Option<u16>) {
        self.state.lock().to = port;
    }

    /// Decides what happens to answers from now on, also to those that are held.
    pub fn set(&self, answers: Answers) {
        self.state.lock().answers = answers;
        self.state.changed.notify_all();
    }

    /// How many connections had their answers held or cut.
    pub fn stopped(&self) -> usize {
        self.state.lock().stopped
    }

    /// Bytes of answers that the most talkative connection has had.
    pub fn largest(&self) -> usize {
        self.state.lock().largest
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut buffer = [0; 4096];
        let mut passed = 0;
        while let Ok(read @ 1..) = server.read(&mut buffer) {
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let Some(free) = self.free(passed) else {
                    let _ = client.shutdown(Shutdown::Both);
                    let _ = server.shutdown(Shutdown::Both);
                    return;
                };
                let (now, later) = rest.split_at(rest.len().min(free));
                if client.write_all(now).is_err() {
                    return;
                }
                passed += now.len();
                let mut inner = self.lock();
                inner.largest = inner.largest.max(passed);
                drop(inner);
                rest = later;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    /// How many more bytes may pass, after waiting for some; `None` if the connection is to be cut.
    fn free(&self, passed: usize) -> Option<usize> {
        let mut inner = self.lock();
        let mut held = false;
        loop {
            let cut = match inner.answers {
                Answers::Pass => return Some(usize::MAX),
                Answers::Hold(bound) | Answers::Cut(bound) if passed < bound => return Some(bound - passed),
                Answers::Hold(_) => false,
                Answers::Cut(_) => true,
            };
            inner.stopped += usize::from(!held);
            held = true;
            if cut {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Whichever side ends it, the other hears of it.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
