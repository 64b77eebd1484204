//! The component's exports, over the one backend of this store.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use palisade_contract::{Backend, Plugin, PluginError, PluginErrorKind};

use super::bindings::exports::palisade::plugin::backend as wit;
use super::host::Imports;

/// Where a component's plugin comes from.
pub trait Entry: 'static {
    /// The plugin.
    fn plugin() -> &'static dyn Plugin;
}

/// The exports of the component whose plugin `E` names.
pub struct Exports<E>(PhantomData<E>);

/// The backend of this store's mount. A store has one mount, so this is not state that mounts could share.
static BACKEND: OnceLock<Box<dyn Backend>> = OnceLock::new();

impl<E: Entry> wit::Guest for Exports<E> {
    fn describe() -> wit::Description {
        E::plugin().describe().into()
    }

    fn setup(config: wit::SetupConfig) -> Result<(), wit::PluginError> {
        let backend = at_once(E::plugin().setup(config.into(), &Imports))?;
        BACKEND
            .set(backend)
            .map_err(|_| misuse("setup was called twice in one store").into())
    }

    fn initialize() -> Result<(), wit::PluginError> {
        Ok(at_once(backend()?.initialize(&Imports))?)
    }

    fn handle_request(request: wit::Request) -> Result<Option<wit::Response>, wit::PluginError> {
        let response = at_once(backend()?.handle_request(request.into(), &Imports))?;
        Ok(response.map(Into::into))
    }

    fn check_existence(request: wit::Request) -> Result<wit::Existence, wit::PluginError> {
        let found = at_once(backend()?.check_existence(request.into(), &Imports))?;
        Ok(found.into())
    }

    fn invalidate_key(key: String) {
        if let Ok(backend) = backend() {
            at_once(backend.invalidate_key(&key, &Imports));
        }
    }

    fn cleanup() {
        if let Ok(backend) = backend() {
            at_once(backend.cleanup(&Imports));
        }
    }
}

fn backend() -> Result<&'static dyn Backend, PluginError> {
    match BACKEND.get() {
        Some(backend) => Ok(backend.as_ref()),
        None => Err(misuse("setup was not called in this store")),
    }
}

fn misuse(text: &str) -> PluginError {
    PluginError::new(PluginErrorKind::Internal, text)
}

/// Runs a future that waits for nothing but imports, which return at once.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!(
            "a handler waits for something other than the host: in a component nothing could ever wake it"
        ),
    }
}
