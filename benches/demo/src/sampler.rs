//! Times cases against each other: rounds are interleaved, so that a slow moment of the machine meets them all.

use std::time::{Duration, Instant};

/// What one case took, over all rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanos: Vec<u64>,
}

impl Samples {
    /// Adds one measurement.
    pub fn push(&mut self, took: Duration) {
        self.nanos
            .push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The value that this share of the samples does not exceed; zero without samples.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into the samples, of which there are far fewer than 2^52"
        )]
        let index = (last as f64 * share).round() as usize;
        Duration::from_nanos(sorted.get(index).copied().unwrap_or_default())
    }

    /// The median.
    pub fn p50(&self) -> Duration {
        self.percentile(0.50)
    }

    /// The slowest but one in a hundred.
    pub fn p99(&self) -> Duration {
        self.percentile(0.99)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nanos.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nanos.is_empty()
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often every case gets its turn.
    pub rounds: u32,
    /// Calls of each turn that do not count.
    pub warm_up: u32,
    /// Calls of each turn that count.
    pub calls: u32,
}

impl Effort {
    /// Enough for figures to quote.
    pub const FULL: Self = Self {
        rounds: 7,
        warm_up: 100,
        calls: 1_000,
    };

    /// Enough to show that the benchmark still runs.
    pub const SMOKE: Self = Self {
        rounds: 2,
        warm_up: 5,
        calls: 20,
    };
}

/// Times `call` for one turn.
pub async fn turn<F>(samples: &mut Samples, effort: Effort, mut call: F) -> anyhow::Result<()>
where
    F: AsyncFnMut() -> anyhow::Result<()>,
{
    for _ in 0..effort.warm_up {
        call().await?;
    }
    for _ in 0..effort.calls {
        let start = Instant::now();
        call().await?;
        samples.push(start.elapsed());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_sorted_samples() {
        let mut samples = Samples::default();
        for nanos in (1..=101).rev() {
            samples.push(Duration::from_nanos(nanos));
        }
        assert_eq!(samples.p50(), Duration::from_nanos(51));
        assert_eq!(samples.p99(), Duration::from_nanos(100));
    }

    #[test]
    fn no_samples_are_no_time() {
        assert_eq!(Samples::default().p99(), Duration::ZERO);
    }
}
