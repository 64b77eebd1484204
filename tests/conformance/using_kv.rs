//! The example plugin at work: the key-value engine answers alike wherever it runs, and as others' engines do.

use palisade_tests::{Guest, Harness, corpus};

use crate::case::cases;

macro_rules! with_our_engine {
    ($($name:ident),* $(,)?) => {
        cases! { $($name),* }

        $(async fn $name(h: Harness) {
            h.mount(Guest::Kv).await;
            corpus::$name(h).await;
        })*
    };
}

palisade_tests::kv_corpus!(with_our_engine);
