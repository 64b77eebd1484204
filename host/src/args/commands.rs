//! Every command and its flags, named as OpenBao names them.

use std::time::Duration;

use clap::builder::{TypedValueParser, ValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::boolean;
use crate::config;

/// A secrets server whose plugins run as native processes or as WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "palisade",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server.
    Server(Server),
    /// Show whether the server is sealed. Exits with 0 when unsealed, 2 when sealed, 1 on an error.
    Status(Status),
    /// Register, list and reload plugins.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Enable, list and disable secrets engines.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Read and write a key-value engine.
    #[command(subcommand)]
    Kv(Kv),
    /// Read a path.
    Read(Input),
    /// Write to a path.
    Write(Input),
    /// List what is under a path.
    List(Path),
    /// Delete what is at a path.
    Delete(Input),
    /// Show this program's version.
    Version,
}

/// How to reach the server.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// Address of the server [env: BAO_ADDR, VAULT_ADDR] [default: http://127.0.0.1:8200]
    #[arg(long, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// The namespace; there is only the root namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// How to print.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// How to print the answer [env: BAO_FORMAT, VAULT_FORMAT] [default: table]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Print this field only, without decoration
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
}

/// A shape of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// `server`.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The configuration file (HCL)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    /// At the first start, write the root token to this file (mode 0600) instead of printing it
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    pub(crate) root_token_file: Option<std::path::PathBuf>,
    /// Start for development: unsealed, everything in memory
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) dev: bool,
    /// The root token in development [env: BAO_DEV_ROOT_TOKEN_ID, VAULT_DEV_ROOT_TOKEN_ID]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) dev_root_token_id: Option<String>,
    /// Where to listen in development [env: BAO_DEV_LISTEN_ADDRESS, VAULT_DEV_LISTEN_ADDRESS] [default: 127.0.0.1:8200]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dev_listen_address: Option<String>,
    /// In development, the folder with the folders that components may be granted
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dev_plugin_folders_root: Option<std::path::PathBuf>,
    /// The plugin directory in development; nothing in it is registered by itself
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dev_plugin_dir: Option<std::path::PathBuf>,
    /// In development, do not enable a key-value engine at secret/
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) dev_no_kv: bool,
    /// How much to log: trace, debug, info, warn or error [env: BAO_LOG_LEVEL, VAULT_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `plugin …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Register a plugin: `palisade plugin register [flags] TYPE NAME`.
    Register(Box<PluginRegister>),
    /// List plugins: `palisade plugin list [flags] [TYPE]`.
    List(PluginList),
    /// Show one plugin: `palisade plugin info [flags] TYPE NAME`.
    Info(PluginInfo),
    /// Show what a file is, without a server: `palisade plugin inspect [flags] FILE`. Exits with 1 when it would not be
    /// registered.
    Inspect(PluginInspect),
    /// Deregister a plugin: `palisade plugin deregister [flags] TYPE NAME`.
    Deregister(PluginDeregister),
    /// Replace what runs by what the catalog says: `palisade plugin reload [flags]`.
    Reload(PluginReload),
}

/// `plugin inspect`.
#[derive(Debug, Args)]
pub(crate) struct PluginInspect {
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// FILE
    #[arg(value_name = "FILE")]
    pub(crate) names: Vec<String>,
}

/// `plugin register`.
#[derive(Debug, Args)]
pub(crate) struct PluginRegister {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print what a dry run finds.
    #[command(flatten)]
    pub(crate) output: Output,
    /// Change nothing; show what would be registered, and the difference to what there is
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The SHA-256 of the file in hexadecimal; required
    #[arg(long, visible_alias = "sha_256", value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// The file in the plugin directory [default: the plugin's name]
    #[arg(long, value_name = "FILE")]
    pub(crate) command: Option<String>,
    /// An argument for a native plugin; may be given many times
    #[arg(long, value_name = "ARGUMENT")]
    pub(crate) args: Vec<String>,
    /// An environment variable for the plugin, NAME=value; may be given many times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// The plugin's version, such as v1.0.0
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// How to run it, native or wasm [default: as the file is]
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<String>,
    /// How a component's requests are kept apart, call or mount [default: call]
    #[arg(long, value_name = "ISOLATION")]
    pub(crate) isolation: Option<String>,
    /// How large a component may be, ordinary or large; large is for those that carry an interpreter [default: ordinary]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// What it may use, such as memory_bytes=16777216 or request_timeout=10s; may be given many times
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) limit: Vec<String>,
    /// What it may do besides: network for a native plugin, folder:NAME:ro or folder:NAME:rw for a component; may be given many times
    #[arg(long, value_name = "GRANT")]
    pub(crate) grant: Vec<String>,
    /// A native plugin that executes itself again, and so has to find itself as a file
    #[arg(long)]
    pub(crate) re_executes: bool,
    /// Each mount of a native plugin gets a process of its own, even where the plugin could serve many in one
    #[arg(long)]
    pub(crate) dedicated: bool,
    /// A protection without which a native plugin is not started, such as cgroup.memory; may be given many times
    #[arg(long, value_name = "PROTECTION")]
    pub(crate) require: Vec<String>,
    /// TYPE NAME
    #[arg(value_name = "TYPE NAME")]
    pub(crate) names: Vec<String>,
}

/// `plugin list`.
#[derive(Debug, Args)]
pub(crate) struct PluginList {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// Show how each plugin runs, and its digest
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) detailed: bool,
    /// TYPE
    #[arg(value_name = "TYPE")]
    pub(crate) names: Vec<String>,
}

/// `plugin info`.
#[derive(Debug, Args)]
pub(crate) struct PluginInfo {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// The version to show
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// TYPE NAME
    #[arg(value_name = "TYPE NAME")]
    pub(crate) names: Vec<String>,
}

/// `plugin deregister`.
#[derive(Debug, Args)]
pub(crate) struct PluginDeregister {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The version to deregister
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// TYPE NAME
    #[arg(value_name = "TYPE NAME")]
    pub(crate) names: Vec<String>,
}

/// `plugin reload`.
#[derive(Debug, Args)]
pub(crate) struct PluginReload {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// Reload every mount of this plugin
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin: Option<String>,
    /// Reload these mounts, separated by commas; may be given many times
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub(crate) mounts: Vec<String>,
    /// Accepted for OpenBao's sake; there is one node
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
}

/// `secrets …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Enable a secrets engine: `palisade secrets enable [flags] PLUGIN`.
    Enable(SecretsEnable),
    /// List the enabled secrets engines.
    List(SecretsList),
    /// Show what ended requests of a component: `palisade secrets crashes [flags] PATH`.
    Crashes(SecretsCrashes),
    /// Disable a secrets engine and delete its data: `palisade secrets disable [flags] PATH`.
    Disable(SecretsDisable),
}

/// `secrets enable`.
#[derive(Debug, Args)]
pub(crate) struct SecretsEnable {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Where to enable it [default: the plugin's name]
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// A remark for people
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// The default lease time, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = duration())]
    pub(crate) default_lease_ttl: Option<Duration>,
    /// The longest lease time, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = duration())]
    pub(crate) max_lease_ttl: Option<Duration>,
    /// An option for the plugin, key=value; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// The version of a key-value engine: an option, not the plugin's version
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// The version of the plugin
    #[arg(long, value_name = "VERSION")]
    pub(crate) plugin_version: Option<String>,
    /// The name of the plugin; needed only when the positional argument is the word plugin
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin_name: Option<String>,
    /// Keep it on this cluster only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) local: bool,
    /// Seal its storage twice
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) seal_wrap: bool,
    /// PLUGIN
    #[arg(value_name = "PLUGIN")]
    pub(crate) names: Vec<String>,
}

/// `secrets list`.
#[derive(Debug, Args)]
pub(crate) struct SecretsList {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// Show everything known of each
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) detailed: bool,
    /// Nothing.
    #[arg(hide = true)]
    pub(crate) names: Vec<String>,
}

/// `secrets crashes`.
#[derive(Debug, Args)]
pub(crate) struct SecretsCrashes {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) names: Vec<String>,
}

/// `secrets disable`.
#[derive(Debug, Args)]
pub(crate) struct SecretsDisable {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) names: Vec<String>,
}

/// `kv …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Write a secret: `palisade kv put [flags] PATH key=value …`.
    Put(KvPut),
    /// Read a secret: `palisade kv get [flags] PATH`.
    Get(KvGet),
    /// List secrets: `palisade kv list [flags] PATH`.
    List(KvList),
    /// Delete versions of a secret: `palisade kv delete [flags] PATH`.
    Delete(KvDelete),
}

/// `kv put`.
#[derive(Debug, Args)]
pub(crate) struct KvPut {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// The mount; without it, the first part of the path
    #[arg(long, value_name = "PATH")]
    pub(crate) mount: Option<String>,
    /// Write only if the current version is this one; 0 means only if there is none
    #[arg(long, value_name = "VERSION")]
    pub(crate) cas: Option<i64>,
    /// PATH key=value …
    #[arg(value_name = "PATH DATA")]
    pub(crate) words: Vec<String>,
}

/// `kv get`.
#[derive(Debug, Args)]
pub(crate) struct KvGet {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// The mount; without it, the first part of the path
    #[arg(long, value_name = "PATH")]
    pub(crate) mount: Option<String>,
    /// Which version; the latest when not given
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<u64>,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) words: Vec<String>,
}

/// `kv list`.
#[derive(Debug, Args)]
pub(crate) struct KvList {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// The mount; without it, the first part of the path
    #[arg(long, value_name = "PATH")]
    pub(crate) mount: Option<String>,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) words: Vec<String>,
}

/// `kv delete`.
#[derive(Debug, Args)]
pub(crate) struct KvDelete {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// The mount; without it, the first part of the path
    #[arg(long, value_name = "PATH")]
    pub(crate) mount: Option<String>,
    /// The versions to delete, separated by commas; the latest when not given
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',')]
    pub(crate) versions: Vec<u64>,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) words: Vec<String>,
}

/// A command with a path and data.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// Allow a path without data
    #[arg(long, alias = "f", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = go_bool())]
    pub(crate) force: bool,
    /// PATH key=value …
    #[arg(value_name = "PATH DATA")]
    pub(crate) words: Vec<String>,
}

/// A command with a path.
#[derive(Debug, Args)]
pub(crate) struct Path {
    /// How to reach the server.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: Output,
    /// PATH
    #[arg(value_name = "PATH")]
    pub(crate) words: Vec<String>,
}

/// A boolean as Go's `strconv.ParseBool` reads it.
fn go_bool() -> ValueParser {
    clap::builder::StringValueParser::new()
        .try_map(|word| boolean::parse(&word).ok_or("a boolean is true or false"))
        .into()
}

fn duration() -> ValueParser {
    clap::builder::StringValueParser::new()
        .try_map(|text| config::duration::parse(&text))
        .into()
}
