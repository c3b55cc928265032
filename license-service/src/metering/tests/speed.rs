//! Figures: events a second that are durable, and what a start costs with many of them. Without `USAGE_EVENTS` so few are
//! counted that it is a test of runs and their merging.
//!
//! `USAGE_EVENTS=10000000 cargo test --release -p license-service metering::tests::speed -- --nocapture`

use licensor::clock::SystemClock;

use super::*;

/// The batch with this number: identifiers as an application would make them, in no order.
fn batch(usage: &Reported, number: u64, size: u64) -> Vec<Result<Reported>> {
    let event = |position: u64| {
        let id = (number * size + position).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Ok(Reported { id: format!("{id:016x}-{number:08x}"), quantity: 1 + position % 9, ..usage.clone() })
    };
    (0..size).map(event).collect()
}

/// Reports batches of `size` from `from` on, so many at the same time, and says how many events a second were durable.
async fn measure(scene: &Scene, from: u64, batches: u64, size: u64, at_once: u64) -> f64 {
    let clock = SystemClock::shared();
    let begun = clock.elapsed();
    let reporters: Vec<_> = (0..at_once)
        .map(|reporter| {
            let (metering, usage) = (scene.metering.clone(), scene.usage("", 1));
            tokio::spawn(async move {
                for number in (from + reporter..from + batches).step_by(at_once as usize) {
                    let outcomes = metering.report(batch(&usage, number, size)).await.unwrap();
                    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Accepted));
                }
            })
        })
        .collect();
    for reporter in reporters {
        reporter.await.unwrap();
    }
    (batches * size) as f64 / (clock.elapsed() - begun).as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_are_counted_found_again_and_recounted() {
    let events = usage_events().unwrap_or(60_000);
    let scene = Scene::open(&[acme("Europe/Amsterdam")]).await;
    let clock = SystemClock::shared();
    println!("batches of 1, one reporter: {:.0} events/s", measure(&scene, 1 << 40, 1_000, 1, 1).await);
    println!("batches of 1, 64 reporters: {:.0} events/s", measure(&scene, 2 << 40, 4_000, 1, 64).await);
    let mut counted = 5_000;
    let step = (events / 500 / 10).max(1);
    for tenth in 0..10 {
        let rate = measure(&scene, tenth * step, step, 500, 16).await;
        counted += step * 500;
        println!("batches of 500, 16 reporters, after {counted}: {rate:.0} events/s");
    }
    let head = scene.ledger.usage_head().await.unwrap().unwrap();
    println!("{} chunks, {} runs", head.chunks, head.runs.len());
    let begun = clock.elapsed();
    assert_eq!(scene.check().await, counted);
    println!("recount: {:.2} s", (clock.elapsed() - begun).as_secs_f64());
    let begun = clock.elapsed();
    let scene = scene.reopen().await;
    println!("stop and start: {:.2} s", (clock.elapsed() - begun).as_secs_f64());
    println!("resident: {} MB", resident_megabytes());
    let usage = scene.usage("", 1);
    // All of them are known, wherever they stand in the index by now.
    for number in [0, 1, step, 5 * step, 10 * step - 1] {
        let outcomes = scene.metering.report(batch(&usage, number, 500)).await.unwrap();
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Duplicate), "{number}");
    }
    assert_eq!(scene.check().await, counted);
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
