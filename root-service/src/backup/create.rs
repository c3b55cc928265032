//! Makes a backup while the root goes on serving.

use aws_lc_rs::digest::{Context, SHA256};
use licensor::{
    clock::unix_seconds,
    error::{Error, Reason, Result},
};
use prost::Message;
use proto::certification::v1::CreateBackupResponse;
use tokio::sync::mpsc;
use tonic::Status;

use super::{End, Frame, Header, MAGIC, PAGE, Pair, Part};
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
    let key = match passphrase {
        None => String::new(),
        Some(passphrase) => authority.encrypted_key(passphrase)?,
    };
    let header = Header {
        created_at: unix_seconds(authority.now()),
        trust_domain: authority.trust_domain().to_owned(),
        trust_anchor: authority.trust_anchor().to_vec(),
        key,
    };
    let mut digest = Context::new(&SHA256);
    let mut octets = MAGIC.to_vec();
    octets.extend(header.encode_length_delimited_to_vec());
    let mut end = End::default();
    let mut snapshot = authority.ledger().snapshot().await?;
    loop {
        digest.update(&octets);
        send(pieces, std::mem::take(&mut octets)).await?;
        let page = snapshot.next(PAGE).await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            end.pairs += 1;
            if let Some(Ok(position)) = key.strip_prefix(EVENTS).map(<[u8; 8]>::try_from) {
                end.entries = end.entries.max(u64::from_be_bytes(position));
            }
            let frame = Frame { part: Some(Part::Pair(Pair { key, value })) };
            frame.encode_length_delimited(&mut octets).map_err(|error| Error::internal("backup", error))?;
        }
    }
    end.digest = digest.finish().as_ref().to_vec();
    end.signature = authority.sign_statement(&end.signed())?;
    send(pieces, Frame { part: Some(Part::End(end)) }.encode_length_delimited_to_vec()).await
}

async fn send(pieces: &Pieces, piece: Vec<u8>) -> Result<()> {
    let gone = |_| Error::new(Reason::Unspecified, "whoever asked for the backup went away");
    pieces.send(Ok(CreateBackupResponse { piece, done: false })).await.map_err(gone)
}
