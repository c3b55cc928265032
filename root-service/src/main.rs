//! Root certification service: enrols licensing servers, issues and renews their licensor certificates.

mod app;
mod audit;
mod authority;
mod backup;
mod commands;
mod config;
mod entitlement;
mod expiry_watch;
mod fleet;
mod ledger;
mod profile;
mod rpc;
mod upstream;
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
