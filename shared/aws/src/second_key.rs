//! The second key: a key of KMS in another account, or an RSA key of which only the public half is here.
//!
//! Both are wrapped as the AWS Encryption SDK does it (its KMS keyring, and its raw RSA keyring with OAEP, SHA-256 and MGF1), so its own
//! libraries open a message with either.

use crate::errors::Call;
use crate::keys::{pairs, plaintext, require_usable};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::envelope::{Context, DataKey, EncryptedDataKey};
use engine::error::{Error, Result};
use engine::keyring::{KMS_PROVIDER, SecondKey};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

const ENCRYPT: Call = Call::new("kms", "Encrypt");
const DECRYPT: Call = Call::new("kms", "Decrypt");
/// What the format calls the namespace of a raw key.
const NAMESPACE: &str = "backup-second-key";
/// Bits of an RSA key.
const RSA_BITS: std::ops::RangeInclusive<usize> = 3_072..=8_192;

/// A key of KMS, of whatever account and region.
#[derive(Clone, Debug)]
pub struct SecondKmsKey {
    client: Client,
    arn: String,
}

impl SecondKmsKey {
    /// The key of an ARN, with a client of its region.
    pub fn new(client: Client, arn: String) -> Self {
        Self { client, arn }
    }

    fn require_answer(&self, said: Option<&str>) -> Result<()> {
        match said == Some(self.arn.as_str()) {
            true => Ok(()),
            false => Err(Error::corrupt(format!(
                "kms answered with another key than {}; what it gave is not used",
                self.arn
            ))),
        }
    }
}

#[async_trait::async_trait]
impl SecondKey for SecondKmsKey {
    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool {
        data_key.provider_id == KMS_PROVIDER && data_key.provider_info == self.arn.as_bytes()
    }

    async fn check(&self) -> Result<()> {
        require_usable(&self.client, &self.arn).await
    }

    async fn wrap(&self, context: &Context, key: &DataKey) -> Result<EncryptedDataKey> {
        let request = self.client.encrypt().key_id(&self.arn).plaintext(Blob::new(key.expose().as_slice()));
        let output =
            request.set_encryption_context(Some(pairs(context))).send().await.map_err(|e| ENCRYPT.failed(&e))?;
        self.require_answer(output.key_id.as_deref())?;
        let ciphertext = output.ciphertext_blob.map(Blob::into_inner).filter(|c| !c.is_empty());
        let ciphertext =
            ciphertext.ok_or_else(|| Error::unavailable("kms Encrypt: the answer holds no wrapped key"))?;
        Ok(EncryptedDataKey {
            provider_id: KMS_PROVIDER.to_owned(),
            provider_info: self.arn.clone().into_bytes(),
            ciphertext,
        })
    }

    async fn unwrap(&self, context: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey> {
        let request = self.client.decrypt().key_id(&self.arn).ciphertext_blob(Blob::new(wrapped.ciphertext.clone()));
        let output =
            request.set_encryption_context(Some(pairs(context))).send().await.map_err(|e| DECRYPT.failed(&e))?;
        let key = plaintext(output.plaintext)?;
        self.require_answer(output.key_id.as_deref())?;
        Ok(key)
    }
}

/// An RSA key: its public half, and where something is opened with it, its private half.
pub struct RsaKey {
    /// The SHA-256 of the public half, so that two keys are told apart.
    name: String,
    public: OaepPublicEncryptingKey,
    private: Option<OaepPrivateDecryptingKey>,
}

impl RsaKey {
    /// How a right one looks.
    pub const EXAMPLE: &str = "the base64 of `openssl rsa -in second.pem -pubout -outform DER`";

    /// From the public half, as PEM or as the base64 of its DER.
    ///
    /// # Errors
    /// `Invalid`, saying what is wrong.
    pub fn public(text: &str) -> Result<Self> {
        let key = der(text).and_then(|der| PublicEncryptingKey::from_der(&der).ok());
        Self::new(
            key.ok_or_else(|| {
                Error::invalid("must be the public half of an RSA key, as PEM or the base64 of its DER")
            })?,
            None,
        )
    }

    /// From the private half, as PEM of PKCS #8.
    ///
    /// # Errors
    /// `Invalid`, saying what is wrong; never shows anything of it.
    pub fn private(pem: &str) -> Result<Self> {
        let wrong = || Error::invalid("must be the private half of an RSA key, as PEM of PKCS #8 without a passphrase");
        let key = der(pem).and_then(|der| PrivateDecryptingKey::from_pkcs8(&der).ok()).ok_or_else(wrong)?;
        let public = key.public_key();
        Self::new(public, Some(OaepPrivateDecryptingKey::new(key).map_err(|_| wrong())?))
    }

    fn new(public: PublicEncryptingKey, private: Option<OaepPrivateDecryptingKey>) -> Result<Self> {
        use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
        let bits = public.key_size_bits();
        if !RSA_BITS.contains(&bits) {
            return Err(Error::invalid(format!(
                "the RSA key has {bits} bits; it must have {} to {}",
                RSA_BITS.start(),
                RSA_BITS.end()
            )));
        }
        let defect = |_| Error::internal("the cipher refused an RSA key");
        let der: PublicKeyX509Der<'_> = public.as_der().map_err(defect)?;
        let name = digest(&SHA256, der.as_ref()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name, public: OaepPublicEncryptingKey::new(public).map_err(defect)?, private })
    }

    /// What the messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.name)
    }
}

#[async_trait::async_trait]
impl SecondKey for RsaKey {
    fn wrapped(&self, data_key: &EncryptedDataKey) -> bool {
        data_key.provider_id == NAMESPACE && data_key.provider_info == self.name.as_bytes()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn wrap(&self, _: &Context, key: &DataKey) -> Result<EncryptedDataKey> {
        let mut ciphertext = vec![0; self.public.ciphertext_size()];
        let wrapped = self.public.encrypt(&OAEP_SHA256_MGF1SHA256, key.expose(), &mut ciphertext, None);
        wrapped.map_err(|_| Error::internal("the data key could not be wrapped by the second key"))?;
        Ok(EncryptedDataKey {
            provider_id: NAMESPACE.to_owned(),
            provider_info: self.name.clone().into_bytes(),
            ciphertext,
        })
    }

    async fn unwrap(&self, _: &Context, wrapped: &EncryptedDataKey) -> Result<DataKey> {
        let Some(private) = &self.private else {
            return Err(Error::invalid(
                "only the public half of the second key is here: set BACKUP_SECOND_PRIVATE_KEY_FILE where something is opened with it",
            ));
        };
        let corrupt = |_| Error::corrupt("the data key was not wrapped by this second key");
        let mut opened = Zeroizing::new(vec![0; private.min_output_size()]);
        let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped.ciphertext, &mut opened, None).map_err(corrupt)?;
        let mut bytes: [u8; 32] = (&*key).try_into().map_err(|_| Error::corrupt("the data key has not 32 bytes"))?;
        let key = DataKey::from_bytes(bytes);
        bytes.zeroize();
        Ok(key)
    }
}

/// The bytes of a PEM text, or of base64 alone.
fn der(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let base64 = Zeroizing::new(lines.collect::<String>());
    STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::KeySize;
    use engine::error::ErrorKind;

    fn pem(der: &[u8], what: &str) -> String {
        format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
    }

    fn key(size: KeySize) -> (String, String) {
        let private = PrivateDecryptingKey::generate(size).expect("a key");
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().expect("writes");
        let private: Pkcs8V1Der<'_> = private.as_der().expect("writes");
        (pem(public.as_ref(), "PUBLIC KEY"), pem(private.as_ref(), "PRIVATE KEY"))
    }

    #[tokio::test]
    async fn what_the_public_half_wraps_the_private_half_opens_and_no_other() {
        let (public, private) = key(KeySize::Rsa3072);
        let (wraps, opens) = (RsaKey::public(&public).expect("reads"), RsaKey::private(&private).expect("reads"));
        let context = Context::new([("purpose", "rows")]).expect("a context");
        let wrapped = wraps.wrap(&context, &DataKey::from_bytes([7; 32])).await.expect("wraps");
        assert!(opens.wrapped(&wrapped) && wraps.name() == opens.name());
        assert_eq!(opens.unwrap(&context, &wrapped).await.expect("opens").expose(), &[7; 32]);
        assert_eq!(wraps.unwrap(&context, &wrapped).await.expect_err("half a key").kind(), ErrorKind::Invalid);
        let other = RsaKey::private(&key(KeySize::Rsa3072).1).expect("reads");
        assert!(!other.wrapped(&wrapped));
        assert_eq!(other.unwrap(&context, &wrapped).await.expect_err("another key").kind(), ErrorKind::Corrupt);
        // The base64 alone, as it stands in a setting.
        let bare: String = public.lines().filter(|l| !l.starts_with('-')).collect();
        assert_eq!(RsaKey::public(&bare).expect("reads").name(), wraps.name());
    }

    #[test]
    fn what_is_no_key_or_too_small_a_one_is_refused_without_being_shown() {
        let (public, private) = key(KeySize::Rsa2048);
        for text in ["canary", "", "-----BEGIN PUBLIC KEY-----\nY2FuYXJ5\n-----END PUBLIC KEY-----", &private, &public]
        {
            let e = RsaKey::public(text).expect_err("refused");
            assert!(e.kind() == ErrorKind::Invalid && !e.to_string().contains("canary"), "{e}");
        }
        assert!(RsaKey::public(&public).expect_err("refused").to_string().contains("2048 bits"));
        assert!(RsaKey::private(&public).is_err());
    }
}
