//! Makes a backup while the root goes on serving.

use aws_lc_rs::digest::{Context, SHA256};
use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
};
use prost::Message;
use proto::certification::v1::CreateBackupResponse;
use rcgen::PublicKeyData;
use tokio::sync::mpsc;
use tonic::Status;

use super::{End, Frame, Header, KeyFile, MAGIC, PAGE, Pair, Part};
use crate::authority::Authority;

/// What the events' log is kept under: its keys end in positions.
const EVENTS: &[u8] = b"event/";

/// Where the pieces of a backup go.
pub(crate) type Pieces = mpsc::Sender<Result<CreateBackupResponse, Status>>;

/// Makes a backup, and hands it over piece by piece. The key is in it only with a passphrase, and encrypted.
///
/// # Errors
/// `OVERLOADED` while another backup is made; `STORE_UNAVAILABLE`; `UNSPECIFIED` if nobody takes the pieces any more.
pub(crate) async fn create(authority: &Authority, passphrase: Option<&[u8]>, pieces: &Pieces) -> Result<()> {
    // Keys and records of one instant: nothing is exchanged between the two.
    let still = authority.keep_still().await;
    let mut snapshot = authority.ledger().snapshot().await?;
    let active = authority.active()?;
    let generations = authority.generations();
    let held = authority.keys()?;
    drop(still);
    let others = generations.certified().iter().filter(|other| other.key_id() != active.key_id());
    let mut keys = Vec::new();
    for (name, key) in held {
        let pem = passphrase.map(|passphrase| key.to_pem(Some(passphrase))).transpose();
        let pem = pem.map_err(|error| Error::internal("key", error))?;
        let pem = pem.map(|pem| pem.to_string()).unwrap_or_default();
        keys.push(KeyFile { name, public_key_info: key.subject_public_key_info(), pem });
    }
    let header = Header {
        created_at: unix_seconds(authority.now()),
        trust_domain: authority.trust_domain().to_owned(),
        trust_anchors: generations.trust_anchors(authority.now()),
        only_key: String::new(),
        keys,
        authorities: [&active].into_iter().chain(others).map(|it| it.certificate.clone()).collect(),
        chain: active.chain().to_vec(),
    };
    let mut digest = Context::new(&SHA256);
    let mut octets = MAGIC.to_vec();
    octets.extend(header.encode_length_delimited_to_vec());
    let mut end = End::default();
    loop {
        digest.update(&octets);
        send(pieces, std::mem::take(&mut octets)).await?;
        let page = snapshot.next(PAGE).await?;
        if page.is_empty() {
            break;
        }
        // Who was signed in when the backup was made is not when it is restored.
        for (key, value) in page.into_iter().filter(|(key, _)| !licensor_web::session::is_of_session(key)) {
            end.pairs += 1;
            if let Some(Ok(position)) = key.strip_prefix(EVENTS).map(<[u8; 8]>::try_from) {
                end.entries = end.entries.max(u64::from_be_bytes(position));
            }
            let frame = Frame { part: Some(Part::Pair(Pair { key, value })) };
            frame.encode_length_delimited(&mut octets).map_err(|error| Error::internal("backup", error))?;
        }
    }
    end.digest = digest.finish().as_ref().to_vec();
    end.signature = authority.sign_statement(&active, &end.signed())?;
    send(pieces, Frame { part: Some(Part::End(end)) }.encode_length_delimited_to_vec()).await
}

async fn send(pieces: &Pieces, piece: Vec<u8>) -> Result<()> {
    let gone = |_| Error::new(Reason::Unspecified, "whoever asked for the backup went away");
    pieces.send(Ok(CreateBackupResponse { piece, done: false })).await.map_err(gone)
}
