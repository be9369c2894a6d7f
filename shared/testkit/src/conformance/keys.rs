//! The suite of [`KeyService`].

use super::{attempt, fails};
use engine::envelope::{
    Context, DataKey, Decoded, EncryptedDataKey, FRAME_WRITE_BYTES, Header, Opener, SealKey, Sealer,
};
use engine::error::{ErrorKind, Result};
use engine::keyring::{self, KMS_PROVIDER, KeyService, Purpose};

const PLAIN: &[u8] = b"what the data key seals";

/// What a stand-in for KMS is known not to do; the suite then leaves out the assertion that rests on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfaithful {
    /// It unwraps a data key whose wrapped form was changed: it does not authenticate it.
    Tampered,
    /// It unwraps with another key than the one it was told to use.
    WrongKey,
}

/// What every key service does. `home` and `replica` are one multi-region key in two regions, `stranger` is another key in
/// the region of `home`.
pub async fn keys(
    home: &dyn KeyService,
    replica: &dyn KeyService,
    stranger: &dyn KeyService,
    unfaithful: &[Unfaithful],
) {
    for key in [home, replica, stranger] {
        key.check().await.expect("a key that works");
    }
    a_wrapped_key_opens_in_every_region(home, replica).await;
    every_key_is_a_new_one(home).await;
    a_key_is_bound_to_its_context(home).await;
    a_key_that_another_key_wrapped_is_refused(home, replica, stranger).await;
    if !unfaithful.contains(&Unfaithful::WrongKey) {
        a_key_that_another_key_wrapped_is_refused_whatever_it_says(home, stranger).await;
    }
    if !unfaithful.contains(&Unfaithful::Tampered) {
        a_changed_wrapped_key_is_corrupt(home).await;
    }
}

fn context() -> Context {
    keyring::context(Purpose::Rows, attempt()).expect("a context")
}

/// A message under a data key.
fn seal(key: DataKey, wrapped: &EncryptedDataKey, context: &Context) -> Vec<u8> {
    let key = SealKey::new(key, vec![wrapped.clone()], context.clone()).expect("a key to seal with");
    let mut sealer = Sealer::new(&key, [7; 32], *FRAME_WRITE_BYTES.start(), Vec::new()).expect("begins");
    sealer.write(PLAIN).expect("seals");
    sealer.finish().expect("finishes")
}

/// The same message, with the data key that opens it or does not.
fn open(message: &[u8], key: &DataKey) -> Result<Vec<u8>> {
    let Decoded::Header(header, length) = Header::decode(message)? else { panic!("the header is whole") };
    let (mut opener, mut plain) = (Opener::new(header, key)?, Vec::new());
    opener.write(&message[length..], &mut plain)?;
    opener.finish()?;
    Ok(plain)
}

async fn a_wrapped_key_opens_in_every_region(home: &dyn KeyService, replica: &dyn KeyService) {
    for (makes, others) in [(home, replica), (replica, home)] {
        let context = context();
        let (key, wrapped) = makes.generate(&context).await.expect("generate");
        assert_eq!(wrapped.provider_id, KMS_PROVIDER);
        let info = String::from_utf8(wrapped.provider_info.clone()).expect("the ARN of the key");
        assert!(info.starts_with("arn:aws:kms:") && info.contains(":key/mrk-"), "{info}");
        let message = seal(key, &wrapped, &context);
        for service in [makes, others] {
            assert!(service.wrapped(&wrapped), "its own key");
            let key = service.decrypt(&context, &wrapped).await.expect("decrypt");
            assert_eq!(open(&message, &key).expect("opens"), PLAIN);
        }
    }
}

async fn every_key_is_a_new_one(home: &dyn KeyService) {
    let context = context();
    let (key, wrapped) = home.generate(&context).await.expect("generate");
    let (another, another_wrapped) = home.generate(&context).await.expect("generate");
    assert_ne!(wrapped.ciphertext, another_wrapped.ciphertext);
    let message = seal(key, &wrapped, &context);
    fails(open(&message, &another), ErrorKind::Corrupt, "a message under another key");
}

async fn a_key_is_bound_to_its_context(home: &dyn KeyService) {
    let pairs = [("purpose", "rows"), ("attempt", "1"), ("format", "1")];
    let of = |pairs: &[(&'static str, &'static str)]| Context::new(pairs.iter().copied()).expect("a context");
    let (_, wrapped) = home.generate(&of(&pairs)).await.expect("generate");
    let reordered = [pairs[2], pairs[0], pairs[1]];
    home.decrypt(&of(&reordered), &wrapped).await.expect("the order of the pairs says nothing");
    let wrong: [&[_]; 5] = [
        &[("purpose", "schema"), ("attempt", "1"), ("format", "1")],
        &[("purpose", "rows"), ("attempt", "1")],
        &[("purpose", "rows"), ("attempt", "1"), ("format", "1"), ("more", "1")],
        &[("purpose", "rows"), ("attempt", "1"), ("Format", "1")],
        &[],
    ];
    for pairs in wrong {
        fails(home.decrypt(&of(pairs), &wrapped).await, ErrorKind::Corrupt, &format!("a key under {pairs:?}"));
    }
}

async fn a_key_that_another_key_wrapped_is_refused(
    home: &dyn KeyService,
    replica: &dyn KeyService,
    stranger: &dyn KeyService,
) {
    let context = context();
    let (_, wrapped) = stranger.generate(&context).await.expect("generate");
    stranger.decrypt(&context, &wrapped).await.expect("its own key");
    for service in [home, replica] {
        assert!(!service.wrapped(&wrapped) && stranger.wrapped(&wrapped), "who wrapped it");
        fails(service.decrypt(&context, &wrapped).await, ErrorKind::Corrupt, "a stranger's key");
    }
    let (_, ours) = home.generate(&context).await.expect("generate");
    fails(stranger.decrypt(&context, &ours).await, ErrorKind::Corrupt, "our key, at the stranger's");
    let elsewhere = EncryptedDataKey { provider_id: "raw".to_owned(), ..ours.clone() };
    fails(home.decrypt(&context, &elsewhere).await, ErrorKind::Corrupt, "a key of another provider");
    let nameless = EncryptedDataKey { provider_info: Vec::new(), ..ours };
    fails(home.decrypt(&context, &nameless).await, ErrorKind::Corrupt, "a key that names no key");
}

async fn a_key_that_another_key_wrapped_is_refused_whatever_it_says(home: &dyn KeyService, stranger: &dyn KeyService) {
    let context = context();
    let (_, theirs) = stranger.generate(&context).await.expect("generate");
    let (_, ours) = home.generate(&context).await.expect("generate");
    let forged = EncryptedDataKey { provider_info: ours.provider_info, ..theirs };
    fails(home.decrypt(&context, &forged).await, ErrorKind::Corrupt, "a stranger's key under our name");
}

async fn a_changed_wrapped_key_is_corrupt(home: &dyn KeyService) {
    let context = context();
    let (_, wrapped) = home.generate(&context).await.expect("generate");
    let length = wrapped.ciphertext.len();
    for at in [0, length / 2, length - 1] {
        let mut changed = wrapped.clone();
        changed.ciphertext[at] ^= 1;
        fails(
            home.decrypt(&context, &changed).await,
            ErrorKind::Corrupt,
            &format!("a wrapped key with byte {at} changed"),
        );
    }
    for length in [0, 1, length - 1] {
        let cut = EncryptedDataKey { ciphertext: wrapped.ciphertext[..length].to_vec(), ..wrapped.clone() };
        fails(home.decrypt(&context, &cut).await, ErrorKind::Corrupt, &format!("a wrapped key of {length} bytes"));
    }
}
