//! The functions that a component exports to the host: found once per component, and checked against the package's types in
//! the store that is asked what the plugin is. Another store takes only those that it is asked, as each look takes a part of
//! a microsecond.

use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc,
};
use wasmtime::error::Context;
use wasmtime::{AsContextMut, Error, Result};

use super::bindings::exports::palisade::plugin::backend::{Description, Existence, SetupConfig};
use super::bindings::palisade::plugin::types::PluginError;
use super::messages::{Request, Response};

/// The interface that they are in.
pub(super) const BACKEND: &str = "palisade:plugin/backend@0.1.0";

/// What can be asked of a component.
pub(super) struct Exports {
    pub(super) describe: Export<(), (Description,)>,
    pub(super) setup: Export<(Arc<SetupConfig>,), (Result<(), PluginError>,)>,
    pub(super) initialize: Export<(), (Result<(), PluginError>,)>,
    pub(super) handle_request: Export<(Box<Request>,), Handled>,
    pub(super) check_existence: Export<(Box<Request>,), (Result<Existence, PluginError>,)>,
    pub(super) invalidate_key: Export<(String,), ()>,
    pub(super) cleanup: Export<(), ()>,
}

/// How a request is answered.
pub(super) type Handled = (Result<Option<Response>, PluginError>,);

/// One function.
pub(super) struct Export<P, R> {
    name: &'static str,
    index: ComponentExportIndex,
    types: PhantomData<fn(P) -> R>,
}

impl Exports {
    /// Finds them by their names.
    ///
    /// # Errors
    ///
    /// When one is missing.
    pub(super) fn of(component: &Component) -> Result<Self> {
        let backend = component.get_export_index(None, BACKEND);
        let backend = backend.ok_or_else(|| Error::msg(format!("it does not export {BACKEND}")))?;
        Ok(Self {
            describe: Export::find(component, &backend, "describe")?,
            setup: Export::find(component, &backend, "setup")?,
            initialize: Export::find(component, &backend, "initialize")?,
            handle_request: Export::find(component, &backend, "handle-request")?,
            check_existence: Export::find(component, &backend, "check-existence")?,
            invalidate_key: Export::find(component, &backend, "invalidate-key")?,
            cleanup: Export::find(component, &backend, "cleanup")?,
        })
    }

    /// Looks at all of them.
    ///
    /// # Errors
    ///
    /// When one takes or gives something else than the package says.
    pub(super) fn check(&self, instance: &Instance, mut store: impl AsContextMut) -> Result<()> {
        self.describe.typed(instance, &mut store)?;
        self.setup.typed(instance, &mut store)?;
        self.initialize.typed(instance, &mut store)?;
        self.handle_request.typed(instance, &mut store)?;
        self.check_existence.typed(instance, &mut store)?;
        self.invalidate_key.typed(instance, &mut store)?;
        self.cleanup.typed(instance, &mut store)?;
        Ok(())
    }
}

impl<P, R> Export<P, R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    fn find(
        component: &Component,
        backend: &ComponentExportIndex,
        name: &'static str,
    ) -> Result<Self> {
        let index = component.get_export_index(Some(backend), name);
        let missing = || Error::msg(format!("it does not export {name} of {BACKEND}"));
        Ok(Self {
            name,
            index: index.ok_or_else(missing)?,
            types: PhantomData,
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The function in that store.
    ///
    /// # Errors
    ///
    /// When it takes or gives something else than the package says.
    pub(super) fn typed(
        &self,
        instance: &Instance,
        store: impl AsContextMut,
    ) -> Result<TypedFunc<P, R>> {
        let function = instance.get_typed_func(store, self.index);
        let other = || format!("its {} of {BACKEND} is not that of the package", self.name);
        function.with_context(other)
    }
}
