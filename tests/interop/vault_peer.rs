//! What only plugins on Vault's SDK call: the host has no bus for it, and says nothing of that.

use palisade_tests::Harness;
use serde_json::Value;

use crate::peers::{Peer, VAULT_PEERS, cases, mount};

cases! {
    CASES for VAULT_PEERS;
    an_event_is_taken_as_by_a_vault_without_a_bus,
    an_observation_is_taken_as_by_a_vault_that_records_none,
}

async fn an_event_is_taken_as_by_a_vault_without_a_bus(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    assert_eq!(h.write("p/event", Value::Null).await.unwrap()["error"], "");
}

async fn an_observation_is_taken_as_by_a_vault_that_records_none(h: Harness, peer: Peer) {
    mount(&h, peer, "p").await;
    let answer = h.write("p/observation", Value::Null).await.unwrap();
    assert_eq!(answer["error"], "");
}
