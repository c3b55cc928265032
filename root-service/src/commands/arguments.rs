//! What the command line takes.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use licensor::{cli::Output, config::parse_span, events_cli::EventsCommand};
use proto::certification::v1::{RevocationReason, UpstreamKind};

use super::{entitlement::EntitlementCommand, web::WebCommand};

/// Root certification service: enrols licensing servers, issues and renews their licensor certificates.
#[derive(Debug, Parser)]
#[command(
    name = "root-service",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  root-service --config root.toml init && root-service --config root.toml serve"
)]
pub(crate) struct Arguments {
    /// Configuration file [default: /etc/licensor/root.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a root: a key in `data_dir`, with a self-signed certificate, or one that an upstream issues
    #[command(
        after_help = "Example:\n  LICENSOR_ROOT__DATA_DIR=/var/lib/licensor/root root-service init\n  root-service init --upstream grpc --token-file token"
    )]
    Init {
        /// Where its certificate comes from
        #[arg(long, value_enum, default_value_t)]
        upstream: UpstreamChoice,
        /// File with a token of the upstream (made there with `root-service token create --root NAME`)
        #[arg(long, value_name = "FILE", required_if_eq("upstream", "grpc"))]
        token_file: Option<PathBuf>,
        /// Succeed if there is a trust anchor already
        #[arg(long)]
        if_needed: bool,
    },
    /// Run the service until SIGTERM or Ctrl-C
    #[command(after_help = "Example:\n  root-service --config /etc/licensor/root.toml serve")]
    Serve,
    /// Enrolment tokens: each enrols one licensing server, once
    #[command(
        subcommand,
        after_help = "Example:\n  root-service token create --node berlin-1 --owner 'Example GmbH'"
    )]
    Token(TokenCommand),
    /// Licensing servers that this root has enrolled
    #[command(subcommand, after_help = "Example:\n  root-service nodes list")]
    Nodes(NodesCommand),
    /// Licensor certificates that this root has issued
    #[command(subcommand, after_help = "Example:\n  root-service certificates list --node berlin-1")]
    Certificates(CertificatesCommand),
    /// Entitlements: what an owner has of a vendor
    #[command(subcommand, after_help = "Example:\n  root-service entitlement put entitlement.toml")]
    Entitlement(EntitlementCommand),
    /// The certificate authority of this root
    #[command(subcommand, after_help = "Example:\n  root-service authority show")]
    Authority(AuthorityCommand),
    /// Answer a request that a licensing server or a root below this one exported to a file
    #[command(after_help = "Example:\n  root-service sign-request berlin-1.request --answer berlin-1.answer")]
    SignRequest {
        /// The request
        file: PathBuf,
        /// File for the answer [default: that of the request, with `.answer` at its end]
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
    },
    /// The audit log: everything that was done, in a form that cannot be rewritten unseen
    #[command(subcommand, after_help = "Example:\n  root-service audit verify")]
    Audit(AuditCommand),
    /// Backups: everything that a root is, in one file
    #[command(
        subcommand,
        after_help = "Example:\n  root-service backup create root.backup --passphrase-file passphrase"
    )]
    Backup(BackupCommand),
    /// What happened
    #[command(subcommand, after_help = "Example:\n  root-service events list --id 18")]
    Events(EventsCommand),
    /// The fleet page: licensing servers by expiry, in a browser
    #[command(subcommand, after_help = "Example:\n  root-service web login")]
    Web(WebCommand),
    /// Sum up this root
    #[command(after_help = "Example:\n  root-service status --output json")]
    Status,
    /// Print completions for a shell
    #[command(after_help = "Example:\n  root-service completions bash > /etc/bash_completion.d/root-service")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token; it is shown once and kept nowhere
    #[command(
        after_help = "Example:\n  root-service token create --node berlin-1 --owner 'Example GmbH' --dns berlin-1.example.com --ttl 24h"
    )]
    Create {
        /// Name of the licensing server
        #[arg(long, required_unless_present = "root", conflicts_with = "root")]
        node: Option<String>,
        /// Name of a root below this one, instead of a licensing server
        #[arg(long, value_name = "NAME", conflicts_with_all = ["dns_names", "ip_addresses"])]
        root: Option<String>,
        /// Organisation that runs it
        #[arg(long)]
        owner: String,
        /// DNS name of its TLS port (repeatable); its own name if neither --dns nor --ip is given
        #[arg(long = "dns", value_name = "NAME")]
        dns_names: Vec<String>,
        /// IP address of its TLS port (repeatable)
        #[arg(long = "ip", value_name = "ADDR")]
        ip_addresses: Vec<String>,
        /// How long the token can be used
        #[arg(long, default_value = "1h", value_parser = parse_span, value_name = "DURATION")]
        ttl: Duration,
    },
    /// List tokens
    #[command(after_help = "Example:\n  root-service token list")]
    List,
    /// Make an unused token useless
    #[command(after_help = "Example:\n  root-service token revoke 5f0c9a1b2c3d4e5f")]
    Revoke {
        /// Identifier, as `token list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum NodesCommand {
    /// List nodes
    #[command(after_help = "Example:\n  root-service nodes list --output json")]
    List,
    /// Show one node
    #[command(after_help = "Example:\n  root-service nodes show berlin-1")]
    Show {
        /// Its name
        name: String,
    },
    /// End a node for good: its certificate is revoked, and its name is never enrolled again
    #[command(after_help = "Example:\n  root-service nodes decommission berlin-1 --yes")]
    Decommission {
        /// Its name
        name: String,
        /// Do not ask for the name again
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CertificatesCommand {
    /// List certificates
    #[command(after_help = "Example:\n  root-service certificates list --node berlin-1")]
    List {
        /// Only those of this node, from the newest on
        #[arg(long)]
        node: Option<String>,
    },
    /// Show one certificate
    #[command(after_help = "Example:\n  root-service certificates show 5f0c…9a")]
    Show {
        /// Serial number, hexadecimal
        serial: String,
    },
    /// Revoke a certificate for good, and publish a revocation list that has it
    #[command(after_help = "Example:\n  root-service certificates revoke 5f0c…9a --reason key-compromise")]
    Revoke {
        /// Serial number, hexadecimal
        serial: String,
        /// Why (RFC 5280 §5.3.1)
        #[arg(long, value_enum, default_value_t)]
        reason: WhyRevoked,
    },
}

/// Why a certificate is revoked.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum WhyRevoked {
    /// It is not said
    #[default]
    Unspecified,
    /// Somebody else may have the private key
    KeyCompromise,
    /// The licensing server has another owner
    AffiliationChanged,
    /// Another certificate took its place
    Superseded,
    /// The licensing server is no longer in use
    CessationOfOperation,
    /// The licensing server may no longer issue licences
    PrivilegeWithdrawn,
}

impl From<WhyRevoked> for RevocationReason {
    fn from(why: WhyRevoked) -> Self {
        match why {
            WhyRevoked::Unspecified => Self::Unspecified,
            WhyRevoked::KeyCompromise => Self::KeyCompromise,
            WhyRevoked::AffiliationChanged => Self::AffiliationChanged,
            WhyRevoked::Superseded => Self::Superseded,
            WhyRevoked::CessationOfOperation => Self::CessationOfOperation,
            WhyRevoked::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum BackupCommand {
    /// Make a backup while the root serves
    #[command(after_help = "Example:\n  root-service backup create root.backup --passphrase-file passphrase")]
    Create {
        /// File to be made
        file: PathBuf,
        /// File with a passphrase: the authority's key is in the backup, encrypted with it; without, the key is left out
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Make a root from a backup, in a `data_dir` that has none; the service must not run
    #[command(
        after_help = "Example:\n  root-service backup restore root.backup --passphrase-file passphrase --checkpoint audit-checkpoint.txt"
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// File with the passphrase of the key
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// A key of the authority, if it is not in the backup (repeatable)
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<PathBuf>,
        /// `audit-checkpoint.txt` of a node, or of the root that was lost (repeatable): what it has seen must be in the
        /// backup, and is named otherwise
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// A revocation list that others have seen (DER): `revocation-list.crl` of a node (repeatable); what is on it must be in
        /// the backup
        #[arg(long = "revocation-list", value_name = "FILE")]
        revocation_lists: Vec<PathBuf>,
        /// `data_dir` of the root that was lost, if its store can be read: what is forgotten is named
        #[arg(long, value_name = "DIR")]
        lost: Option<PathBuf>,
        /// Restore though something was logged after the backup
        #[arg(long)]
        accept_loss: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Verify every entry; names what was changed, dropped or rolled back
    #[command(
        after_help = "Example:\n  root-service audit verify --checkpoint /mnt/elsewhere/audit-checkpoint.txt"
    )]
    Verify {
        /// A checkpoint that was kept elsewhere: a copy of `audit-checkpoint.txt`, or of the file of that name of any node
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Print a proof that the issue of a certificate is in the log
    #[command(after_help = "Example:\n  root-service audit prove 5f0c…9a > proof.txt")]
    Prove {
        /// Serial number, hexadecimal
        serial: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AuthorityCommand {
    /// Show the authority's certificates, and where they come from
    #[command(after_help = "Example:\n  root-service authority show --output json")]
    Show,
    /// Renew the authority's certificate: at its upstream, or by a new self-signed one; its key stays
    #[command(after_help = "Example:\n  root-service authority renew")]
    Renew,
    /// Say where the authority's certificate comes from next
    #[command(
        after_help = "Example:\n  root-service authority upstream grpc --token-file token\n  root-service authority upstream offline"
    )]
    Upstream {
        /// Where from
        #[arg(value_enum)]
        upstream: UpstreamChoice,
        /// File with a token of the upstream (made there with `root-service token create --root NAME`)
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Exchange the authority's key without an outage, in three steps
    #[command(
        subcommand,
        after_help = "Example:\n  root-service authority rotate prepare && sleep 1h && root-service authority rotate activate"
    )]
    Rotate(RotateCommand),
    /// Make a file with a request, to be carried to the upstream
    #[command(
        after_help = "Example:\n  root-service authority export-request berlin.request --token-file token"
    )]
    ExportRequest {
        /// File to be made
        file: PathBuf,
        /// File with a token of the upstream: for the first certificate; without, the certificate is renewed
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Take the upstream's answer
    #[command(after_help = "Example:\n  root-service authority import berlin.request.answer")]
    Import {
        /// The answer
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum RotateCommand {
    /// Make the authority that is to follow, and distribute it in the trust bundle
    #[command(after_help = "Example:\n  root-service authority rotate prepare")]
    Prepare,
    /// Let it issue from now on; the former one still verifies
    #[command(after_help = "Example:\n  root-service authority rotate activate")]
    Activate,
    /// Take the former one out of the trust bundle, once nobody uses its certificates any more
    #[command(after_help = "Example:\n  root-service authority rotate retire")]
    Retire,
}

/// Where the certificate of an authority comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum UpstreamChoice {
    /// It is a trust anchor
    #[default]
    #[value(name = "self")]
    SelfSigned,
    /// Another root, over mutual TLS
    Grpc,
    /// Another root, by files that are carried
    Offline,
}

impl From<UpstreamChoice> for UpstreamKind {
    fn from(choice: UpstreamChoice) -> Self {
        match choice {
            UpstreamChoice::SelfSigned => Self::Self_,
            UpstreamChoice::Grpc => Self::Grpc,
            UpstreamChoice::Offline => Self::Offline,
        }
    }
}
