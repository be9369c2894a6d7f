//! A connection that loses answers: a proxy in front of the local AWS which passes every request on, and, when told to,
//! drops the answer or the end of it, or changes a byte. What was asked for has happened all the same. When told whose the
//! buckets are it also refuses a request that expects another owner, as S3 does and the local AWS does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A proxy that loses answers. It ends with the test's process.
pub(crate) struct Lossy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// Answers to be passed on before any is lost.
    pass: u32,
    /// Answers to be lost.
    lose: u32,
    damage: Damage,
    lost: u32,
    /// The account that the buckets belong to.
    owner: Option<String>,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Default, PartialEq)]
enum Damage {
    /// Nothing of it arrives.
    #[default]
    Whole,
    /// The last byte of its body does not arrive.
    Cut,
    /// The last byte of its body arrives as another.
    Garbled,
}

impl Lossy {
    /// In front of an endpoint such as `http://127.0.0.1:4566`.
    pub(crate) fn before(endpoint: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free port");
        let port = listener.local_addr().expect("the port that was bound").port();
        let plan = Arc::<Mutex<Plan>>::default();
        let (upstream, shared) = (endpoint.trim_start_matches("http://").to_owned(), Arc::clone(&plan));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, plan) = (upstream.clone(), Arc::clone(&shared));
                // A connection that breaks off is what this is for.
                std::thread::spawn(move || serve(client, &upstream, &plan).unwrap_or_default());
            }
        });
        Self { port, plan }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Loses the next so many answers.
    pub(crate) fn lose(&self, answers: u32) {
        self.plan(0, answers, Damage::Whole);
    }

    /// Passes some answers on, then loses so many.
    pub(crate) fn lose_after(&self, pass: u32, lose: u32) {
        self.plan(pass, lose, Damage::Whole);
    }

    /// Passes on the next so many answers without the last byte of their bodies.
    pub(crate) fn cut(&self, answers: u32) {
        self.plan(0, answers, Damage::Cut);
    }

    /// Passes on the next so many answers with another last byte.
    pub(crate) fn garble(&self, answers: u32) {
        self.plan(0, answers, Damage::Garbled);
    }

    /// From now on the buckets belong to an account.
    pub(crate) fn belong_to(&self, account: &str) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).owner = Some(account.to_owned());
    }

    fn plan(&self, pass: u32, lose: u32, damage: Damage) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.pass, plan.lose, plan.damage) = (pass, lose, damage);
    }

    /// How many answers were lost so far.
    pub(crate) fn lost(&self) -> u32 {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).lost
    }
}

/// Passes requests on one by one, until one side ends the connection.
fn serve(client: TcpStream, upstream: &str, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut requests = BufReader::new(client.try_clone()?);
    let mut client = client;
    while let Some(request) = message(&mut requests, true)? {
        if plan.lock().unwrap_or_else(PoisonError::into_inner).owner.as_deref().is_some_and(|o| is_misled(&request, o))
        {
            let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            let sent = if request.starts_with(b"HEAD ") { "" } else { body };
            let head =
                format!("HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: {}", body.len());
            client.write_all(format!("{head}\r\n\r\n{sent}").as_bytes())?;
            continue;
        }
        let mut server = TcpStream::connect(upstream)?;
        server.write_all(&request)?;
        let has_body = !request.starts_with(b"HEAD ");
        let Some(answer) = message(&mut BufReader::new(server), has_body)? else { break };
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.pass == 0 && plan.lose > 0 {
            plan.lose -= 1;
            plan.lost += 1;
            let (start, end) = answer.split_at(answer.len() - 1);
            match plan.damage {
                Damage::Whole => {}
                Damage::Cut => client.write_all(start)?,
                Damage::Garbled => client.write_all(&[start, &[end[0] ^ 1]].concat())?,
            }
            return client.shutdown(Shutdown::Both);
        }
        plan.pass = plan.pass.saturating_sub(1);
        drop(plan);
        client.write_all(&answer)?;
    }
    Ok(())
}

/// Whether a request says that it expects another owner.
fn is_misled(request: &[u8], owner: &str) -> bool {
    let head = request.split(|b| *b == b'\n').take_while(|line| line.len() > 1);
    let said = head.filter_map(|line| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        line.strip_prefix("x-amz-expected-bucket-owner:").map(|value| value.trim().to_owned())
    });
    said.into_iter().any(|said| said != owner)
}

/// One HTTP message, whose body has a stated length or comes in chunks; `None` when the connection ended before it. The
/// answer to a HEAD describes a body, and has none.
fn message(from: &mut impl BufRead, has_body: bool) -> std::io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut length, mut chunked, mut line) = (Vec::new(), 0, false, Vec::new());
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&line);
        let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= text.starts_with("transfer-encoding:");
        if text.trim().is_empty() {
            break;
        }
    }
    if !has_body {
        return Ok(Some(bytes));
    }
    while chunked {
        line.clear();
        from.read_until(b'\n', &mut line)?;
        bytes.extend_from_slice(&line);
        let size = String::from_utf8_lossy(&line);
        let size = u64::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        from.take(size + 2).read_to_end(&mut bytes)?;
        chunked = size > 0;
    }
    from.take(length).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
