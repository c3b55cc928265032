//! Writes the test vectors anew: `cargo run -p vectors`.

use std::{io, path::Path};

fn main() -> io::Result<()> {
    vectors::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}
