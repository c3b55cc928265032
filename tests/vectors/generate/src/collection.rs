//! The form of `vectors.json`.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};

use crate::world::{LEEWAY, NOW};

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A licence.
    License,
    /// An entitlement.
    Entitlement,
}

/// Something to verify, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vector {
    /// Its name, unique.
    pub name: String,
    /// What it is verified as.
    pub kind: Kind,
    /// What is special about it.
    pub what: String,
    /// Compact JWS.
    pub jws: String,
    /// When it is verified, seconds since 1970.
    pub now: i64,
    /// Seconds by which clocks may differ.
    pub leeway: i64,
    /// Names of the trust anchors.
    pub anchors: Vec<String>,
    /// Names of the revocation lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_lists: Vec<String>,
    /// Name of the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// `valid`, or the verifier's reason for the refusal.
    pub expected: String,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Collection {
    /// Trust anchors (DER, base64) by name.
    pub anchors: BTreeMap<String, String>,
    /// Revocation lists (DER, base64) by name.
    pub revocation_lists: BTreeMap<String, String>,
    /// Proofs of inclusion (C2SP tlog-proof) by name.
    pub proofs: BTreeMap<String, String>,
    /// What is verified.
    pub cases: Vec<Vector>,
}

impl Collection {
    /// Adds a vector, which trusts the anchor `anchor` unless it is told otherwise.
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        name: &str,
        expected: &str,
        what: &str,
        jws: String,
    ) -> Adding<'_> {
        assert!(self.cases.iter().all(|case| case.name != name), "{name} is there twice");
        self.cases.push(Vector {
            name: name.into(),
            kind,
            what: what.into(),
            jws,
            now: NOW,
            leeway: LEEWAY,
            anchors: vec!["anchor".into()],
            revocation_lists: Vec::new(),
            proof: None,
            expected: expected.into(),
        });
        Adding(self)
    }
}

/// The vector that was added last, to be told more of.
pub(crate) struct Adding<'a>(&'a mut Collection);

impl Adding<'_> {
    fn last(&mut self) -> &mut Vector {
        self.0.cases.last_mut().unwrap()
    }

    pub(crate) fn at(mut self, now: i64) -> Self {
        self.last().now = now;
        self
    }

    pub(crate) fn leeway(mut self, leeway: i64) -> Self {
        self.last().leeway = leeway;
        self
    }

    /// Trusts these anchors, and no others.
    pub(crate) fn trusting(mut self, anchors: &[(&str, &[u8])]) -> Self {
        self.last().anchors = anchors.iter().map(|(name, _)| (*name).into()).collect();
        for (name, der) in anchors {
            self.0.anchors.insert((*name).into(), BASE64_STANDARD.encode(der));
        }
        self
    }

    pub(crate) fn list(mut self, name: &str, der: &[u8]) -> Self {
        self.last().revocation_lists.push(name.into());
        self.0.revocation_lists.insert(name.into(), BASE64_STANDARD.encode(der));
        self
    }

    /// A proof that is for this vector alone.
    pub(crate) fn proof(mut self, text: String) -> Self {
        let name = self.last().name.clone();
        self.last().proof = Some(name.clone());
        self.0.proofs.insert(name, text);
        self
    }
}
