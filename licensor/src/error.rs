//! The one error that crosses layers and the wire: a stable reason, a sentence for people, and the facts.
//!
//! On the wire it is a canonical gRPC code with `google.rpc.ErrorInfo` (domain `licensor`) and, where a wait helps,
//! `google.rpc.RetryInfo`. [`Error`] converts to [`tonic::Status`] and back, so that a command line prints what the
//! service said.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "licensor";

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $code:ident;)*) => {
        /// Stable reasons: a promise to users.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The gRPC code that goes with it.
            #[must_use]
            pub fn code(self) -> Code { match self { $(Self::$variant => Code::$code,)* } }
        }
    };
}

reasons! {
    /// The CSR is no PKCS #10 request in DER, or too long.
    CsrMalformed = "CSR_MALFORMED", InvalidArgument;
    /// The CSR is not signed with its own key.
    CsrSignatureInvalid = "CSR_SIGNATURE_INVALID", InvalidArgument;
    /// The CSR's key is of a kind that is not certified.
    KeyNotAccepted = "KEY_NOT_ACCEPTED", InvalidArgument;
    /// Some other part of the request is wrong.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument;
    /// The token is none, or this root did not make it.
    TokenUnknown = "TOKEN_UNKNOWN", PermissionDenied;
    /// The token's lifetime has passed.
    TokenExpired = "TOKEN_EXPIRED", PermissionDenied;
    /// An administrator revoked the token.
    TokenRevoked = "TOKEN_REVOKED", PermissionDenied;
    /// The token was used with another key.
    TokenAlreadyUsed = "TOKEN_ALREADY_USED", PermissionDenied;
    /// The call needs a client certificate.
    ClientCertificateRequired = "CLIENT_CERTIFICATE_REQUIRED", Unauthenticated;
    /// Another root issued the certificate.
    NotIssuedByThisRoot = "NOT_ISSUED_BY_THIS_ROOT", PermissionDenied;
    /// The certificate is not in the ledger.
    CertificateUnknown = "CERTIFICATE_UNKNOWN", PermissionDenied;
    /// The certificate was revoked.
    CertificateRevoked = "CERTIFICATE_REVOKED", PermissionDenied;
    /// The certificate was revoked before.
    CertificateAlreadyRevoked = "CERTIFICATE_ALREADY_REVOKED", FailedPrecondition;
    /// No authority of this root has this key identifier.
    AuthorityUnknown = "AUTHORITY_UNKNOWN", NotFound;
    /// The audit log is not what its checkpoints say.
    AuditLogChanged = "AUDIT_LOG_CHANGED", DataLoss;
    /// A revocation list is not what it should be.
    RevocationListInvalid = "REVOCATION_LIST_INVALID", FailedPrecondition;
    /// The certificate has a successor.
    CertificateSuperseded = "CERTIFICATE_SUPERSEDED", PermissionDenied;
    /// The certificate expired too long ago to be renewed.
    CertificateExpired = "CERTIFICATE_EXPIRED", PermissionDenied;
    /// The certificate's notBefore lies ahead of this machine's clock.
    CertificateNotYetValid = "CERTIFICATE_NOT_YET_VALID", PermissionDenied;
    /// What the root answered does not stand up to the checks of a stranger.
    CredentialInvalid = "CREDENTIAL_INVALID", FailedPrecondition;
    /// The node was decommissioned.
    NodeDecommissioned = "NODE_DECOMMISSIONED", FailedPrecondition;
    /// No such node.
    NodeUnknown = "NODE_UNKNOWN", NotFound;
    /// The root's own certificate has expired.
    AuthorityExpired = "AUTHORITY_EXPIRED", FailedPrecondition;
    /// A file that was carried is none, or not as it was made.
    CarriedFileInvalid = "CARRIED_FILE_INVALID", InvalidArgument;
    /// A request that was carried is too old.
    RequestExpired = "REQUEST_EXPIRED", FailedPrecondition;
    /// An answer that was carried is not to the newest request.
    AnswerToAnotherRequest = "ANSWER_TO_ANOTHER_REQUEST", FailedPrecondition;
    /// The root's certificate is renewed by files that are carried.
    UpstreamOffline = "UPSTREAM_OFFLINE", FailedPrecondition;
    /// The root is its own trust anchor.
    UpstreamSelf = "UPSTREAM_SELF", FailedPrecondition;
    /// Another authority is on its way, or the former one still there.
    RotationUnderWay = "ROTATION_UNDER_WAY", FailedPrecondition;
    /// There is no authority that could take over.
    RotationNotPrepared = "ROTATION_NOT_PREPARED", FailedPrecondition;
    /// There is no former authority.
    RotationNotActive = "ROTATION_NOT_ACTIVE", FailedPrecondition;
    /// Certificates of the former authority are in use.
    AuthorityInUse = "AUTHORITY_IN_USE", FailedPrecondition;
    /// The licensing server or the root has no certificate yet.
    NotEnrolled = "NOT_ENROLLED", FailedPrecondition;
    /// The licensor certificate has expired: nothing is issued.
    LicensorCertificateExpired = "LICENSOR_CERTIFICATE_EXPIRED", FailedPrecondition;
    /// The licensor certificate is not valid yet by this machine's clock: nothing is issued.
    LicensorCertificateNotYetValid = "LICENSOR_CERTIFICATE_NOT_YET_VALID", FailedPrecondition;
    /// No such module.
    ModuleUnknown = "MODULE_UNKNOWN", NotFound;
    /// An entitlement, or the document that states one, is not as it should be.
    EntitlementInvalid = "ENTITLEMENT_INVALID", InvalidArgument;
    /// No such entitlement.
    EntitlementUnknown = "ENTITLEMENT_UNKNOWN", NotFound;
    /// Whoever signed the entitlement is not trusted.
    EntitlementSignerUntrusted = "ENTITLEMENT_SIGNER_UNTRUSTED", PermissionDenied;
    /// The entitlement is of another owner.
    EntitlementOfAnotherOwner = "ENTITLEMENT_OF_ANOTHER_OWNER", PermissionDenied;
    /// A newer version of the entitlement is known.
    EntitlementOutdated = "ENTITLEMENT_OUTDATED", FailedPrecondition;
    /// Another root has signed entitlements of a vendor of this name.
    VendorTaken = "VENDOR_TAKEN", FailedPrecondition;
    /// More is in use than the new entitlement has.
    SeatsInUse = "SEATS_IN_USE", FailedPrecondition;
    /// The entitlement, or the module in it, has expired.
    EntitlementExpired = "ENTITLEMENT_EXPIRED", FailedPrecondition;
    /// No seat is free.
    SeatsExhausted = "SEATS_EXHAUSTED", ResourceExhausted;
    /// No such licence, or its lease has ended.
    LicenseUnknown = "LICENSE_UNKNOWN", NotFound;
    /// The module cannot be borrowed, or not for so long.
    BorrowingNotAllowed = "BORROWING_NOT_ALLOWED", FailedPrecondition;
    /// No such assignment.
    AssignmentUnknown = "ASSIGNMENT_UNKNOWN", NotFound;
    /// No entitlement has such a service.
    ServiceUnknown = "SERVICE_UNKNOWN", NotFound;
    /// Services of more than one vendor have this name.
    ServiceAmbiguous = "SERVICE_AMBIGUOUS", InvalidArgument;
    /// The time zone of an entitlement is none that this service knows.
    TimeZoneUnknown = "TIME_ZONE_UNKNOWN", FailedPrecondition;
    /// Another usage was reported under this source and id.
    UsageIdConflict = "USAGE_ID_CONFLICT", AlreadyExists;
    /// The usage has no time, or one that is too far ahead or too long ago.
    UsageTimeInvalid = "USAGE_TIME_INVALID", InvalidArgument;
    /// The quantity is none that is counted.
    UsageQuantityInvalid = "USAGE_QUANTITY_INVALID", InvalidArgument;
    /// The usage is of another owner.
    UsageOfAnotherOwner = "USAGE_OF_ANOTHER_OWNER", PermissionDenied;
    /// The sum of a month would be larger than what can be counted.
    UsageOverflow = "USAGE_OVERFLOW", OutOfRange;
    /// Counters of usage are not what its events say.
    UsageCountersWrong = "USAGE_COUNTERS_WRONG", DataLoss;
    /// A batch has more items than are taken at once.
    UsageBatchTooLarge = "USAGE_BATCH_TOO_LARGE", InvalidArgument;
    /// Something that is no CloudEvent of usage.
    CloudEventInvalid = "CLOUD_EVENT_INVALID", InvalidArgument;
    /// No such statement.
    StatementUnknown = "STATEMENT_UNKNOWN", NotFound;
    /// The clock is behind a time that this service has seen.
    ClockRolledBack = "CLOCK_ROLLED_BACK", FailedPrecondition;
    /// The caller is not a local administrator.
    NotLocalAdministrator = "NOT_LOCAL_ADMINISTRATOR", PermissionDenied;
    /// The service has no screen.
    ScreenDisabled = "SCREEN_DISABLED", FailedPrecondition;
    /// Nobody calls: neither an access token nor a client certificate.
    AccessTokenRequired = "ACCESS_TOKEN_REQUIRED", Unauthenticated;
    /// The access token is none, or not of this server.
    AccessTokenUnknown = "ACCESS_TOKEN_UNKNOWN", Unauthenticated;
    /// The access token's time has passed.
    AccessTokenExpired = "ACCESS_TOKEN_EXPIRED", Unauthenticated;
    /// An administrator revoked the access token.
    AccessTokenRevoked = "ACCESS_TOKEN_REVOKED", Unauthenticated;
    /// The client certificate is of no authority that is configured, or not fit for a client now.
    AccessCertificateNotAccepted = "ACCESS_CERTIFICATE_NOT_ACCEPTED", Unauthenticated;
    /// The caller may not call this.
    AccessNotAllowed = "ACCESS_NOT_ALLOWED", PermissionDenied;
    /// No access token has this id.
    AccessTokenIdUnknown = "ACCESS_TOKEN_ID_UNKNOWN", NotFound;
    /// There are as many access tokens as there may be.
    TooManyAccessTokens = "TOO_MANY_ACCESS_TOKENS", FailedPrecondition;
    /// An event of this kind is active for this scope and target.
    EventAlreadyActive = "EVENT_ALREADY_ACTIVE", AlreadyExists;
    /// No event has this sequence number.
    EventUnknown = "EVENT_UNKNOWN", NotFound;
    /// The event has ended.
    EventAlreadyEnded = "EVENT_ALREADY_ENDED", FailedPrecondition;
    /// The event is one of the service itself, which nobody ends by hand.
    EventNotEndedByHand = "EVENT_NOT_ENDED_BY_HAND", FailedPrecondition;
    /// Too many calls at once.
    Overloaded = "OVERLOADED", ResourceExhausted;
    /// Too little space is left on the disk.
    DiskFull = "DISK_FULL", ResourceExhausted;
    /// The store did not keep a record.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable;
    /// The root cannot be reached.
    RootUnreachable = "ROOT_UNREACHABLE", Unavailable;
    /// The service behind the admin socket cannot be reached.
    ServiceUnreachable = "SERVICE_UNREACHABLE", Unavailable;
    /// The peer's answer has no reason of ours.
    Unspecified = "UNSPECIFIED", Unknown;
    /// A defect of this software.
    Internal = "INTERNAL", Internal;
}

impl Reason {
    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong: to what, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Stable reason.
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
    /// The facts, for programs.
    pub metadata: Vec<(String, String)>,
    /// When it may be worth trying again.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error without metadata.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), metadata: Vec::new(), retry_after: None }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.push((key.to_owned(), value.into()));
        self
    }

    /// Adds the wait after which to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A defect: the details go to the log and not to the caller.
    pub fn internal(what: &str, cause: impl fmt::Display) -> Self {
        tracing::error!(what, cause = %cause, "internal error");
        Self::new(Reason::Internal, "the service made a mistake; its log says more")
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let metadata: HashMap<String, String> = error.metadata.into_iter().collect();
        let mut details = ErrorDetails::with_error_info(error.reason.as_str(), DOMAIN, metadata);
        if let Some(wait) = error.retry_after {
            details.set_retry_info(Some(wait));
        }
        Self::with_error_details(error.reason.code(), error.message, details)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let mut metadata: Vec<_> =
            info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default();
        metadata.sort();
        Self {
            reason: info.and_then(|info| Reason::from_name(&info.reason)).unwrap_or(Reason::Unspecified),
            message: if info.is_some() {
                status.message().to_owned()
            } else {
                format!("{} ({})", status.message(), status.code())
            },
            metadata,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let sent = Error::new(Reason::NotIssuedByThisRoot, "another root issued it")
            .with("issuer_address", "a.example:7443")
            .retry_after(Duration::from_secs(3));
        let status = Status::from(sent.clone());
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(Error::from(status), sent);
    }

    #[test]
    fn a_foreign_status_keeps_its_text() {
        let error = Error::from(Status::unavailable("gone away"));
        assert_eq!(error.reason, Reason::Unspecified);
        assert!(error.message.contains("gone away"));
    }
}
