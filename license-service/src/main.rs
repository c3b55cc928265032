//! Licensing server: issues licences under a licensor certificate that it renews by itself.

mod access;
mod app;
mod commands;
mod config;
mod credential;
mod currency;
mod entitlement;
mod expiry_watch;
mod ledger;
mod licensing;
mod metering;
mod renewal;
mod rpc;
mod system_event;
#[cfg(test)]
mod test_root;
mod updates;
mod web;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    let output = arguments.output;
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => licensor::cli::report(&failure, output),
    }
}
