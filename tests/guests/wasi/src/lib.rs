//! A plugin that imports WASI 0.2, and records, as facts, what it was granted; or misuses what nobody can keep from it.

use bindings::wasi::cli::{environment, exit, stdout};
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::random::random;
use bindings::wasi::sockets::instance_network::instance_network;
use bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, Plugin, Probe, Source, Tree, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        unreachable_pub,
        clippy::all,
        reason = "generated"
    )]
    wit_bindgen::generate!({ path: "wit", generate_all });
}

/// What the plugin does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Looks at what it was granted.
    #[default]
    Look,
    /// Sleeps for a day.
    Sleep,
    /// Waits for a clock without sleeping.
    Clock,
    /// Ends the program.
    Exit,
    /// Prints without end.
    Print,
    /// Asks for a gigabyte of random numbers.
    Random,
    /// Sets alarms without end.
    Alarms,
}

/// What the plugin does.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What it does while it plans a backup.
    mode: Mode,
}

const DAY: u64 = 86_400_000_000_000;

impl Mode {
    fn act(self) {
        match self {
            Self::Look => {}
            Self::Sleep => monotonic_clock::subscribe_duration(DAY).block(),
            Self::Clock => {
                let end = monotonic_clock::now() + DAY;
                while monotonic_clock::now() < end {}
            }
            Self::Exit => exit::exit(Ok(())),
            Self::Print => {
                let stream = stdout::get_stdout();
                loop {
                    let _ = stream.blocking_write_and_flush(&[b'x'; 4096]);
                }
            }
            Self::Random => drop(random::get_random_bytes(1 << 30)),
            Self::Alarms => {
                let mut set = Vec::new();
                loop {
                    set.push(monotonic_clock::subscribe_duration(DAY));
                }
            }
        }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct Looks;

impl Plugin for Looks {
    type Config = Config;
    type Pass = ();

    fn describe() -> Description {
        Description::new("tests/wasi", "0.1.0", "Looks at what WASI grants it.").root(
            "data",
            "Any directory.",
            &[],
        )
    }

    fn detect(_root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        Ok(None)
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        request.config.mode.act();
        let variables: Vec<_> = environment::get_environment()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let directories: Vec<_> = preopens::get_directories()
            .into_iter()
            .map(|(_, path)| path)
            .collect();
        let names = resolve_addresses(&instance_network(), "localhost").is_ok();
        Ok(BackupPlan::new()
            .source(Source::tree("data"))
            .fact("variables", variables)
            .fact("arguments", environment::get_arguments())
            .fact("directories", directories)
            .fact("socket", has_a_socket())
            .fact(
                "datagrams",
                create_udp_socket(IpAddressFamily::Ipv4).is_ok(),
            )
            .fact("names", names))
    }
}

/// Whether a socket can be made and bound to an address.
fn has_a_socket() -> bool {
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: 0,
        address: (127, 0, 0, 1),
    });
    create_tcp_socket(IpAddressFamily::Ipv4)
        .is_ok_and(|socket| socket.start_bind(&instance_network(), any).is_ok())
}

export!(Looks);
