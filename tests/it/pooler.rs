//! A pooler in transaction mode, small enough to be read: all clients share one server session, which each has from its
//! first statement until the server says that no transaction is open.

use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use url::Url;

pub(crate) struct TransactionPooler {
    port: u16,
}

/// Where the pooler's clients are led.
#[derive(Clone)]
enum Behind {
    /// One session with a server.
    Session(Arc<Mutex<TcpStream>>),
    /// Nothing: every statement succeeds and gives nothing.
    Nothing,
}

impl TransactionPooler {
    /// In front of a server that lets this machine's superuser in without a password over the pooler's own session.
    pub(crate) async fn start(url: &str) -> Self {
        let url = Url::parse(url).expect("a URL");
        let server = server_session(&url).await;
        Self::listen(Behind::Session(Arc::new(Mutex::new(server))), "18.6").await
    }

    /// A server of that version, as far as its start-up tells.
    pub(crate) async fn that_says(version: &'static str) -> Self {
        Self::listen(Behind::Nothing, version).await
    }

    async fn listen(behind: Behind, version: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("listens");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, behind.clone(), version));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/source", self.port)
    }
}

async fn serve(mut client: TcpStream, behind: Behind, version: &str) -> Option<()> {
    let length = client.read_u32().await.ok()?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await.ok()?;
    let mut hello = message(b'R', &0u32.to_be_bytes());
    hello.extend(message(b'S', format!("server_version\0{version}\0").as_bytes()));
    hello.extend(message(b'Z', b"I"));
    client.write_all(&hello).await.ok()?;
    loop {
        let (tag, body) = read_message(&mut client).await?;
        if tag == b'X' {
            return None;
        }
        match &behind {
            Behind::Nothing => client.write_all(&[message(b'C', b"SET\0"), message(b'Z', b"I")].concat()).await.ok()?,
            Behind::Session(server) => {
                let mut server = server.lock().await;
                server.write_all(&message(tag, &body)).await.ok()?;
                loop {
                    let (tag, body) = read_message(&mut server).await?;
                    client.write_all(&message(tag, &body)).await.ok()?;
                    if tag == b'Z' && body == b"I" {
                        break;
                    }
                    if tag == b'Z' {
                        // In a transaction: the session stays this client's.
                        let (tag, body) = read_message(&mut client).await?;
                        server.write_all(&message(tag, &body)).await.ok()?;
                    }
                }
            }
        }
    }
}

/// A session of the pooler's own, by SCRAM, as a client library would make it.
async fn server_session(url: &Url) -> TcpStream {
    use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
    use postgres_protocol::message::frontend;
    let mut server =
        TcpStream::connect((url.host_str().expect("a host"), url.port().expect("a port"))).await.expect("connects");
    let mut out = bytes::BytesMut::new();
    let database = url.path().trim_start_matches('/');
    frontend::startup_message([("user", url.username()), ("database", database)], &mut out).expect("says hello");
    server.write_all(&out).await.expect("sends");
    let mut scram = ScramSha256::new(url.password().expect("a password").as_bytes(), ChannelBinding::unsupported());
    loop {
        let (tag, body) = read_message(&mut server).await.expect("answers");
        let mut out = bytes::BytesMut::new();
        match (tag, body.get(..4)) {
            (b'Z', _) => return server,
            (b'R', Some([0, 0, 0, 10])) => {
                frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out).expect("answers")
            }
            (b'R', Some([0, 0, 0, 11])) => {
                scram.update(&body[4..]).expect("a challenge");
                frontend::sasl_response(scram.message(), &mut out).expect("answers");
            }
            (b'E', _) => panic!("the pooler is refused: {}", String::from_utf8_lossy(&body)),
            _ => {}
        }
        server.write_all(&out).await.expect("sends");
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

async fn read_message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await.ok()?;
    let mut body = vec![0; stream.read_u32().await.ok()? as usize - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some((tag, body))
}
