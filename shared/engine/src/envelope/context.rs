//! The encryption context: clear, authenticated pairs that the key service and every frame are bound to.

use super::CONTEXT_BYTES_MAX;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Names that begin so belong to the format itself.
const RESERVED: &str = "aws-crypto-";

/// An encryption context. It is stored in the clear, and shown to the key service: names and ids only.
///
/// Its pairs are in the order of the UTF-8 bytes of their keys, which is the order that the format encodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// The context of a message that will be sealed.
    ///
    /// # Errors
    /// `Invalid` for an empty key, a key given twice, a key that begins with `aws-crypto-`, and more than
    /// [`CONTEXT_BYTES_MAX`] bytes in all.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self> {
        let mut context = Self::default();
        for (key, value) in pairs {
            context.insert(key.into(), value.into())?;
        }
        context.require_writable()?;
        Ok(context)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The pairs, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a context that came out of a message and that we would not write.
    pub(super) fn require_writable(&self) -> Result<()> {
        if self.0.keys().any(String::is_empty) {
            return Err(Error::invalid("an encryption context has an empty key"));
        }
        if let Some(key) = self.0.keys().find(|key| key.starts_with(RESERVED)) {
            return Err(Error::invalid(format!(
                "the encryption context key `{key}` is reserved: keys must not begin with `{RESERVED}`"
            )));
        }
        match self.encoded_len() {
            0..=CONTEXT_BYTES_MAX => Ok(()),
            len => {
                Err(Error::invalid(format!("the encryption context has {len} bytes; the limit is {CONTEXT_BYTES_MAX}")))
            }
        }
    }

    /// Adds a pair, of ours or read. A key that is already there is an error, as the format has no duplicates.
    pub(super) fn insert(&mut self, key: String, value: String) -> Result<()> {
        match self.0.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(Error::invalid("a key stands twice in an encryption context")),
        }
    }

    fn encoded_len(&self) -> usize {
        match self.0.len() {
            0 => 0,
            _ => 2 + self.iter().map(|(key, value)| 4 + key.len() + value.len()).sum::<usize>(),
        }
    }

    /// Appends the context as the header holds it: a length, then, unless it is empty, a count and the pairs.
    ///
    /// Only for a context that [`Self::require_writable`] let pass, so every length fits into 16 bits.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.encoded_len() as u16).to_be_bytes());
        if self.is_empty() {
            return;
        }
        out.extend_from_slice(&(self.0.len() as u16).to_be_bytes());
        for text in self.iter().flat_map(|(key, value)| [key, value]) {
            out.extend_from_slice(&(text.len() as u16).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}
