//! A proxy for HTTP that does one request wrong.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    ended: bool,
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
                let shared = Arc::clone(&shared);
                // Whoever hangs up knows why.
                std::thread::spawn(move || pass(client, target, &shared).ok());
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
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
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
