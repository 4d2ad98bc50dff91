//! `copal plugin build`

use std::process::ExitCode;

use copal_authoring::BuildOptions;
use serde_json::json;

use crate::args::PluginBuildArgs;
use crate::session::Session;
use crate::{Outcome, output};

pub(crate) fn run(args: &PluginBuildArgs, session: &Session) -> Outcome {
    let options = BuildOptions {
        out: args.out.clone(),
        target: args.target,
        install: args.install,
    };
    let quiet = session.global.quiet || session.global.json;
    let say = |line: &str| {
        if !quiet {
            output::complain(&format!("{}\n", output::printable(line)));
        }
    };
    let built = copal_authoring::build(&args.directory, &options, &say)?;
    let path = built.path.display().to_string();
    if session.global.json {
        output::json(&json!({
            "path": path,
            "size": built.size,
            "sha256": built.sha256,
            "imports": built.imports,
            "language": built.language.as_str(),
            "compiler": built.compiler,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&output::printable_lines(&format!(
        "{path}\n{} bytes\nsha256 {}",
        built.size, built.sha256
    )))?;
    Ok(ExitCode::SUCCESS)
}
