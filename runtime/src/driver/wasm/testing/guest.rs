//! Small guests written by hand, for the tests in this crate and beside it.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module in parts, each WebAssembly text, from which a component of the contract is made.
///
/// Every part may use the functions of [`PRELUDE`]. What an export answers with is a pointer; zeros there mean
/// "nothing, and no error".
pub(crate) struct Guest {
    /// The body of `handle-request`. Leaves a pointer to the answer.
    pub(crate) handle: &'static str,
    /// The body of `setup`. Leaves a pointer to the answer.
    pub(crate) setup: &'static str,
    /// The body of `invalidate-key`.
    pub(crate) invalidate: &'static str,
    /// The body of `cleanup`.
    pub(crate) cleanup: &'static str,
    /// The body of `cabi_realloc`. Leaves a pointer.
    pub(crate) realloc: &'static str,
    /// Whatever else the module has. No imports.
    pub(crate) more: &'static str,
    /// The memory.
    pub(crate) memory: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            handle: "(call $nothing)",
            setup: "(call $nothing)",
            invalidate: "",
            cleanup: "",
            realloc: "(call $allocate (local.get 3))",
            more: "",
            memory: r#"(memory (export "memory") 2)"#,
        }
    }
}

/// What a guest may use. Memory below 1,024 belongs to the texts, from there to 4,096 to answers.
const PRELUDE: &str = r#"
    (import "palisade:plugin/storage@0.1.0" "put"
        (func $import_put (param i32 i32 i32 i32 i32 i32)))
    (import "palisade:plugin/storage@0.1.0" "begin" (func $import_begin (param i32 i32)))
    (import "palisade:plugin/storage@0.1.0" "[resource-drop]transaction" (func $import_drop (param i32)))
    (import "palisade:plugin/log@0.1.0" "emit" (func $import_log (param i32 i32 i32 i32 i32)))
    (import "palisade:plugin/random@0.1.0" "get-bytes" (func $import_random (param i32 i32)))
    (global $heap (mut i32) (i32.const 8192))
    (global $count (mut i32) (i32.const 0))
    (global $told (mut i32) (i32.const 0))
    (data (i32.const 0) "v1.0.0")
    (data (i32.const 16) "0.1.0")
    (data (i32.const 32) "written")
    (func $allocate (param $bytes i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
        (global.set $heap (i32.add (local.get $at) (local.get $bytes)))
        (block $enough
            (br_if $enough (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
            (drop (memory.grow (i32.add (i32.shr_u (local.get $bytes) (i32.const 16)) (i32.const 1)))))
        (local.get $at))
    (func $nothing (result i32)
        (memory.fill (i32.const 1024) (i32.const 0) (i32.const 1024))
        (i32.const 1024))
    ;; Answers with an error whose text is one digit.
    (func $digit (param $digit i32) (result i32)
        (drop (call $nothing))
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store8 (i32.const 64) (i32.add (local.get $digit) (i32.const 48)))
        (i32.store (i32.const 1036) (i32.const 64))
        (i32.store (i32.const 1040) (i32.const 1))
        (i32.const 1024))
    (func $write
        (call $import_put (i32.const 32) (i32.const 7) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 2048)))
    (func $loop (loop $again (br $again)))
"#;

/// The section that agrees with what these guests say of themselves.
pub(crate) const SECTION: &str = r#"(@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22v1.0.0\22}")"#;

impl Guest {
    /// The component's bytes.
    pub(crate) fn component(&self) -> Vec<u8> {
        let module = wat::parse_str(self.module()).unwrap();
        encode(module)
    }

    fn module(&self) -> String {
        let Self {
            handle,
            setup,
            invalidate,
            cleanup,
            realloc,
            more,
            memory,
        } = self;
        format!(
            r#"(module
                {PRELUDE}
                {memory}
                {more}
                {SECTION}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "palisade:plugin/backend@0.1.0#describe") (result i32)
                    (drop (call $nothing))
                    (i32.store8 (i32.const 1024) (i32.const 1))
                    (i32.store (i32.const 1028) (i32.const 0))
                    (i32.store (i32.const 1032) (i32.const 6))
                    (i32.store (i32.const 1036) (i32.const 16))
                    (i32.store (i32.const 1040) (i32.const 5))
                    (i32.const 1024))
                (func (export "palisade:plugin/backend@0.1.0#setup")
                    (param i32 i32 i32 i32) (result i32) {setup})
                (func (export "palisade:plugin/backend@0.1.0#initialize") (result i32) (call $nothing))
                (func $handle (export "palisade:plugin/backend@0.1.0#handle-request")
                    (param i32) (result i32) {handle})
                (func (export "palisade:plugin/backend@0.1.0#check-existence")
                    (param i32) (result i32) (call $nothing))
                (func (export "palisade:plugin/backend@0.1.0#invalidate-key") (param i32 i32) {invalidate})
                (func (export "palisade:plugin/backend@0.1.0#cleanup") {cleanup})
            )"#
        )
    }
}

fn encode(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/v0.1.0");
    let (package, _) = resolve.push_dir(&folder).unwrap();
    let world = resolve.select_world(&[package], Some("secrets")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.validate(true).encode().unwrap()
}
