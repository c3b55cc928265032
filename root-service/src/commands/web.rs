//! `web`: the fleet page.

use clap::Subcommand;
use licensor::cli::{Failure, Output, print_link};
use proto::certification::v1::CreateSignInLinkRequest;

use super::Client;

/// The fleet page.
#[derive(Debug, Subcommand)]
pub(super) enum WebCommand {
    /// Print a link that signs you in on the fleet page, once
    #[command(
        after_help = "The page is served where `web.listen` says. The link is good for a few minutes (`web.link`); whoever opens it is signed in.\n\nExample:\n  root-service web login"
    )]
    Login,
}

pub(super) async fn run(command: WebCommand, client: &mut Client, output: Output) -> Result<(), Failure> {
    let WebCommand::Login = command;
    let link = client.create_sign_in_link(CreateSignInLinkRequest {}).await?.into_inner();
    print_link(output, &link.url, link.expire_time)
}
