//! The least that each way to run a plugin can cost: the engine or the wire alone, without a runtime around it.

pub mod code;
pub mod component;
pub mod wire;
