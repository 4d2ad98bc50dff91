//! What authors of plugins can say: `copal plugin new`, `renew` and `build`.

use std::path::PathBuf;

use clap::Args;
use copal_authoring::{Language, Name, Target};

#[derive(Debug, Args)]
pub(crate) struct PluginNewArgs {
    /// What it is called, such as acme/notebook
    #[arg(value_name = "PUBLISHER/NAME")]
    pub(crate) name: Name,
    /// Where: a folder that is empty or not there yet; by default NAME here
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// What it is written in: rust, python or javascript
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    pub(crate) lang: Language,
}

#[derive(Debug, Args)]
pub(crate) struct PluginRenewArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PluginBuildArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Where the component goes; by default target/plugin/NAME.wasm in the project
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What a plugin in Rust is compiled for: wasm32-unknown-unknown (the default) or wasm32-wasip2, whose components import WASI too
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<Target>,
    /// Install what is missing: a target by rustup, a compiler by apt
    #[arg(long)]
    pub(crate) install: bool,
}
