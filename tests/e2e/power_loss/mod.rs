//! Loss of power: the model of `tests/power_loss/shim.c`, preloaded into the real services.

mod beginnings;
mod node;
mod root;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use licensor_tests::{Random, Service, run};
use tempfile::TempDir;

/// Exit code of a process whose power was cut.
const NO_POWER: i32 = 99;

/// The model, compiled, and the chance by which it works.
pub(crate) struct PowerLoss {
    folder: TempDir,
    random: Random,
}

impl PowerLoss {
    pub(crate) fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("power_loss/shim.c");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        run(compile.arg(folder.path().join("shim.so")).arg(source).arg("-ldl")).ok();
        fs::create_dir(folder.path().join("spare")).unwrap();
        Self { folder, random: Random::new(seed) }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("shim.so")
    }

    /// What a process is given whose power is cut at its `at`-th operation on files of this service's data.
    fn environment(&mut self, service: &Service, at: u64) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(self.library())),
            ("POWER_LOSS_UNDER", text(service.folder().join("data"))),
            ("POWER_LOSS_SPARE", text(self.folder.path().join("spare"))),
            ("POWER_LOSS_AT", at.to_string()),
            ("POWER_LOSS_SEED", self.random.number().to_string()),
        ]
    }

    /// Starts a service whose power is cut at some operation below `within`.
    pub(crate) fn start(&mut self, service: &mut Service, within: u64) {
        let at = self.random.between(1, within);
        let environment = self.environment(service, at);
        for (name, value) in &environment {
            service.set(name, value);
        }
        service.spawn();
        for (name, _) in &environment {
            service.unset(name);
        }
    }
}

/// Waits for the end of a service whose power is cut; any other end is a failure.
pub(crate) fn wait_for_darkness(service: &mut Service) {
    let code = service.wait();
    assert_eq!(code, NO_POWER, "it ended before its power was cut: {}", service.log());
}

/// How many of how many unsynced pages were lost, and how many changes of names, in all that the log tells of.
pub(crate) fn losses(service: &Service) -> [usize; 3] {
    let mut sum = [0; 3];
    for line in service.log().lines().filter(|line| line.starts_with("power lost")) {
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        for (sum, number) in sum.iter_mut().zip(&numbers[2..]) {
            *sum += number;
        }
    }
    sum
}
