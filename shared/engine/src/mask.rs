//! Changes rows on their way to where not everybody may see them. What is masked never reaches the target as it was.
//!
//! Always holds: a value's mask depends on the value and the key alone, so that equal values stay equal in all tables, and an
//! interrupted restore goes on with the same values. Memory is bounded by the longest masked value, not by the row.

use crate::error::Error;
use crate::policy::Rule;
use crate::source::RowStream;
use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::sync::Arc;

const NULL: &[u8] = b"\\N";
const FIRST_NAMES: [&str; 16] = [
    "Ana", "Bruno", "Carla", "Diego", "Elena", "Fabio", "Gloria", "Hugo", "Irene", "Julio", "Karla", "Luis", "Marta",
    "Nico", "Olga", "Pablo",
];
const LAST_NAMES: [&str; 16] = [
    "Alba", "Bravo", "Castro", "Duarte", "Espino", "Flores", "Gil", "Herrera", "Ibarra", "Juárez", "Lara", "Mora",
    "Nieto", "Ochoa", "Prado", "Rivas",
];
const STREETS: [&str; 8] =
    ["Calle Uno", "Calle Dos", "Avenida Norte", "Avenida Sur", "Pasaje Luz", "Jirón Mar", "Camino Real", "Plaza Vieja"];

/// Masks values under a key.
pub struct Masking {
    key: hmac::Key,
}

impl Masking {
    /// Under a key that whoever sees the masked rows must not have.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The rows of a table, masked. Gives the stream back as it is when no column has a rule but `keep`. It ends in an error when
    /// the rows end within a row.
    pub fn apply(self: &Arc<Self>, rules: &[Rule], rows: RowStream) -> RowStream {
        if rules.iter().all(|r| *r == Rule::Keep) {
            return rows;
        }
        let masker = Masker { masking: Arc::clone(self), rules: rules.to_vec(), column: 0, value: Vec::new() };
        Box::pin(stream::try_unfold((rows, masker), |(mut rows, mut masker)| async move {
            loop {
                match rows.next().await.transpose()? {
                    Some(chunk) => {
                        let masked = masker.write(&chunk);
                        if !masked.is_empty() {
                            return Ok(Some((Bytes::from(masked), (rows, masker))));
                        }
                    }
                    None if masker.column == 0 && masker.value.is_empty() => return Ok(None),
                    None => return Err(Error::corrupt("the rows end within a row")),
                }
            }
        }))
    }

    fn digest(&self, value: &[u8]) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.key, value).as_ref());
        digest
    }

    /// A value in `copy` text, as it is to be.
    fn mask(&self, rule: Rule, value: &[u8]) -> Vec<u8> {
        if rule == Rule::Keep || value == NULL || (value.is_empty() && rule != Rule::Null) {
            return value.to_vec();
        }
        let digest = self.digest(value);
        let pick = |from: usize, of: usize| usize::from(digest[from]) % of;
        let number = |digits: u32| first_u64(&digest) % 10u64.pow(digits);
        match rule {
            Rule::Keep => value.to_vec(),
            Rule::Null => NULL.to_vec(),
            Rule::Hash if is_uuid(value) => {
                uuid::Builder::from_random_bytes(first_16(&digest)).into_uuid().to_string().into()
            }
            Rule::Hash => hex::encode(&digest[..16]).into(),
            Rule::Name => {
                format!("{} {} {}", FIRST_NAMES[pick(0, 16)], LAST_NAMES[pick(1, 16)], LAST_NAMES[pick(2, 16)]).into()
            }
            Rule::Email => format!("user-{}@example.com", hex::encode(&digest[..10])).into(),
            Rule::Phone => {
                let plus = if value.starts_with(b"+") { "+" } else { "" };
                // No country has the code 999.
                format!("{plus}999{:012}", number(12)).into()
            }
            Rule::Address => format!("{} {}", STREETS[pick(0, 8)], 1 + number(3)).into(),
            Rule::Truncate(length) => truncate(value, length.into()),
            Rule::Redact => redact(value).to_vec(),
        }
    }
}

fn first_u64(digest: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

fn first_16(digest: &[u8; 32]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36 && std::str::from_utf8(value).is_ok_and(|v| uuid::Uuid::try_parse(v).is_ok())
}

/// The first characters. An escape such as `\t` is one.
fn truncate(value: &[u8], length: usize) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(value) else { return redact(value).to_vec() };
    let (mut kept, mut chars) = (String::new(), text.chars());
    for _ in 0..length {
        match chars.next() {
            Some('\\') => {
                kept.push('\\');
                kept.extend(chars.next());
            }
            Some(c) => kept.push(c),
            None => break,
        }
    }
    kept.into()
}

/// A text that a column of the same type takes, for texts, documents, arrays and bytes.
fn redact(value: &[u8]) -> &'static [u8] {
    match value {
        [b'{', ..] => b"{}",
        [b'[', ..] => b"[]",
        [b'\\', b'\\', b'x', ..] => b"\\\\x",
        _ => b"[redacted]",
    }
}

/// Where in a stream of rows a masking is.
struct Masker {
    masking: Arc<Masking>,
    rules: Vec<Rule>,
    /// The column that the next byte belongs to.
    column: usize,
    /// What came of a value that is masked.
    value: Vec<u8>,
}

impl Masker {
    fn write(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\t', b'\n', chunk) {
            self.value(&chunk[start..end], &mut out);
            let rule = self.rule();
            if rule != Rule::Keep {
                out.extend(self.masking.mask(rule, &self.value));
                self.value.clear();
            }
            out.push(chunk[end]);
            self.column = if chunk[end] == b'\n' { 0 } else { self.column + 1 };
            start = end + 1;
        }
        self.value(&chunk[start..], &mut out);
        out
    }

    /// Takes a part of a value.
    fn value(&mut self, part: &[u8], out: &mut Vec<u8>) {
        match self.rule() {
            Rule::Keep => out.extend_from_slice(part),
            _ => self.value.extend_from_slice(part),
        }
    }

    fn rule(&self) -> Rule {
        // A row with more columns than its table has would be refused by the target; nothing of it is shown.
        self.rules.get(self.column).copied().unwrap_or(Rule::Null)
    }
}

#[cfg(test)]
mod tests;
