//! A multi-region key in memory.

use crate::entropy::SeededEntropy;
use crate::faults::FaultScript;
use crate::lock;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use engine::clock::Entropy;
use engine::envelope::{Context, DataKey, EncryptedDataKey};
use engine::error::{Error, Result};
use engine::keyring::{KMS_PROVIDER, KeyService};
use std::fmt;
use std::sync::{Arc, Mutex};

/// What a key may be used for in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Everything.
    Enabled,
    /// Nothing, until it is enabled again.
    Disabled,
    /// It is not in this region.
    Missing,
}

/// A key service in memory: one region of a multi-region key, which wraps with AES-256-GCM and is bound to the context.
pub struct MemoryKeys {
    region: String,
    id: String,
    service: String,
    key: Arc<LessSafeKey>,
    entropy: Arc<SeededEntropy>,
    faults: FaultScript,
    state: Mutex<KeyState>,
}

impl fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryKeys({})", self.arn())
    }
}

impl MemoryKeys {
    /// One multi-region key in some regions. The seed decides its id and everything it will generate.
    ///
    /// # Errors
    /// Never; the cipher takes every key of 32 bytes.
    pub fn in_regions<const N: usize>(seed: u64, regions: [&str; N], faults: &FaultScript) -> Result<[Arc<Self>; N]> {
        let entropy = Arc::new(SeededEntropy::new(seed));
        let (mut master, mut id) = ([0; 32], [0; 16]);
        entropy.fill(&mut master)?;
        entropy.fill(&mut id)?;
        let id = id.iter().fold("mrk-".to_owned(), |id, byte| format!("{id}{byte:02x}"));
        let key = UnboundKey::new(&AES_256_GCM, &master).map_err(|_| Error::internal("the cipher refused its key"))?;
        let key = Arc::new(LessSafeKey::new(key));
        Ok(regions.map(|region| {
            Arc::new(Self {
                region: region.to_owned(),
                id: id.clone(),
                service: format!("keys {region}"),
                key: Arc::clone(&key),
                entropy: Arc::clone(&entropy),
                faults: faults.clone(),
                state: Mutex::new(KeyState::Enabled),
            })
        }))
    }

    /// The name under which its calls are recorded: `keys <region>`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The ARN of the key in this region.
    pub fn arn(&self) -> String {
        format!("arn:aws:kms:{}:000000000000:key/{}", self.region, self.id)
    }

    /// Changes what the key may be used for in this region. The other regions keep their state.
    pub fn set_state(&self, state: KeyState) {
        *lock(&self.state) = state;
    }

    fn require_usable(&self) -> Result<()> {
        match *lock(&self.state) {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(Error::denied(format!("the key is disabled in {}", self.region))),
            KeyState::Missing => Err(Error::not_found(format!("the key is not in {}", self.region))),
        }
    }

    fn wrap(&self, context: &Context) -> Result<(DataKey, EncryptedDataKey)> {
        let (mut key, mut nonce) = ([0; 32], [0; NONCE_LEN]);
        self.entropy.fill(&mut key)?;
        self.entropy.fill(&mut nonce)?;
        let mut sealed = key.to_vec();
        let aad = Aad::from(bound(&self.id, context));
        let sealing = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        sealing.map_err(|_| Error::internal("the data key could not be wrapped"))?;
        let ciphertext = [nonce.as_slice(), &sealed].concat();
        let wrapped = EncryptedDataKey {
            provider_id: KMS_PROVIDER.to_owned(),
            provider_info: self.arn().into_bytes(),
            ciphertext,
        };
        Ok((DataKey::from_bytes(key), wrapped))
    }

    fn unwrap(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey> {
        let corrupt = || Error::corrupt("the data key was not wrapped by this key under this context");
        if !self.wrapped(wrapped) {
            return Err(corrupt());
        }
        let (nonce, sealed) = wrapped.ciphertext.split_at_checked(NONCE_LEN).ok_or_else(corrupt)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt())?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(bound(&self.id, context));
        let key = self.key.open_in_place(nonce, aad, &mut sealed).map_err(|_| corrupt())?;
        let key: [u8; 32] = (&*key).try_into().map_err(|_| corrupt())?;
        Ok(DataKey::from_bytes(key))
    }
}

/// What a wrapped key is bound to: the key's id and the context, each part with its length.
fn bound(id: &str, context: &Context) -> Vec<u8> {
    let parts = std::iter::once(id).chain(context.iter().flat_map(|(key, value)| [key, value]));
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

/// The pairs of a context, for the record of calls.
fn shown(context: &Context) -> String {
    context.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[async_trait::async_trait]
impl KeyService for MemoryKeys {
    async fn generate(&self, context: &Context) -> Result<(DataKey, EncryptedDataKey)> {
        let effect = || self.require_usable().and_then(|()| self.wrap(context));
        self.faults.call(&self.service, "generate", shown(context), effect).await
    }

    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool {
        let tail = format!(":000000000000:key/{}", self.id);
        data_key.provider_id == KMS_PROVIDER && data_key.provider_info.ends_with(tail.as_bytes())
    }

    async fn check(&self) -> Result<()> {
        self.faults.call(&self.service, "check", "", || self.require_usable()).await
    }

    async fn decrypt(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey> {
        let effect = || self.require_usable().and_then(|()| self.unwrap(context, wrapped));
        self.faults.call(&self.service, "decrypt", shown(context), effect).await
    }
}
