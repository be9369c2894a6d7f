//! Data keys over KMS, in one region.
//!
//! Always holds: KMS is told which key to use, our own multi-region key in this region, and its answer is refused if another
//! key made it. A data key that was wrapped in another region is unwrapped here only if the same multi-region key wrapped it.
//!
//! Never: asks KMS about a data key that another key wrapped, whatever the message says of itself.

use crate::errors::Call;
use crate::key_arn::KeyArn;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState};
use engine::clock::Timestamp;
use engine::envelope::{Context, DataKey, EncryptedDataKey};
use engine::error::{Error, Result};
use engine::keyring::{KMS_PROVIDER, KeyService};
use std::collections::HashMap;
use zeroize::{Zeroize, Zeroizing};

const GENERATE: Call = Call::new("kms", "GenerateDataKey");
const DESCRIBE: Call = Call::new("kms", "DescribeKey");
const DECRYPT: Call = Call::new("kms", "Decrypt");

/// The key service over KMS.
#[derive(Clone, Debug)]
pub struct KmsKeys {
    client: Client,
    key: KeyArn,
}

impl KmsKeys {
    /// Over a client of the key's region.
    pub fn new(client: Client, key: KeyArn) -> Self {
        Self { client, key }
    }
}

#[async_trait::async_trait]
impl KeyService for KmsKeys {
    async fn generate(&self, context: &Context) -> Result<(DataKey, EncryptedDataKey)> {
        let request = self.client.generate_data_key().key_id(self.key.to_string()).key_spec(DataKeySpec::Aes256);
        let request = request.set_encryption_context(Some(pairs(context)));
        let output = request.send().await.map_err(|e| GENERATE.failed(&e))?;
        let key = plaintext(output.plaintext)?;
        require_answer_of(&self.key, output.key_id.as_deref())?;
        let ciphertext = output.ciphertext_blob.map(Blob::into_inner).filter(|c| !c.is_empty());
        let ciphertext =
            ciphertext.ok_or_else(|| Error::unavailable("kms GenerateDataKey: the answer holds no wrapped key"))?;
        let provider_info = self.key.to_string().into_bytes();
        Ok((key, EncryptedDataKey { provider_id: KMS_PROVIDER.to_owned(), provider_info, ciphertext }))
    }

    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool {
        require_wrapped_by(&self.key, data_key).is_ok()
    }

    async fn check(&self) -> Result<()> {
        require_usable(&self.client, &self.key.to_string()).await
    }

    async fn decrypt(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey> {
        require_wrapped_by(&self.key, wrapped)?;
        let request = self.client.decrypt().key_id(self.key.to_string()).set_encryption_context(Some(pairs(context)));
        let request = request.ciphertext_blob(Blob::new(wrapped.ciphertext.clone()));
        let output = request.send().await.map_err(|e| DECRYPT.failed(&e))?;
        let key = plaintext(output.plaintext)?;
        require_answer_of(&self.key, output.key_id.as_deref())?;
        Ok(key)
    }
}

/// Whether a key would work, as far as its description tells.
pub(crate) async fn require_usable(client: &Client, arn: &str) -> Result<()> {
    let described = client.describe_key().key_id(arn).send().await;
    let described = described.map_err(|e| DESCRIBE.failed(&e))?.key_metadata;
    let key = described.ok_or_else(|| Error::unavailable("kms DescribeKey: the answer describes no key"))?;
    let state = key.key_state().map_or("of no state", KeyState::as_str);
    match key.key_state() {
        // A replica that is being updated works.
        Some(KeyState::Enabled | KeyState::Updating) => Ok(()),
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => {
            let at = key.deletion_date().map(|at| Timestamp::from_millis(at.secs().saturating_mul(1_000)));
            let at = at.map_or_else(String::new, |at| format!(" at {at}"));
            Err(Error::denied(format!(
                "{arn} is about to be deleted{at}: `aws kms cancel-key-deletion`, then enable it"
            )))
        }
        _ => Err(Error::denied(format!("{arn} is {state}: enable it"))),
    }
}

pub(crate) fn pairs(context: &Context) -> HashMap<String, String> {
    context.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Takes the 32 bytes, and wipes those that the SDK handed over.
pub(crate) fn plaintext(blob: Option<Blob>) -> Result<DataKey> {
    let bytes = Zeroizing::new(blob.map(Blob::into_inner).unwrap_or_default());
    let mut key: [u8; 32] =
        bytes.as_slice().try_into().map_err(|_| Error::corrupt("kms: the data key has not 32 bytes"))?;
    let data_key = DataKey::from_bytes(key);
    key.zeroize();
    Ok(data_key)
}

/// Whether a data key was wrapped by our multi-region key, here or in another region.
fn require_wrapped_by(key: &KeyArn, wrapped: &EncryptedDataKey) -> Result<()> {
    if wrapped.provider_id != KMS_PROVIDER {
        return Err(Error::corrupt("the data key was wrapped by something other than KMS"));
    }
    let said = std::str::from_utf8(&wrapped.provider_info).ok().and_then(|text| KeyArn::parse(text).ok());
    match said {
        Some(said) if said.is_same_key(key) => Ok(()),
        Some(said) => Err(Error::corrupt(format!(
            "the data key was wrapped by {said}, and this deployment's key is {key}; is BACKUP_ENCRYPTION_KEY_ID the key of this backup?"
        ))),
        None => Err(Error::corrupt("the data key names no multi-region key of KMS that wrapped it")),
    }
}

/// Whether KMS used the very key that it was told to use.
fn require_answer_of(key: &KeyArn, said: Option<&str>) -> Result<()> {
    if said.is_some_and(|said| said == key.to_string()) {
        return Ok(());
    }
    Err(Error::corrupt(format!("kms answered with another key than {key}; what it gave is not used")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_arn::EXAMPLE;
    use engine::error::ErrorKind;

    fn key() -> KeyArn {
        KeyArn::parse(EXAMPLE).expect("parses")
    }

    fn wrapped(provider_id: &str, provider_info: &[u8]) -> EncryptedDataKey {
        EncryptedDataKey { provider_id: provider_id.into(), provider_info: provider_info.into(), ciphertext: vec![1] }
    }

    #[test]
    fn a_key_wrapped_in_another_region_is_ours() {
        for region in ["eu-west-1", "us-east-1", "ap-southeast-1"] {
            let arn = key().in_region(region).to_string();
            assert!(require_wrapped_by(&key(), &wrapped(KMS_PROVIDER, arn.as_bytes())).is_ok(), "{region}");
        }
    }

    #[test]
    fn a_key_wrapped_by_anything_else_is_refused_before_kms_is_asked() {
        let other_id = EXAMPLE.replace("mrk-1", "mrk-2");
        let other_account = EXAMPLE.replace("123456789012", "210987654321");
        let one_region = EXAMPLE.replace("mrk-", "");
        for (provider, info) in [
            ("aws-kms", other_id.as_bytes()),
            ("aws-kms", other_account.as_bytes()),
            ("aws-kms", one_region.as_bytes()),
            ("aws-kms", b"alias/backup"),
            ("aws-kms", b""),
            ("aws-kms", &[0xff, 0xfe]),
            ("aws-kms-hierarchy", EXAMPLE.as_bytes()),
            ("raw", EXAMPLE.as_bytes()),
        ] {
            let e = require_wrapped_by(&key(), &wrapped(provider, info)).expect_err("refused");
            assert_eq!(e.kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn an_answer_of_another_key_is_refused() {
        assert!(require_answer_of(&key(), Some(EXAMPLE)).is_ok());
        for said in [None, Some(""), Some("mrk-1234abcd12ab34cd56ef1234567890ab")] {
            assert!(require_answer_of(&key(), said).is_err(), "{said:?}");
        }
        let elsewhere = key().in_region("us-east-1").to_string();
        assert!(require_answer_of(&key(), Some(&elsewhere)).is_err());
    }

    #[test]
    fn a_data_key_has_32_bytes() {
        assert!(plaintext(Some(Blob::new(vec![7; 32]))).is_ok());
        for wrong in [None, Some(Blob::new(vec![7; 16])), Some(Blob::new(vec![7; 33]))] {
            assert!(plaintext(wrong).is_err());
        }
    }
}
