//! Makes a root from a backup. Nothing is written before the whole of it was checked.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use aws_lc_rs::{
    digest::{Context, SHA256},
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use licensor::{
    clock::{SharedClock, from_unix_seconds, rfc3339},
    data_dir::DataDir,
    event::{Event, EventKind, EventLog},
    key::{KeyError, PrivateKey},
    store::{Batch, SharedStore, SledOptions, SledStore, StoreError},
    telemetry::Metrics,
};
use prost::Message;
use rcgen::PublicKeyData;
use verifier::{AuditError, Certificate, Checkpoint, RevocationList, RevocationListError};
use zeroize::Zeroizing;

use super::{
    End, Frame, Header, KeyFile, MAGIC, PAGE, Pair, Part,
    loss::{Known, Loss},
};
use crate::{
    audit::Memorable,
    authority::{AuthorityFiles, InitError, KEY},
    config::Config,
    ledger::{AuthoritiesRecord, Ledger},
};

/// Octets that one message has at most.
const LARGEST: u64 = 1 << 20;
/// The store's folder in the data directory.
const STORE: &str = "store";

/// Why a backup is not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The backup cannot be read.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// It is none.
    #[error("{} is no backup of a root", .0.display())]
    NotABackup(PathBuf),
    /// A newer release made it.
    #[error("{} was made by a newer release: restore it with that one", .0.display())]
    Newer(PathBuf),
    /// It is not as it was made.
    #[error("{} is damaged ({problem}): take another copy, or an earlier backup", .path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// There is a root already.
    #[error("there is a root in {} already: move that directory away first, and keep it until all is well", .0.display())]
    Exists(PathBuf),
    /// Its key is in it, and can only be had with the passphrase.
    #[error("the backup has an encrypted key: give its passphrase with --passphrase-file")]
    PassphraseNeeded,
    /// The passphrase is another one.
    #[error("the passphrase does not open the key in the backup")]
    PassphraseWrong,
    /// Its key is not in it.
    #[error("the backup was made without keys: give the key file `{0}` with --key")]
    KeyNeeded(String),
    /// A key that is needed is not even named.
    #[error("the records in the backup name the key `{0}`, which does not come with it: take another backup")]
    KeyMissing(String),
    /// The key is another one.
    #[error("the key is not that of the authority in the backup")]
    KeyDoesNotMatch,
    /// The checkpoint is not one of the root that was backed up.
    #[error("the checkpoint is none of the root in this backup: {0}")]
    ForeignCheckpoint(#[from] AuditError),
    /// Something was logged after the backup.
    #[error(
        "the root had logged {seen} entries, and this backup of {created_at} has {entries}: restoring it forgets entries {first} to {seen}, with every revocation, used token and certificate among them{named}; take a later backup, or give --accept-loss, revoke again what was revoked since, and revoke the tokens that were made before"
    )]
    GoesBack {
        /// Entries of the checkpoint.
        seen: u64,
        /// Entries of the backup.
        entries: u64,
        /// The first that is forgotten.
        first: u64,
        /// When the backup was made.
        created_at: String,
        /// What is known of it by name.
        named: String,
    },
    /// What was revoked is not in the backup.
    #[error(
        "this backup of {created_at} does not have {named}: take a later backup, or give --accept-loss, and revoke again what was revoked since"
    )]
    Forgets {
        /// When the backup was made.
        created_at: String,
        /// What it does not have.
        named: String,
    },
    /// The revocation list is not one of the root that was backed up.
    #[error("the revocation list is none of the root in this backup: {0}")]
    ForeignList(#[from] RevocationListError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority's files cannot be written.
    #[error(transparent)]
    Authority(#[from] InitError),
}

/// What is to be restored, and with what.
#[derive(Debug)]
pub(crate) struct RestoreOrder {
    pub(crate) file: PathBuf,
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
    /// Keys of the authority, if they are not in the backup.
    pub(crate) keys: Vec<PathBuf>,
    /// Checkpoints of the root's audit log that others have seen (signed notes).
    pub(crate) seen: Vec<String>,
    /// Revocation lists of the root that others have seen (DER).
    pub(crate) lists: Vec<Vec<u8>>,
    /// Data directory of the root that was lost.
    pub(crate) lost: Option<PathBuf>,
    pub(crate) accept_loss: bool,
}

/// What was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) created_at: SystemTime,
    pub(crate) pairs: u64,
    pub(crate) entries: u64,
}

/// A backup that was read to its end and found whole.
struct Checked {
    header: Header,
    end: End,
    known: Known,
}

/// Makes a root of a backup in the data directory, which has none.
pub(crate) async fn restore(
    config: &Config,
    clock: &SharedClock,
    order: RestoreOrder,
) -> Result<Restored, RestoreError> {
    let _data_dir = DataDir::open(&config.data_dir)?;
    let files = AuthorityFiles::new(config)?;
    let key_file = config.data_dir.join(KEY);
    let foreign_key = key_file.exists() && !order.keys.contains(&key_file);
    if foreign_key || AuthorityFiles::exist(&config.data_dir) || config.data_dir.join(STORE).exists() {
        return Err(RestoreError::Exists(config.data_dir.clone()));
    }
    // Whether these are of this root is looked at when the backup has told whose it is.
    let seen = order.seen.iter().filter_map(|note| Checkpoint::parse(note).ok());
    let missing = seen.flat_map(|seen| Memorable::named_by(&seen).collect::<Vec<_>>()).collect();
    let checked = check(&order.file, Known { missing, ..Known::default() })?;
    let keys = keys(&order, &checked.header)?;
    check_loss(config, clock, &order, &checked).await?;
    let Checked { header, end, .. } = checked;
    let created_at = from_unix_seconds(header.created_at);
    let event = Event::new(EventKind::RootRestored)
        .argument("created_at", rfc3339(created_at))
        .argument("entries", end.entries.to_string());
    let written = async {
        let named = write_store(config, clock, &order.file, event).await?;
        if let Some(missing) = named.into_iter().find(|name| keys.iter().all(|(known, _)| known != name)) {
            return Err(RestoreError::KeyMissing(missing));
        }
        for (name, key) in keys {
            if !config.data_dir.join(&name).exists() {
                files.save(&name, &key)?;
            }
        }
        // The trust anchor last: a run that was cut short leaves no root.
        Ok(files.export(&header.trust_anchors, &header.chain)?)
    };
    if let Err(error) = written.await {
        // Half a store is worth nothing, and would stand in the way of the next attempt.
        let _ = fs::remove_dir_all(config.data_dir.join(STORE));
        return Err(error);
    }
    Ok(Restored { created_at, pairs: end.pairs, entries: end.entries })
}

/// That nothing is forgotten that somebody is known to have seen, or that this was accepted.
async fn check_loss(
    config: &Config,
    clock: &SharedClock,
    order: &RestoreOrder,
    checked: &Checked,
) -> Result<(), RestoreError> {
    let Checked { header, end, known } = checked;
    let created_at = rfc3339(from_unix_seconds(header.created_at));
    let mut loss = Loss::default();
    if let Some(lost) = &order.lost {
        loss.add_log(lost, end.entries + 1, config, clock).await?;
    }
    for list in &order.lists {
        loss.add_list(&RevocationList::verify(list, &header.authorities)?, &known.revoked);
    }
    loss.add(&known.missing);
    let mut seen = 0;
    for note in &order.seen {
        let mut signed = header.authorities.iter().map(|authority| Checkpoint::verify(note, authority));
        let first = signed.next().unwrap_or(Err(AuditError::Malformed("the backup has no authority")));
        let checkpoint = first.or_else(|error| signed.find_map(Result::ok).ok_or(error))?;
        seen = checkpoint.size.max(seen);
    }
    if order.accept_loss {
        return Ok(());
    }
    let named = loss.sentence();
    if seen > end.entries {
        let named = if loss.is_nothing() { named } else { format!(": {named}") };
        let first = end.entries + 1;
        return Err(RestoreError::GoesBack { seen, entries: end.entries, first, created_at, named });
    }
    if loss.is_nothing() { Ok(()) } else { Err(RestoreError::Forgets { created_at, named }) }
}

/// Writes the store; the names of the keys that it needs.
async fn write_store(
    config: &Config,
    clock: &SharedClock,
    backup: &Path,
    event: Event,
) -> Result<Vec<String>, RestoreError> {
    let options = SledOptions {
        directory: config.data_dir.join(STORE),
        cache_bytes: config.store.cache_bytes,
        minimum_free_bytes: config.store.minimum_free_bytes,
    };
    let store: SharedStore = Arc::new(SledStore::open(&options)?);
    fill(backup, &store).await?;
    let events = EventLog::open(store.clone(), clock.clone(), Metrics::shared()).await?;
    let ledger = Ledger::new(store, Arc::new(events), config.expiry.clone());
    ledger.events().raise(event).await?;
    let record = ledger.authorities().await?.map(|authorities| authorities.record).unwrap_or_default();
    let AuthoritiesRecord { generations, upstream, .. } = record;
    let keys = generations.into_iter().map(|generation| generation.key_file).chain([upstream.identity_key]);
    Ok(keys.filter(|name| !name.is_empty()).collect())
}

/// Every key that the backup needs, with the name of its file: those that were given, and those in the backup.
fn keys(order: &RestoreOrder, header: &Header) -> Result<Vec<(String, PrivateKey)>, RestoreError> {
    let passphrase = order.passphrase.as_ref().map(|passphrase| passphrase.as_slice());
    let mut given = Vec::new();
    for path in &order.keys {
        given.push(PrivateKey::load(path, passphrase)?);
    }
    let mut keys = Vec::new();
    for KeyFile { name, public_key_info, pem } in &header.keys {
        let same = |key: &PrivateKey| key.subject_public_key_info() == *public_key_info;
        let key = match (given.iter().position(same), pem.as_str()) {
            (Some(position), _) => given.swap_remove(position),
            (None, "") if given.is_empty() => return Err(RestoreError::KeyNeeded(name.clone())),
            (None, "") => return Err(RestoreError::KeyDoesNotMatch),
            (None, pem) => {
                let passphrase = passphrase.ok_or(RestoreError::PassphraseNeeded)?;
                PrivateKey::from_pem(pem, Some(passphrase)).map_err(|error| match error {
                    KeyError::PassphraseWrong { .. } => RestoreError::PassphraseWrong,
                    other => RestoreError::Key(other),
                })?
            }
        };
        if !same(&key) {
            return Err(RestoreError::KeyDoesNotMatch);
        }
        keys.push((name.clone(), key));
    }
    if given.is_empty() { Ok(keys) } else { Err(RestoreError::KeyDoesNotMatch) }
}

/// Reads a backup to its end: is it whole, and as the authority in it signed it?
fn check(path: &Path, mut known: Known) -> Result<Checked, RestoreError> {
    let damaged = |problem| RestoreError::Damaged { path: path.to_owned(), problem };
    let mut reader = Reader::open(path)?;
    let header = reader.header()?;
    let mut pairs = 0;
    let end = loop {
        let digest = reader.digest.clone().finish();
        match reader.part()? {
            Part::Pair(Pair { key, value }) => {
                pairs += 1;
                known.note(&key, &value);
            }
            Part::End(end) if end.digest == digest.as_ref() && end.pairs == pairs => break end,
            Part::End(_) => return Err(damaged("its digest is another one")),
        }
    };
    if !reader.at_end()? {
        return Err(damaged("something follows its end"));
    }
    let authority = header.authorities.first().and_then(|der| Certificate::parse(der).ok());
    let authority = authority.ok_or_else(|| damaged("it has no authority"))?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &authority.public_key)
        .verify(&end.signed(), &end.signature)
        .map_err(|_| damaged("it is not signed by the authority in it"))?;
    Ok(Checked { header, end, known })
}

async fn fill(path: &Path, store: &SharedStore) -> Result<(), RestoreError> {
    let mut reader = Reader::open(path)?;
    reader.header()?;
    loop {
        let mut batch = Batch::new();
        let mut more = true;
        for _ in 0..PAGE {
            match reader.part()? {
                Part::Pair(Pair { key, value }) => _ = batch.add(key, value),
                Part::End(_) => {
                    more = false;
                    break;
                }
            }
        }
        store.commit(batch).await?;
        if !more {
            return Ok(());
        }
    }
}

/// Reads the parts of a backup.
struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// Of everything that was read.
    digest: Context,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, RestoreError> {
        let file = File::open(path).map_err(|error| RestoreError::File(path.to_owned(), error))?;
        let mut reader =
            Self { path: path.to_owned(), file: BufReader::new(file), digest: Context::new(&SHA256) };
        let not_a_backup = || RestoreError::NotABackup(path.to_owned());
        let magic = reader.octets(MAGIC.len()).map_err(|_| not_a_backup())?;
        if magic != MAGIC {
            let digits = MAGIC.len() - 2;
            let of_this_kind = magic[..digits] == MAGIC[..digits];
            return Err(if of_this_kind { RestoreError::Newer(path.to_owned()) } else { not_a_backup() });
        }
        Ok(reader)
    }

    fn header(&mut self) -> Result<Header, RestoreError> {
        let octets = self.message()?;
        let mut header =
            Header::decode(octets.as_slice()).map_err(|_| self.damaged("its header cannot be read"))?;
        if header.authorities.is_empty() {
            // An older release wrote it: the only authority is the trust anchor.
            header.authorities.clone_from(&header.trust_anchors);
            let anchor = header.authorities.first().and_then(|der| Certificate::parse(der).ok());
            header.keys = vec![KeyFile {
                name: KEY.to_owned(),
                public_key_info: anchor.map(|anchor| anchor.public_key_info).unwrap_or_default(),
                pem: std::mem::take(&mut header.only_key),
            }];
        }
        Ok(header)
    }

    fn part(&mut self) -> Result<Part, RestoreError> {
        let octets = self.message()?;
        let frame = Frame::decode(octets.as_slice()).ok();
        frame.and_then(|frame| frame.part).ok_or_else(|| self.damaged("a part of it cannot be read"))
    }

    fn message(&mut self) -> Result<Vec<u8>, RestoreError> {
        let mut length = 0_u64;
        for shift in (0..63).step_by(7) {
            let octet = self.octets(1)?[0];
            length |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        if length > LARGEST {
            return Err(self.damaged("a part of it is too long"));
        }
        self.octets(usize::try_from(length).unwrap_or_default())
    }

    fn octets(&mut self, count: usize) -> Result<Vec<u8>, RestoreError> {
        let mut octets = vec![0; count];
        self.file.read_exact(&mut octets).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it was cut short"),
            _ => RestoreError::File(self.path.clone(), error),
        })?;
        self.digest.update(&octets);
        Ok(octets)
    }

    fn at_end(&mut self) -> Result<bool, RestoreError> {
        let rest = self.file.fill_buf().map_err(|error| RestoreError::File(self.path.clone(), error))?;
        Ok(rest.is_empty())
    }

    fn damaged(&self, problem: &'static str) -> RestoreError {
        RestoreError::Damaged { path: self.path.clone(), problem }
    }
}
