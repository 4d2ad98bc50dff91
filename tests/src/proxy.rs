//! A proxy for HTTP that does one request wrong, or kills the program that sends it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::moments::Moment;
use crate::run::{Outcome, Program};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server never sees it, and the answer is that it is too busy.
    Refused,
    /// The server does it, and the answer is that it could not.
    Denied,
    /// The server does it, and the connection ends before the answer.
    Unanswered,
    /// The connection ends in the middle of the answer.
    Halved,
    /// There is no answer, and the connection does not end.
    Silence,
}

/// How long nothing comes where there is no answer: longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Plan {
    trouble: Option<Trouble>,
    /// Requests until then.
    after: usize,
    /// The requests so far that change something.
    changes: Vec<Moment>,
    /// The number of the change at which the program is killed.
    last: Option<usize>,
    /// The program.
    victim: Option<Pid>,
    /// Requests that are under way.
    under_way: usize,
    ended: bool,
}

impl Plan {
    /// Notes a change, and gives the program if it dies of it.
    fn note(&mut self, change: Moment) -> Option<Pid> {
        let victim = self.victim?;
        self.changes.push(change);
        let number = self.changes.len() - 1;
        (self.last == Some(number)).then(|| {
            // What it had sent before is of no interest.
            self.victim = None;
            victim
        })
    }
}

/// What a request changes, from its first line, if it changes anything.
fn change(line: &str) -> Option<Moment> {
    let mut words = line.split(' ');
    let call = match words.next()? {
        "PUT" => "put",
        "POST" => "post",
        "DELETE" => "delete",
        _ => return None,
    };
    let path = words.next()?.split('?').next()?;
    let path = PathBuf::from(path.trim_start_matches('/'));
    Some(Moment { call, path })
}

/// A proxy. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// A proxy to a port of 127.0.0.1.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if shared.lock().unwrap().ended {
                    return;
                }
                shared.lock().unwrap().under_way += 1;
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Whoever hangs up knows why.
                    let _ = pass(client, target, &shared);
                    shared.lock().unwrap().under_way -= 1;
                });
            }
        });
        Self { port, plan }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Once `after` more requests went well, one goes wrong.
    pub fn plan(&self, after: usize, trouble: Trouble) {
        let mut plan = self.plan.lock().unwrap();
        plan.trouble = Some(trouble);
        plan.after = after;
    }

    /// Runs the program to its end and gives its requests that change something, with paths relative to `below`. No other may use the proxy meanwhile.
    pub fn moments_of(&self, program: Program, below: &str) -> (Vec<Moment>, Outcome) {
        self.trace(program, below, None)
    }

    /// Kills the program when it sends its request of this number, counted from 0, of those that change something; it is the last that is given.
    /// The server does every other one still.
    pub fn kill_at(&self, number: usize, program: Program, below: &str) -> (Vec<Moment>, Outcome) {
        self.trace(program, below, Some(number))
    }

    fn trace(&self, program: Program, below: &str, last: Option<usize>) -> (Vec<Moment>, Outcome) {
        let running = {
            let mut plan = self.plan.lock().unwrap();
            let running = program.start();
            plan.victim = Some(Pid::from_raw(running.id().cast_signed()));
            plan.last = last;
            running
        };
        let outcome = running.wait();
        // What it had sent before it died is done still.
        while self.plan.lock().unwrap().under_way > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut plan = self.plan.lock().unwrap();
        plan.victim = None;
        let mut changes = std::mem::take(&mut plan.changes);
        for Moment { path, .. } in &mut changes {
            // What concerns more than one names none.
            *path = path.strip_prefix(below).unwrap_or(Path::new("")).to_owned();
        }
        (changes, outcome)
    }

    /// Whether the request that was to go wrong did.
    pub fn hit(&self) -> bool {
        self.plan.lock().unwrap().trouble.is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.plan.lock().unwrap().ended = true;
        // Wakes whoever waits for the next connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Passes one request on, and its answer back. The connection ends with it.
fn pass(client: TcpStream, target: u16, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut reader = BufReader::new(&client);
    let mut head = Vec::new();
    let mut length = 0;
    let mut change = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if head.is_empty() {
            change = self::change(&line);
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if lower.trim().is_empty() {
            break;
        }
        if !lower.starts_with("connection:") {
            head.extend_from_slice(line.as_bytes());
        }
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let trouble = {
        let mut plan = plan.lock().unwrap();
        if let Some(victim) = change.and_then(|change| plan.note(change)) {
            kill(victim, Signal::SIGKILL)?;
            if !plan.changes.len().is_multiple_of(2) {
                return Ok(());
            }
        }
        match plan.after.checked_sub(1) {
            Some(rest) => {
                plan.after = rest;
                None
            }
            None => plan.trouble.take(),
        }
    };
    let mut answer = Vec::new();
    match trouble {
        Some(Trouble::Silence) => std::thread::sleep(SILENCE),
        Some(Trouble::Refused) => {}
        _ => {
            let mut server = TcpStream::connect(("127.0.0.1", target))?;
            server.write_all(&[head, body].concat())?;
            server.read_to_end(&mut answer)?;
        }
    }
    let failure = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
    };
    match trouble {
        Some(Trouble::Silence | Trouble::Unanswered) => answer.clear(),
        Some(Trouble::Refused) => answer = failure("503 Slow Down"),
        Some(Trouble::Denied) => answer = failure("500 Internal Server Error"),
        // At least the body's last byte is missing, or the head's end where there is no body.
        Some(Trouble::Halved) => {
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
            let body = head.map(|head| head + 4).filter(|at| *at < answer.len());
            let start = body.unwrap_or(0);
            answer.truncate(start + (answer.len() - start) / 2);
        }
        None => {}
    }
    (&client).write_all(&answer)?;
    client.shutdown(Shutdown::Both)
}
