//! Makes a plugin's component of what another language's toolchain built: wraps a core module into a component of the
//! contract, and adds the section by which a host knows what it is without running it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program speaks to its terminal"
)]

mod loader;
mod section;
mod segments;
mod wrap;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use palisade_contract::{CONTRACT_VERSION, PluginType};

/// Makes a plugin's component of a core module or a component that another language's toolchain built.
///
/// A core module has to export and import the functions of one of the package's worlds, as bindings that were generated
/// from it do. A component is taken as it is, but for what componentize-qjs leaves in one for JavaScript: what loaded its
/// modules goes, and data segments that lie close together are joined where there are too many. Both get the section
/// "palisade:plugin".
#[derive(Debug, Parser)]
#[command(name = "palisade-component")]
struct Args {
    /// What the toolchain built: a core module or a component
    input: PathBuf,
    /// Where to write the component
    #[arg(long, short)]
    output: PathBuf,
    /// What the plugin is for, as its `describe` says
    #[arg(long = "type", value_name = "TYPE")]
    plugin_type: Kind,
    /// The plugin's own version as its `describe` says: empty, or semver with a leading v
    #[arg(long, value_name = "VERSION", default_value = "", value_parser = section::version)]
    version: String,
    /// The version of the contract that the plugin was built against, as its `describe` says
    #[arg(long, value_name = "VERSION", default_value = CONTRACT_VERSION)]
    contract: String,
    /// The folder of the WIT package, to wrap a core module
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0"))]
    wit: PathBuf,
}

/// The types that a component can have.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Secret,
    Auth,
}

impl Kind {
    fn plugin_type(self) -> PluginType {
        match self {
            Self::Secret => PluginType::Secret,
            Self::Auth => PluginType::Auth,
        }
    }

    /// The world of the WIT package.
    fn world(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Auth => "auth",
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let shown = args.input.display();
    let bytes = fs::read(&args.input).with_context(|| format!("could not read {shown}"))?;
    let component = wrap::component(bytes, args.plugin_type.world(), &args.wit)
        .with_context(|| format!("{shown} makes no component"))?;
    let component = loader::removed(component)
        .with_context(|| format!("{shown} cannot be used without what built it"))?;
    let component = segments::joined(&component)
        .with_context(|| format!("the data segments of {shown} cannot be joined"))?;
    let facts = section::Facts {
        plugin_type: args.plugin_type.plugin_type(),
        version: &args.version,
        contract: &args.contract,
    };
    let whole = section::added(component, &facts)
        .with_context(|| format!("{shown} cannot be given its section"))?;
    let shown = args.output.display();
    fs::write(&args.output, &whole).with_context(|| format!("could not write {shown}"))?;
    println!("{shown}: {} bytes", whole.len());
    Ok(())
}
