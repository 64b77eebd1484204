//! Answers the interfaces of WASI that a plugin is not given, so that what was linked for nothing does no harm: no
//! socket is made, no name is found. An answer is chosen by the shape that its function has to give back.

use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{
    Component, Linker, LinkerInstance, Resource, ResourceTable, ResourceType, Val,
};
use wasmtime::{Engine, Result, StoreContextMut, bail};

use super::admit;

/// The name by which the interfaces call a denial.
const DENIAL: &str = "access-denied";

/// The handles that are these interfaces' own. Others, such as streams, are defined where they come from.
const HANDLES: [&str; 6] = [
    "network",
    "resolve-address-stream",
    "tcp-socket",
    "udp-socket",
    "incoming-datagram-stream",
    "outgoing-datagram-stream",
];

/// Whatever handle a plugin gets of these interfaces. There is nothing behind it.
struct Denied;

/// Where a store keeps its handles, which have a cap.
type Table<T> = fn(&mut T) -> &mut ResourceTable;

/// Defines what this component imports of them.
pub(super) fn link<T: 'static>(
    linker: &mut Linker<T>,
    engine: &Engine,
    component: &Component,
    table: Table<T>,
) -> Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = &import.ty else {
            continue;
        };
        if !admit::is_denied(name) {
            continue;
        }
        let mut interface = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            define(&mut interface, name, item, &export.ty, table)?;
        }
    }
    Ok(())
}

fn define<T: 'static>(
    interface: &mut LinkerInstance<'_, T>,
    path: &str,
    item: &str,
    kind: &ComponentItem,
    table: Table<T>,
) -> Result<()> {
    match kind {
        ComponentItem::Resource(_) if HANDLES.contains(&item) => {
            let denied = ResourceType::host::<Denied>();
            interface.resource(item, denied, move |mut store, handle| {
                table(store.data_mut()).delete(Resource::<Denied>::new_own(handle))?;
                Ok(())
            })
        }
        ComponentItem::ComponentFunc(_) => {
            let function = format!("{path}#{item}");
            interface.func_new(item, move |store, kind, _, results| {
                answer(store, &function, &kind, results, table)
            })
        }
        _ => Ok(()),
    }
}

fn answer<T: 'static>(
    mut store: StoreContextMut<'_, T>,
    function: &str,
    kind: &ComponentFunc,
    results: &mut [Val],
    table: Table<T>,
) -> Result<()> {
    for (result, shape) in results.iter_mut().zip(kind.results()) {
        *result = match denial(&shape) {
            Some(value) => value,
            None if matches!(shape, Type::Own(_)) => {
                let handle = table(store.data_mut()).push(Denied)?;
                Val::Resource(handle.try_into_resource_any(&mut store)?)
            }
            None => bail!("it called {function}, which no plugin is given"),
        };
    }
    Ok(())
}

/// The value of that shape that says no, if it has one.
fn denial(shape: &Type) -> Option<Val> {
    match shape {
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Bool => Some(Val::Bool(false)),
        Type::Result(result) => match result.err()? {
            Type::Enum(errors) => {
                let mut names = errors.names();
                let name = names.find(|name| *name == DENIAL)?;
                Some(Val::Result(Err(Some(Box::new(Val::Enum(name.to_owned()))))))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;

    use super::*;

    /// Asks each of the interfaces for something, and tells what came of it: the kind of a denial, or a number.
    const ASKING: &str = r#"
        (component
            (import "wasi:sockets/network@0.2.6" (instance $network
                (export "network" (type (sub resource)))
                (type $errors (enum "unknown" "access-denied" "not-supported"))
                (export "error-code" (type (eq $errors)))))
            (alias export $network "network" (type $net))
            (alias export $network "error-code" (type $error))
            (import "wasi:sockets/instance-network@0.2.6" (instance $instance
                (alias outer 1 $net (type $n))
                (export "network" (type $own (eq $n)))
                (export "instance-network" (func (result (own $own))))))
            (import "wasi:sockets/tcp@0.2.6" (instance $tcp
                (export "tcp-socket" (type (sub resource)))))
            (alias export $tcp "tcp-socket" (type $socket))
            (import "wasi:sockets/tcp-create-socket@0.2.6" (instance $create
                (alias outer 1 $socket (type $s))
                (export "tcp-socket" (type $tcp-socket (eq $s)))
                (alias outer 1 $error (type $e))
                (export "error-code" (type $code (eq $e)))
                (export "create-tcp-socket"
                    (func (result (result (own $tcp-socket) (error $code)))))))
            (import "wasi:sockets/udp@0.2.6" (instance $types
                (export "udp-socket" (type (sub resource)))))
            (alias export $types "udp-socket" (type $descriptor))
            (import "wasi:sockets/udp-create-socket@0.2.6" (instance $preopens
                (alias outer 1 $descriptor (type $d))
                (export "udp-socket" (type $open (eq $d)))
                (type $tuple (tuple (own $open) string))
                (type $list (list $tuple))
                (export "list-sockets" (func (result $list)))
                (export "odd" (func (result u32)))))
            (core module $memory
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
            (core instance $m (instantiate $memory))
            (core func $instance-network (canon lower (func $instance "instance-network")))
            (core func $create-socket (canon lower (func $create "create-tcp-socket") (memory (core memory $m "memory"))))
            (core func $directories
                (canon lower (func $preopens "list-sockets") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
            (core func $odd (canon lower (func $preopens "odd")))
            (core func $drop (canon resource.drop $net))
            (core module $asking
                (import "m" "memory" (memory 1))
                (import "h" "network" (func $network (result i32)))
                (import "h" "drop" (func $drop (param i32)))
                (import "h" "create" (func $create (param i32)))
                (import "h" "sockets" (func $sockets (param i32)))
                (import "h" "odd" (func $odd (result i32)))
                ;; 1 for an error, and ten times which one
                (func (export "socket") (result i32)
                    (call $drop (call $network))
                    (call $create (i32.const 16))
                    (i32.add
                        (i32.load8_u (i32.const 16))
                        (i32.mul (i32.load8_u (i32.const 20)) (i32.const 10))))
                (func (export "list") (result i32)
                    (call $sockets (i32.const 32))
                    (i32.load (i32.const 36)))
                (func (export "odd") (result i32) (call $odd)))
            (core instance $a (instantiate $asking
                (with "m" (instance $m))
                (with "h" (instance
                    (export "network" (func $instance-network))
                    (export "drop" (func $drop))
                    (export "create" (func $create-socket))
                    (export "sockets" (func $directories))
                    (export "odd" (func $odd))))))
            (func (export "socket") (result u32) (canon lift (core func $a "socket")))
            (func (export "list") (result u32) (canon lift (core func $a "list")))
            (func (export "odd") (result u32) (canon lift (core func $a "odd"))))"#;

    fn ask(name: &str) -> Result<u32> {
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(ASKING).unwrap())?;
        let mut linker = Linker::<ResourceTable>::new(&engine);
        // The control: without this it does not link.
        assert!(linker.instantiate_pre(&component).is_err());
        link(&mut linker, &engine, &component, |table| table)?;
        let mut store = Store::new(&engine, ResourceTable::new());
        let instance = linker.instantiate(&mut store, &component)?;
        let function = instance.get_typed_func::<(), (u32,)>(&mut store, name)?;
        let answer = function.call(&mut store, ())?.0;
        assert!(store.data().is_empty(), "a handle outlived its drop");
        Ok(answer)
    }

    #[test]
    fn a_socket_is_denied_and_the_plugin_can_handle_it() {
        // An error, and the second of its kinds.
        assert_eq!(ask("socket").unwrap(), 11);
    }

    #[test]
    fn a_list_has_nothing_in_it() {
        assert_eq!(ask("list").unwrap(), 0);
    }

    #[test]
    fn what_cannot_say_no_traps_with_its_name() {
        let fault = format!("{:#}", ask("odd").unwrap_err());
        assert!(
            fault.contains("wasi:sockets/udp-create-socket@0.2.6#odd"),
            "{fault}"
        );
    }
}
