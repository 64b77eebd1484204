//! Takes out what loads modules while a component in JavaScript is built: `componentize-qjs` leaves it in the component,
//! with a memory of its own, and hosts allow one memory. Afterwards nothing calls it; what would traps.

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CodeSection, Component, ComponentAliasSection,
    ComponentImportSection, ExportKind, ExportSection, Function, FunctionSection, InstanceSection,
    Module, ModuleArg, ModuleSection, TypeSection, ValType,
};
use wasmparser::{CanonicalFunction, ComponentAlias, ComponentExternalKind, Parser, Payload};

use crate::segments::{INNER_COMPONENT, sections};

/// The interface by which the engine asks for modules.
const LOADER: &str = "local:init/module-loader";

/// Its functions, and how many numbers of 32 bits each takes once it is lowered; none gives anything back.
const FUNCTIONS: [(&str, usize); 2] = [("resolve", 5), ("load", 3)];

/// The component without its loader: what is around it falls away, and what stays is the component that imports it.
/// One without a loader is taken as it is.
///
/// # Errors
///
/// When it is cut off somewhere, or its loader is another one than this tool knows.
pub(crate) fn removed(component: Vec<u8>) -> Result<Vec<u8>> {
    let Some(inner) = importer(&component)? else {
        return Ok(component);
    };
    let whole = without_loader(inner)
        .and_then(|whole| Ok(wasmparser::validate(&whole).map(|_| whole)?))
        .with_context(|| format!("its {LOADER} is not the one of componentize-qjs 0.4.5"))?;
    Ok(whole)
}

/// The component directly inside that imports the loader.
fn importer(component: &[u8]) -> Result<Option<&[u8]>> {
    if !Parser::is_component(component) {
        return Ok(None);
    }
    for section in sections(component)? {
        let (id, content) = section?;
        if id == INNER_COMPONENT && imports_loader(content)? {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

fn imports_loader(component: &[u8]) -> Result<bool> {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    if import?.name.name == LOADER {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

fn without_loader(component: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Component::new();
    add_traps(&mut whole);
    Removal::default().parse_component(&mut whole, Parser::new(0), component)?;
    Ok(whole.finish())
}

/// The first module and its instance: functions that trap.
fn add_traps(component: &mut Component) {
    component.section(&ModuleSection(&traps()));
    let mut instances = InstanceSection::new();
    instances.instantiate(0, Vec::<(&str, ModuleArg)>::new());
    component.section(&instances);
}

fn traps() -> Module {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    for (at, (name, numbers)) in (0..).zip(FUNCTIONS) {
        types.ty().function(vec![ValType::I32; numbers], []);
        functions.function(at);
        exports.export(name, ExportKind::Func, at);
        let mut body = Function::new([]);
        body.instructions().unreachable().end();
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions);
    module.section(&exports).section(&code);
    module
}

/// Copies a component without its loader. In the outermost one, which alone has it, numbers of what follows move.
#[derive(Default)]
struct Removal {
    /// How many components are open inside the outermost one.
    depth: usize,
    /// How many instances of components, and how many of their functions, there have been.
    instances: u32,
    functions: u32,
    /// The number that the loader's instance had.
    loader: Option<u32>,
    /// The numbers that its functions had, and their names.
    removed: Vec<(u32, String)>,
}

impl Reencode for Removal {
    type Error = std::convert::Infallible;
}

type Copied = Result<(), Error<std::convert::Infallible>>;

impl ReencodeComponent for Removal {
    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn module_index(&mut self, module: u32) -> u32 {
        module + u32::from(self.depth == 0)
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        instance + u32::from(self.depth == 0)
    }

    fn component_instance_index(&mut self, instance: u32) -> u32 {
        let moves = self.depth == 0 && self.loader.is_some_and(|loader| loader < instance);
        instance - u32::from(moves)
    }

    fn component_func_index(&mut self, function: u32) -> u32 {
        let before = self.removed.iter().filter(|(it, _)| *it < function).count();
        match self.depth {
            0 => function - before as u32,
            _ => function,
        }
    }

    fn parse_component_payload(
        &mut self,
        component: &mut Component,
        payload: Payload<'_>,
        whole: &[u8],
    ) -> Copied {
        match payload {
            Payload::ComponentImportSection(it) if self.depth == 0 => self.imports(component, it),
            Payload::ComponentAliasSection(it) if self.depth == 0 => self.aliases(component, it),
            Payload::ComponentCanonicalSection(it) if self.depth == 0 => {
                self.canonical(component, it)
            }
            // Names of what is inside, by numbers that are no longer theirs.
            Payload::CustomSection(it) if self.depth == 0 && it.name() == "component-name" => {
                Ok(())
            }
            other => component_utils::parse_component_payload(self, component, other, whole),
        }
    }
}

impl Removal {
    fn imports(
        &mut self,
        component: &mut Component,
        section: wasmparser::ComponentImportSectionReader<'_>,
    ) -> Copied {
        let mut kept = ComponentImportSection::new();
        for import in section {
            let import = import?;
            let kind = import.ty.kind();
            if import.name.name == LOADER {
                self.loader = Some(self.instances);
            } else {
                kept.import(import.name, self.component_type_ref(import.ty)?);
            }
            self.instances += u32::from(kind == ComponentExternalKind::Instance);
            self.functions += u32::from(kind == ComponentExternalKind::Func);
        }
        component.section(&kept);
        Ok(())
    }

    fn aliases(
        &mut self,
        component: &mut Component,
        section: wasmparser::ComponentAliasSectionReader<'_>,
    ) -> Copied {
        let mut kept = ComponentAliasSection::new();
        for alias in section {
            let alias = alias?;
            let ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } = alias
            else {
                kept.alias(self.component_alias(alias)?);
                continue;
            };
            if Some(instance_index) == self.loader {
                self.removed.push((self.functions, name.to_owned()));
            } else {
                kept.alias(self.component_alias(alias)?);
            }
            self.functions += u32::from(kind == ComponentExternalKind::Func);
        }
        component.section(&kept);
        Ok(())
    }

    /// What lowers a function of the loader becomes the one that traps.
    fn canonical(
        &mut self,
        component: &mut Component,
        section: wasmparser::ComponentCanonicalSectionReader<'_>,
    ) -> Copied {
        for function in section {
            let function = function?;
            self.functions += u32::from(matches!(function, CanonicalFunction::Lift { .. }));
            match self.name_of_lowered(&function) {
                Some(name) => {
                    let mut aliases = ComponentAliasSection::new();
                    aliases.alias(Alias::CoreInstanceExport {
                        instance: 0,
                        kind: ExportKind::Func,
                        name,
                    });
                    component.section(&aliases);
                }
                None => {
                    let mut kept = CanonicalFunctionSection::new();
                    self.parse_component_canonical(&mut kept, function)?;
                    component.section(&kept);
                }
            }
        }
        Ok(())
    }

    fn name_of_lowered(&self, function: &CanonicalFunction) -> Option<&str> {
        let CanonicalFunction::Lower { func_index, .. } = function else {
            return None;
        };
        let mut removed = self.removed.iter();
        let (_, name) = removed.find(|(number, _)| number == func_index)?;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `componentize-qjs` makes, in small: around the component stands another one with the loader's memory.
    fn built(resolve_takes: &str, lowered: &str) -> Vec<u8> {
        let text = r#"(component
            (component
                (import "local:init/module-loader" (instance $loader
                    (type $answer (result string (error string)))
                    (export "resolve" (func RESOLVE_TAKES (result $answer)))
                    (export "load" (func (param "path" string) (result $answer)))))
                (import "host" (instance $host (export "log" (func))))
                (core module $memory
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
                (core instance $memory (instantiate $memory))
                (alias core export $memory "memory" (core memory $it))
                (alias core export $memory "realloc" (core func $realloc))
                (alias export $loader "resolve" (func $resolve))
                (core func $lowered (canon lower (func $resolve) (memory $it) (realloc $realloc)))
                (alias export $host "log" (func $log))
                (core func $log (canon lower (func $log)))
                (core module $engine
                    (import "loader" "resolve" (func (param LOWERED)))
                    (import "host" "log" (func $log))
                    (func (export "run") (call $log)))
                (core instance $engine (instantiate $engine
                    (with "loader" (instance (export "resolve" (func $lowered))))
                    (with "host" (instance (export "log" (func $log))))))
                (alias core export $engine "run" (core func $run))
                (func $run (canon lift (core func $run)))
                (export "run" (func $run)))
            (component (core module (memory 1))))"#;
        let text = text.replace("RESOLVE_TAKES", resolve_takes);
        wat::parse_str(text.replace("LOWERED", lowered)).unwrap()
    }

    /// As it is.
    fn known() -> Vec<u8> {
        let takes = r#"(param "referrer" string) (param "specifier" string)"#;
        built(takes, "i32 i32 i32 i32 i32")
    }

    fn memories(component: &[u8]) -> u32 {
        let payloads = Parser::new(0).parse_all(component);
        let counts = payloads.map(|payload| match payload.unwrap() {
            Payload::MemorySection(it) => it.count(),
            _ => 0,
        });
        counts.sum()
    }

    #[test]
    fn the_loader_goes_with_its_memory_and_the_rest_stays() {
        let before = known();
        let after = removed(before.clone()).unwrap();
        assert_eq!((memories(&before), memories(&after)), (2, 1));
        assert!(!imports_loader(&after).unwrap());
        let names: Vec<_> = Parser::new(0)
            .parse_all(&after)
            .filter_map(|payload| match payload.unwrap() {
                Payload::ComponentImportSection(it) => Some(it),
                _ => None,
            })
            .flatten()
            .map(|import| import.unwrap().name.name)
            .collect();
        assert_eq!(names, ["host"]);
    }

    #[test]
    fn another_loader_is_refused() {
        let fault = removed(built(r#"(param "path" string)"#, "i32 i32 i32")).unwrap_err();
        assert!(fault.to_string().contains(LOADER), "{fault}");
    }

    #[test]
    fn a_component_without_a_loader_is_taken_as_it_is() {
        let bytes = wat::parse_str("(component (component (core module (memory 1))))").unwrap();
        assert_eq!(removed(bytes.clone()).unwrap(), bytes);
    }
}
