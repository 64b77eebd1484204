//! Every message of the contract, there and back; and every message of a peer, without a panic.

use std::collections::BTreeMap;
use std::time::Duration;

use palisade_contract::{
    Alias, Auth, Connection, Entity, Existence, Group, HostErrorKind, Json, LeaseOptions,
    Operation, PluginError, PluginErrorKind, Request, RequestWrapInfo, Response, ResponseWrapInfo,
    Secret, SpecialPaths, StorageEntry, Timestamp, TlsConnectionState, TokenType,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::logical;

type Pairs = BTreeMap<String, String>;

fn text() -> impl Strategy<Value = String> + Clone {
    "[a-z0-9é/ ]{0,8}"
}

fn texts() -> impl Strategy<Value = Vec<String>> + Clone {
    vec(text(), 0..3)
}

fn pairs() -> impl Strategy<Value = Pairs> + Clone {
    btree_map(text(), text(), 0..3)
}

fn blobs() -> impl Strategy<Value = Vec<Vec<u8>>> + Clone {
    vec(vec(any::<u8>(), 1..6), 0..3)
}

fn json() -> impl Strategy<Value = Json> + Clone {
    prop_oneof![
        Just(Json::null()),
        Just(Json::from_text(
            r#"{ "n":123456789012345678901234567890.10, "a":1,"a":2 }"#
        )),
        text().prop_map(|value| Json::of(&value).expect("a string")),
    ]
}

/// What the wire can carry.
fn duration() -> impl Strategy<Value = Duration> + Clone {
    (0..=i64::MAX).prop_map(duration_from_nanos)
}

fn timestamp() -> impl Strategy<Value = Option<Timestamp>> + Clone {
    of((any::<i64>(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
        .prop_filter("means none", |time| *time != Timestamp::GO_ZERO))
}

fn lease() -> impl Strategy<Value = LeaseOptions> + Clone {
    (
        duration(),
        any::<bool>(),
        duration(),
        timestamp(),
        duration(),
    )
        .prop_map(
            |(ttl, renewable, increment, issue_time, max_ttl)| LeaseOptions {
                ttl,
                renewable,
                increment,
                issue_time,
                max_ttl,
            },
        )
}

fn secret() -> impl Strategy<Value = Secret> + Clone {
    (lease(), json(), text()).prop_map(|(lease, internal_data, lease_id)| Secret {
        lease,
        internal_data,
        lease_id,
    })
}

fn alias() -> impl Strategy<Value = Alias> + Clone {
    (
        [text(), text(), text(), text(), text()],
        pairs(),
        pairs(),
        any::<bool>(),
    )
        .prop_map(
            |(
                [mount_type, mount_accessor, name, id, namespace_id],
                metadata,
                custom_metadata,
                local,
            )| {
                Alias {
                    mount_type,
                    mount_accessor,
                    name,
                    metadata,
                    id,
                    namespace_id,
                    custom_metadata,
                    local,
                }
            },
        )
}

fn token_type() -> impl Strategy<Value = TokenType> + Clone {
    (0..5_u32).prop_map(TokenType::from_number)
}

fn auth() -> impl Strategy<Value = Auth> + Clone {
    let words = [text(), text(), text(), text()];
    let lists = [texts(), texts(), texts(), texts()];
    let aliases = (of(alias()), vec(alias(), 0..2));
    let times = [duration(), duration()];
    let rest = (any::<i64>(), token_type(), any::<bool>(), pairs());
    (lease(), json(), words, lists, aliases, times, rest).prop_map(
        |(lease, internal_data, words, lists, (alias, group_aliases), times, rest)| {
            let [display_name, client_token, accessor, entity_id] = words;
            let [policies, bound_cidrs, token_policies, identity_policies] = lists;
            let [period, explicit_max_ttl] = times;
            let (num_uses, token_type, no_default_policy, metadata) = rest;
            Auth {
                lease,
                internal_data,
                display_name,
                policies,
                metadata,
                client_token,
                accessor,
                period,
                num_uses,
                entity_id,
                alias,
                group_aliases,
                bound_cidrs,
                token_policies,
                identity_policies,
                explicit_max_ttl,
                token_type,
                no_default_policy,
            }
        },
    )
}

fn headers() -> impl Strategy<Value = Headers> + Clone {
    btree_map(text(), texts(), 0..3)
}

fn tls() -> impl Strategy<Value = TlsConnectionState> + Clone {
    (
        [any::<u32>(), any::<u32>()],
        [text(), text()],
        blobs(),
        vec(blobs(), 0..2),
    )
        .prop_map(
            |([version, cipher_suite], [negotiated_protocol, server_name], peer, chains)| {
                TlsConnectionState {
                    version,
                    cipher_suite,
                    negotiated_protocol,
                    server_name,
                    peer_certificates: peer,
                    verified_chains: chains,
                }
            },
        )
}

fn connection() -> impl Strategy<Value = Connection> + Clone {
    (text(), any::<i32>(), of(tls()), blobs()).prop_map(
        |(remote_addr, remote_port, tls, proxied_certificates)| Connection {
            remote_addr,
            remote_port,
            tls,
            proxied_certificates,
        },
    )
}

fn wrap_wish() -> impl Strategy<Value = RequestWrapInfo> + Clone {
    (duration(), text(), any::<bool>()).prop_map(|(ttl, format, seal_wrap)| RequestWrapInfo {
        ttl,
        format,
        seal_wrap,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let ids = [text(), text(), text(), text(), text()];
    let mount = [text(), text(), text(), text()];
    let parts = (of(secret()), of(auth()), of(wrap_wish()), of(connection()));
    let rest = (any::<i64>(), any::<bool>(), any::<bool>(), headers());
    let operation = (0..Operation::ALL.len()).prop_map(|index| Operation::ALL[index]);
    (operation, json(), ids, mount, parts, rest).prop_map(
        |(operation, data, ids, mount, (secret, auth, wrap_info, connection), rest)| {
            let [
                id,
                client_token,
                client_token_accessor,
                display_name,
                entity_id,
            ] = ids;
            let [path, mount_point, mount_type, mount_accessor] = mount;
            let (client_token_remaining_uses, policy_override, unauthenticated, headers) = rest;
            Request {
                id,
                operation,
                path,
                data,
                secret: secret.map(Box::new),
                auth: auth.map(Box::new),
                headers,
                client_token,
                client_token_accessor,
                display_name,
                mount_point,
                mount_type,
                mount_accessor,
                wrap_info: wrap_info.map(Box::new),
                client_token_remaining_uses,
                entity_id,
                policy_override,
                unauthenticated,
                connection: connection.map(Box::new),
            }
        },
    )
}

fn wrapped() -> impl Strategy<Value = ResponseWrapInfo> + Clone {
    let words = [text(), text(), text(), text(), text(), text()];
    (duration(), timestamp(), words, any::<bool>()).prop_map(
        |(ttl, creation_time, words, seal_wrap)| {
            let [
                token,
                accessor,
                wrapped_accessor,
                wrapped_entity_id,
                format,
                creation_path,
            ] = words;
            ResponseWrapInfo {
                ttl,
                token,
                accessor,
                creation_time,
                wrapped_accessor,
                wrapped_entity_id,
                format,
                creation_path,
                seal_wrap,
            }
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    (
        of(secret()),
        of(auth()),
        json(),
        text(),
        texts(),
        of(wrapped()),
        headers(),
    )
        .prop_map(
            |(secret, auth, data, redirect, warnings, wrap_info, headers)| Response {
                secret: secret.map(Box::new),
                auth: auth.map(Box::new),
                data,
                redirect,
                warnings,
                wrap_info: wrap_info.map(Box::new),
                headers,
            },
        )
}

/// Through the bytes of the wire, not only through the structs.
fn carried<M: prost::Message + Default>(message: M) -> M {
    M::decode(message.encode_to_vec().as_slice()).expect("what was encoded decodes")
}

proptest! {
    #[test]
    fn every_request_comes_back_as_it_was(request in request()) {
        let args = carried(pb::HandleRequestArgs::from(request.clone()));
        prop_assert_eq!(Request::try_from(args), Ok(request.clone()));
        let args = carried(pb::HandleExistenceCheckArgs::from(request.clone()));
        prop_assert_eq!(Request::try_from(args), Ok(request));
    }

    #[test]
    fn every_response_comes_back_as_it_was(response in of(response())) {
        let reply = carried(response_to_reply(Ok(response.clone())));
        prop_assert_eq!(response_from_reply(reply), Ok(Ok(response)));
    }

    #[test]
    fn identities_come_back_as_they_were(
        alias in alias(), words in [text(), text(), text()], metadata in pairs(), disabled: bool,
    ) {
        let [id, name, namespace_id] = words;
        let entity = Entity {
            id: id.clone(),
            name: name.clone(),
            aliases: vec![alias],
            metadata: metadata.clone(),
            disabled,
            namespace_id: namespace_id.clone(),
        };
        let group = Group { id, name, metadata, namespace_id };
        prop_assert_eq!(Entity::from(carried(logical::Entity::from(entity.clone()))), entity);
        prop_assert_eq!(Group::from(carried(logical::Group::from(group.clone()))), group);
    }

    #[test]
    fn entries_and_paths_come_back_as_they_were(
        key in text(), value in vec(any::<u8>(), 0..40), seal_wrap: bool, lists in [texts(), texts(), texts(), texts(), texts(), texts()],
    ) {
        let entry = StorageEntry { key, value, seal_wrap };
        prop_assert_eq!(StorageEntry::from(carried(pb::StorageEntry::from(entry.clone()))), entry);
        let [root, unauthenticated, local_storage, seal_wrap_storage, write_forwarded_storage, safe_reads] = lists;
        let paths = SpecialPaths {
            root, unauthenticated, local_storage, seal_wrap_storage, write_forwarded_storage, safe_reads,
        };
        prop_assert_eq!(SpecialPaths::from(carried(pb::Paths::from(paths.clone()))), paths);
    }

    #[test]
    fn an_error_keeps_its_text_and_its_kind(number in 0..=10_u32, message in any::<String>()) {
        let kind = PluginErrorKind::from_wire(number, 418);
        let error = PluginError::new(kind, message);
        let reply = carried(response_to_reply(Err(error.clone())));
        prop_assert_eq!(response_from_reply(reply), Ok(Err(error)));
    }

    #[test]
    fn whatever_bytes_a_peer_sends_nothing_panics(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(args) = pb::HandleRequestArgs::decode(bytes.as_slice()) {
            let _ = Request::try_from(args);
        }
        if let Ok(reply) = pb::HandleRequestReply::decode(bytes.as_slice()) {
            let _ = response_from_reply(reply);
        }
        if let Ok(reply) = pb::HandleExistenceCheckReply::decode(bytes.as_slice()) {
            let _ = existence_from_reply(reply);
        }
    }

    #[test]
    fn whatever_numbers_a_peer_sends_nothing_panics(
        nanos in any::<[i64; 3]>(), seconds: i64, fraction: i32, kind: u32, code: i64,
    ) {
        let lease = pb::LeaseOptions {
            ttl: nanos[0],
            renewable: true,
            increment: nanos[1],
            issue_time: Some(prost_types::Timestamp { seconds, nanos: fraction }),
            max_ttl: nanos[2],
        };
        let read = LeaseOptions::from(lease);
        prop_assert!(read.issue_time.is_none_or(|time| time.nanos < 1_000_000_000));
        let error = pb::ProtoError { err_type: kind, err_msg: String::new(), err_code: code };
        let _ = PluginError::from(error);
    }
}

#[test]
fn absent_data_is_written_as_null_and_never_as_nothing() {
    let mut request = Request::new(Operation::Read, "a", Json::from_text(""));
    let secret = Secret {
        internal_data: Json::from_text(""),
        ..Secret::default()
    };
    request.secret = Some(Box::new(secret));
    let wire = pb::Request::from(request);
    assert_eq!(wire.data, "null");
    assert_eq!(wire.secret.expect("a secret").internal_data, "null");
    assert_eq!(pb::Response::from(Response::default()).data, "null");
}

#[test]
fn empty_text_where_json_belongs_is_refused_and_named() {
    let wire = pb::Response::default();
    assert_eq!(
        Response::try_from(wire),
        Err(ConvertError::EmptyJson("response.data"))
    );
    let wire = pb::Request {
        operation: "read".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        Request::try_from(wire),
        Err(ConvertError::EmptyJson("request.data"))
    );
}

#[test]
fn a_login_may_leave_its_internal_data_empty() {
    assert_eq!(Auth::from(pb::Auth::default()).internal_data, Json::null());
}

#[test]
fn a_lease_always_carries_an_issue_time() {
    let wire = pb::LeaseOptions::from(LeaseOptions::default());
    let time = wire.issue_time.expect("a time");
    assert_eq!((time.seconds, time.nanos), (-62_135_596_800, 0));
}

#[test]
fn an_odd_duration_is_taken_for_its_harmless_neighbour() {
    assert_eq!(duration_from_nanos(-1), Duration::ZERO);
    assert_eq!(duration_to_nanos(Duration::MAX), i64::MAX);
}

#[test]
fn an_unreadable_response_wins_over_the_error_beside_it() {
    let reply = pb::HandleRequestReply {
        response: Some(Box::default()),
        err: Some(PluginError::unsupported_path().into()),
    };
    assert!(response_from_reply(reply).is_err());
}

#[test]
fn an_error_is_told_in_the_words_of_the_response_beside_it() {
    let reply = |text: &str, error: PluginError| {
        let response = Response::with_data(Json::from_text(text));
        let reply = pb::HandleRequestReply {
            response: Some(Box::new(response.into())),
            err: Some(error.into()),
        };
        response_from_reply(reply)
            .expect("it has a meaning")
            .expect_err("it is an error")
    };
    let invalid = PluginError::invalid_request("invalid request");
    let unknown = PluginError::unknown("something");
    let error = r#"{"error":"no version 7"}"#;
    let no_error = r#"{"a":1,"b":2,"error":"x"}"#;
    for (text, beside, kind, message) in [
        (
            error,
            invalid,
            PluginErrorKind::InvalidRequest,
            "no version 7",
        ),
        (
            error,
            unknown.clone(),
            PluginErrorKind::BadRequest,
            "no version 7",
        ),
        (no_error, unknown, PluginErrorKind::Unknown, "something"),
    ] {
        let told = reply(text, beside);
        assert_eq!((told.kind, told.message.as_str()), (kind, message));
    }
}

#[test]
fn each_answer_to_an_existence_check_comes_back() {
    for existence in [Existence::Unchecked, Existence::Absent, Existence::Present] {
        assert_eq!(
            existence_from_reply(existence_to_reply(Ok(existence))),
            Ok(existence)
        );
    }
    let error = PluginError::unsupported_operation();
    assert_eq!(
        existence_from_reply(existence_to_reply(Err(error.clone()))),
        Err(error)
    );
}

#[test]
fn a_hosts_error_is_known_by_its_text_whichever_way_it_came() {
    let text = "cannot write to readonly storage";
    let status = tonic::Status::internal(text);
    assert_eq!(
        host_error_from_status(&status).kind,
        HostErrorKind::ReadOnly
    );
    let error = text_to_result(text.to_owned()).expect_err("an error");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (HostErrorKind::ReadOnly, text)
    );
    assert_eq!(text_to_result(String::new()), Ok(()));
}
