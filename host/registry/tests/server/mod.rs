//! A web server of a few lines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a client asks.
pub(crate) struct Request {
    /// The path, with the query.
    pub(crate) path: String,
    /// All lines before the body.
    pub(crate) head: String,
    /// The body.
    #[allow(dead_code, reason = "not every test has one sent")]
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header, if the client sent it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Starts a server that ends with the test. It closes each connection after its answer, but for a path with `silent` in it: there it
/// says nothing more and keeps the connection.
pub(crate) fn start(answer: impl Fn(Request) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || serve(stream.unwrap(), &*answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(Request) -> Vec<u8>) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while reader.read_line(&mut head).unwrap_or(0) > 2 {}
    let mut request = Request {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        head,
        body: Vec::new(),
    };
    let length = request.header("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).unwrap();
    let is_silent = request.path.contains("silent");
    // A client that has enough hangs up.
    let _ = stream.write_all(&answer(request));
    if is_silent {
        thread::sleep(Duration::from_secs(120));
    }
}

/// An answer with this status line and these headers.
pub(crate) fn answer_with(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").into_bytes();
    answer.extend(body);
    answer
}
