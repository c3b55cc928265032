//! Commands about the authority's own certificates, and about requests that are carried.

use std::path::{Path, PathBuf};

use licensor::{
    cli::{Failure, Output, print_object},
    file,
};
use proto::certification::v1::{
    ActivateRotationRequest, ExportAuthorityRequestRequest, GetAuthorityRequest,
    ImportAuthorityAnswerRequest, PrepareRotationRequest, RenewAuthorityRequest, RetireAuthorityRequest,
    SetUpstreamRequest, SignRequestRequest,
};
use serde_json::{Value, json};

use super::{
    Client,
    arguments::{AuthorityCommand, RotateCommand, UpstreamChoice},
    read,
    shown::{authority_json, upstream_json},
};
use crate::ledger::UpstreamKind;

pub(super) async fn run(
    command: AuthorityCommand,
    client: &mut Client,
    output: Output,
) -> Result<(), Failure> {
    let authority = match command {
        AuthorityCommand::Show => {
            let answer = client.get_authority(GetAuthorityRequest {}).await?.into_inner();
            let mut shown = authority_json(&answer.authority.unwrap_or_default());
            shown["upstream"] = upstream_json(&answer.upstream.unwrap_or_default());
            shown["authorities"] = answer.authorities.iter().map(authority_json).collect::<Value>();
            return print_object(output, &shown);
        }
        AuthorityCommand::Renew => {
            client.renew_authority(RenewAuthorityRequest {}).await?.into_inner().authority
        }
        AuthorityCommand::Upstream { upstream, token_file } => {
            let token = token_file.as_deref().map(read).transpose()?.unwrap_or_default();
            let kind = proto::certification::v1::UpstreamKind::from(upstream).into();
            let answer = client.set_upstream(SetUpstreamRequest { kind, token }).await?.into_inner();
            let mut shown = authority_json(&answer.authority.unwrap_or_default());
            shown["upstream"] = upstream_json(&answer.upstream.unwrap_or_default());
            return print_object(output, &shown);
        }
        AuthorityCommand::Rotate(RotateCommand::Prepare) => {
            let authority = client.prepare_rotation(PrepareRotationRequest {}).await?.into_inner().authority;
            let waits = authority.as_ref().is_some_and(|authority| authority.serial.is_empty());
            eprintln!(
                "{}",
                if waits {
                    "note: the next authority waits for its certificate: run `root-service authority export-request`, carry the file, and import the answer"
                } else {
                    "note: licensing servers take the next authority over with their trust bundle within `revocation.poll_interval`; then run `root-service authority rotate activate`"
                }
            );
            authority
        }
        AuthorityCommand::Rotate(RotateCommand::Activate) => {
            client.activate_rotation(ActivateRotationRequest {}).await?.into_inner().authority
        }
        AuthorityCommand::Rotate(RotateCommand::Retire) => {
            client.retire_authority(RetireAuthorityRequest {}).await?.into_inner().authority
        }
        AuthorityCommand::ExportRequest { file, token_file } => {
            let token = token_file.as_deref().map(read).transpose()?.unwrap_or_default();
            // A request that nobody gets would be the newest one.
            if file.exists() {
                return Err(exists(&file));
            }
            let answer = client.export_authority_request(ExportAuthorityRequestRequest { token }).await?;
            write_new(&file, &answer.into_inner().request)?;
            let next = "carry it to the upstream, and run there: root-service sign-request FILE";
            return print_object(output, &json!({ "file": file, "next": next }));
        }
        AuthorityCommand::Import { file } => {
            let answer = read(&file)?;
            let request = ImportAuthorityAnswerRequest { answer };
            client.import_authority_answer(request).await?.into_inner().authority
        }
    };
    print_object(output, &authority_json(&authority.unwrap_or_default()))
}

/// Answers a request in a file.
pub(super) async fn sign(
    file: &Path,
    answer: Option<PathBuf>,
    client: &mut Client,
    output: Output,
) -> Result<(), Failure> {
    let request = read(file)?;
    let answer = answer.unwrap_or_else(|| {
        let mut name = file.to_owned().into_os_string();
        name.push(".answer");
        name.into()
    });
    if answer.exists() {
        return Err(exists(&answer));
    }
    let signed = client.sign_request(SignRequestRequest { request }).await?.into_inner();
    write_new(&answer, &signed.answer)?;
    print_object(output, &json!({ "answer": answer, "node": signed.node, "serial": signed.serial }))
}

/// Writes a file that nobody else reads, and over none.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    file::write_new(path, text.as_bytes()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::Failed(format!("{}: {error}", path.display())),
    })
}

fn exists(path: &Path) -> Failure {
    Failure::Failed(format!("{} is there already: choose another name", path.display()))
}

/// The choice as it is recorded.
pub(super) fn recorded_kind(choice: UpstreamChoice) -> UpstreamKind {
    match choice {
        UpstreamChoice::SelfSigned => UpstreamKind::SelfSigned,
        UpstreamChoice::Grpc => UpstreamKind::Grpc,
        UpstreamChoice::Offline => UpstreamKind::Offline,
    }
}
