//! The command line. All but `init`, `serve` and `backup restore` talk to the running service over its admin socket.

mod arguments;
mod authority;
mod entitlement;
mod shown;
mod web;

use std::{
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use licensor::{
    admin,
    cli::{self, Failure, Output, instant, print_list, print_object, text},
    clock::SystemClock,
    error::{Error, Reason},
    events_cli,
};
use proto::certification::v1::{
    AuditFinding, CreateBackupRequest, CreateBackupResponse, CreateTokenRequest, DecommissionNodeRequest,
    GetCertificateRequest, GetNodeRequest, GetRootStatusRequest, ListCertificatesRequest, ListNodesRequest,
    ListTokensRequest, ProveCertificateRequest, RevocationReason, RevokeCertificateRequest,
    RevokeTokenRequest, VerifyAuditRequest, VerifyAuditResponse,
    certification_admin_service_client::CertificationAdminServiceClient,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    app::{self, InitOrder},
    authority::{InitError, read_passphrase},
    backup::{self, RestoreOrder, Restored},
    config::Config,
};

pub(crate) use self::arguments::Arguments;
use self::{
    arguments::{AuditCommand, BackupCommand, CertificatesCommand, Command, NodesCommand, TokenCommand},
    shown::{authority_json, certificate_json, node_json, token_json},
};

type Client = CertificationAdminServiceClient<Channel>;

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { config, output, command } = arguments;
    if let Command::Completions { shell } = command {
        clap_complete::generate(shell, &mut Arguments::command(), "root-service", &mut io::stdout());
        return Ok(());
    }
    let config = Config::load(config.as_deref())?;
    let clock = SystemClock::shared();
    match command {
        Command::Init { upstream, token_file, if_needed } => {
            let token = token_file.as_deref().map(read).transpose()?;
            let order = InitOrder { upstream: authority::recorded_kind(upstream), token, if_needed };
            let made = runtime()?.block_on(app::init(&config, &clock, order)).map_err(failure)?;
            let anchor = Some(config.data_dir.join("trust-anchor.pem")).filter(|anchor| anchor.exists());
            if anchor.is_none() {
                eprintln!(
                    "note: there is no certificate yet: run `root-service serve`, and `root-service authority export-request FILE --token-file TOKEN`"
                );
            }
            print_object(output, &json!({ "trust_anchor": anchor, "created": made }))
        }
        Command::Backup(BackupCommand::Restore {
            file,
            passphrase_file,
            keys,
            checkpoints,
            revocation_lists,
            lost,
            accept_loss,
        }) => {
            let passphrase = passphrase_file.as_deref().map(read_passphrase).transpose();
            let passphrase = passphrase.map_err(Failure::other)?;
            let seen = checkpoints.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
            let read_list = |path: &PathBuf| {
                std::fs::read(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
            };
            let lists = revocation_lists.iter().map(read_list).collect::<Result<_, _>>()?;
            let order = RestoreOrder { file, passphrase, keys, seen, lists, lost, accept_loss };
            let restored =
                runtime()?.block_on(backup::restore(&config, &clock, order)).map_err(Failure::other)?;
            let Restored { created_at, pairs, entries } = restored;
            let created_at = licensor::clock::rfc3339(created_at);
            print_object(output, &json!({ "created_at": created_at, "records": pairs, "entries": entries }))
        }
        Command::Serve => runtime()?.block_on(app::serve(config, clock)).map_err(failure),
        command => {
            let socket = admin::socket_path(&config.admin, &config.data_dir);
            runtime()?.block_on(async { administer(command, admin::connect(&socket).await?, output).await })
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::other)
}

/// A key or passphrase file that cannot be used is a matter of configuration; everything else failed.
fn failure(error: anyhow::Error) -> Failure {
    use licensor::{config::ConfigError, key::KeyError};
    let error = match error.downcast::<ConfigError>() {
        Ok(error) => return Failure::Configuration(error),
        Err(error) => error,
    };
    let error = match error.downcast::<Error>() {
        Ok(error) => return Failure::Refused(error),
        Err(error) => error,
    };
    let sentence = format!("{error:#}");
    let key = match error.downcast_ref::<InitError>() {
        Some(
            InitError::Passphrase(..)
            | InitError::Key(KeyError::PassphraseNeeded { .. } | KeyError::PassphraseWrong { .. }),
        ) => "authority.passphrase_file",
        Some(InitError::Key(KeyError::Crypto)) => return Failure::Failed(sentence),
        Some(InitError::Key(_) | InitError::File(..)) => "data_dir",
        _ => return Failure::Failed(sentence),
    };
    Failure::Configuration(ConfigError::unusable(key, sentence))
}

async fn administer(command: Command, channel: Channel, output: Output) -> Result<(), Failure> {
    let mut client = Client::new(channel.clone());
    match command {
        Command::Token(command) => token(command, &mut client, output).await,
        Command::Nodes(command) => nodes(command, &mut client, output).await,
        Command::Certificates(command) => certificates(command, &mut client, output).await,
        Command::Entitlement(command) => entitlement::run(command, &mut client, output).await,
        Command::Authority(command) => authority::run(command, &mut client, output).await,
        Command::SignRequest { file, answer } => authority::sign(&file, answer, &mut client, output).await,
        Command::Backup(command) => create_backup(command, &mut client, output).await,
        Command::Audit(command) => audit(command, &mut client, output).await,
        Command::Events(command) => events_cli::run(command, channel, output).await,
        Command::Web(command) => web::run(command, &mut client, output).await,
        Command::Status => status(&mut client, output).await,
        // Done before anyone connects.
        Command::Init { .. } | Command::Serve | Command::Completions { .. } => Ok(()),
    }
}

async fn token(command: TokenCommand, client: &mut Client, output: Output) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { node, root, owner, dns_names, ip_addresses, ttl } => {
            let ttl = prost_types::Duration::try_from(ttl).map_err(Failure::other)?;
            let request = CreateTokenRequest {
                root: root.is_some(),
                node: node.or(root).unwrap_or_default(),
                owner,
                dns_names,
                ip_addresses,
                ttl: Some(ttl),
            };
            let created = client.create_token(request).await?.into_inner();
            let token = created.enrollment_token.unwrap_or_default();
            print_object(
                output,
                &json!({
                    "token": created.token,
                    "id": token.id,
                    "node": token.node,
                    "expires_at": instant(token.expire_time),
                }),
            )
        }
        TokenCommand::List => {
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = ListTokensRequest { page_size: 1000, page_token };
                let page = client.list_tokens(request).await?.into_inner();
                rows.extend(page.tokens.iter().map(token_json));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return print_list(
                        output,
                        &["id", "node", "owner", "status", "expires_at", "serial"],
                        &rows,
                    );
                }
            }
        }
        TokenCommand::Revoke { id } => {
            let token = client.revoke_token(RevokeTokenRequest { id }).await?.into_inner().token;
            print_object(output, &token_json(&token.unwrap_or_default()))
        }
    }
}

async fn nodes(command: NodesCommand, client: &mut Client, output: Output) -> Result<(), Failure> {
    match command {
        NodesCommand::List => {
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let page =
                    client.list_nodes(ListNodesRequest { page_size: 1000, page_token }).await?.into_inner();
                rows.extend(page.nodes.iter().map(node_json));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return print_list(
                        output,
                        &["name", "owner", "serial", "not_after", "decommissioned_at"],
                        &rows,
                    );
                }
            }
        }
        NodesCommand::Show { name } => {
            let node = client.get_node(GetNodeRequest { name }).await?.into_inner().node;
            print_object(output, &node_json(&node.unwrap_or_default()))
        }
        NodesCommand::Decommission { name, yes } => {
            // What does not exist is not worth a question.
            client.get_node(GetNodeRequest { name: name.clone() }).await?;
            if !yes {
                confirm(&name)?;
            }
            let answer = client.decommission_node(DecommissionNodeRequest { name }).await?.into_inner();
            let mut shown = node_json(&answer.node.unwrap_or_default());
            shown["revocation_list_number"] = json!(answer.revocation_list_number);
            print_object(output, &shown)
        }
    }
}

async fn certificates(
    command: CertificatesCommand,
    client: &mut Client,
    output: Output,
) -> Result<(), Failure> {
    match command {
        CertificatesCommand::List { node } => {
            let node = node.unwrap_or_default();
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = ListCertificatesRequest { page_size: 1000, page_token, node: node.clone() };
                let page = client.list_certificates(request).await?.into_inner();
                rows.extend(page.certificates.iter().map(certificate_json));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return print_list(
                        output,
                        &["serial", "node", "not_before", "not_after", "status"],
                        &rows,
                    );
                }
            }
        }
        CertificatesCommand::Show { serial } => {
            let request = GetCertificateRequest { serial };
            let certificate =
                client.get_certificate(request).await?.into_inner().certificate.unwrap_or_default();
            let mut shown = certificate_json(&certificate);
            let pem = |der: Vec<u8>| {
                if der.is_empty() {
                    Value::Null
                } else {
                    json!(pem::encode(&pem::Pem::new("CERTIFICATE", der)))
                }
            };
            shown["issuer_key_id"] = text(&certificate.issuer_key_id);
            shown["certificate"] = pem(certificate.certificate);
            shown["authority_certificate"] = pem(certificate.authority_certificate);
            shown["server_certificate"] = pem(certificate.server_certificate);
            print_object(output, &shown)
        }
        CertificatesCommand::Revoke { serial, reason } => {
            let reason = RevocationReason::from(reason).into();
            let request = RevokeCertificateRequest { serial, reason };
            let answer = client.revoke_certificate(request).await?.into_inner();
            let certificate = answer.certificate.unwrap_or_default();
            if !certificate.superseded_by.is_empty() {
                eprintln!(
                    "note: {} has certificate {} now, which is another one",
                    certificate.node, certificate.superseded_by
                );
            }
            let mut shown = certificate_json(&certificate);
            shown["revocation_list_number"] = json!(answer.revocation_list_number);
            print_object(output, &shown)
        }
    }
}

/// Asks for the name of what is about to be ended for good.
fn confirm(name: &str) -> Result<(), Failure> {
    let refused =
        || Failure::Failed(format!("{name} was not decommissioned: type its name when asked, or give --yes"));
    eprint!(
        "{name} is decommissioned for good: its certificate is revoked, and its name is never enrolled again.\nType its name to go on: "
    );
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(Failure::other)?;
    if typed.trim() == name { Ok(()) } else { Err(refused()) }
}

async fn create_backup(command: BackupCommand, client: &mut Client, output: Output) -> Result<(), Failure> {
    // A restore was done before anyone connects.
    let BackupCommand::Create { file, passphrase_file } = command else { return Ok(()) };
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let passphrase = passphrase_file.as_deref().map(read_passphrase).transpose().map_err(Failure::other)?;
    let with_key = passphrase.is_some();
    let passphrase = passphrase.map(|passphrase| passphrase.to_vec()).unwrap_or_default();
    let mut pieces = client.create_backup(CreateBackupRequest { passphrase }).await?.into_inner();
    // It gets its name when it is whole, and nothing is written over.
    if file.exists() {
        return Err(Failure::Failed(format!("{} is there already: choose another name", file.display())));
    }
    let mut unfinished = file.clone().into_os_string();
    unfinished.push(".unfinished");
    let mut written =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(&unfinished).map_err(
            |error| {
                let left = "if a backup was cut short there, remove it";
                Failure::Failed(format!("{}: {error}; {left}", PathBuf::from(&unfinished).display()))
            },
        )?;
    let whole = async {
        while let Some(CreateBackupResponse { piece, done }) = pieces.message().await? {
            written.write_all(&piece).map_err(failed)?;
            if done {
                written.sync_all().map_err(failed)?;
                std::fs::rename(&unfinished, &file).map_err(failed)?;
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                return licensor::file::sync_directory(folder.unwrap_or(Path::new("."))).map_err(failed);
            }
        }
        Err(Failure::Failed("the service ended before the backup was whole: try again".into()))
    };
    if let Err(error) = whole.await {
        // What is not whole is nothing; that it may stay behind changes nothing.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    if !with_key {
        eprintln!(
            "note: the authority's key is not in it (no --passphrase-file): keep `authority-key.pem` as well"
        );
    }
    let octets = std::fs::metadata(&file).map_err(failed)?.len();
    print_object(output, &json!({ "file": file, "octets": octets, "key_included": with_key }))
}

async fn audit(command: AuditCommand, client: &mut Client, output: Output) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { checkpoint } => {
            let read = |path: PathBuf| {
                std::fs::read_to_string(&path)
                    .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
            };
            let checkpoint = checkpoint.map(read).transpose()?.unwrap_or_default();
            let mut answers = client.verify_audit(VerifyAuditRequest { checkpoint }).await?.into_inner();
            let mut progress = cli::Progress::new("entries");
            while let Some(answer) = answers.message().await? {
                if answer.done {
                    progress.end();
                    return audited(&answer, output);
                }
                progress.show(answer.verified, answer.size);
            }
            Err(Failure::Failed("the service ended before the log was verified: try again".into()))
        }
        AuditCommand::Prove { serial } => {
            let proof =
                client.prove_certificate(ProveCertificateRequest { serial }).await?.into_inner().proof;
            match output {
                Output::Table => cli::print(proof.trim_end())?,
                Output::Json => print_object(output, &json!({ "proof": proof }))?,
            }
            Ok(())
        }
    }
}

/// Shows the outcome; one with findings is a failure.
fn audited(outcome: &VerifyAuditResponse, output: Output) -> Result<(), Failure> {
    let finding = |finding: &AuditFinding| {
        json!({
            "first_sequence": finding.first_sequence,
            "last_sequence": finding.last_sequence,
            "problem": finding.problem,
        })
    };
    let findings: Vec<Value> = outcome.findings.iter().map(finding).collect();
    let intact = findings.is_empty();
    let root = verifier::certificate::hex(&outcome.root);
    match output {
        Output::Json => print_object(
            output,
            &json!({ "entries": outcome.size, "intact": intact, "root": root, "findings": findings }),
        )?,
        Output::Table if intact => {
            print_object(output, &json!({ "entries": outcome.size, "intact": intact, "root": root }))?;
        }
        Output::Table => print_list(output, &["first_sequence", "last_sequence", "problem"], &findings)?,
    }
    if intact {
        return Ok(());
    }
    let message = format!(
        "the audit log is not what was logged, in {} places: keep a copy of the data directory, and find out who had access",
        findings.len()
    );
    Err(Failure::Refused(Error::new(Reason::AuditLogChanged, message)))
}

async fn status(client: &mut Client, output: Output) -> Result<(), Failure> {
    let status = client.get_root_status(GetRootStatusRequest {}).await?.into_inner();
    print_object(
        output,
        &json!({
            "trust_domain": status.trust_domain,
            "public_address": status.public_address,
            "authority": authority_json(&status.authority.unwrap_or_default()),
            "nodes": status.nodes,
            "enabled": status.enabled,
            "disabled_reason": text(&status.disabled_reason),
        }),
    )
}
