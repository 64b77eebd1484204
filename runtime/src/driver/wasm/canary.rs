//! Tries at the start whether the limits of components bite: a small component of our own runs over each of them. Where one
//! does not hold, no component is served.
//!
//! It is the one component that is compiled in this process: it is nobody else's.

mod bytes;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Engine, Error, Result, Store, Trap, bail};

use bytes::COMPONENT;

use super::limiter::{Held, Limiter, Refusal};
use super::store::YIELD_INTERVAL;
use crate::Limits;

/// What the canary may use: more than it begins with, and less than it asks for.
fn tight() -> Limits {
    Limits {
        memory_bytes: 1 << 20,
        table_elements: 100,
        fuel: 10 * YIELD_INTERVAL,
        ..Limits::default()
    }
}

/// Runs over the limits of fuel, time, memory and tables.
///
/// # Errors
///
/// The limit that does not hold.
pub(super) fn check(engine: &Engine) -> Result<()> {
    check_with(engine, &tight())
}

fn check_with(engine: &Engine, limits: &Limits) -> Result<()> {
    let component = Component::new(engine, COMPONENT)?;
    let canary = |deed| Canary::new(engine, &component, limits, deed);
    canary("spin")?.ends_with_its_fuel()?;
    canary("grow")?.meets_refusal(|it| matches!(it, Refusal::Memory { .. }))?;
    canary("stretch")?.meets_refusal(|it| matches!(it, Refusal::Table { .. }))
}

/// One deed, in a store of its own.
struct Canary {
    store: Store<Limiter>,
    deed: TypedFunc<(), (u32,)>,
    name: &'static str,
}

impl Canary {
    fn new(
        engine: &Engine,
        component: &Component,
        limits: &Limits,
        name: &'static str,
    ) -> Result<Self> {
        let mut store = Store::new(engine, Limiter::new(limits, Held::of(&Arc::default())));
        store.limiter(|limiter| limiter);
        store.set_fuel(limits.fuel)?;
        store.fuel_async_yield_interval(Some(YIELD_INTERVAL))?;
        let linker = Linker::<Limiter>::new(engine);
        let instantiation = linker.instantiate_async(&mut store, component);
        let (instance, _) = driven(instantiation);
        let deed = instance?.get_typed_func(&mut store, name)?;
        Ok(Self { store, deed, name })
    }

    /// It gives its thread back now and then, and comes to an end.
    fn ends_with_its_fuel(mut self) -> Result<()> {
        let (outcome, yields) = driven(self.deed.call_async(&mut self.store, ()));
        let trap = outcome
            .err()
            .and_then(|error| error.downcast::<Trap>().ok());
        if trap != Some(Trap::OutOfFuel) {
            bail!("the limit of fuel does not hold: a loop ended with {trap:?}");
        }
        if yields == 0 {
            bail!("no deadline would hold: a loop never gave its thread back");
        }
        Ok(())
    }

    fn meets_refusal(mut self, expected: fn(Refusal) -> bool) -> Result<()> {
        let (outcome, _) = driven(self.deed.call_async(&mut self.store, ()));
        let (granted,) = outcome?;
        let refusal = self.store.data().refusal();
        if granted != u32::MAX || !refusal.is_some_and(expected) {
            bail!("a limit does not hold: `{}` was granted", self.name);
        }
        Ok(())
    }
}

/// Runs a future that waits for nothing, and tells how often it gave its thread back.
fn driven<T>(future: impl Future<Output = Result<T, Error>>) -> (Result<T, Error>, u32) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut yields = 0;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return (outcome, yields),
            Poll::Pending => yields += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Config;

    use super::*;
    use crate::Profile;
    use crate::driver::wasm::settings;

    /// The canary's text.
    const TEXT: &str = r#"(component
        (core module
            (memory 1)
            (table 1 funcref)
            (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
            (func (export "grow") (result i32) (memory.grow (i32.const 1024)))
            (func (export "stretch") (result i32)
                (table.grow (ref.null func) (i32.const 10000))))
        (core instance (instantiate 0))
        (func (export "spin") (result u32) (canon lift (core func 0 "spin")))
        (func (export "grow") (result u32) (canon lift (core func 0 "grow")))
        (func (export "stretch") (result u32) (canon lift (core func 0 "stretch"))))"#;

    #[test]
    fn the_bytes_are_those_of_the_text() {
        let bytes = wat::parse_str(TEXT).unwrap();
        assert!(bytes == COMPONENT, "canary/bytes.rs is to have {bytes:?}");
    }

    #[test]
    fn every_limit_holds_in_the_engines_that_serve() {
        for profile in [Profile::Ordinary, Profile::Large] {
            check(&settings::serving(profile).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_limit_that_does_not_hold_is_found() {
        let engine = settings::serving(Profile::Ordinary).unwrap();
        let loose: [fn(&mut Limits); 3] = [
            |limits| limits.memory_bytes = 1 << 30,
            |limits| limits.table_elements = 1 << 20,
            |limits| limits.fuel = YIELD_INTERVAL / 2,
        ];
        for loosen in loose {
            let mut limits = tight();
            loosen(&mut limits);
            check_with(&engine, &limits).unwrap_err();
        }
    }

    #[test]
    fn an_engine_that_counts_no_fuel_is_found() {
        let mut config = Config::new();
        config.concurrency_support(false);
        check(&Engine::new(&config).unwrap()).unwrap_err();
    }
}
