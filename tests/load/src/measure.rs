//! One measurement: calls with so many in flight, their latencies, and the CPU time of the service meanwhile.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::clock::SharedClock;

use crate::service::Service;

/// What one round of one kind of call showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// CPU time of the service (user and system) for a call, microseconds.
    pub(crate) cpu: f64,
    /// Latency, microseconds.
    pub(crate) p50: f64,
    /// Latency, microseconds.
    pub(crate) p99: f64,
}

impl Sample {
    /// The figures of a single event, where a call has so many; latencies are those of the calls.
    pub(crate) fn of_each(self, events: usize) -> Self {
        let events = events as f64;
        Self { per_second: self.per_second * events, cpu: self.cpu / events, ..self }
    }

    /// The medians of each figure.
    pub(crate) fn medians(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(&samples.iter().map(figure).collect::<Vec<_>>());
        Self { per_second: of(|s| s.per_second), cpu: of(|s| s.cpu), p50: of(|s| s.p50), p99: of(|s| s.p99) }
    }
}

/// Makes `calls`, so many at once, and returns what they returned, in no order.
pub(crate) async fn measure<T, F: Future<Output = Result<T>>>(
    service: &Service,
    clock: &SharedClock,
    in_flight: usize,
    calls: impl IntoIterator<Item = F>,
) -> Result<(Sample, Vec<T>)> {
    let cpu_before = service.settled_cpu(clock).await?;
    let start = clock.elapsed();
    let timed = calls.into_iter().map(|call| async move {
        let start = clock.elapsed();
        let result = call.await?;
        anyhow::Ok((clock.elapsed() - start, result))
    });
    let ended: Vec<_> = stream::iter(timed).buffer_unordered(in_flight).try_collect().await?;
    let wall = clock.elapsed() - start;
    let cpu = service.settled_cpu(clock).await?.since(&cpu_before);
    let (mut latencies, results): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    let count = latencies.len() as f64;
    let sample = Sample {
        per_second: count / wall.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / count,
        p50: percentile(&mut latencies, 0.5).as_secs_f64() * 1e6,
        p99: percentile(&mut latencies, 0.99).as_secs_f64() * 1e6,
    };
    Ok((sample, results))
}

/// The time that this share of `times` does not exceed; zero if there are none.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let index = (times.len() as f64 * share) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The middle one; NaN if there are none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
