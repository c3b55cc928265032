//! `web`: the screen.

use clap::Subcommand;
use licensor::cli::{Failure, Output, instant, print_object, text};
use proto::licensing::v1::{
    CreateSignInLinkRequest, licensing_admin_service_client::LicensingAdminServiceClient,
};
use serde_json::json;
use tonic::transport::Channel;

/// The screen.
#[derive(Debug, Subcommand)]
pub(super) enum WebCommand {
    /// Print a link that signs you in on the screen, once, as an administrator
    #[command(
        after_help = "The link is good for a few minutes (`web.link`); whoever opens it is signed in.\n\nExample:\n  license-service web login"
    )]
    Login,
}

pub(super) async fn run(command: WebCommand, channel: Channel, output: Output) -> Result<(), Failure> {
    let WebCommand::Login = command;
    let mut client = LicensingAdminServiceClient::new(channel);
    let link = client.create_sign_in_link(CreateSignInLinkRequest {}).await?.into_inner();
    match output {
        // Alone on its line, so that it can be opened with a click or given to a browser.
        Output::Table => {
            println!("{}", link.url);
            eprintln!(
                "This link signs in once, until {}.",
                instant(link.expire_time).as_str().unwrap_or_default()
            );
            Ok(())
        }
        Output::Json => {
            print_object(output, &json!({ "url": text(&link.url), "expires_at": instant(link.expire_time) }))
        }
    }
}
