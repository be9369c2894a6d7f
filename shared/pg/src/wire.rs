//! The frontend/backend protocol, version 3.0 (<https://www.postgresql.org/docs/current/protocol.html>): start-up,
//! authentication, simple queries, and `copy` both ways.
//!
//! Why not a client library: those give a `CopyData` message whole, so a row of 200 MB needs several times that. Here a
//! message is passed on as it arrives, in chunks of at most [`CHUNK_BYTES`].

use crate::address::{Address, Road};
use crate::errors::Refusal;
use crate::tls;
use bytes::{Buf, Bytes, BytesMut};
use engine::error::{Error, Result, ResultExt};
use engine::limits::CHUNK_BYTES;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Connecting takes no longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest message that is held whole: anything but rows that are copied.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A byte stream to a server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// One row of a simple query: text, or null.
pub(crate) type Row = Vec<Option<String>>;

/// Opens the road to a server, TLS included, and says nothing on it yet.
pub(crate) async fn open(address: &Address) -> Result<Box<dyn Stream>> {
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, open_unbounded(address)).await;
    opened.map_err(|_| {
        Error::unavailable(format!("the server at {address} did not answer within {} s", CONNECT_TIMEOUT.as_secs()))
    })?
}

async fn open_unbounded(address: &Address) -> Result<Box<dyn Stream>> {
    let refused = |e: std::io::Error| {
        Error::unavailable(format!(
            "the server at {address} cannot be reached: {e}; look at the host and port of the database URL"
        ))
        .with_source(e)
    };
    match &address.road {
        Road::Socket { folder, port } => {
            let socket = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.map_err(refused)?;
            Ok(Box::new(socket))
        }
        Road::Tcp { host, port, tls } => {
            let mut stream = TcpStream::connect((host.as_str(), *port)).await.map_err(refused)?;
            stream.set_nodelay(true).map_err(refused)?;
            if !tls {
                return Ok(Box::new(stream));
            }
            let mut request = BytesMut::new();
            frontend::ssl_request(&mut request);
            stream.write_all(&request).await.map_err(refused)?;
            // Exactly one byte: anything more before the handshake would be an attacker's.
            if stream.read_u8().await.map_err(refused)? != b'S' {
                return Err(Error::invalid(format!(
                    "the server at {address} does not speak TLS; turn ssl on at the server"
                )));
            }
            Ok(Box::new(tls::connect(address, host, stream).await?))
        }
    }
}

/// A connection that is past authentication.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    read: BytesMut,
    write: BytesMut,
    /// What the server said of itself.
    pub(crate) parameters: HashMap<String, String>,
    /// Whether the next answer would be to the next question.
    pub(crate) in_step: bool,
    /// Whether a transaction was open when the server was last ready.
    in_transaction: bool,
}

impl Wire {
    /// Connects as the address says, with other parameters of the start-up message.
    pub(crate) async fn connect(address: &Address, parameters: &[(&str, &str)]) -> Result<Self> {
        let stream = open(address).await?;
        let mut wire = Self {
            stream,
            read: BytesMut::new(),
            write: BytesMut::new(),
            parameters: HashMap::new(),
            in_step: false,
            in_transaction: false,
        };
        let started = tokio::time::timeout(CONNECT_TIMEOUT, wire.start(address, parameters)).await;
        started.map_err(|_| {
            Error::unavailable(format!(
                "the server at {address} did not let us in within {} s",
                CONNECT_TIMEOUT.as_secs()
            ))
        })??;
        Ok(wire)
    }

    async fn start(&mut self, address: &Address, parameters: &[(&str, &str)]) -> Result<()> {
        let who = [("user", address.user.as_str()), ("database", address.database.as_str())];
        let parameters = who.into_iter().chain(parameters.iter().copied());
        frontend::startup_message(parameters, &mut self.write).map_err(malformed)?;
        self.send().await?;
        self.authenticate(address).await?;
        loop {
            match self.message().await? {
                (b'S', body) => self.parameter(&body),
                (b'Z', _) => {
                    self.in_step = true;
                    return Ok(());
                }
                (b'E', body) => return Err(Refusal::parse(&body).into_error()),
                // The cancel key, notices, and what a later protocol may add.
                _ => {}
            }
        }
    }

    async fn authenticate(&mut self, address: &Address) -> Result<()> {
        let password = || {
            let missing = || {
                Error::invalid(format!("the server at {address} asks for a password, and the database URL has none"))
            };
            address.password.as_deref().map(str::as_bytes).ok_or_else(missing)
        };
        let mut scram = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'E' => return Err(Refusal::parse(&body).into_error()),
                b'R' => {}
                _ => continue,
            }
            let mut rest = body.clone();
            if rest.len() < 4 {
                return Err(out_of_protocol());
            }
            match rest.get_u32() {
                0 => return Ok(()),
                3 if self.is_private(address) => {
                    frontend::password_message(password()?, &mut self.write).map_err(malformed)?
                }
                5 if rest.len() == 4 => {
                    let salt = [rest[0], rest[1], rest[2], rest[3]];
                    let hash = md5_hash(address.user.as_bytes(), password()?, salt);
                    frontend::password_message(hash.as_bytes(), &mut self.write).map_err(malformed)?;
                }
                10 => {
                    if !rest.split(|b| *b == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
                        return Err(Error::unsupported(format!(
                            "the server at {address} wants a SASL mechanism other than {SCRAM_SHA_256}"
                        )));
                    }
                    let client = ScramSha256::new(password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, client.message(), &mut self.write)
                        .map_err(malformed)?;
                    scram = Some(client);
                }
                11 => {
                    let client = scram.as_mut().ok_or_else(out_of_protocol)?;
                    client.update(&rest).map_err(malformed)?;
                    frontend::sasl_response(client.message(), &mut self.write).map_err(malformed)?;
                }
                12 => {
                    scram.as_mut().ok_or_else(out_of_protocol)?.finish(&rest).map_err(|e| {
                        Error::invalid(format!("the server at {address} did not prove that it knows the password"))
                            .with_source(e)
                    })?;
                    continue;
                }
                other => {
                    return Err(Error::unsupported(format!(
                        "the server at {address} asks for authentication method {other}; give the role a scram-sha-256 password"
                    )));
                }
            }
            self.send().await?;
        }
    }

    /// Whether a password may be sent as it is.
    fn is_private(&self, address: &Address) -> bool {
        !matches!(address.road, Road::Tcp { tls: false, .. })
    }

    fn parameter(&mut self, body: &[u8]) {
        let mut parts = body.split(|b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            self.parameters.insert(name, value);
        }
    }

    /// Runs one or more statements. Gives the rows of the last that gave any.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.ask(sql).await?;
        let (mut rows, mut refusal) = (Vec::new(), None);
        loop {
            match self.message().await? {
                (b'T', _) => rows.clear(),
                (b'D', body) => rows.push(parse_row(&body)?),
                (b'E', body) => refusal = Some(Refusal::parse(&body)),
                (b'S', body) => self.parameter(&body),
                (b'Z', _) => break,
                (b'G', _) => {
                    frontend::copy_fail("not a copy", &mut self.write).map_err(malformed)?;
                    self.send().await?;
                }
                _ => {}
            }
        }
        self.in_step = true;
        refusal.map_or(Ok(rows), |r| Err(r.into_error()))
    }

    /// Runs statements that may be refused. When a transaction is open it goes on after a refusal, as if they had not been tried.
    pub(crate) async fn attempt(&mut self, sql: &str) -> Result<Vec<Row>> {
        if !self.in_transaction {
            return self.query(sql).await;
        }
        let tried = self.query(&format!("savepoint attempt;\n{sql}\n;release savepoint attempt")).await;
        if tried.is_err() && self.in_step {
            self.query("rollback to savepoint attempt; release savepoint attempt").await?;
        }
        tried
    }

    /// Begins `copy … to stdout`; the rows follow from [`Wire::copied`].
    pub(crate) async fn copy_out(&mut self, sql: &str) -> Result<CopyOut> {
        self.ask(sql).await?;
        loop {
            match self.message().await? {
                (b'H', _) => return Ok(CopyOut { left: 0 }),
                (b'E', body) => return Err(self.refused(&body).await?),
                (b'Z', _) => return Err(Error::internal("a copy statement gave no copy")),
                _ => {}
            }
        }
    }

    /// The next rows of a copy, in chunks that may end anywhere; `None` once all were given and the server is ready.
    pub(crate) async fn copied(&mut self, copy: &mut CopyOut) -> Result<Option<Bytes>> {
        let mut chunk = Vec::new();
        loop {
            while copy.left > 0 && !self.read.is_empty() && chunk.len() < CHUNK_BYTES {
                let n = copy.left.min(self.read.len()).min(CHUNK_BYTES - chunk.len());
                chunk.extend_from_slice(&self.read[..n]);
                self.read.advance(n);
                copy.left -= n;
            }
            if chunk.len() >= CHUNK_BYTES {
                return Ok(Some(chunk.into()));
            }
            if copy.left > 0 || self.read.len() < 5 {
                // Everything that was received is passed on before more is waited for, once it is worth it.
                if chunk.len() >= CHUNK_BYTES / 4 {
                    return Ok(Some(chunk.into()));
                }
                chunk.reserve(CHUNK_BYTES - chunk.len());
                self.receive().await?;
                continue;
            }
            if self.read[0] == b'd' {
                copy.left = length_of(&self.read)?;
                self.read.advance(5);
                continue;
            }
            match self.message().await? {
                (b'E', body) => return Err(self.refused(&body).await?),
                (b'Z', _) => {
                    self.in_step = true;
                    return Ok(None);
                }
                // The end of the copy: whatever is left comes before the server is ready.
                (b'c', _) if !chunk.is_empty() => return Ok(Some(chunk.into())),
                _ => {}
            }
        }
    }

    /// Begins `copy … from stdin`.
    pub(crate) async fn copy_in(&mut self, sql: &str) -> Result<()> {
        self.ask(sql).await?;
        loop {
            match self.message().await? {
                (b'G', _) => return Ok(()),
                (b'E', body) => return Err(self.refused(&body).await?),
                (b'Z', _) => return Err(Error::internal("a copy statement takes no copy")),
                _ => {}
            }
        }
    }

    /// Sends rows of a copy.
    pub(crate) async fn copy_rows(&mut self, rows: &[u8]) -> Result<()> {
        for piece in rows.chunks(CHUNK_BYTES) {
            let length =
                u32::try_from(piece.len() + 4).map_err(|_| Error::internal("a piece of a copy is too long"))?;
            self.write.extend_from_slice(b"d");
            self.write.extend_from_slice(&length.to_be_bytes());
            self.write.extend_from_slice(piece);
            self.send().await?;
        }
        Ok(())
    }

    /// Ends a copy. Gives the number of rows that the server took.
    pub(crate) async fn copy_end(&mut self) -> Result<u64> {
        frontend::copy_done(&mut self.write);
        self.send().await?;
        let (mut rows, mut refusal) = (None, None);
        loop {
            match self.message().await? {
                (b'C', body) => rows = command_rows(&body),
                (b'E', body) => refusal = Some(Refusal::parse(&body)),
                (b'Z', _) => break,
                _ => {}
            }
        }
        self.in_step = true;
        match refusal {
            Some(refusal) => Err(refusal.into_error()),
            None => rows.ok_or_else(|| Error::internal("the server did not say how many rows it took")),
        }
    }

    /// Calls a copy off: none of its rows is kept.
    pub(crate) async fn copy_off(&mut self) -> Result<()> {
        frontend::copy_fail("called off", &mut self.write).map_err(malformed)?;
        self.send().await?;
        while self.message().await?.0 != b'Z' {}
        self.in_step = true;
        Ok(())
    }

    /// The stream, for somebody else to speak on.
    ///
    /// # Errors
    /// `Internal` when the server said something that was not taken yet.
    pub(crate) fn into_stream(self) -> Result<Box<dyn Stream>> {
        if !self.in_step || !self.read.is_empty() {
            return Err(Error::internal("a session was given away while it was answering"));
        }
        Ok(self.stream)
    }

    /// Says good-bye.
    pub(crate) async fn end(mut self) {
        frontend::terminate(&mut self.write);
        // The server notices a closed socket as well.
        let _ = self.send().await;
    }

    async fn ask(&mut self, sql: &str) -> Result<()> {
        if !std::mem::replace(&mut self.in_step, false) {
            return Err(Error::internal("a session was used while it was answering"));
        }
        frontend::query(sql, &mut self.write).map_err(malformed)?;
        self.send().await
    }

    /// Reads on until the server is ready again. Gives the refusal as an error.
    async fn refused(&mut self, body: &[u8]) -> Result<Error> {
        while self.message().await?.0 != b'Z' {}
        self.in_step = true;
        Ok(Refusal::parse(body).into_error())
    }

    async fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.write).await.map_err(lost)?;
        self.write.clear();
        self.stream.flush().await.map_err(lost)
    }

    async fn receive(&mut self) -> Result<()> {
        self.read.reserve(CHUNK_BYTES);
        match self.stream.read_buf(&mut self.read).await.map_err(lost)? {
            0 => Err(Error::unavailable("the server closed the connection")),
            _ => Ok(()),
        }
    }

    /// The next message, whole: its tag and its body.
    async fn message(&mut self) -> Result<(u8, Bytes)> {
        while self.read.len() < 5 {
            self.receive().await?;
        }
        let length = length_of(&self.read)?;
        if length > MESSAGE_BYTES_MAX {
            return Err(Error::unsupported(format!(
                "the server sent a message of {length} bytes; the limit is {MESSAGE_BYTES_MAX}"
            )));
        }
        while self.read.len() < 5 + length {
            self.receive().await?;
        }
        let tag = self.read[0];
        self.read.advance(5);
        let body = self.read.split_to(length).freeze();
        if tag == b'Z' {
            self.in_transaction = body.first() != Some(&b'I');
        }
        Ok((tag, body))
    }
}

/// Where a copy stands: the bytes that are left of the message that has begun.
pub(crate) struct CopyOut {
    left: usize,
}

/// The length of the body of the message that the buffer begins with.
fn length_of(read: &[u8]) -> Result<usize> {
    let length = u32::from_be_bytes([read[1], read[2], read[3], read[4]]) as usize;
    length.checked_sub(4).ok_or_else(out_of_protocol)
}

fn parse_row(body: &[u8]) -> Result<Row> {
    let mut rest = body;
    if rest.len() < 2 {
        return Err(out_of_protocol());
    }
    let fields = rest.get_u16();
    let mut row = Vec::with_capacity(usize::from(fields));
    for _ in 0..fields {
        if rest.len() < 4 {
            return Err(out_of_protocol());
        }
        let length = rest.get_i32();
        let Ok(length) = usize::try_from(length) else {
            row.push(None);
            continue;
        };
        if rest.len() < length {
            return Err(out_of_protocol());
        }
        let text = std::str::from_utf8(&rest[..length])
            .map_err(|e| Error::internal("the server sent text that is not UTF-8").with_source(e))?;
        row.push(Some(text.to_owned()));
        rest.advance(length);
    }
    Ok(row)
}

/// The number at the end of a command tag such as `COPY 12`.
fn command_rows(body: &[u8]) -> Option<u64> {
    let tag = std::str::from_utf8(body.split(|b| *b == 0).next()?).ok()?;
    tag.rsplit(' ').next()?.parse().ok()
}

fn lost(e: std::io::Error) -> Error {
    Error::unavailable(format!("the connection to the server broke: {e}")).with_source(e)
}

fn malformed(e: std::io::Error) -> Error {
    Error::invalid("what was to be said to the server cannot be said in its protocol").with_source(e)
}

fn out_of_protocol() -> Error {
    Error::unavailable("the server's answer is not of the PostgreSQL protocol")
}

/// A required column of a row.
pub(crate) fn text(row: &Row, column: usize) -> Result<&str> {
    let value = row.get(column).and_then(|v| v.as_deref());
    value.ok_or_else(|| Error::internal(format!("column {column} of a catalog query is null or missing")))
}

/// A required column of a row, as a number or whatever else is written so.
pub(crate) fn parsed<T: std::str::FromStr>(row: &Row, column: usize) -> Result<T> {
    let text = text(row, column)?;
    text.parse()
        .map_err(|_| Error::internal(format!("column {column} of a catalog query is `{text}`")))
        .context("read the catalogs")
}
