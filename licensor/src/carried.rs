//! Calls and answers that are carried by hand: files that are signed, and bound to each other by digest.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use pem::{EncodeConfig, LineEnding, Pem};
use prost::Message;
use proto::certification::v1::{CarriedAnswer, CarriedCall, SignedAnswer, SignedCall, carried_call::Call};
use rcgen::SigningKey;
use x509_parser::{
    certificate::X509Certificate, certification_request::X509CertificationRequest, prelude::FromDer,
    x509::SubjectPublicKeyInfo,
};

use crate::{
    error::{Error, Reason, Result},
    key::{PrivateKey, sha256},
};

const REQUEST: &str = "LICENSOR REQUEST";
const ANSWER: &str = "LICENSOR ANSWER";
/// What an authority signs before an answer: no other statement of it begins so.
const ANSWER_LINE: &[u8] = b"licensor answer 1\n";
/// Octets of the largest file.
const LONGEST: usize = 4 << 20;

/// A call that was read from a file, and is signed by whoever makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCall {
    /// The call.
    pub call: CarriedCall,
    /// Stands for the call in its answer.
    pub digest: [u8; 32],
}

/// An answer that was read from a file. Whose it is shows [`ReadAnswer::check_signature`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReadAnswer {
    /// The answer.
    pub answer: CarriedAnswer,
    signed: SignedAnswer,
}

/// The file with a call (PEM), and the digest that stands for it. `key` is that of `client_certificate`, or for an
/// enrolment that of `licensor_csr`.
///
/// # Errors
/// `INTERNAL` if the key does not sign.
pub fn write_call(call: &CarriedCall, key: &PrivateKey) -> Result<(String, [u8; 32])> {
    let call = call.encode_to_vec();
    let signature = key.sign(&call).map_err(|error| Error::internal("signature", error))?;
    let digest = sha256(&call);
    Ok((pem_text(REQUEST, &SignedCall { call, signature }), digest))
}

/// Reads a file with a call.
///
/// # Errors
/// `CARRIED_FILE_INVALID` if it is none, or is not signed by whoever it is of.
pub fn read_call(text: &str) -> Result<ReadCall> {
    let SignedCall { call: octets, signature } = decode(REQUEST, text)?;
    let call = CarriedCall::decode(&*octets).map_err(|_| invalid("what is in it cannot be read"))?;
    let request = match &call.call {
        Some(Call::Enroll(request)) if call.client_certificate.is_empty() => &request.licensor_csr,
        Some(Call::Renew(request)) if !call.client_certificate.is_empty() => &request.licensor_csr,
        _ => return Err(invalid("it asks for nothing")),
    };
    let signed = if call.client_certificate.is_empty() {
        let csr = X509CertificationRequest::from_der(request);
        let (_, csr) = csr.map_err(|_| invalid("the request in it cannot be read"))?;
        verifies(&csr.certification_request_info.subject_pki, &octets, &signature)
    } else {
        let certificate = X509Certificate::from_der(&call.client_certificate);
        let (_, certificate) = certificate.map_err(|_| invalid("the certificate in it cannot be read"))?;
        verifies(certificate.public_key(), &octets, &signature)
    };
    if !signed {
        return Err(invalid("it is not signed by the key that it is of: it was changed on its way"));
    }
    Ok(ReadCall { digest: sha256(&octets), call })
}

/// The file with an answer (PEM). `sign` is the authority that issued what is in it: ECDSA with SHA-256 (DER).
///
/// # Errors
/// Those of `sign`.
pub fn write_answer(answer: &CarriedAnswer, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<String> {
    let answer = answer.encode_to_vec();
    let signature = sign(&[ANSWER_LINE, &answer].concat())?;
    Ok(pem_text(ANSWER, &SignedAnswer { answer, signature }))
}

/// Reads a file with an answer. That it is signed is for [`ReadAnswer::check_signature`] to say, once it is known whose
/// signature counts.
///
/// # Errors
/// `CARRIED_FILE_INVALID` if it is none.
pub fn read_answer(text: &str) -> Result<ReadAnswer> {
    let signed: SignedAnswer = decode(ANSWER, text)?;
    let answer =
        CarriedAnswer::decode(&*signed.answer).map_err(|_| invalid("what is in it cannot be read"))?;
    if answer.answer.is_none() {
        return Err(invalid("it answers nothing"));
    }
    Ok(ReadAnswer { answer, signed })
}

impl ReadAnswer {
    /// That it answers the call with this digest.
    ///
    /// # Errors
    /// `ANSWER_TO_ANOTHER_REQUEST`.
    pub fn check_answers(&self, digest: &[u8]) -> Result<()> {
        if self.answer.call_digest == digest {
            return Ok(());
        }
        let message = "the answer is to another request than the newest that was exported here: carry the answer to that one, or export a new request; nothing has changed";
        Err(Error::new(Reason::AnswerToAnotherRequest, message))
    }

    /// That the authority with this certificate (DER) signed it. Whether that authority is to be trusted is another
    /// question.
    ///
    /// # Errors
    /// `CARRIED_FILE_INVALID`.
    pub fn check_signature(&self, authority: &[u8]) -> Result<()> {
        let signed = [ANSWER_LINE, &self.signed.answer].concat();
        let verified = X509Certificate::from_der(authority)
            .is_ok_and(|(_, authority)| verifies(authority.public_key(), &signed, &self.signed.signature));
        if verified {
            return Ok(());
        }
        Err(invalid("it is not signed by the authority that issued what is in it: it was changed on its way"))
    }
}

fn verifies(key: &SubjectPublicKeyInfo<'_>, message: &[u8], signature: &[u8]) -> bool {
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let curve = curve.map(|curve| curve.to_id_string());
    let algorithm: &'static dyn VerificationAlgorithm =
        match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
            ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => &ECDSA_P256_SHA256_ASN1,
            ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => &ECDSA_P384_SHA384_ASN1,
            ("1.3.101.112", None) => &ED25519,
            _ => return false,
        };
    UnparsedPublicKey::new(algorithm, &key.subject_public_key.data).verify(message, signature).is_ok()
}

fn pem_text(label: &str, message: &impl Message) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, message.encode_to_vec()), config)
}

fn decode<M: Message + Default>(label: &str, text: &str) -> Result<M> {
    if text.len() > LONGEST {
        return Err(invalid("it is too long"));
    }
    let pem = pem::parse(text).map_err(|_| invalid(&format!("it has no whole block `{label}`")))?;
    if pem.tag() != label {
        return Err(invalid(&format!("it is a `{}`, and a `{label}` is wanted", pem.tag())));
    }
    M::decode(pem.contents()).map_err(|_| invalid("what is in it cannot be read"))
}

fn invalid(problem: &str) -> Error {
    let message = format!("the file cannot be used: {problem}; nothing has changed");
    Error::new(Reason::CarriedFileInvalid, message)
}

#[cfg(test)]
mod tests {
    use proto::certification::v1::{EnrollRequest, EnrollResponse, RenewRequest, carried_answer::Answer};

    use super::*;
    use crate::key::KeyAlgorithm;

    fn call(key: &PrivateKey) -> CarriedCall {
        let licensor_csr = key.certificate_request().unwrap();
        let enroll = EnrollRequest { licensor_csr, ..EnrollRequest::default() };
        CarriedCall { call: Some(Call::Enroll(enroll)), ..CarriedCall::default() }
    }

    #[test]
    fn a_call_comes_through_with_every_kind_of_key_and_not_under_another() {
        for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let call = call(&key);
            let (text, digest) = write_call(&call, &key).unwrap();
            let other = PrivateKey::generate(algorithm).unwrap();
            let (by_other, _) = write_call(&call, &other).unwrap();
            assert_eq!(read_call(&text).unwrap(), ReadCall { call, digest });
            assert_eq!(read_call(&by_other).unwrap_err().reason, Reason::CarriedFileInvalid);
        }
    }

    #[test]
    fn what_is_cut_edited_or_something_else_is_refused() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let (text, digest) = write_call(&call(&key), &key).unwrap();
        let renewal = CarriedCall { call: Some(Call::Renew(RenewRequest::default())), ..call(&key) };
        let nothing = CarriedCall { call: None, ..call(&key) };
        for wrong in [
            String::new(),
            text[..text.len() / 2].to_owned(),
            text.replace("REQUEST", "ANSWER"),
            write_call(&renewal, &key).unwrap().0,
            write_call(&nothing, &key).unwrap().0,
            "x".repeat(LONGEST + 1),
        ] {
            assert_eq!(read_call(&wrong).unwrap_err().reason, Reason::CarriedFileInvalid, "{wrong:.60}");
        }
        let mut signed: SignedCall = decode(REQUEST, &text).unwrap();
        *signed.call.last_mut().unwrap() ^= 1;
        let edited = pem_text(REQUEST, &signed);
        assert_ne!(read_call(&edited).map(|read| read.digest), Ok(digest));
    }

    #[test]
    fn an_answer_is_bound_to_its_call_and_signed_by_its_authority() {
        let key = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let params = rcgen::CertificateParams::default();
        let authority = params.self_signed(&key).unwrap();
        let answer = CarriedAnswer {
            call_digest: vec![7; 32],
            answer: Some(Answer::Enroll(EnrollResponse::default())),
            create_time: None,
        };
        let text = write_answer(&answer, |message| Ok(key.sign(message).unwrap())).unwrap();
        let read = read_answer(&text).unwrap();
        assert_eq!(read.answer, answer);
        read.check_answers(&[7; 32]).unwrap();
        read.check_signature(authority.der()).unwrap();
        assert_eq!(read.check_answers(&[8; 32]).unwrap_err().reason, Reason::AnswerToAnotherRequest);
        let other = PrivateKey::generate(KeyAlgorithm::P256).unwrap();
        let other = rcgen::CertificateParams::default().self_signed(&other).unwrap();
        assert_eq!(read.check_signature(other.der()).unwrap_err().reason, Reason::CarriedFileInvalid);
        assert!(read_answer(&text.replace("ANSWER", "REQUEST")).is_err());
    }
}
