//! A line to a server on loopback that is as long and as narrow as one to a server far away.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes that travel together.
const PIECE: usize = 16 << 10;

/// How a line is.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// From here to there and back.
    pub round_trip: Duration,
    /// What each connection carries, in each direction.
    pub bytes_per_second: u64,
}

impl Line {
    /// One that is not slow, to be cut.
    pub const FAST: Self = Self {
        round_trip: Duration::ZERO,
        bytes_per_second: 10 << 30,
    };
}

/// What went over a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Connections that were made.
    pub connections: u64,
    /// The most of them that were open at the same time.
    pub most: u64,
    /// Bytes to the server.
    pub up: u64,
    /// Bytes from the server.
    pub down: u64,
}

#[derive(Debug, Default)]
struct Shared {
    made: AtomicU64,
    open: AtomicU64,
    most: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    ended: AtomicBool,
    /// The clients' ends.
    sockets: Mutex<Vec<TcpStream>>,
}

/// A line. It ends when dropped.
#[derive(Debug)]
pub struct SlowLine {
    port: u16,
    shared: Arc<Shared>,
}

impl SlowLine {
    /// A line to a port of 127.0.0.1.
    pub fn to(target: u16, line: Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is not there closes the connection, as one far away would.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    connect(&client, &server, line, &accepting);
                }
            }
        });
        Self { port, shared }
    }

    /// Where the line begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections. New ones can be made.
    pub fn cut(&self) {
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            // One that is closed already is cut.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// What went over it so far.
    pub fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            connections: count(&self.shared.made),
            most: count(&self.shared.most),
            up: count(&self.shared.up),
            down: count(&self.shared.down),
        }
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes whoever waits for the next connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn connect(client: &TcpStream, server: &TcpStream, line: Line, shared: &Arc<Shared>) {
    for socket in [client, server] {
        socket.set_nodelay(true).unwrap();
    }
    shared.made.fetch_add(1, Ordering::Relaxed);
    let open = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
    shared.most.fetch_max(open, Ordering::Relaxed);
    shared
        .sockets
        .lock()
        .unwrap()
        .push(client.try_clone().unwrap());
    let clone = |socket: &TcpStream| socket.try_clone().unwrap();
    let up = shared.clone();
    carry(clone(client), clone(server), line, move |bytes| {
        up.up.fetch_add(bytes, Ordering::Relaxed);
    });
    let down = shared.clone();
    let (from, to) = (clone(server), clone(client));
    carry(from, to, line, move |bytes| match bytes {
        0 => drop(down.open.fetch_sub(1, Ordering::Relaxed)),
        bytes => drop(down.down.fetch_add(bytes, Ordering::Relaxed)),
    });
}

/// Carries what comes from one end to the other; `carried` is told of each piece, and of 0 bytes at the end.
fn carry(mut from: TcpStream, to: TcpStream, line: Line, carried: impl Fn(u64) + Send + 'static) {
    // As much as is on its way at once, and some more, as the buffers on the way would hold.
    let travelling = line.bytes_per_second as f64 * line.round_trip.as_secs_f64();
    let (sender, receiver) = sync_channel(travelling as usize / PIECE + 16);
    std::thread::spawn(move || {
        deliver(&receiver, to, line, &carried);
        carried(0);
    });
    std::thread::spawn(move || send(&mut from, &sender));
}

fn send(from: &mut TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>) {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if sender
            .send((Instant::now(), piece[..count].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn deliver(
    receiver: &Receiver<(Instant, Vec<u8>)>,
    mut to: TcpStream,
    line: Line,
    carried: &impl Fn(u64),
) {
    let mut free = Instant::now();
    for (sent, piece) in receiver {
        // It travels once the line is free of what went before.
        let takes = piece.len() as f64 / line.bytes_per_second as f64;
        free = free.max(sent) + Duration::from_secs_f64(takes);
        let due = free + line.round_trip / 2;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
        carried(piece.len() as u64);
    }
    // The other side may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}
