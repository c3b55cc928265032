//! Compiles the protos with protox, which needs no protoc.

use std::{env, fs, path::PathBuf};

use prost::Message;

const FILES: &[&str] = &[
    "licensor/certification/v1/certification.proto",
    "licensor/certification/v1/carried.proto",
    "licensor/certification/v1/admin.proto",
    "licensor/certification/v1/entitlement.proto",
    "licensor/licensing/v1/entitlement.proto",
    "licensor/licensing/v1/licensing.proto",
    "licensor/licensing/v1/metering.proto",
    "licensor/licensing/v1/status.proto",
    "licensor/licensing/v1/access.proto",
    "licensor/licensing/v1/system_event.proto",
    "licensor/licensing/v1/admin.proto",
    "licensor/event/v1/event.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=licensor");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
