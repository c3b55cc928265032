//! The catalogue of events: id, name, severity and message of each kind.

use std::collections::BTreeMap;

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should act.
    Warning,
    /// Somebody must act.
    Error,
}

impl Severity {
    /// Name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $severity:ident, $message:literal;)*) => {
        /// Kinds of events. Ids and names are a promise to users; messages are in English, with `{argument}`s.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum EventKind { $($(#[$doc])* $variant,)* }

        impl EventKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its number.
            #[must_use]
            pub fn id(self) -> u32 { match self { $(Self::$variant => $id,)* } }

            /// Its name, also the key of its message.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity { match self { $(Self::$variant => Severity::$severity,)* } }

            fn template(self) -> &'static str { match self { $(Self::$variant => $message,)* } }
        }
    };
}

kinds! {
    /// Thirty days are left.
    LicensorCertExpiresInOneMonth = 16, "LicensorCertExpiresInOneMonthEvent", Warning,
        "The licensor certificate of {holder} expires on {not_after}, in a month or less. The service works normally.";
    /// Seven days are left.
    LicensorCertExpiresInOneWeek = 17, "LicensorCertExpiresInOneWeekEvent", Warning,
        "The licensor certificate of {holder} expires on {not_after}, in a week or less. The service works normally.";
    /// Nothing is left.
    LicensorCertExpired = 18, "LicensorCertExpiredEvent", Error,
        "The licensor certificate of {holder} expired on {not_after}. The service is disabled until it is renewed.";
    /// A licensing server has its first certificate from this root.
    NodeEnrolled = 100, "NodeEnrolledEvent", Info, "{holder} was enrolled; its certificate is valid until {not_after}.";
    /// A certificate has a successor.
    CertificateRenewed = 101, "CertificateRenewedEvent", Info,
        "The licensor certificate of {holder} was renewed; the new one is valid until {not_after}.";
    /// An attempt to renew failed.
    RenewalFailed = 102, "RenewalFailedEvent", Warning,
        "The licensor certificate of {holder} could not be renewed: {problem}";
    /// The service issues again.
    ServiceEnabled = 103, "ServiceEnabledEvent", Info, "{holder} issues licences.";
    /// The service does not issue.
    ServiceDisabled = 104, "ServiceDisabledEvent", Error, "{holder} does not issue licences: {problem}";
    /// The clock is not where it should be.
    ClockJumped = 105, "ClockJumpedEvent", Warning,
        "The clock of this machine jumped by {seconds} seconds, or the machine was suspended.";
    /// An administrator made a token.
    TokenCreated = 106, "TokenCreatedEvent", Info, "An enrolment token for {holder} was made.";
    /// An administrator revoked a token.
    TokenRevoked = 107, "TokenRevokedEvent", Info, "The enrolment token for {holder} was revoked.";
    /// Somebody tried a used token with another key.
    TokenMisused = 108, "TokenMisusedEvent", Error,
        "The enrolment token for {holder} was tried again with another key: it may have been stolen.";
    /// A root was made.
    AuthorityCreated = 109, "AuthorityCreatedEvent", Info, "The authority {holder} was made; it is valid until {not_after}.";
    /// A certificate was revoked.
    CertificateRevoked = 110, "CertificateRevokedEvent", Warning,
        "The licensor certificate {certificate} of {holder} was revoked ({reason}).";
    /// A node was ended for good.
    NodeDecommissioned = 111, "NodeDecommissionedEvent", Warning,
        "{holder} was decommissioned: it is never enrolled again.";
    /// An administrator asked for a change that was refused.
    AdministrativeCallRefused = 112, "AdministrativeCallRefusedEvent", Info,
        "An administrator called {call} for `{about}`, and was refused with {reason}.";
    /// An administrator made a backup.
    BackupMade = 115, "BackupMadeEvent", Info, "A backup of this root was made.";
    /// A root was made from a backup.
    RootRestored = 114, "RootRestoredEvent", Warning,
        "This root was restored from the backup of {created_at}, which has {entries} entries: whatever came later is forgotten.";
    /// The root's audit log is shorter than it was.
    RootWentBack = 113, "RootWentBackEvent", Error,
        "The audit log of the root has {now} entries, and {seen} were seen: the root was restored from a backup, or its log was changed.";
    /// The root's own certificate has a successor.
    AuthorityRenewed = 116, "AuthorityRenewedEvent", Info,
        "The certificate of the authority {holder} was renewed; the new one is valid until {not_after}.";
    /// The upstream was changed.
    UpstreamChanged = 117, "UpstreamChangedEvent", Info, "The certificate of the authority comes from {upstream} from now on.";
    /// An authority that is to follow has a key.
    RotationRequested = 118, "RotationRequestedEvent", Info, "The key of an authority that is to follow was made: {key_id}.";
    /// An authority that is to follow is in the trust bundle.
    RotationPrepared = 119, "RotationPreparedEvent", Info,
        "The authority {holder} is in the trust bundle, and is to follow; it is valid until {not_after}.";
    /// An authority took over.
    RotationActivated = 120, "RotationActivatedEvent", Warning,
        "The authority {holder} issues from now on; it is valid until {not_after}.";
    /// A former authority was taken out of the trust bundle.
    AuthorityRetired = 121, "AuthorityRetiredEvent", Warning, "The authority {holder} is not in the trust bundle any more.";
    /// An administrator made a file with a request to the upstream.
    RequestExported = 123, "RequestExportedEvent", Info, "A request to the upstream was exported to a file, for the authority {key_id}.";
    /// An administrator had a request answered that was carried.
    RequestAnswered = 124, "RequestAnsweredEvent", Info, "A request of {holder} that was carried here was answered.";
    /// An administrator made a call that only reads.
    AdministrativeCallMade = 125, "AdministrativeCallMadeEvent", Info, "An administrator called {call}({about}).";
    /// What a licensing server trusts, or the certificate of its issuer, has changed.
    TrustChanged = 122, "TrustChangedEvent", Info,
        "The trust bundle of {holder}, or the certificate of its issuer, was replaced by that of the root.";
    /// An administrator put an entitlement at the root.
    EntitlementPut = 126, "EntitlementPutEvent", Info, "Version {version} of the entitlement of {owner} for {vendor} was signed.";
    /// An entitlement is in force.
    EntitlementActivated = 127, "EntitlementActivatedEvent", Info,
        "Version {version} of the entitlement of {vendor} is in force.";
    /// An entitlement cannot come into force.
    EntitlementBlocked = 128, "EntitlementBlockedEvent", Warning,
        "Version {version} of the entitlement of {vendor} cannot come into force: {problem}";
    /// An entitlement runs out.
    EntitlementExpiresSoon = 129, "EntitlementExpiresSoonEvent", Warning,
        "The entitlement of {vendor} expires on {expires}: ask the vendor for a new one.";
    /// An entitlement has run out.
    EntitlementExpired = 130, "EntitlementExpiredEvent", Error,
        "The entitlement of {vendor} expired on {expires}; new licences are issued until {grace_ends}.";
    /// The clock is behind.
    ClockRolledBack = 131, "ClockRolledBackEvent", Error,
        "The clock of this machine says {now}, and {seen} has been seen: no leases are given until it is right again.";
    /// The root's own TLS port has another certificate.
    ServerCertificateIssued = 134, "ServerCertificateIssuedEvent", Info,
        "The TLS port of this root got the certificate {certificate}; it is valid until {not_after}.";
    /// A user has a licence of his own.
    LicenseAssigned = 132, "LicenseAssignedEvent", Info, "A licence of {module} of {vendor} was assigned to {user}.";
    /// A user has none any more.
    LicenseUnassigned = 133, "LicenseUnassignedEvent", Info, "The licence of {module} of {vendor} was taken from {user}.";
    /// Most of what a month includes is used.
    UsageNearsAllowance = 140, "UsageNearsAllowanceEvent", Warning,
        "{service} of {vendor}: {used} of the {allowance} that {month} includes are used, 85 % or more.";
    /// All that a month includes is used.
    UsageReachedAllowance = 141, "UsageReachedAllowanceEvent", Warning,
        "{service} of {vendor}: {used} are used, and {month} includes {allowance}: whatever comes is surplus.";
    /// A statement does not change any more.
    StatementFinal = 142, "StatementFinalEvent", Info,
        "The statement of {vendor} for {month} is final; its digest is {digest}.";
    /// An administrator made an access token.
    AccessTokenCreated = 150, "AccessTokenCreatedEvent", Info,
        "The access token {token} ({name}) was made for {owner}; until {expires} it may be used for: {allows}.";
    /// An administrator revoked an access token.
    AccessTokenRevoked = 151, "AccessTokenRevokedEvent", Info, "The access token {token} ({name}) of {owner} was revoked.";
    /// An administrator ended an event that an administrator had added.
    EventEnded = 159, "EventEndedEvent", Info, "Event {sequence} ({name}) was ended.";
    /// An administrator lets nobody log in.
    NoLogin = 160, "NoLoginEvent", Warning, "Nobody may log in: {description}";
    /// An administrator works on the system.
    Maintenance = 161, "MaintenanceEvent", Warning, "Maintenance: {description}";
    /// An administrator has something to say.
    MessageOfTheDay = 162, "MessageOfTheDayEvent", Info, "{description}";
    /// Somebody signed in on the screen.
    SignedIn = 170, "SignedInEvent", Info, "{person} signed in on the screen, as {role}.";
    /// Somebody signed out.
    SignedOut = 171, "SignedOutEvent", Info, "{person} signed out.";
    /// A link to sign in was used again.
    SignInRefused = 172, "SignInRefusedEvent", Warning,
        "A link to sign in that {person} had made was used again: somebody else may have seen it.";
}

impl EventKind {
    /// The kinds that an administrator adds and ends.
    pub const BY_HAND: &[Self] = &[Self::NoLogin, Self::Maintenance, Self::MessageOfTheDay];

    /// The kind with this number.
    #[must_use]
    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.id() == id)
    }

    /// Whether it is raised so often, and says so little, that it is shown only to those who ask for it.
    #[must_use]
    pub fn is_routine(self) -> bool {
        matches!(self, Self::AdministrativeCallMade | Self::ServerCertificateIssued)
    }

    /// Whether it names users or credentials: what the administrator reads, and nobody over the network.
    #[must_use]
    pub fn is_confidential(self) -> bool {
        matches!(
            self,
            Self::LicenseAssigned
                | Self::LicenseUnassigned
                | Self::EntitlementBlocked
                | Self::AccessTokenCreated
                | Self::AccessTokenRevoked
                | Self::SignedIn
                | Self::SignedOut
                | Self::SignInRefused
        )
    }

    /// The message in English. An argument that is missing is left as its name in braces.
    #[must_use]
    pub fn message(self, arguments: &BTreeMap<String, String>) -> String {
        let mut message = String::with_capacity(160);
        let mut rest = self.template();
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            message.push_str(before);
            match arguments.get(name) {
                Some(value) => message.push_str(value),
                None => message.extend(["{", name, "}"]),
            }
            rest = after;
        }
        message.push_str(rest);
        message
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_message_has_its_arguments_and_shows_those_that_are_missing() {
        let arguments = BTreeMap::from([("holder".to_owned(), "a {not_after}".to_owned())]);
        let message = EventKind::CertificateRenewed.message(&arguments);
        let expected =
            "The licensor certificate of a {not_after} was renewed; the new one is valid until {not_after}.";
        assert_eq!(message, expected);
    }

    #[test]
    fn ids_and_names_are_unique_and_names_end_in_event() {
        let ids: HashSet<_> = EventKind::ALL.iter().map(|kind| kind.id()).collect();
        let names: HashSet<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(ids.len(), EventKind::ALL.len());
        assert_eq!(names.len(), EventKind::ALL.len());
        assert!(names.iter().all(|name| name.ends_with("Event")));
    }
}
