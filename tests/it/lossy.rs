//! A connection that loses answers: a proxy in front of the local AWS which passes every request on, and, when told to,
//! drops the answer or the end of it, or changes a byte. What was asked for has happened all the same.

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

/// One HTTP message with a `content-length`, or none; `None` when the connection ended before it. The answer to a HEAD
/// states a length, and has no body.
fn message(from: &mut impl BufRead, has_body: bool) -> std::io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut length, mut line) = (Vec::new(), 0, Vec::new());
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
        assert!(!text.starts_with("transfer-encoding:"), "this proxy passes on bodies of a stated length only");
        if text.trim().is_empty() {
            break;
        }
    }
    from.take(if has_body { length } else { 0 }).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
