//! What pages of the Licences screen cost, where there is much to show: ten vendors with a thousand licences each, ten
//! thousand seats in use, a hundred thousand events.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use licensor::clock::SharedClock;
use proto::{
    certification::v1::PutEntitlementRequest,
    event::v1::Scope,
    licensing::v1::{
        AcquireLicenseRequest, AddEventRequest, CreateSignInLinkRequest, EndEventRequest,
        ListInstalledEntitlementsRequest, SystemEventKind, licensing_service_client::LicensingServiceClient,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

use crate::{
    Arguments, fleet,
    measure::measure,
    node::Node,
    report::{Kind, Report},
    service::{Root, pause},
};

const VENDORS: usize = 10;
const MODULES: usize = 1_000;
const SEATS: usize = 10_000;
const EVENTS: usize = 100_000;
/// Pages in a round.
const PAGES: usize = 1_280;
/// Calls at once while all of it is made.
const AT_ONCE: usize = 64;

/// What the owner has of a vendor.
fn entitlement(vendor: usize) -> String {
    let mut document =
        format!("owner = \"Example GmbH\"\nvendor = \"Vendor {vendor}\"\nserial_number = \"EX-{vendor}\"\n");
    for module in 0..MODULES {
        document.push_str(&format!(
            "[[modules]]\nname = \"module-{module}\"\ntitle = \"Module {module}\"\nquantity = 20000\n"
        ));
    }
    document
}

/// Fills a licensing server, and fetches its pages.
pub(crate) async fn fetch_all(
    arguments: &Arguments,
    directory: &Path,
    root: &Root,
    clock: &SharedClock,
    report: &mut Report,
) -> Result<()> {
    let mut administration = fleet::administration(root).await?;
    for vendor in 1..VENDORS {
        administration.put_entitlement(PutEntitlementRequest { document: entitlement(vendor) }).await?;
    }
    let node = Node::enroll("screen", entitlement(0), directory, root, clock).await?;
    let process = node.start(clock).await?;
    fill(&node, clock).await?;
    let cookie = sign_in(&node).await?;
    let pages = [
        (Kind::PageLicenses, "/licences?vendor=Vendor+5"),
        (Kind::PageDetails, "/licences?vendor=Vendor+0&module=module-0"),
        (Kind::PageStatus, "/status"),
    ];
    for round in 0..=arguments.rounds {
        for &in_flight in &arguments.in_flight {
            let mut browsers = Vec::new();
            for _ in 0..in_flight {
                browsers.push(Mutex::new(TcpStream::connect(node.web).await?));
            }
            for (kind, page) in pages {
                let fetch = |browser| fetch(&node, browser, page, &cookie);
                let count = (PAGES * in_flight / AT_ONCE).max(64);
                let calls = browsers.iter().cycle().take(count).map(fetch);
                let (sample, _) = measure(&process, clock, in_flight, calls).await?;
                // The first round fills the caches.
                if round > 0 {
                    report.add(kind, in_flight, sample);
                }
            }
        }
    }
    process.stop(clock).await
}

/// Takes seats, and adds and ends events.
async fn fill(node: &Node, clock: &SharedClock) -> Result<()> {
    let applications = node.connect(AT_ONCE).await?;
    let mut administration = node.administration().await?;
    // They come into force by themselves, a moment after the start.
    while administration
        .list_installed_entitlements(ListInstalledEntitlementsRequest {})
        .await?
        .into_inner()
        .entitlements
        .len()
        < VENDORS
    {
        pause(clock, 50).await;
    }
    eprintln!("taking {SEATS} seats");
    let acquire = |user: usize| {
        let application = applications[user % AT_ONCE].clone();
        let request = application.request(AcquireLicenseRequest {
            vendor: "Vendor 0".to_owned(),
            module: "module-0".to_owned(),
            subject: format!("user-{user}"),
            ..AcquireLicenseRequest::default()
        });
        async move { LicensingServiceClient::new(application.channel).acquire_license(request).await }
    };
    stream::iter((0..SEATS).map(acquire)).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
    eprintln!("raising {EVENTS} events");
    let raise = |number: usize| {
        let mut administration = administration.clone();
        let request = AddEventRequest {
            kind: SystemEventKind::Maintenance.into(),
            description: format!("Notice {number}"),
            scope: Scope::User.into(),
            target: format!("user-{number}"),
            ..AddEventRequest::default()
        };
        async move {
            let added = administration.add_event(request).await?.into_inner().event.unwrap_or_default();
            administration.end_event(EndEventRequest { sequence: added.sequence }).await
        }
    };
    stream::iter((0..EVENTS / 2).map(raise)).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
    // One stays.
    administration
        .add_event(AddEventRequest {
            kind: SystemEventKind::MessageOfTheDay.into(),
            description: "Good morning".to_owned(),
            ..AddEventRequest::default()
        })
        .await?;
    Ok(())
}

/// The cookie of somebody who is signed in.
async fn sign_in(node: &Node) -> Result<String> {
    let link =
        node.administration().await?.create_sign_in_link(CreateSignInLinkRequest {}).await?.into_inner().url;
    let path = link.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let mut stream = TcpStream::connect(node.web).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        path.context("no link")?,
        node.web
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    Ok(cookie.context("no cookie")?.to_owned())
}

/// Fetches a page, to its last octet.
async fn fetch(node: &Node, browser: &Mutex<TcpStream>, page: &str, cookie: &str) -> Result<()> {
    let mut stream = browser.lock().await;
    let request = format!("GET {page} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", node.web);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(64 << 10);
    let length = loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
        let Some(head) = answer.windows(4).position(|octets| octets == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]);
        ensure!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        break head + 4 + length.context("no length")?.parse::<usize>()?;
    };
    while answer.len() < length {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
    }
    Ok(())
}
