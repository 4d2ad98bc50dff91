//! A plugin that imports WASI 0.2 and records, as facts, what it was granted.

use bindings::wasi::cli::environment;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::sockets::instance_network::instance_network;
use bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use copal_sdk::{
    BackupPlan, BackupRequest, Description, Detection, Failure, NoConfig, Plugin, Probe, Source,
    Tree, export,
};

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

/// The plugin.
#[derive(Debug)]
pub struct Looks;

impl Plugin for Looks {
    type Config = NoConfig;
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

    fn plan_backup(_request: &BackupRequest<'_, NoConfig>) -> Result<BackupPlan, Failure> {
        let variables: Vec<_> = environment::get_environment()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let directories: Vec<_> = preopens::get_directories()
            .into_iter()
            .map(|(_, path)| path)
            .collect();
        Ok(BackupPlan::new()
            .source(Source::tree("data"))
            .fact("variables", variables)
            .fact("arguments", environment::get_arguments())
            .fact("directories", directories)
            .fact("socket", has_a_socket()))
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
