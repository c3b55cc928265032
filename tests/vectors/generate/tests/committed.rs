//! The vectors that are committed are those that the generator makes.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use vectors::{Collection, Vector};

fn read(folder: &Path) -> Collection {
    serde_json::from_slice(&fs::read(folder.join("vectors.json")).unwrap()).unwrap()
}

/// What does not change from one run to the next.
fn lasting(collection: &Collection) -> Vec<Vector> {
    collection.cases.iter().map(|case| Vector { jws: String::new(), ..case.clone() }).collect()
}

fn names(values: &BTreeMap<String, String>) -> Vec<&String> {
    values.keys().collect()
}

#[test]
fn the_committed_vectors_are_those_of_the_generator() {
    let folder = tempfile::tempdir().unwrap();
    vectors::write(folder.path()).unwrap();
    let made = read(folder.path());
    let committed = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    assert_eq!(lasting(&made), lasting(&committed), "`cargo run -p vectors` writes them anew");
    assert_eq!(names(&made.anchors), names(&committed.anchors));
    assert_eq!(names(&made.revocation_lists), names(&committed.revocation_lists));
    assert_eq!(names(&made.proofs), names(&committed.proofs));
    for file in ["example.jwt", "example-anchor.pem"] {
        assert!(folder.path().join(file).is_file());
    }
}
