//! The admin socket: only the local administrator gets through.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::{
    Extensions, Request, Status,
    transport::{Channel, Endpoint, Uri, server::UdsConnectInfo},
};

use crate::{
    config::Admin,
    error::{Error, Reason, Result},
    serve::pause_accepting,
};

/// Who may use the socket: root, the user that the service runs as, and those of `admin.uids`.
#[derive(Debug, Clone)]
pub struct Administrators {
    uids: Arc<[u32]>,
    /// How often each uid was refused.
    refused: Arc<Mutex<BTreeMap<Option<u32>, u64>>>,
}

impl Administrators {
    /// Those whom the configuration names, root, and this process's own user.
    #[must_use]
    pub fn new(configured: &[u32]) -> Self {
        let own = rustix::process::geteuid().as_raw();
        Self { uids: configured.iter().copied().chain([0, own]).collect(), refused: Arc::default() }
    }

    /// Lets a caller through, or refuses.
    ///
    /// # Errors
    /// PERMISSION_DENIED with `NOT_LOCAL_ADMINISTRATOR`.
    pub fn check(&self, request: Request<()>) -> Result<Request<()>, Status> {
        match caller(request.extensions()) {
            Some(uid) if self.uids.contains(&uid) => Ok(request),
            uid => {
                self.tell(uid);
                Err(not_administrator(uid).into())
            }
        }
    }

    /// Whether this user is an administrator.
    #[must_use]
    pub fn is_one(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }

    /// A stranger who calls without end does not fill the disk with lines: of the calls of one uid, the first, the second,
    /// the fourth and so on have one.
    fn tell(&self, uid: Option<u32>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = refused.entry(uid).or_default();
        *calls += 1;
        if calls.is_power_of_two() {
            let calls = *calls;
            tracing::warn!(?uid, calls, "somebody who is no administrator called on the admin socket");
        }
    }
}

fn not_administrator(uid: Option<u32>) -> Error {
    let who = uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
    Error::new(
        Reason::NotLocalAdministrator,
        format!(
            "{who} is not a local administrator: run this as root or as the service's user, or add the uid to `admin.uids`"
        ),
    )
}

/// The uid of the caller on the socket; `None` if the system does not tell, or on another port.
#[must_use]
pub fn caller(extensions: &Extensions) -> Option<u32> {
    extensions.get::<UdsConnectInfo>()?.peer_cred.map(|credentials| credentials.uid())
}

/// The caller as events name it: `uid:N`.
#[must_use]
pub fn caller_name(extensions: &Extensions) -> String {
    caller(extensions).map_or_else(|| "service".to_owned(), |uid| format!("uid:{uid}"))
}

/// Where the socket is.
#[must_use]
pub fn socket_path(admin: &Admin, data_dir: &Path) -> PathBuf {
    admin.socket.clone().unwrap_or_else(|| data_dir.join("admin.sock"))
}

/// Listens on the socket. It is the owner's alone (0600); only where the configuration names other uids can others
/// connect (0666), and then each caller's uid decides.
///
/// # Errors
/// What the file system says, with the path. The caller holds the data directory, so a socket that is there is stale.
pub fn listen(path: &Path, admin: &Admin) -> io::Result<UnixListener> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("admin socket {} (`admin.socket`): {error}", path.display()))
    };
    remove(path).map_err(explain)?;
    let mode = if admin.uids.is_empty() { 0o600 } else { 0o666 };
    // Bound under the umask of the process, which lets nobody else in; opened up only then.
    let listener = UnixListener::bind(path).map_err(explain)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(explain)?;
    Ok(listener)
}

/// Removes the socket, and nothing that is none.
///
/// # Errors
/// What the file system says; `AlreadyExists` if something else is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The connections to the socket. Out of file descriptors, say, a moment passes before the next attempt.
pub fn incoming(listener: UnixListener) -> impl Stream<Item = io::Result<UnixStream>> {
    stream::unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((Ok(stream), listener)),
                Err(_) => pause_accepting().await,
            }
        }
    })
}

/// Connects to the service behind the socket.
///
/// # Errors
/// `NOT_LOCAL_ADMINISTRATOR` if the socket does not let this user in, `SERVICE_UNREACHABLE` if nobody listens.
pub async fn connect(path: &Path) -> Result<Channel> {
    let path = path.to_owned();
    // A first connection tells what is wrong better than a channel does.
    UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => not_administrator(Some(rustix::process::geteuid().as_raw())),
        _ => Error::new(
            Reason::ServiceUnreachable,
            format!("no service answers at {} ({error}): start it with `serve`, or name its configuration with --config", path.display()),
        ),
    })?;
    Endpoint::from_static("http://admin.socket")
        .connect_timeout(Duration::from_secs(10))
        .connect_with_connector(tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await
        .map_err(|error| {
            Error::new(Reason::ServiceUnreachable, format!("the service does not answer: {error}"))
        })
}
