//! `copal mount`

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::Duration;

use copal_mount::MountOptions;
use copal_repository::LockMode;
use serde_json::json;

use crate::args::MountArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

/// How often it is looked whether it is time to end.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &MountArgs, session: &Session) -> Outcome {
    let repository = session.repository()?;
    let place = args.mountpoint.display();
    match std::fs::read_dir(&args.mountpoint).map(|mut entries| entries.next()) {
        Ok(None) => {}
        Ok(Some(_)) => {
            let message = format!("{place} is not empty, and a mount would cover what is there");
            return Err(Failure::usage("mount", message).advise("Name an empty directory."));
        }
        Err(error) if error.kind() == ErrorKind::NotConnected => {
            let message = format!("{place} is a mount of which the program is gone");
            return Err(Failure::usage("mount", message).advise(format!("Run `umount {place}`.")));
        }
        Err(error) => {
            let message = format!("{place} can't be used: {error}");
            return Err(Failure::usage("mount", message).advise("Make it, or name another."));
        }
    }
    // It is waited for here; the mount then keeps the same.
    let _lock = session.lock(&repository, LockMode::Read)?;
    session.interrupts_end_work();
    let options = MountOptions {
        filter: args.filter.filter(),
        allow_other: args.allow_other,
        ..MountOptions::default()
    };
    let mounted = copal_mount::mount(&repository, &args.mountpoint, options)?;
    if session.global.json {
        output::json(&json!({"mountpoint": args.mountpoint}))?;
    } else if !session.global.quiet {
        let text =
            format!("The snapshots are at {place} until this is interrupted, or `umount {place}`.");
        output::print(&output::printable(&text))?;
    }
    while !session.interrupted() && !mounted.is_over() {
        std::thread::sleep(TICK);
    }
    mounted.unmount()?;
    Ok(ExitCode::SUCCESS)
}
