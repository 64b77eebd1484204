//! A part of a message that is rarely there. Lifted into a box, so that the message has no room for it where it is not. Not for
//! lists: the engine counts the room of a list's elements against what a guest may fill of the host, and sees only pointers.

#![expect(
    unsafe_code,
    reason = "wasmtime lowers boxes and does not lift them, and its traits of types are unsafe to implement"
)]

use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift};

/// What a guest says now and then.
pub(super) struct Rare<T>(Box<T>);

impl<T> Rare<T> {
    /// Out of its box.
    pub(super) fn into_inner(self) -> T {
        *self.0
    }
}

// SAFETY: lowered it is `T`: of its shape, its size, its types. It is not what the trait calls a unit type, even where `T` is:
// the engine may make such a value from nothing, and there is no box in nothing.
unsafe impl<T: ComponentType> ComponentType for Rare<T> {
    type Lower = T::Lower;

    const ABI: CanonicalAbiInfo = T::ABI;

    const MAY_REQUIRE_REALLOC: bool = T::MAY_REQUIRE_REALLOC;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        T::typecheck(ty, types)
    }
}

// SAFETY: `T` lifts itself, from what its own `Lower` and its own size say.
unsafe impl<T: Lift> Lift for Rare<T> {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        flat: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Ok(Self(Box::new(T::linear_lift_from_flat(context, ty, flat)?)))
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let lifted = T::linear_lift_from_memory(context, ty, bytes)?;
        Ok(Self(Box::new(lifted)))
    }
}
