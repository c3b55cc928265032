//! Calls that are carried: answered just as they would be over the network.

use std::time::Duration;

use licensor::{
    carried::{ReadCall, read_call, write_answer},
    clock::{from_timestamp, rfc3339, timestamp},
    error::{Error, Reason, Result},
    serve::PeerCertificate,
};
use proto::certification::v1::{
    CarriedAnswer, SignRequestResponse, carried_answer::Answer, carried_call::Call,
};

use super::certification::{enroll_response, enrollment_requests, renew_response, renewal_requests};
use crate::{audit::Audit, authority::Authority};

/// How long a request can be carried.
const LONGEST_WAY: Duration = Duration::from_secs(30 * 86_400);
/// How far the clock of whoever made it may be ahead.
const AHEAD: Duration = Duration::from_secs(3600);

/// Answers the call in a file; the file with the answer, and whom it is for.
pub(super) async fn answer(authority: &Authority, audit: &Audit, text: &str) -> Result<SignRequestResponse> {
    let ReadCall { call, digest } = read_call(text)?;
    let now = authority.now();
    let made = from_timestamp(call.create_time).unwrap_or(std::time::UNIX_EPOCH);
    if made > now + AHEAD {
        let message = format!(
            "the request was made on {}, and the clock of this machine says {}: set the clock of the one that is wrong",
            rfc3339(made),
            rfc3339(now)
        );
        return Err(Error::new(Reason::CarriedFileInvalid, message));
    }
    if now > made + LONGEST_WAY {
        let message = format!(
            "the request was made on {}, more than 30 days ago: have another one exported",
            rfc3339(made)
        );
        return Err(Error::new(Reason::RequestExpired, message).with("created_at", rfc3339(made)));
    }
    let malformed =
        || Error::new(Reason::CarriedFileInvalid, "the certificate in the request cannot be read");
    let (issued, enrolled) = match call.call {
        Some(Call::Enroll(request)) => {
            (authority.enroll(&request.token, enrollment_requests(&request)).await?, true)
        }
        Some(Call::Renew(request)) => {
            // The request is signed with the key of this certificate.
            let peer = PeerCertificate::read(&[call.client_certificate]).ok_or_else(malformed)?;
            let caller = authority.identify(Some(&peer)).await?;
            (authority.renew(caller, renewal_requests(&request)).await?, false)
        }
        None => return Err(malformed()),
    };
    let (node, serial) = (issued.certificate.node.clone(), issued.certificate.serial.clone());
    let issuer = issued.issuer.clone();
    let answer = match enrolled {
        true => Answer::Enroll(enroll_response(authority, audit, issued)),
        false => Answer::Renew(renew_response(authority, audit, issued)),
    };
    let answer = CarriedAnswer {
        create_time: Some(timestamp(now)),
        call_digest: digest.to_vec(),
        answer: Some(answer),
    };
    let answer = write_answer(&answer, |message| authority.sign_statement(&issuer, message))?;
    Ok(SignRequestResponse { answer, node, serial })
}
