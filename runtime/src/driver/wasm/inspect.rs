//! Reads what a component is made of, without validating, compiling or running it.
//!
//! [`inspect`] runs in a worker process: a file of a few KiB can make a parser overflow its stack or take hundreds of
//! megabytes, so no section is read before its count is known to be small, and types, which nest, are not read at all.
//! What becomes of the names that come back, [`admit`](super::admit) decides in the server.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, ComponentExport, ComponentExternalKind, ComponentImport, Element,
    ElementItems, Encoding, FunctionBody, MemoryType, Operator, Parser, Payload, SectionLimited,
    Table,
};

use super::bounds::Bounds;
use super::producers;
use crate::Profile;
use crate::catalog::{Extent, Producer, Structure};
use palisade_contract::{SECTION_NAME, SectionFacts};

/// The section of this contract, in bytes.
const SECTION_BYTES_MAX: u64 = 4 << 10;

/// The custom section with the names of functions. It counts with the file only: names make traps readable.
const NAMES_SECTION: &str = "name";

/// What a component is, imports and exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inspection {
    /// What its custom section says.
    pub(crate) facts: SectionFacts,
    /// The names of its imports.
    pub(crate) imports: Vec<String>,
    /// The names of its exports.
    pub(crate) exports: Vec<String>,
    /// How much there is of it.
    pub(crate) structure: Structure,
    /// What made it.
    pub(crate) producers: Vec<Producer>,
}

/// The worker's half: reads the bytes and answers with an [`Inspection`] as JSON, or with what is wrong with them.
pub(crate) fn inspect(bytes: &[u8], profile: Profile) -> Result<Vec<u8>, String> {
    let inspection = read(bytes, profile)?;
    serde_json::to_vec(&inspection).map_err(|error| error.to_string())
}

/// Reads an untrusted component, which must not be larger than its profile allows.
pub(super) fn read(bytes: &[u8], profile: Profile) -> Result<Inspection, String> {
    let bounds = Bounds::of(profile);
    bounds.check(bytes.len() as u64, |it| it.file_bytes, "bytes")?;
    check_header(bytes)?;
    let mut survey = Survey::within(bounds);
    for payload in Parser::new(0).parse_all(bytes) {
        survey.see(payload.map_err(malformed)?)?;
    }
    survey.finish()
}

/// Tells a component from a core module: both begin with the same four bytes.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    if Parser::is_component(bytes) {
        Ok(())
    } else if Parser::is_core_wasm(bytes) {
        Err("it is a core module; build for the target wasm32-wasip2 to get a component".to_owned())
    } else {
        Err("it does not begin like a WebAssembly component".to_owned())
    }
}

fn malformed(error: BinaryReaderError) -> String {
    format!("it is malformed: {error}")
}

/// What has been seen so far.
struct Survey {
    bounds: &'static Bounds,
    /// One for each part that is open, outermost first: its encoding and how many names it has.
    open: Vec<(Option<Encoding>, u64)>,
    counts: Counts,
    memories: Vec<Extent>,
    tables: Vec<Extent>,
    producers: Vec<Producer>,
    sections: Vec<SectionFacts>,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// How many there are over all parts.
#[derive(Default)]
struct Counts {
    parts: u64,
    functions: u64,
    segments: u64,
    elements: u64,
    memories: u64,
    tables: u64,
    globals: u64,
    instances: u64,
    types: u64,
    aliases: u64,
    adapters: u64,
    custom_bytes: u64,
}

impl Survey {
    fn within(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            open: Vec::new(),
            counts: Counts::default(),
            memories: Vec::new(),
            tables: Vec::new(),
            producers: Vec::new(),
            sections: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
        }
    }

    fn see(&mut self, payload: Payload<'_>) -> Result<(), String> {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding)?,
            Payload::End(_) => drop(self.open.pop()),
            Payload::TypeSection(it) => self.count_types(&it)?,
            Payload::CoreTypeSection(it) => self.count_types(&it)?,
            Payload::ComponentTypeSection(it) => self.count_types(&it)?,
            Payload::ComponentAliasSection(it) => {
                self.count(&it, |c| &mut c.aliases, |b| b.definitions, "aliases")?;
            }
            Payload::ComponentCanonicalSection(it) => {
                let what = "adapter functions";
                self.count(&it, |c| &mut c.adapters, |b| b.definitions, what)?;
            }
            Payload::FunctionSection(it) => {
                self.count(&it, |c| &mut c.functions, |b| b.functions, "functions")?;
            }
            Payload::TableSection(it) => self.tables(it)?,
            Payload::MemorySection(it) => self.memories(it)?,
            Payload::GlobalSection(it) => {
                self.count(&it, |c| &mut c.globals, |b| b.globals, "globals")?;
            }
            Payload::ElementSection(it) => self.elements(it)?,
            Payload::DataSection(it) => self.count_segments(&it)?,
            Payload::InstanceSection(it) => self.count_instances(&it)?,
            Payload::ComponentInstanceSection(it) => self.count_instances(&it)?,
            Payload::ImportSection(it) => self.name(it.count())?,
            Payload::ExportSection(it) => self.name(it.count())?,
            Payload::ComponentImportSection(it) => self.import(it)?,
            Payload::ComponentExportSection(it) => self.export(it)?,
            Payload::CodeSectionEntry(body) => check_body(self.bounds, &body)?,
            Payload::CustomSection(it) => {
                self.custom(it.name(), it.data())?;
                producers::read(&it, &mut self.producers);
            }
            Payload::ComponentStartSection { .. } => return Err(refused("a start function")),
            Payload::TagSection(_) => return Err(refused("exception tags")),
            Payload::UnknownSection { id, .. } => {
                return Err(refused(format_args!("a section of the unknown kind {id}")));
            }
            // Counts that the sections themselves repeat, and starts of parts that open with their version.
            _ => {}
        }
        Ok(())
    }

    /// Adds a section's count before anything of the section is read.
    fn count<T>(
        &mut self,
        section: &SectionLimited<'_, T>,
        total: fn(&mut Counts) -> &mut u64,
        bound: fn(&Bounds) -> u64,
        what: &str,
    ) -> Result<(), String> {
        let total = total(&mut self.counts);
        *total += u64::from(section.count());
        self.bounds.check(*total, bound, what)
    }

    fn count_types<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), String> {
        self.count(section, |c| &mut c.types, |b| b.definitions, "types")
    }

    fn count_segments<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), String> {
        self.count(section, |c| &mut c.segments, |b| b.segments, "segments")
    }

    fn count_instances<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), String> {
        self.count(section, |c| &mut c.instances, |b| b.instances, "instances")
    }

    fn enter(&mut self, encoding: Encoding) -> Result<(), String> {
        self.counts.parts += 1;
        self.open.push((Some(encoding), 0));
        let (bounds, parts) = (self.bounds, self.counts.parts);
        bounds.check(parts, |it| it.parts, "modules and components")?;
        let components = self
            .open
            .iter()
            .filter(|(kind, _)| *kind == Some(Encoding::Component));
        let depth = components.count() as u64 - 1;
        bounds.check(depth, |it| it.depth, "levels of components")
    }

    fn elements(&mut self, section: SectionLimited<'_, Element<'_>>) -> Result<(), String> {
        self.count_segments(&section)?;
        for segment in section {
            self.counts.elements += match segment.map_err(malformed)?.items {
                ElementItems::Functions(items) => u64::from(items.count()),
                ElementItems::Expressions(_, items) => u64::from(items.count()),
            };
            let elements = self.counts.elements;
            self.bounds
                .check(elements, |b| b.elements, "elements of tables")?;
        }
        Ok(())
    }

    fn memories(&mut self, section: SectionLimited<'_, MemoryType>) -> Result<(), String> {
        self.count(
            &section,
            |c| &mut c.memories,
            |b| b.memories.into(),
            "memories",
        )?;
        for memory in section {
            let memory = memory.map_err(malformed)?;
            self.memories.push(Extent {
                minimum: memory.initial,
                maximum: memory.maximum,
            });
        }
        Ok(())
    }

    fn tables(&mut self, section: SectionLimited<'_, Table<'_>>) -> Result<(), String> {
        self.count(&section, |c| &mut c.tables, |b| b.tables.into(), "tables")?;
        for table in section {
            let table = table.map_err(malformed)?.ty;
            self.tables.push(Extent {
                minimum: table.initial,
                maximum: table.maximum,
            });
        }
        Ok(())
    }

    fn name(&mut self, count: u32) -> Result<(), String> {
        let Some((_, names)) = self.open.last_mut() else {
            return Err("it is malformed: a section outside of everything".to_owned());
        };
        *names += u64::from(count);
        let what = "imports and exports in one part";
        self.bounds.check(*names, |it| it.names, what)
    }

    fn import(&mut self, section: SectionLimited<'_, ComponentImport<'_>>) -> Result<(), String> {
        self.name(section.count())?;
        if self.open.len() == 1 {
            for import in section {
                let import = import.map_err(malformed)?;
                self.imports.push(import.name.name.to_owned());
            }
        }
        Ok(())
    }

    fn export(&mut self, section: SectionLimited<'_, ComponentExport<'_>>) -> Result<(), String> {
        self.name(section.count())?;
        if self.open.len() == 1 {
            for export in section {
                let export = export.map_err(malformed)?;
                if export.kind == ComponentExternalKind::Instance {
                    self.exports.push(export.name.name.to_owned());
                }
            }
        }
        Ok(())
    }

    fn custom(&mut self, name: &str, data: &[u8]) -> Result<(), String> {
        if name == SECTION_NAME {
            check_section(data.len() as u64)?;
            let facts = SectionFacts::parse(data).map_err(|error| error.to_string())?;
            self.sections.push(facts);
        } else if name != NAMES_SECTION {
            self.counts.custom_bytes += data.len() as u64;
            let what = "bytes of custom sections (debugging information can be stripped)";
            let found = self.counts.custom_bytes;
            self.bounds.check(found, |it| it.custom_bytes, what)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Inspection, String> {
        let found = self.sections.len();
        match self.sections.pop() {
            Some(facts) if found == 1 => Ok(Inspection {
                facts,
                imports: self.imports,
                exports: self.exports,
                structure: Structure {
                    parts: self.counts.parts,
                    functions: self.counts.functions,
                    globals: self.counts.globals,
                    segments: self.counts.segments,
                    memories: self.memories,
                    tables: self.tables,
                },
                producers: self.producers,
            }),
            _ => Err(format!(
                "it has {found} sections named {SECTION_NAME}, exactly one is needed; the SDK writes it"
            )),
        }
    }
}

fn refused(what: impl Display) -> String {
    format!("it has {what}, which no plugin needs")
}

fn check_section(bytes: u64) -> Result<(), String> {
    if bytes > SECTION_BYTES_MAX {
        return Err(format!(
            "it has {bytes} bytes in its section {SECTION_NAME}, {SECTION_BYTES_MAX} are allowed"
        ));
    }
    Ok(())
}

fn check_body(bounds: &Bounds, body: &FunctionBody<'_>) -> Result<(), String> {
    let range = body.range();
    let bytes = (range.end - range.start) as u64;
    bounds.check(bytes, |it| it.body_bytes, "bytes in one function")?;
    let locals = count_locals(body)?;
    bounds.check(locals, |it| it.locals, "locals in one function")?;
    let deepest = deepest_block(body)?;
    bounds.check(deepest, |it| it.nesting, "blocks inside blocks")
}

fn count_locals(body: &FunctionBody<'_>) -> Result<u64, String> {
    let mut locals = 0;
    for group in body.get_locals_reader().map_err(malformed)? {
        let (count, _) = group.map_err(malformed)?;
        locals += u64::from(count);
    }
    Ok(locals)
}

fn deepest_block(body: &FunctionBody<'_>) -> Result<u64, String> {
    let (mut depth, mut deepest) = (0_u64, 0);
    let mut operators = body.get_operators_reader().map_err(malformed)?;
    while !operators.eof() {
        match operators.read().map_err(malformed)? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    Ok(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: &str = r#"(@custom "palisade:plugin" "{\22contract\22:\220.1.0\22,\22type\22:\22secret\22,\22version\22:\22v1.0.0\22}")"#;

    fn component(content: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {content})")).unwrap()
    }

    fn with_section(content: &str) -> Vec<u8> {
        component(&format!("(core module {SECTION}) {content}"))
    }

    fn read(bytes: &[u8]) -> Result<Inspection, String> {
        super::read(bytes, Profile::Ordinary)
    }

    fn fault(bytes: &[u8]) -> String {
        read(bytes).unwrap_err()
    }

    #[test]
    fn a_section_is_found_in_a_nested_module() {
        let found = read(&with_section("")).unwrap();
        assert_eq!(found.facts.version, "v1.0.0");
    }

    #[test]
    fn what_there_is_is_counted_over_all_modules() {
        let content = r#"(core module (memory 2 16) (func) (func) (data (i32.const 0) "x"))
            (core module (table 3 funcref) (func) (global i32 (i32.const 0)))"#;
        let found = read(&with_section(content)).unwrap().structure;
        let extent = |minimum, maximum| Extent { minimum, maximum };
        let expected = Structure {
            parts: 4,
            functions: 3,
            globals: 1,
            segments: 1,
            memories: vec![extent(2, Some(16))],
            tables: vec![extent(3, None)],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn names_of_the_outermost_component_are_listed() {
        let content = r#"
            (import "wasi:io/poll@0.2.6" (instance $i))
            (import "bare" (func))
            (component (import "inner" (func)))
            (export "palisade:plugin/backend@0.1.0" (instance $i))"#;
        let found = read(&with_section(content)).unwrap();
        assert_eq!(found.imports, ["wasi:io/poll@0.2.6", "bare"]);
        assert_eq!(found.exports, ["palisade:plugin/backend@0.1.0"]);
    }

    #[test]
    fn a_core_module_is_told_from_a_component() {
        let module = wat::parse_str("(module)").unwrap();
        assert!(fault(&module).contains("core module"));
        assert!(fault(b"#!/bin/sh\n").contains("does not begin"));
        assert!(fault(b"").contains("does not begin"));
    }

    #[test]
    fn a_component_needs_exactly_one_section() {
        assert!(fault(&component("")).contains("has 0 sections"));
        let two = with_section(&format!("(core module {SECTION})"));
        assert!(fault(&two).contains("has 2 sections"));
    }

    #[test]
    fn a_truncated_component_is_refused_or_lacks_what_was_cut_off() {
        let whole = with_section(r#"(import "wasi:io/poll@0.2.6" (instance))"#);
        read(&whole).unwrap();
        for length in 0..whole.len() {
            // What ends where a section ends is a shorter component, and well-formed.
            let imports = read(&whole[..length]).map_or(0, |it| it.imports.len());
            assert_eq!(imports, 0, "{length} bytes");
        }
    }

    /// Every bit, one after the other: what is read is another component or none, and reading it ends.
    #[test]
    fn a_component_with_any_bit_flipped_is_refused_or_read() {
        let import = r#"(import "wasi:io/poll@0.2.6" (instance))"#;
        let code = "(core module (memory 1) (table 4 funcref) (func $f (loop (br 0))) (elem (i32.const 0) $f))";
        let whole = with_section(&format!("{import} {code}"));
        let flipped = (0..whole.len() * 8).filter(|bit| {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read(&flipped).is_ok()
        });
        let taken = flipped.count();
        assert!((1..whole.len() * 8).contains(&taken), "{taken}");
    }

    #[test]
    fn each_structure_has_a_limit() {
        let body = |code: &str| with_section(&format!("(core module (func {code}))"));
        let many = |item: &str, count: usize| item.repeat(count);
        let cases = [
            (
                with_section(&format!("(core module {})", many("(func)", 20_001))),
                "functions",
            ),
            (
                with_section(&format!(
                    "(core module (memory 1) {})",
                    many("(data (i32.const 0) \"\")", 1_001)
                )),
                "segments",
            ),
            (
                with_section(&format!(
                    "(core module (func $f) (elem func {}) (elem funcref {}))",
                    many("$f ", 10_000),
                    many("(ref.func $f) ", 10_001)
                )),
                "elements of tables",
            ),
            (
                with_section("(core module (memory 1)) (core module (memory 1))"),
                "memories",
            ),
            (
                with_section(&format!("(core module {})", many("(table 1 funcref)", 5))),
                "tables",
            ),
            (
                with_section(&many("(core module)", 64)),
                "modules and components",
            ),
            (
                with_section("(component (component (component)))"),
                "levels of components",
            ),
            (body(&format!("(local {})", many("i32 ", 2_001))), "locals"),
            (
                body(&(many("block ", 1_001) + &many("end ", 1_001))),
                "blocks inside blocks",
            ),
            (body(&many("nop ", 129 << 10)), "bytes in one function"),
            (
                with_section(&format!(
                    "(core module (@custom \"x\" \"{}\"))",
                    many("x", 1 << 20) + "x"
                )),
                "custom sections",
            ),
        ];
        for (bytes, what) in cases {
            assert!(fault(&bytes).contains(what), "{what}: {}", fault(&bytes));
        }
    }

    #[test]
    fn a_component_that_is_large_says_so_and_is_read_with_its_profile() {
        let large = with_section(&format!("(core module {})", "(func)".repeat(20_001)));
        assert!(
            fault(&large).contains("-profile=large"),
            "{}",
            fault(&large)
        );
        super::read(&large, Profile::Large).unwrap();
        let larger = with_section(&format!("(core module {})", "(func)".repeat(60_001)));
        for profile in [Profile::Ordinary, Profile::Large] {
            let fault = super::read(&larger, profile).unwrap_err();
            assert!(fault.contains("60001 functions"), "{fault}");
            assert!(!fault.contains("profile"), "{fault}");
        }
    }

    #[test]
    fn a_million_instances_in_a_small_file_are_refused_before_they_are_read() {
        let mut bytes = component("");
        // A core instance section that says it has a million entries, each of them five bytes that are not there.
        bytes.extend([2, 3, 0xc0, 0x84, 0x3d]);
        assert!(fault(&bytes).contains("instances"), "{}", fault(&bytes));
    }
}
