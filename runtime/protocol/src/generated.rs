//! What the build script makes of `proto/`, one module per package.

/// Package `pb`: logical backends, and what a host serves them.
pub mod pb {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("pb");
}

/// Package `dbplugin.v5`: database plugins.
pub mod database {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("dbplugin.v5");
}

/// Package `logical`: identities and facts about the server.
pub mod logical {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("logical");
}

/// Package `plugin`: broker, controller and stdio of go-plugin.
pub mod plugin {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("plugin");
}

/// Package `pluginutil.multiplexing`: whether one process serves many mounts.
pub mod multiplexing {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("pluginutil.multiplexing");
}

/// Package `grpc.health.v1`: the standard health service.
pub mod health {
    #![allow(
        missing_docs,
        reason = "generated; what has a meaning is documented in proto/"
    )]
    #![allow(
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("grpc.health.v1");
}
