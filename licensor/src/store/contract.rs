//! What every store must keep, run on each.

use std::{collections::HashSet, sync::Arc};

use super::*;

fn open(directory: &std::path::Path) -> Arc<SledStore> {
    let options =
        SledOptions { directory: directory.join("store"), cache_bytes: 1 << 24, minimum_free_bytes: 0 };
    Arc::new(SledStore::open(&options).unwrap())
}

fn batch(build: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new();
    build(&mut batch);
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_happens_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.commit(batch(|b| _ = b.expect("a", None).put("a", "1").put("b", "2"))).await.unwrap();
    let refused =
        store.commit(batch(|b| _ = b.expect("a", Some(b"0".to_vec())).put("b", "3").delete("a"))).await;
    assert_eq!(refused, Err(StoreError::Conflict { key: b"a".to_vec() }));
    assert_eq!(store.get(b"a").await.unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.get(b"b").await.unwrap(), Some(b"2".to_vec()));
    store.commit(batch(|b| _ = b.expect("a", Some(b"1".to_vec())).delete("a"))).await.unwrap();
    assert_eq!(store.get(b"a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let positions = store
        .commit(batch(|b| _ = b.put("a", "1").add("b", "2").append("log/", "x").append("log/", "y")))
        .await;
    assert_eq!(positions, Ok(vec![1, 2]));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.get(b"a").await.unwrap(), Some(b"1".to_vec()));
    assert_eq!(store.get(b"b").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.commit(batch(|b| _ = b.append("log/", "z"))).await, Ok(vec![3]));
    let log = store.read_log(b"log/", 2, 10).await;
    assert_eq!(log, Ok(vec![(2, b"y".to_vec()), (3, b"z".to_vec())]));
    assert_eq!(store.log_end(b"log/").await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_from_any_position_however_its_entries_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.log_end(b"log/").await, Ok(0));
    // One, then many in one batch of every size, then one again.
    let mut lengths = vec![3];
    lengths.extend((0..60).map(|entry| [1, 100, 1500, 4000, 7000][entry % 5]));
    lengths.push(3);
    store.commit(batch(|b| _ = b.append("log/", vec![0; lengths[0]]))).await.unwrap();
    let many = batch(|b| lengths[1..61].iter().for_each(|length| _ = b.append("log/", vec![0; *length])));
    assert_eq!(store.commit(many).await, Ok((2..62).collect::<Vec<_>>()));
    store.commit(batch(|b| _ = b.append("log/", "end").append("log0", "another log"))).await.unwrap();
    let whole: Vec<_> = (1_u64..).zip(lengths).collect();
    for (from, limit) in [(0, 100), (1, 100), (2, 7), (30, 1), (61, 9), (62, 9), (63, 9)] {
        let read = store.read_log(b"log/", from, limit).await.unwrap();
        let read: Vec<_> = read.into_iter().map(|(position, entry)| (position, entry.len())).collect();
        let begin = usize::try_from(from.max(1)).unwrap() - 1;
        assert_eq!(read, whole[begin.min(62)..(begin + limit).min(62)], "{limit} from {from} on");
    }
    assert_eq!(store.log_end(b"log/").await, Ok(62));
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_are_sorted_bounded_and_stay_under_their_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let keys = ["n/b", "n/a", "n/c", "o/a", "m/z"];
    store.commit(batch(|b| keys.iter().for_each(|key| _ = b.put(*key, *key)))).await.unwrap();
    let names =
        |pairs: Pairs| pairs.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>();
    assert_eq!(names(store.scan(b"n/", b"", 10).await.unwrap()), ["n/a", "n/b", "n/c"]);
    assert_eq!(names(store.scan(b"n/", b"n/b", 10).await.unwrap()), ["n/b", "n/c"]);
    assert_eq!(names(store.scan(b"n/", b"", 1).await.unwrap()), ["n/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_that_expect_the_same_one_wins_each_round() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writers = 16;
    let rounds = 20;
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut won = Vec::new();
                while won.len() < rounds {
                    let current = store.get(b"counter").await.unwrap();
                    let count =
                        current.as_ref().map_or(0, |c| String::from_utf8_lossy(c).parse::<usize>().unwrap());
                    let next = batch(|b| {
                        b.expect("counter", current)
                            .put("counter", (count + 1).to_string())
                            .append("log/", "x");
                    });
                    match store.commit(next).await {
                        Ok(positions) => won.push((count + 1, positions[0])),
                        Err(StoreError::Conflict { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for task in tasks {
        for (count, position) in task.await.unwrap() {
            assert_eq!(count as u64, position, "the log follows the order of the commits");
            assert!(seen.insert(count));
        }
    }
    assert_eq!(seen.len(), writers * rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let options = SledOptions {
        directory: directory.path().join("store"),
        cache_bytes: 1 << 24,
        minimum_free_bytes: u64::MAX,
    };
    let store = SledStore::open(&options).unwrap();
    let refused = store.commit(batch(|b| _ = b.put("a", "1"))).await;
    assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
    assert_eq!(store.get(b"a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_nothing_starts_empty_over_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.commit(batch(|b| _ = b.put("a", "1"))).await.unwrap();
    drop(store);
    let data = directory.path().join("store/db");
    let length = std::fs::metadata(&data).unwrap().len();
    std::fs::write(&data, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    let options = SledOptions {
        directory: directory.path().join("store"),
        cache_bytes: 1 << 24,
        minimum_free_bytes: 0,
    };
    let error = SledStore::open(&options).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_has_everything_as_it_was_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = |n: u32| format!("k{n:04}");
    for n in (0..200).step_by(2) {
        store.commit(batch(|b| _ = b.put(key(n), "old").append("log/", "x"))).await.unwrap();
    }
    let whole = store.scan(b"", b"", 10_000).await.unwrap();
    for limit in [1, 7, 1000] {
        let before = store.scan(b"", b"", 10_000).await.unwrap();
        let mut snapshot = store.snapshot().await.unwrap();
        assert!(matches!(store.snapshot().await, Err(StoreError::Busy)));
        let mut seen = Pairs::new();
        for round in 0_u32.. {
            let page = snapshot.next(limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page);
            // Changes, additions and removals, on both sides of what has been read.
            let n = round * 37 % 200;
            let changed = store
                .commit(batch(|b| {
                    b.put(key(n), format!("new {round}")).delete(key((n + 50) % 200)).append("log/", "y");
                }))
                .await;
            changed.unwrap();
        }
        assert_eq!(seen, before, "{limit} at once");
    }
    assert_ne!(store.scan(b"", b"", 10_000).await.unwrap(), whole);
    store.snapshot().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_read_too_slowly_ends_and_keeps_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let fill = async |round: u8| {
        for first in (0..10_000_u32).step_by(500) {
            let all = batch(|b| {
                for n in first..first + 500 {
                    b.put(n.to_be_bytes(), vec![round; 7000]);
                }
            });
            store.commit(all).await.unwrap();
        }
    };
    fill(1).await;
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.next(1).await.unwrap().len(), 1);
    fill(2).await;
    assert_eq!(snapshot.next(1).await, Err(StoreError::Outrun));
    drop(snapshot);
    store.snapshot().await.unwrap();
}
