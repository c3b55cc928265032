//! A process that counts is killed at any moment: nothing that was answered is lost, and nothing counts twice.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// Where the process that is killed has its store; unset for everybody else.
const FOLDER: &str = "LICENSOR_TEST_KILLED";
/// Usage events in a batch.
const SIZE: u64 = 40;

fn batch(scene: &Scene, number: u64) -> Vec<Reported> {
    (0..SIZE).map(|position| scene.usage(&format!("{number}-{position}"), 1 + position % 3)).collect()
}

/// Reports until it is killed, from several sides, and says what was answered.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let first: u64 = std::env::var("LICENSOR_TEST_FIRST").unwrap().parse().unwrap();
    let clock = ManualClock::at(instant("2026-11-10T12:00:00Z"));
    let entitlements = watch::Sender::new(install(&[acme("Europe/Amsterdam")]));
    let scene = Scene::inside(Path::new(&folder), clock, entitlements, MeteringConfig::default()).await;
    let scene = Arc::new(scene);
    let reporters: Vec<_> = (0..4)
        .map(|reporter| {
            let scene = scene.clone();
            tokio::spawn(async move {
                for number in (first + reporter..).step_by(4) {
                    scene.report(&batch(&scene, number)).await;
                    let mut output = std::io::stdout().lock();
                    writeln!(output, "answered {number}").and_then(|()| output.flush()).unwrap();
                }
            })
        })
        .collect();
    for reporter in reporters {
        reporter.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_is_never_lost_and_never_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let (mut answered, mut first) = (Vec::new(), 0);
    for _ in 0..6 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "metering::tests::killed::victim", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .env("LICENSOR_TEST_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut left = random.random_range(1..120);
        for line in lines.map_while(std::io::Result::ok) {
            // What was on its way into the pipe when it was killed was answered, too.
            if let Some((_, number)) = line.split_once("answered ") {
                answered.push(number.trim().parse::<u64>().unwrap());
                left -= 1;
                if left == 0 {
                    victim.kill().unwrap();
                }
            }
        }
        victim.wait().unwrap();
        first = answered.iter().max().unwrap() + 100;
    }
    let clock = ManualClock::at(instant("2026-11-10T12:00:00Z"));
    let entitlements = watch::Sender::new(install(&[acme("Europe/Amsterdam")]));
    let scene = Scene::on(folder, clock, entitlements, MeteringConfig::default()).await;
    for number in &answered {
        let outcomes = scene.report(&batch(&scene, *number)).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Duplicate), "{number}");
    }
    // A batch that was not answered is there whole or not at all, and is counted at most once.
    let each: u64 = batch(&scene, 0).iter().map(|usage| usage.quantity).sum();
    let (used, events) = (scene.used("2026-11").await, scene.check().await);
    assert_eq!((used % each, events % SIZE, used / each), (0, 0, events / SIZE));
    assert!(events / SIZE >= answered.len() as u64);
}
