//! An S3 server as it seems from far away: `slow-s3 DIRECTORY [MILLISECONDS] [BYTES-PER-SECOND]`.
//!
//! Prints the variables that reach it, one a line, and then what went over the line whenever it reads a line, until its standard input ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of tests fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use copal_tests::s3::S3Server;
use copal_tests::slow::{Line, SlowLine};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory for the objects");
    let mut number = |otherwise: u64| {
        arguments
            .next()
            .map_or(otherwise, |text| text.parse().unwrap())
    };
    let line = Line {
        round_trip: Duration::from_millis(number(30)),
        bytes_per_second: number(40_000_000),
    };
    let server = S3Server::start(Path::new(&directory));
    let slow = SlowLine::to(server.port(), line);
    for (name, value) in server.variables_at(slow.port()) {
        println!("{name}={value}");
    }
    println!();
    for _ in std::io::stdin().lock().lines() {
        println!("{:?}", slow.traffic());
    }
}
