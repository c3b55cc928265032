//! Runs of the index: whatever keys look like, each is found, and no other.

use super::{
    super::{
        item::{Key, Mark},
        seen::{Marks, Seen, build, merge},
    },
    *,
};

/// A mark for each number, under a key that begins like all others of `crowd`.
fn marks(numbers: std::ops::Range<u32>, crowd: Option<[u8; 4]>) -> Marks {
    numbers.map(|number| (key(number, crowd), mark(number))).collect()
}

fn key(number: u32, crowd: Option<[u8; 4]>) -> Key {
    let mut key = super::super::item::key("index", &number.to_string());
    if let Some(crowd) = crowd {
        key[..4].copy_from_slice(&crowd);
    }
    key
}

fn mark(number: u32) -> Mark {
    Mark { content: u64::from(number).to_be_bytes(), vendor: number.to_be_bytes() }
}

#[tokio::test]
async fn every_mark_is_found_in_runs_and_in_what_they_are_merged_to() {
    let scene = Scene::open(&[]).await;
    // A crowd in one block, which needs several values, and keys that are spread as hashes are.
    for crowd in [Some([0; 4]), Some([0xff; 4]), None] {
        let mut runs = Vec::new();
        let sizes = [0..1, 1..2_000, 2_000..2_100, 2_100..9_000];
        for (id, numbers) in (1..).zip(sizes.clone()) {
            runs.push(build(&scene.ledger, id, &marks(numbers, crowd)).await.unwrap());
        }
        let merged = merge(&scene.ledger, 9, &runs).await.unwrap();
        assert_eq!((merged.level, merged.marks), (1, 9_000));
        for runs in [runs.as_slice(), &[merged]] {
            let mut seen = Seen::default();
            for number in 0..9_500 {
                let found = seen.stored(&scene.ledger, runs, &key(number, crowd)).await.unwrap();
                assert_eq!(found, (number < 9_000).then(|| mark(number)), "{number} {crowd:?}");
            }
        }
        for run in scene.ledger.runs().await.unwrap() {
            scene.ledger.drop_run(run).await.unwrap();
        }
        assert!(scene.ledger.runs().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_run_that_was_not_made_to_its_end_is_dropped_at_the_next_start() {
    let scene = Scene::open(&[acme("Europe/Amsterdam")]).await;
    scene.count("1", 1).await;
    build(&scene.ledger, 77, &marks(0..500, None)).await.unwrap();
    assert_eq!(scene.ledger.runs().await.unwrap(), [77]);
    let scene = scene.reopen().await;
    while !scene.ledger.runs().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.check().await, 1);
}
