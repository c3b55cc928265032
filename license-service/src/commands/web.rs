//! `web`: the screen.

use clap::Subcommand;
use licensor::cli::{Failure, Output, print_link};
use proto::licensing::v1::{
    CreateSignInLinkRequest, licensing_admin_service_client::LicensingAdminServiceClient,
};
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
    print_link(output, &link.url, link.expire_time)
}
