//! An issuer of tokens, with keys that come and go.

use crate::person::KeySource;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use engine::clock::Timestamp;
use engine::error::{Error, Result};
use serde_json::{Value, json};
use std::sync::Mutex;

pub(super) const NAME: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";

/// The ids of its keys.
pub(super) const EC: &str = "ec-1";
pub(super) const RSA: &str = "rsa-1";

pub(super) struct Issuer {
    ec: EcdsaKeyPair,
    rsa: aws_lc_rs::rsa::KeyPair,
    /// What it publishes; nothing when it does not answer.
    published: Mutex<Option<Value>>,
    fetches: Mutex<u32>,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let issuer = Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            rsa: aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key"),
            published: Mutex::default(),
            fetches: Mutex::default(),
        };
        issuer.publish(Some(json!({"keys": [issuer.ec_key(), issuer.rsa_key()]})));
        issuer
    }

    pub(super) fn publish(&self, keys: Option<Value>) {
        *self.published.lock().expect("alone") = keys;
    }

    pub(super) fn fetches(&self) -> u32 {
        *self.fetches.lock().expect("alone")
    }

    pub(super) fn ec_key(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": EC, "x": encode(x), "y": encode(y)})
    }

    pub(super) fn rsa_key(&self) -> Value {
        let public = self.rsa.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": RSA, "n": encode(&modulus), "e": encode(&exponent)})
    }

    /// What Supabase Auth says of a person. The role `aal2` is a second factor.
    pub(super) fn claims(&self, who: &str, roles: &[&str], now: Timestamp) -> Value {
        let now_s = now.as_millis() / 1_000;
        let (factors, roles): (Vec<&str>, Vec<&str>) = roles.iter().partition(|role| **role == "aal2");
        json!({
            "iss": NAME, "aud": "authenticated", "sub": who, "exp": now_s + 3_600, "iat": now_s,
            "email": format!("{who}@example.org"), "role": "authenticated", "session_id": "1", "is_anonymous": false,
            "aal": if factors.is_empty() { "aal1" } else { "aal2" },
            "app_metadata": {"provider": "email", "backup_roles": roles}, "user_metadata": {"backup_roles": ["admin"]},
        })
    }

    /// A token, signed as it should be.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_by(&json!({"alg": "ES256", "typ": "JWT", "kid": EC}), claims)
    }

    pub(super) fn sign_rsa(&self, claims: &Value) -> String {
        self.sign_by(&json!({"alg": "RS256", "typ": "JWT", "kid": RSA}), claims)
    }

    /// A token with any header: signed by RSA if it says so, and else by the elliptic curve.
    pub(super) fn sign_by(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let random = SystemRandom::new();
        let signature = if header["alg"] == "RS256" {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("signs");
            signature
        } else {
            self.ec.sign(&random, message.as_bytes()).expect("signs").as_ref().to_vec()
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The part of a token that is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

#[async_trait::async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<Bytes> {
        *self.fetches.lock().expect("alone") += 1;
        let published = self.published.lock().expect("alone").clone();
        published.map(|keys| keys.to_string().into()).ok_or_else(|| Error::unavailable("the issuer does not answer"))
    }
}
