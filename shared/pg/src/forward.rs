//! A local socket that leads to a server: `pg_dump` and `pg_restore` talk to it in the clear, and we carry what they say
//! over our own verified TLS. So they need no TLS of their own, and there is one set of roots.

use crate::address::Address;
use crate::wire;
use engine::error::{Error, Result};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// The port in the socket's name; nothing listens on a network port.
pub(crate) const PORT: u16 = 5432;

/// A socket in a folder of its own. Dropped, it is closed; connections through it end with their clients.
pub(crate) struct Forward {
    folder: PathBuf,
    accepting: JoinHandle<()>,
}

impl Forward {
    /// Opens the socket in `folder`, which only this user may enter.
    pub(crate) fn open(address: Address, folder: &Path) -> Result<Self> {
        let path = folder.join(format!(".s.PGSQL.{PORT}"));
        let listener = UnixListener::bind(&path)
            .map_err(|e| Error::internal(format!("open the socket {}: {e}", path.display())).with_source(e))?;
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let address = address.clone();
                tokio::spawn(async move {
                    match wire::open(&address).await {
                        Ok(mut server) => {
                            // Either side's end is the other's: the clients report what they then see.
                            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                        }
                        Err(e) => tracing::warn!(error = %e, "could not reach the server for a client"),
                    }
                });
            }
        });
        Ok(Self { folder: folder.to_owned(), accepting })
    }

    /// What to give a client as its host.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
