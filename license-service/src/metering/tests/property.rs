//! Exactly once, against a model: reporters at the same time, repeated batches, and restarts.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// The first content under an id counts.
#[derive(Default)]
struct Model {
    counted: HashMap<String, u64>,
}

impl Model {
    fn sum(&self) -> u64 {
        self.counted.values().sum()
    }
}

/// Reports batches at the same time, out of a small set of ids, so that nearly everything is a duplicate or a conflict.
async fn round(scene: &Scene, model: &mut Model, random: &mut StdRng) {
    let batches: Vec<Vec<Reported>> = (0..random.random_range(1..8))
        .map(|_| {
            let size = random.random_range(1..60);
            let one = |_| {
                let (id, quantity) = (random.random_range(0..4000_u32), random.random_range(1..4_u64));
                scene.usage(&id.to_string(), if id % 2 == 0 { 1 } else { quantity })
            };
            (0..size).map(one).collect()
        })
        .collect();
    let reports = batches.iter().map(|batch| {
        let (metering, batch) = (scene.metering.clone(), batch.iter().cloned().map(Ok).collect());
        tokio::spawn(async move { metering.report(batch).await.unwrap() })
    });
    let reports: Vec<_> = reports.collect();
    let mut answers = Vec::new();
    for (batch, report) in batches.iter().zip(reports) {
        answers.extend(batch.iter().zip(report.await.unwrap()));
    }
    // Whoever was accepted is the only one of this id that ever was; everybody else is judged by that one.
    for (usage, outcome) in &answers {
        if *outcome == Outcome::Accepted {
            assert_eq!(model.counted.insert(usage.id.clone(), usage.quantity), None, "{}", usage.id);
        }
    }
    for (usage, outcome) in &answers {
        let counted = model.counted[&usage.id];
        match outcome {
            Outcome::Accepted | Outcome::Duplicate => assert_eq!(counted, usage.quantity),
            refused => {
                assert_eq!(refusal(refused), Reason::UsageIdConflict);
                assert_ne!(counted, usage.quantity);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_reports_and_whenever_it_stops_each_event_counts_once() {
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut scene = Scene::open(&[acme("Europe/Amsterdam")]).await;
        let mut model = Model::default();
        for _ in 0..60 {
            round(&scene, &mut model, &mut random).await;
            if random.random_ratio(1, 12) {
                scene = scene.reopen().await;
            }
            assert_eq!(scene.used("2026-11").await, model.sum(), "seed {seed}");
        }
        assert_eq!(scene.check().await, model.counted.len() as u64, "seed {seed}");
    }
}
