//! Compiles the protos with a compiler that is itself a crate, so that no `protoc` is needed.

use std::error::Error;

const PROTOS: [&str; 6] = [
    "proto/backend.proto",
    "proto/database.proto",
    "proto/health.proto",
    "proto/logical.proto",
    "proto/multiplexing.proto",
    "proto/plugin.proto",
];

/// Messages whose fields may be secret. They get a `Debug` of our own, in `src/secret.rs`, that shows none.
const SECRETS: [&str; 19] = [
    ".dbplugin.v5.ChangePassword",
    ".dbplugin.v5.InitializeRequest",
    ".dbplugin.v5.InitializeResponse",
    ".dbplugin.v5.NewUserRequest",
    ".dbplugin.v5.Statements",
    ".pb.Auth",
    ".pb.Connection",
    ".pb.GeneratePasswordFromPolicyReply",
    ".pb.GenerateIdentityTokenResponse",
    ".pb.Header",
    ".pb.Request",
    ".pb.Response",
    ".pb.ResponseWrapDataArgs",
    ".pb.ResponseWrapInfo",
    ".pb.Secret",
    ".pb.SetupArgs",
    ".pb.StorageEntry",
    ".pb.TokenEntry",
    ".plugin.StdioData",
];

/// Fields that are large in memory, whatever is in them: calls are moved from layer to layer.
const LARGE: [&str; 3] = [
    ".pb.HandleExistenceCheckArgs.request",
    ".pb.HandleRequestArgs.request",
    ".pb.HandleRequestReply.response",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    let generated = LARGE
        .iter()
        .fold(tonic_prost_build::configure(), |generated, field| {
            generated.boxed(field)
        });
    generated
        .codec_path("crate::codec::Codec")
        .btree_map(".")
        .skip_debug(SECRETS)
        .emit_rerun_if_changed(false)
        .compile_fds(files)?;
    Ok(())
}
