//! A request and a response as they cross into a component and out of it: the records of the WIT package, with what is rare
//! beside the rest and not within it. The generated ones are 900 bytes of mostly nothing, and are moved some ten times per
//! request.

use wasmtime::component::{ComponentType, Lift, Lower};

use super::bindings::palisade::plugin::types::{
    Auth, Connection, Header, Operation, RequestWrapInfo, ResponseWrapInfo, Secret,
};
use super::rare::Rare;

/// The package's `request`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) operation: Operation,
    pub(super) path: String,
    pub(super) data: String,
    pub(super) secret: Option<Box<Secret>>,
    pub(super) auth: Option<Box<Auth>>,
    pub(super) headers: Vec<Header>,
    #[component(name = "client-token")]
    pub(super) client_token: String,
    #[component(name = "client-token-accessor")]
    pub(super) client_token_accessor: String,
    #[component(name = "display-name")]
    pub(super) display_name: String,
    #[component(name = "mount-point")]
    pub(super) mount_point: String,
    #[component(name = "mount-type")]
    pub(super) mount_type: String,
    #[component(name = "mount-accessor")]
    pub(super) mount_accessor: String,
    #[component(name = "wrap-info")]
    pub(super) wrap_info: Option<Box<RequestWrapInfo>>,
    #[component(name = "client-token-remaining-uses")]
    pub(super) client_token_remaining_uses: i64,
    #[component(name = "entity-id")]
    pub(super) entity_id: String,
    #[component(name = "policy-override")]
    pub(super) policy_override: bool,
    pub(super) unauthenticated: bool,
    pub(super) connection: Option<Box<Connection>>,
}

/// The package's `response`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Response {
    pub(super) secret: Option<Rare<Secret>>,
    pub(super) auth: Option<Rare<Auth>>,
    pub(super) data: String,
    pub(super) redirect: String,
    pub(super) warnings: Vec<String>,
    #[component(name = "wrap-info")]
    pub(super) wrap_info: Option<Rare<ResponseWrapInfo>>,
    pub(super) headers: Vec<Header>,
}
