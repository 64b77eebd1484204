//! Answers the interfaces of WASI that a plugin is not given, so that what was linked for nothing does no harm: no
//! socket is made, no name is found. An answer is chosen by the shape that its function has to give back.

use std::future::Future;
use std::sync::Arc;

use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{
    Component, Linker, LinkerInstance, Resource, ResourceTable, ResourceType, Val,
};
use wasmtime::{Engine, Result, StoreContextMut, bail};
use wasmtime_wasi_io::streams::Error;

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

/// What a store has to have.
pub(super) trait Denies: Send + 'static {
    /// Where it keeps its handles, which have a cap.
    fn handles(&mut self) -> &mut ResourceTable;

    /// Counts a call, and what it brought along, in bytes: asking again and again must not hold the thread.
    fn charge(&mut self, bytes: usize) -> impl Future<Output = ()> + Send;
}

/// Defines what this component imports of them.
pub(super) fn link<T: Denies>(
    linker: &mut Linker<T>,
    engine: &Engine,
    component: &Component,
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
            define(&mut interface, name, item, &export.ty)?;
        }
    }
    Ok(())
}

fn define<T: Denies>(
    interface: &mut LinkerInstance<'_, T>,
    path: &str,
    item: &str,
    kind: &ComponentItem,
) -> Result<()> {
    match kind {
        ComponentItem::Resource(_) if HANDLES.contains(&item) => {
            let denied = ResourceType::host::<Denied>();
            interface.resource(item, denied, |mut store, handle| {
                let handle = Resource::<Denied>::new_own(handle);
                store.data_mut().handles().delete(handle)?;
                Ok(())
            })
        }
        ComponentItem::ComponentFunc(_) => {
            let function: Arc<str> = format!("{path}#{item}").into();
            interface.func_new_async(item, move |mut store, kind, arguments, results| {
                let function = Arc::clone(&function);
                Box::new(async move {
                    let bytes = arguments.iter().map(bytes_of).sum();
                    store.data_mut().charge(bytes).await;
                    for argument in arguments {
                        let_go(&mut store, argument)?;
                    }
                    answer(store, &function, &kind, results)
                })
            })
        }
        _ => Ok(()),
    }
}

/// What is worth counting of an argument.
fn bytes_of(argument: &Val) -> usize {
    match argument {
        Val::String(text) => text.len(),
        Val::List(items) => items.len() * size_of::<Val>(),
        _ => 0,
    }
}

/// A handle that was lent has to be given back before the answer; one that was given is dropped.
fn let_go<T: Denies>(mut store: &mut StoreContextMut<'_, T>, argument: &Val) -> Result<()> {
    let Val::Resource(handle) = argument else {
        return Ok(());
    };
    if handle.ty() != ResourceType::host::<Denied>() {
        // The only other kind: an error of a stream, which is asked whether a file system is to blame.
        return Resource::<Error>::try_from_resource_any(*handle, store).map(drop);
    }
    let denied = Resource::<Denied>::try_from_resource_any(*handle, &mut store)?;
    if denied.owned() {
        store.data_mut().handles().delete(denied)?;
    }
    Ok(())
}

fn answer<T: Denies>(
    mut store: StoreContextMut<'_, T>,
    function: &str,
    kind: &ComponentFunc,
    results: &mut [Val],
) -> Result<()> {
    for (result, shape) in results.iter_mut().zip(kind.results()) {
        *result = match denial(&shape) {
            Some(value) => value,
            None if matches!(shape, Type::Own(_)) => {
                let handle = store.data_mut().handles().push(Denied)?;
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
            (import "wasi:sockets/ip-name-lookup@0.2.6" (instance $lookup
                (alias outer 1 $net (type $n))
                (export "network" (type $lent (eq $n)))
                (alias outer 1 $error (type $e))
                (export "error-code" (type $code (eq $e)))
                (export "resolve-addresses"
                    (func (param "network" (borrow $lent)) (result (result (error $code)))))))
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
            (core func $resolve
                (canon lower (func $lookup "resolve-addresses") (memory (core memory $m "memory"))))
            (core func $sockets
                (canon lower (func $preopens "list-sockets") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
            (core func $odd (canon lower (func $preopens "odd")))
            (core func $drop (canon resource.drop $net))
            (core module $asking
                (import "m" "memory" (memory 1))
                (import "h" "network" (func $network (result i32)))
                (import "h" "drop" (func $drop (param i32)))
                (import "h" "create" (func $create (param i32)))
                (import "h" "resolve" (func $resolve (param i32 i32)))
                (import "h" "sockets" (func $sockets (param i32)))
                (import "h" "odd" (func $odd (result i32)))
                ;; 1 for an error, and ten times which one
                (func (export "socket") (result i32)
                    (local $lent i32)
                    (local.set $lent (call $network))
                    (call $resolve (local.get $lent) (i32.const 24))
                    (if (i32.ne (i32.load8_u (i32.const 25)) (i32.const 1)) (then unreachable))
                    (call $drop (local.get $lent))
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
                    (export "resolve" (func $resolve))
                    (export "sockets" (func $sockets))
                    (export "odd" (func $odd))))))
            (func (export "socket") (result u32) (canon lift (core func $a "socket")))
            (func (export "list") (result u32) (canon lift (core func $a "list")))
            (func (export "odd") (result u32) (canon lift (core func $a "odd"))))"#;

    /// A store that counts how often it was asked.
    #[derive(Default)]
    struct Counting {
        handles: ResourceTable,
        calls: u32,
    }

    impl Denies for Counting {
        fn handles(&mut self) -> &mut ResourceTable {
            &mut self.handles
        }

        async fn charge(&mut self, _bytes: usize) {
            self.calls += 1;
        }
    }

    async fn ask(name: &str) -> Result<u32> {
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(ASKING).unwrap())?;
        let mut linker = Linker::<Counting>::new(&engine);
        // The control: without this it does not link.
        assert!(linker.instantiate_pre(&component).is_err());
        link(&mut linker, &engine, &component)?;
        let mut store = Store::new(&engine, Counting::default());
        let instance = linker.instantiate_async(&mut store, &component).await?;
        let function = instance.get_typed_func::<(), (u32,)>(&mut store, name)?;
        let answer = function.call_async(&mut store, ()).await?.0;
        assert!(
            store.data().handles.is_empty(),
            "a handle outlived its drop"
        );
        assert!(store.data().calls > 0);
        Ok(answer)
    }

    #[tokio::test]
    async fn a_socket_and_a_name_are_denied_and_the_plugin_can_handle_it() {
        // An error, and the second of its kinds.
        assert_eq!(ask("socket").await.unwrap(), 11);
    }

    #[tokio::test]
    async fn a_list_has_nothing_in_it() {
        assert_eq!(ask("list").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_cannot_say_no_traps_with_its_name() {
        let fault = format!("{:#}", ask("odd").await.unwrap_err());
        let name = "wasi:sockets/udp-create-socket@0.2.6#odd";
        assert!(fault.contains(name), "{fault}");
    }
}
