//! The engines of this process: one for ordinary components and one for large ones. What belongs to one says so in its
//! type, so that handles of both cannot be mixed up.
//!
//! ```
//! use palisade_runtime::driver::wasm::engine::{Class, Linked, Shared, Stores};
//!
//! fn of_one_class<C: Class>(engine: &Shared<C>, component: &Linked<C>) -> Stores<C> {
//!     engine.stores_of(component)
//! }
//! ```
//!
//! Only the classes differ here, and it does not compile:
//!
//! ```compile_fail,E0308
//! use palisade_runtime::driver::wasm::engine::{Large, Linked, Ordinary, Shared, Stores};
//!
//! fn of_two_classes(engine: &Shared<Ordinary>, component: &Linked<Large>) -> Stores<Ordinary> {
//!     engine.stores_of(component)
//! }
//! ```

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use wasmtime::component::{Instance, InstancePre, Linker};
use wasmtime::{Engine, Result, Store};

use super::exports::Exports;
use super::linker::linker;
use super::load::OwnWork;
use super::places::{Places, Share};
use super::store::StoreState;
use super::{canary, deny, settings};
use crate::Profile;

/// The components of one profile, as a type.
pub trait Class: sealed::Sealed + Send + Sync + Sized + 'static {
    /// Which profile.
    const PROFILE: Profile;

    /// Stores that may be alive at once, over all mounts.
    const STORES_MAX: u32;

    /// Idle stores that a mount keeps, at the most: each holds one of the places that all mounts share.
    const IDLE_MAX: u32;

    /// Where this process keeps the engine of the class.
    #[doc(hidden)]
    fn of_process() -> &'static OnceLock<Result<Shared<Self>, String>>;
}

/// Components of the profile `ordinary`.
pub enum Ordinary {}

/// Components of the profile `large`.
pub enum Large {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Ordinary {}
    impl Sealed for super::Large {}
}

impl Class for Ordinary {
    const PROFILE: Profile = Profile::Ordinary;

    /// Each takes about six mappings, of which Linux gives a process 65,530 by default; past that even `malloc` fails, so
    /// this stays well below.
    const STORES_MAX: u32 = 2048;

    const IDLE_MAX: u32 = 64;

    fn of_process() -> &'static OnceLock<Result<Shared<Self>, String>> {
        static SHARED: OnceLock<Result<Shared<Ordinary>, String>> = OnceLock::new();
        &SHARED
    }
}

impl Class for Large {
    const PROFILE: Profile = Profile::Large;

    /// An interpreter touches some MiB of its memory in every store, so few are enough to fill a machine.
    const STORES_MAX: u32 = 256;

    /// Some tens of MiB, of which a hundred mounts leave places for requests.
    const IDLE_MAX: u32 = 2;

    fn of_process() -> &'static OnceLock<Result<Shared<Self>, String>> {
        static SHARED: OnceLock<Result<Shared<Large>, String>> = OnceLock::new();
        &SHARED
    }
}

/// What all components of a class share. There is one of each in a process: the address space that the stores of the
/// ordinary one reserve is a good part of all there is.
pub struct Shared<C> {
    /// Loads what a compile worker made.
    engine: Engine,
    /// Knows what every entry is granted.
    linker: Arc<Linker<StoreState>>,
    /// The stores that may be alive.
    places: Arc<Places>,
    class: PhantomData<C>,
}

/// A component of a class, loaded, and linked with what it may have.
pub struct Linked<C> {
    component: InstancePre<StoreState>,
    exports: Arc<Exports>,
    class: PhantomData<C>,
}

/// The stores of one component.
pub struct Stores<C> {
    component: InstancePre<StoreState>,
    exports: Arc<Exports>,
    class: PhantomData<C>,
}

impl<C: Class> Shared<C> {
    /// This process's own, made at the first call.
    ///
    /// # Errors
    ///
    /// When the address space cannot be reserved, or the engine does not keep what it promises.
    pub(super) fn of_process() -> Result<Self, String> {
        C::of_process()
            .get_or_init(|| Self::make().map_err(|error| format!("{error:#}")))
            .clone()
    }

    fn make() -> Result<Self> {
        let engine = settings::serving(C::PROFILE)?;
        canary::check(&engine)?;
        let linker = Arc::new(linker(&engine)?);
        let places = Places::new(C::STORES_MAX);
        Ok(Self {
            engine,
            linker,
            places,
            class: PhantomData,
        })
    }

    /// Loads what the compile worker made for this class, whose code begins at `start`, and links it.
    pub(super) fn link(&self, work: &OwnWork<C>, start: usize) -> Result<Linked<C>> {
        let component = work.load(start, &self.engine)?;
        let mut linker = Linker::clone(&self.linker);
        deny::link(&mut linker, &self.engine, &component)?;
        Ok(Linked {
            exports: Arc::new(Exports::of(&component)?),
            component: linker.instantiate_pre(&component)?,
            class: PhantomData,
        })
    }

    /// What the mounts of an entry may have of the stores, at most `stores` at once.
    pub(super) fn share(&self, entry: &str, stores: u32) -> Arc<Share> {
        self.places.share(entry, stores)
    }

    /// The engine itself.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What makes stores for that component.
    pub fn stores_of(&self, linked: &Linked<C>) -> Stores<C> {
        Stores {
            component: linked.component.clone(),
            exports: Arc::clone(&linked.exports),
            class: PhantomData,
        }
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            linker: Arc::clone(&self.linker),
            places: Arc::clone(&self.places),
            class: PhantomData,
        }
    }
}

impl<C> Stores<C> {
    /// A store with nothing in it and no limits yet.
    pub(super) fn empty(&self, state: StoreState) -> Result<Store<StoreState>> {
        Store::try_new(self.component.engine(), state)
    }

    /// Puts the component into a store of these.
    pub(super) async fn instantiate(&self, store: &mut Store<StoreState>) -> Result<Instance> {
        self.component.instantiate_async(store).await
    }

    /// What can be asked of it there.
    pub(super) fn exports(&self) -> &Arc<Exports> {
        &self.exports
    }
}
