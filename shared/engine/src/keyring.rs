//! Keys: one data key an attempt and purpose, wrapped by the key service, never stored in the clear.
//!
//! Always holds: a data key seals only under the context that it was generated for, and every message draws its id from
//! the entropy port, so a (data key, message id) pair is used once.

use crate::clock::Entropy;
use crate::envelope::{Context, DataKey, EncryptedDataKey, Header, SealKey};
use crate::error::{Error, Result, ResultExt};
use crate::id::AttemptId;
use crate::limits::FORMAT_VERSION;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a data key seals. It stands in the encryption context, so a key policy can tell the purposes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Segments and blobs.
    Rows,
    /// The schema archive.
    Schema,
    /// Manifests.
    Manifest,
    /// Checkpoints.
    Checkpoint,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows => "rows",
            Self::Schema => "schema",
            Self::Manifest => "manifest",
            Self::Checkpoint => "checkpoint",
        })
    }
}

/// The encryption context of everything that an attempt seals for a purpose.
///
/// # Errors
/// `Internal` when the envelope refuses it.
pub fn context(purpose: Purpose, attempt: AttemptId) -> Result<Context> {
    Context::new([
        ("purpose", purpose.to_string()),
        ("attempt", attempt.to_string()),
        ("format", FORMAT_VERSION.to_string()),
    ])
}

/// The port on the key service of one region.
#[async_trait::async_trait]
pub trait KeyService: Send + Sync {
    /// A new data key, in the clear and wrapped.
    ///
    /// # Errors
    /// `Denied` when the key is disabled or may not be used, `NotFound` when there is none, `Unavailable`.
    async fn generate(&self, context: &Context) -> Result<(DataKey, EncryptedDataKey)>;

    /// Whether a data key says that it was wrapped by this key, in whatever region.
    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool;

    /// Whether the key would work, as far as can be told without using it.
    ///
    /// # Errors
    /// `Denied` when it is disabled or about to be deleted, saying until when that can be undone; `NotFound`, `Unavailable`.
    async fn check(&self) -> Result<()>;

    /// The data key that was wrapped under this context.
    ///
    /// # Errors
    /// `Corrupt` when it was not wrapped by this key under this context; otherwise as `generate`.
    async fn decrypt(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey>;
}

/// The port on a second way to open what is sealed, which needs nothing of the key service: a key of another account, or one that is on no
/// machine of ours.
#[async_trait::async_trait]
pub trait SecondKey: Send + Sync {
    /// Whether a data key says that it was wrapped by this key.
    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool;

    /// Whether the key would work, as far as can be told without using it.
    ///
    /// # Errors
    /// As [`KeyService::check`].
    async fn check(&self) -> Result<()>;

    /// A data key, wrapped once more.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Unavailable`.
    async fn wrap(&self, context: &Context, key: &DataKey) -> Result<EncryptedDataKey>;

    /// The data key that was wrapped.
    ///
    /// # Errors
    /// `Invalid` when only the half of the key that wraps is here; `Corrupt` when it was not wrapped by this key; otherwise as `wrap`.
    async fn unwrap(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey>;
}

/// Generates sealing keys, and finds the data keys of messages to be opened; each is asked for once.
pub struct Keyring {
    service: Arc<dyn KeyService>,
    /// Keys that seal nothing any more.
    former: Vec<Arc<dyn KeyService>>,
    second: Option<Arc<dyn SecondKey>>,
    opens_with_second: bool,
    entropy: Arc<dyn Entropy>,
    opened: Mutex<HashMap<Vec<u8>, Arc<DataKey>>>,
}

/// The providers of wrapped keys that a key service is asked about.
pub const KMS_PROVIDER: &str = "aws-kms";
const OPENED_MAX: usize = 4_096;

impl Keyring {
    /// Over a key service.
    pub fn new(service: Arc<dyn KeyService>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            service,
            former: Vec::new(),
            second: None,
            opens_with_second: false,
            entropy,
            opened: Mutex::new(HashMap::new()),
        }
    }

    /// That also opens what former keys sealed.
    #[must_use]
    pub fn with_former(self, former: Vec<Arc<dyn KeyService>>) -> Self {
        Self { former, ..self }
    }

    /// That wraps each data key by a second key too.
    #[must_use]
    pub fn with_second(self, second: Option<Arc<dyn SecondKey>>) -> Self {
        Self { second, ..self }
    }

    /// That opens with the second key alone, as if there were no key service.
    #[must_use]
    pub fn opening_with_second(self) -> Self {
        Self { opens_with_second: true, ..self }
    }

    /// Whether there is anything that a message could be sealed under, and is not sealed under any more.
    pub fn has_former(&self) -> bool {
        !self.former.is_empty()
    }

    /// Whether a message is sealed under the key that seals now.
    pub fn is_current(&self, header: &Header) -> bool {
        header.edks.iter().any(|wrapped| self.service.wrapped(wrapped))
    }

    /// A new data key for a purpose of an attempt.
    ///
    /// # Errors
    /// As [`KeyService::generate`].
    pub async fn seal_key(&self, purpose: Purpose, attempt: AttemptId) -> Result<SealKey> {
        let context = context(purpose, attempt)?;
        let (key, wrapped) =
            self.service.generate(&context).await.context(format!("generate the data key for {purpose}"))?;
        let mut wrapped = vec![wrapped];
        if let Some(second) = &self.second {
            let again = second.wrap(&context, &key).await;
            wrapped.push(again.context(format!("wrap the data key for {purpose} by the second key"))?);
        }
        SealKey::new(key, wrapped, context)
    }

    /// A message id that was never used before.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn message_id(&self) -> Result<[u8; 32]> {
        let mut id = [0; 32];
        self.entropy.fill(&mut id)?;
        Ok(id)
    }

    /// The data key of a message, which must have been sealed under exactly this context: for this purpose, by this
    /// attempt.
    ///
    /// # Errors
    /// `Corrupt` when it was sealed under another or no key of ours wraps it; otherwise as [`KeyService::decrypt`].
    pub async fn data_key(&self, header: &Header, expected: &Context) -> Result<Arc<DataKey>> {
        if header.context != *expected {
            let said =
                |context: &Context| context.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
            return Err(Error::corrupt(format!(
                "the message was sealed under the context `{}`, not `{}`",
                said(&header.context),
                said(expected)
            )));
        }
        let second = self.second.as_ref().filter(|_| self.opens_with_second);
        if self.opens_with_second && second.is_none() {
            return Err(Error::invalid("no second key is set up to open with"));
        }
        let none = match second {
            Some(_) => "the message names no data key that the second key wrapped: it was sealed before there was one",
            None => "the message names no data key that the key service can unwrap",
        };
        let mut last = Error::corrupt(none);
        for wrapped in &header.edks {
            if second.map_or(wrapped.provider_id != KMS_PROVIDER, |second| !second.wrapped(wrapped)) {
                continue;
            }
            // One that is of a key of ours says more, when it fails, than one that is not.
            let is_ours = self.services().any(|service| service.wrapped(wrapped));
            if second.is_none() && !is_ours && header.edks.iter().any(|w| self.services().any(|s| s.wrapped(w))) {
                continue;
            }
            let cache_key = cache_key(&header.context, wrapped);
            if let Some(key) = self.opened().get(&cache_key) {
                return Ok(Arc::clone(key));
            }
            let opened = match second {
                Some(second) => second.unwrap(&header.context, wrapped).await,
                None => {
                    let service = self.services().find(|service| service.wrapped(wrapped)).unwrap_or(&self.service);
                    service.decrypt(&header.context, wrapped).await
                }
            };
            match opened {
                Ok(key) => {
                    let key = Arc::new(key);
                    let mut opened = self.opened();
                    if opened.len() >= OPENED_MAX {
                        opened.clear();
                    }
                    opened.insert(cache_key, Arc::clone(&key));
                    return Ok(key);
                }
                Err(e) => last = e.context("unwrap the data key"),
            }
        }
        Err(last)
    }

    /// The key service, and those of former keys.
    fn services(&self) -> impl Iterator<Item = &Arc<dyn KeyService>> {
        std::iter::once(&self.service).chain(&self.former)
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, Arc<DataKey>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wrapped key is remembered together with the context it was opened under: another context is another question.
fn cache_key(context: &Context, wrapped: &EncryptedDataKey) -> Vec<u8> {
    let mut key = Vec::with_capacity(wrapped.ciphertext.len() + 256);
    for (k, v) in context.iter() {
        for part in [k, v] {
            key.extend_from_slice(&(part.len() as u64).to_be_bytes());
            key.extend_from_slice(part.as_bytes());
        }
    }
    key.extend_from_slice(&(wrapped.provider_info.len() as u64).to_be_bytes());
    key.extend_from_slice(&wrapped.provider_info);
    key.extend_from_slice(&wrapped.ciphertext);
    key
}
