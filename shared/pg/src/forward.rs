//! A local socket that leads to a server: `pg_dump` talks to it in the clear, and we carry what it says
//! over our own verified TLS. So it needs no TLS of its own, and there is one set of roots.
//!
//! We also authenticate for it: it never sees the password, and need not know how the server asks for it (over TLS a
//! server offers a SCRAM with channel binding, which a client refuses on a socket without TLS).

use crate::address::Address;
use crate::wire::Wire;
use engine::error::{Error, Result, ResultExt};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// The port in the socket's name; nothing listens on a network port.
pub(crate) const PORT: u16 = 5432;
/// The longest start-up message that a client may send.
const STARTUP_BYTES_MAX: u32 = 10_000;
/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 0x0003_0000;

/// A socket in a folder of its own. Dropped, it is closed, and so are the connections through it.
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
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(address.clone(), client));
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

/// One connection, from its start-up message to its end. Either side's end is the other's: the clients report what they
/// then see.
async fn carry(address: Address, mut client: UnixStream) {
    match connect(&address, &mut client).await {
        Ok(wire) => {
            let mut hello = message(b'R', &0u32.to_be_bytes());
            for (name, value) in &wire.parameters {
                hello.extend(message(b'S', format!("{name}\0{value}\0").as_bytes()));
            }
            hello.extend(message(b'Z', b"I"));
            let Ok(mut server) = wire.into_stream() else { return };
            if client.write_all(&hello).await.is_ok() {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        }
        Err(e) => {
            let refusal = format!("SFATAL\0VFATAL\0C08006\0M{}\0\0", e.to_string().replace('\0', ""));
            let _ = client.write_all(&message(b'E', refusal.as_bytes())).await;
        }
    }
}

/// Reads what the client would like to be, and connects to the server so.
async fn connect(address: &Address, client: &mut UnixStream) -> Result<Wire> {
    let broke = |e: std::io::Error| Error::unavailable("a client did not say hello").with_source(e);
    let length = client.read_u32().await.map_err(broke)?;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) || client.read_u32().await.map_err(broke)? != PROTOCOL {
        return Err(Error::unsupported("a client does not speak version 3.0 of the protocol"));
    }
    let mut body = vec![0; length as usize - 8];
    client.read_exact(&mut body).await.map_err(broke)?;
    let body =
        String::from_utf8(body).map_err(|e| Error::invalid("a client's hello is not in UTF-8").with_source(e))?;
    let texts: Vec<&str> = body.split('\0').collect();
    let pairs = texts.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let parameters: Vec<(&str, &str)> = pairs.filter(|(name, _)| !matches!(*name, "" | "user" | "database")).collect();
    Wire::connect(address, &parameters).await.context("connect for a client")
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}
