//! Runs the benchmarks: `palisade-bench [call|launch|all] [--smoke]`.
fn main() {}
