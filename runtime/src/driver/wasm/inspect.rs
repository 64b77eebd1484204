//! Reads what a component is made of, without validating, compiling or running it.
//!
//! [`inspect`] runs in a worker process: a file of a few KiB can make a parser overflow its stack or take hundreds of
//! megabytes, so no section is read before its count is known to be small, and types, which nest, are not read at all.
//! [`judge`] is the server's half: it decides on the names that come back.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, ComponentExport, ComponentExternalKind, ComponentImport, Encoding,
    FunctionBody, Operator, Parser, Payload, SectionLimited,
};

use super::bounds::Bounds;
use crate::{Profile, RegisterError};
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
            Payload::TableSection(it) => {
                self.count(&it, |c| &mut c.tables, |b| b.tables.into(), "tables")?;
            }
            Payload::MemorySection(it) => {
                self.count(&it, |c| &mut c.memories, |b| b.memories.into(), "memories")?;
            }
            Payload::GlobalSection(it) => {
                self.count(&it, |c| &mut c.globals, |b| b.globals, "globals")?;
            }
            Payload::ElementSection(it) => self.count_segments(&it)?,
            Payload::DataSection(it) => self.count_segments(&it)?,
            Payload::InstanceSection(it) => self.count_instances(&it)?,
            Payload::ComponentInstanceSection(it) => self.count_instances(&it)?,
            Payload::ImportSection(it) => self.name(it.count())?,
            Payload::ExportSection(it) => self.name(it.count())?,
            Payload::ComponentImportSection(it) => self.import(it)?,
            Payload::ComponentExportSection(it) => self.export(it)?,
            Payload::CodeSectionEntry(body) => check_body(self.bounds, &body)?,
            Payload::CustomSection(it) => self.custom(it.name(), it.data())?,
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

/// The server's half: believes of a worker's answer what it can check, and says yes or no to the names.
pub(crate) fn judge(answer: &[u8]) -> Result<Inspection, RegisterError> {
    let inspection: Inspection = serde_json::from_slice(answer).map_err(|error| {
        RegisterError::Worker(format!(
            "the inspector answered with no inspection: {error}"
        ))
    })?;
    check_imports(&inspection.imports)?;
    check_exports(&inspection.exports)?;
    check_contract(&inspection.facts)?;
    Ok(inspection)
}

fn check_imports(imports: &[String]) -> Result<(), RegisterError> {
    let refused: Vec<_> = imports
        .iter()
        .filter(|name| !is_granted(name))
        .map(|name| super::clip::name(name))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(RegisterError::Import { imports: refused })
}

fn check_exports(exports: &[String]) -> Result<(), RegisterError> {
    let backend = |name: &String| {
        Interface::parse(name).is_some_and(|it| {
            it.path == "palisade:plugin/backend" && it.is_of_track(CONTRACT_TRACK)
        })
    };
    if exports.iter().any(backend) {
        return Ok(());
    }
    let found = exports
        .iter()
        .map(|name| super::clip::name(name))
        .collect::<Vec<_>>();
    Err(RegisterError::Component(format!(
        "it exports {found:?}, but not palisade:plugin/backend@0.1.x"
    )))
}

/// A section may name any contract of this track: what it was built against loads for ever.
fn check_contract(facts: &SectionFacts) -> Result<(), RegisterError> {
    let known = semver::Version::parse(&facts.contract)
        .is_ok_and(|version| (version.major, version.minor) == CONTRACT_TRACK);
    if known {
        return Ok(());
    }
    Err(RegisterError::Component(format!(
        "it was built against contract {:?}, this runtime speaks 0.1.x",
        super::clip::name(&facts.contract)
    )))
}

/// The major and minor version of the contract, within which everything fits together.
const CONTRACT_TRACK: (u64, u64) = (0, 1);

/// The major and minor version of WASI that toolchains build against.
const WASI_TRACK: (u64, u64) = (0, 2);

/// What the contract offers.
const CONTRACT_IMPORTS: &[&str] = &[
    "palisade:plugin/types",
    "palisade:plugin/storage",
    "palisade:plugin/system",
    "palisade:plugin/log",
    "palisade:plugin/clock",
    "palisade:plugin/random",
    "palisade:plugin/deadline",
];

/// What standard libraries import whether they need it or not; linked one by one, with nothing behind them.
const WASI_IMPORTS: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure-seed",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];

fn is_granted(name: &str) -> bool {
    Interface::parse(name).is_some_and(|it| {
        (CONTRACT_IMPORTS.contains(&it.path) && it.is_of_track(CONTRACT_TRACK))
            || (WASI_IMPORTS.contains(&it.path) && it.is_of_track(WASI_TRACK))
    })
}

/// The name of an interface in parts, such as `wasi:io/poll@0.2.6`.
struct Interface<'a> {
    path: &'a str,
    version: semver::Version,
}

impl<'a> Interface<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = name.split_once('@')?;
        let version = semver::Version::parse(version).ok()?;
        Some(Self { path, version })
    }

    /// Patch versions of a track fit together; what comes before a release does not.
    fn is_of_track(&self, (major, minor): (u64, u64)) -> bool {
        let version = &self.version;
        (version.major, version.minor) == (major, minor) && version.pre.is_empty()
    }
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

    fn inspection(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        serde_json::to_vec(&Inspection {
            facts: SectionFacts::parse(br#"{"contract":"0.1.7","type":"auth","version":""}"#)
                .unwrap(),
            imports: names(imports),
            exports: names(exports),
        })
        .unwrap()
    }

    #[test]
    fn a_section_is_found_in_a_nested_module() {
        let found = read(&with_section("")).unwrap();
        assert_eq!(found.facts.version, "v1.0.0");
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

    #[test]
    fn granted_imports_are_known_by_interface_and_track() {
        let imports = [
            "palisade:plugin/storage@0.1.0",
            "palisade:plugin/types@0.1.9",
            "wasi:io/poll@0.2.0",
            "wasi:cli/terminal-stderr@0.2.99",
            "wasi:filesystem/preopens@0.2.6",
        ];
        judge(&inspection(&imports, &["palisade:plugin/backend@0.1.0"])).unwrap();
    }

    #[test]
    fn every_other_import_is_refused_by_name() {
        let others = [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:random/insecure@0.2.6",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:io/poll",
            "palisade:plugin/storage@0.2.0",
            "palisade:plugin/backend@0.1.0",
            "wasi:io/p\u{43e}ll@0.2.0",
            "bare",
        ];
        let imports = [&others[..], &["wasi:io/poll@0.2.0"]].concat();
        let answer = inspection(&imports, &["palisade:plugin/backend@0.1.0"]);
        match judge(&answer).unwrap_err() {
            RegisterError::Import { imports } => assert_eq!(imports.len(), others.len()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_component_that_exports_no_backend_is_refused() {
        let answer = inspection(
            &[],
            &["palisade:plugin/backend@0.2.0", "wasi:cli/run@0.2.0"],
        );
        let fault = judge(&answer).unwrap_err().to_string();
        assert!(fault.contains("palisade:plugin/backend@0.1.x"), "{fault}");
    }
}
