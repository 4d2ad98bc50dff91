//! What the servers on loopback have in common.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::run::Running;

/// A port of 127.0.0.1 that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until `server` listens on a port of 127.0.0.1.
///
/// # Panics
/// Where it ends, or does not come to listen within half a minute.
#[track_caller]
pub fn wait_for(server: &mut Running, port: u16) {
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        assert!(server.is_running(), "a server ended before it listened");
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("a server does not listen");
}
