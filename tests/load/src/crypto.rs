//! What the cryptography alone costs, measured in this very run: the floor under every other figure.

use std::{hint::black_box, time::Duration};

use anyhow::{Result, anyhow};
use aws_lc_rs::{
    agreement::{EphemeralPrivateKey, UnparsedPublicKey as AgreementKey, X25519, agree_ephemeral},
    error::Unspecified,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    },
};
use rustix::time::{ClockId, clock_gettime};

use crate::measure::median;

/// Operations of each kind that one figure is the mean of.
const OPERATIONS: u32 = 1000;

/// Microseconds of CPU for each operation, a figure from each time it was measured.
#[derive(Debug, Default)]
pub(crate) struct Crypto {
    sign: Vec<f64>,
    verify: Vec<f64>,
    agree: Vec<f64>,
}

impl Crypto {
    /// Measures all once more, on the core that this thread is on.
    pub(crate) fn measure(&mut self) -> Result<()> {
        self.measure_all().map_err(|Unspecified| anyhow!("the cryptographic library failed"))
    }

    fn measure_all(&mut self) -> Result<(), Unspecified> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref())
            .map_err(|_| Unspecified)?;
        // As long as the part of a certificate that is signed.
        let message = [7; 600];
        let signature = key.sign(&random, &message)?;
        let public_key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
        let peer = EphemeralPrivateKey::generate(&X25519, &random)?.compute_public_key()?;
        let peer = AgreementKey::new(&X25519, peer.as_ref());
        self.sign.push(microseconds(|| key.sign(&random, black_box(&message)).map(|_| ()))?);
        self.verify.push(microseconds(|| public_key.verify(black_box(&message), signature.as_ref()))?);
        self.agree.push(microseconds(|| {
            let own = EphemeralPrivateKey::generate(&X25519, &random)?;
            black_box(own.compute_public_key()?);
            agree_ephemeral(own, black_box(&peer), Unspecified, |secret| {
                black_box(secret);
                Ok(())
            })
        })?);
        Ok(())
    }

    /// A signature with P-256.
    pub(crate) fn sign(&self) -> f64 {
        median(&self.sign)
    }

    /// A verification with P-256.
    pub(crate) fn verify(&self) -> f64 {
        median(&self.verify)
    }

    /// A new X25519 key and an agreement.
    pub(crate) fn agree(&self) -> f64 {
        median(&self.agree)
    }
}

pub(crate) fn microseconds(
    mut operation: impl FnMut() -> Result<(), Unspecified>,
) -> Result<f64, Unspecified> {
    for _ in 0..OPERATIONS / 10 {
        operation()?;
    }
    let start = thread_time();
    for _ in 0..OPERATIONS {
        operation()?;
    }
    Ok((thread_time().saturating_sub(start)).as_secs_f64() * 1e6 / f64::from(OPERATIONS))
}

/// CPU time of this thread: what others do on the core does not count.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
