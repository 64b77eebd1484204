//! What this process has in memory.

use anyhow::{Context, ensure};

/// The bytes that are resident.
///
/// # Errors
///
/// When the kernel says it otherwise than Linux does.
pub fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let line = line.context("the kernel says what is resident")?;
    let number = line.split_whitespace().nth(1).context("it is a number")?;
    ensure!(line.ends_with("kB"), "it is told in KiB: {line}");
    Ok(number.parse::<u64>()? << 10)
}
