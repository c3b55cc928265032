//! What a licence costs whoever verifies it: in this process, as an application would.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use licensor::clock::SharedClock;
use serde_json::Value;
use verifier::{KnownChains, Trust, jws::issuers, verify_license};

use crate::{
    crypto::thread_time,
    measure::{Sample, percentile},
    report::{Kind, Report},
};

/// Licences and the like for every verifier: the one here leads through an issuer to the anchor.
const VECTORS: &str = include_str!("../../vectors/vectors.json");
const VECTOR: &str = "valid-intermediate";

/// Verifications that one figure is the mean of.
const VERIFICATIONS: usize = 2000;

/// A licence, and what is known of its signer.
pub(crate) struct Verification {
    license: String,
    anchors: Vec<Vec<u8>>,
    now: i64,
}

impl Verification {
    pub(crate) fn read() -> Result<Self> {
        let vectors: Value = serde_json::from_str(VECTORS)?;
        let case = vectors["cases"]
            .as_array()
            .and_then(|cases| cases.iter().find(|case| case["name"] == VECTOR))
            .context("the vector is missing")?;
        let license = case["jws"].as_str().context("no licence")?.to_owned();
        let anchor = case["anchors"][0].as_str().context("no anchor")?;
        let anchor = vectors["anchors"][anchor].as_str().context("no such anchor")?;
        let anchor =
            pem::parse(format!("-----BEGIN CERTIFICATE-----\n{anchor}\n-----END CERTIFICATE-----\n"))?;
        ensure!(issuers(&license)?.len() == 1, "it should have one issuer between the signer and the anchor");
        let now = case["now"].as_i64().context("no time")?;
        Ok(Self { license, anchors: vec![anchor.into_contents()], now })
    }

    /// Measures on the core that this thread is on: nothing known but the anchor, and with the chain verified before.
    pub(crate) fn measure(&self, clock: &SharedClock, report: &mut Report) -> Result<()> {
        let trust = Trust { anchors: &self.anchors, ..Trust::default() };
        report.add(Kind::VerifyCold, 1, self.sample(clock, trust)?);
        let known = KnownChains::default();
        report.add(Kind::VerifyKnown, 1, self.sample(clock, Trust { known: Some(&known), ..trust })?);
        Ok(())
    }

    fn sample(&self, clock: &SharedClock, trust: Trust<'_>) -> Result<Sample> {
        for _ in 0..VERIFICATIONS / 10 {
            verify_license(&self.license, trust, self.now)?;
        }
        let mut latencies = Vec::with_capacity(VERIFICATIONS);
        let (begun, cpu) = (clock.elapsed(), thread_time());
        let mut last = begun;
        for _ in 0..VERIFICATIONS {
            black_box(verify_license(black_box(&self.license), trust, self.now)?);
            let now = clock.elapsed();
            latencies.push(now - last);
            last = now;
        }
        let cpu = thread_time().saturating_sub(cpu);
        let count = VERIFICATIONS as f64;
        Ok(Sample {
            per_second: count / (last - begun).as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / count,
            p50: percentile(&mut latencies, 0.5).as_secs_f64() * 1e6,
            p99: percentile(&mut latencies, 0.99).as_secs_f64() * 1e6,
        })
    }
}
