//! `web`: the fleet page.

use clap::Subcommand;
use licensor::cli::{Failure, Output, instant, print_object, text};
use proto::certification::v1::CreateSignInLinkRequest;
use serde_json::json;

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
