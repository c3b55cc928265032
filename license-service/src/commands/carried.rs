//! `export-request` and `import`: a request and its answer as files.

use std::{fs, io, path::Path};

use licensor::{
    cli::{Failure, Output, print_object},
    error::{Error, Reason},
    file,
};
use proto::licensing::v1::{
    ExportRequestRequest, ImportAnswerRequest, licensing_admin_service_client::LicensingAdminServiceClient,
};
use serde_json::json;
use tonic::transport::Channel;

use super::certificate_json;

/// Lets the service make a request, and writes it to `file`. An enrolment has the secret of its token in it: nobody but
/// the file's owner reads it.
pub(super) async fn export_request(
    channel: Channel,
    path: &Path,
    token: Option<String>,
    same_key: bool,
    output: Output,
) -> Result<(), Failure> {
    // Looked at before anything is asked for: with a request that is lost, an earlier one would be void, too.
    if fs::symlink_metadata(path).is_ok() {
        return Err(unwritable(path, &io::ErrorKind::AlreadyExists.into()));
    }
    let kind = if token.is_some() { "enrollment" } else { "renewal" };
    // An empty token would make it a renewal, which is something else than was asked for.
    if token.as_ref().is_some_and(|token| token.trim().is_empty()) {
        return Err(Error::new(Reason::TokenUnknown, "the token is empty").into());
    }
    let request = ExportRequestRequest { token: token.unwrap_or_default(), same_key };
    let answer = LicensingAdminServiceClient::new(channel).export_request(request).await?.into_inner();
    file::write_new(path, answer.request.as_bytes()).map_err(|error| unwritable(path, &error))?;
    let next = format!(
        "carry the file to the root, run `root-service sign-request {}` there, and `license-service import` here with the answer",
        path.display()
    );
    print_object(output, &json!({ "file": path.display().to_string(), "kind": kind, "next": next }))
}

/// Lets the service take the answer in `file`.
pub(super) async fn import(channel: Channel, file: &Path, output: Output) -> Result<(), Failure> {
    let answer =
        fs::read_to_string(file).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    let request = ImportAnswerRequest { answer };
    let imported = LicensingAdminServiceClient::new(channel).import_answer(request).await?.into_inner();
    print_object(output, &certificate_json(&imported.certificate))
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let problem = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "it is there already: name another file, or remove this one".to_owned()
        }
        _ => error.to_string(),
    };
    Failure::Failed(format!("the request cannot be written to {}: {problem}", file.display()))
}
