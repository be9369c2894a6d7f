//! A vault in memory.

use crate::faults::FaultScript;
use crate::lock;
use bytes::Bytes;
use engine::error::{Error, Result};
use engine::layout::ObjectKey;
use engine::limits::PAGE_MAX;
use engine::stage::{Sha256, Storable};
use engine::vault::{KeyPage, ObjectMeta, PutOutcome, Vault, VaultPlace};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

/// A vault in memory, with hands to damage it.
#[derive(Debug)]
pub struct MemoryVault {
    place: VaultPlace,
    service: String,
    faults: FaultScript,
    page_keys: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<String, Object>,
    versioned: bool,
}

/// What is stored: the bytes, and the checksum that the store keeps for them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    bytes: Bytes,
    sha256: Option<Sha256>,
}

impl MemoryVault {
    /// An empty one. Its calls are recorded under `<role> vault`.
    pub fn new(place: VaultPlace, faults: FaultScript) -> Self {
        let service = format!("{} vault", place.role);
        let state = State { objects: BTreeMap::new(), versioned: true };
        Self { place, service, faults, page_keys: PAGE_MAX, state: Mutex::new(state) }
    }

    /// Lists at most so many keys a page.
    #[must_use]
    pub fn with_page_keys(mut self, page_keys: usize) -> Self {
        self.page_keys = page_keys.max(1);
        self
    }

    /// The name under which its calls are recorded.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// All objects, as they are stored: for comparing end states.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        lock(&self.state).objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    /// Puts bytes as someone with the right to write could: with their own right checksum, over what is there.
    pub fn plant(&self, key: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let sha256 = Some(Sha256::of(&bytes));
        lock(&self.state).objects.insert(key.to_owned(), Object { bytes, sha256 });
    }

    /// Changes the bytes of an object behind the store's back: its checksum stays. False when there is no such object.
    pub fn rot(&self, key: &str, damage: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = lock(&self.state);
        let Some(object) = state.objects.get_mut(key) else { return false };
        let mut bytes = object.bytes.to_vec();
        damage(&mut bytes);
        object.bytes = bytes.into();
        true
    }

    /// Lets the store forget the checksum of an object, as if it had been put without. False when there is none.
    pub fn forget_checksum(&self, key: &str) -> bool {
        lock(&self.state).objects.get_mut(key).map(|o| o.sha256 = None).is_some()
    }

    /// Removes an object, and gives its bytes.
    pub fn remove(&self, key: &str) -> Option<Bytes> {
        lock(&self.state).objects.remove(key).map(|o| o.bytes)
    }

    /// Turns versioning on or off, as [`Vault::check`] sees it.
    pub fn set_versioned(&self, versioned: bool) {
        lock(&self.state).versioned = versioned;
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        key: impl std::fmt::Display + Send,
        effect: impl FnOnce(&mut State) -> Result<T> + Send,
    ) -> Result<T> {
        self.faults.call(&self.service, operation, key, || effect(&mut lock(&self.state))).await
    }
}

#[async_trait::async_trait]
impl Vault for MemoryVault {
    fn place(&self) -> &VaultPlace {
        &self.place
    }

    async fn put(&self, key: &ObjectKey, body: &Storable) -> Result<PutOutcome> {
        let effect = |state: &mut State| {
            if state.objects.contains_key(&key.to_string()) {
                return Ok(PutOutcome::Exists);
            }
            let object = Object { bytes: body.bytes().clone(), sha256: Some(body.sha256()) };
            state.objects.insert(key.to_string(), object);
            Ok(PutOutcome::Written)
        };
        self.call("put", key, effect).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.call("get", key, |state| {
            let object = found(state, key)?;
            match object.sha256 {
                Some(kept) if kept != Sha256::of(&object.bytes) => Err(Error::corrupt(format!(
                    "the object's bytes do not match the SHA-256 that the store keeps, {kept}"
                ))),
                _ => Ok(object.bytes.clone()),
            }
        })
        .await
    }

    async fn get_range(&self, key: &ObjectKey, offset: u64, length: u64) -> Result<Bytes> {
        self.call("get_range", key, |state| {
            let bytes = &found(state, key)?.bytes;
            let short = || {
                Error::corrupt(format!(
                    "the object is shorter than the {length} bytes from {offset} that were asked for"
                ))
            };
            let end = offset.checked_add(length).filter(|end| *end <= bytes.len() as u64).ok_or_else(short)?;
            let [start, end] = [offset, end].map(usize::try_from);
            Ok(bytes.slice(start.map_err(|_| short())?..end.map_err(|_| short())?))
        })
        .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
        let meta = |o: &Object| ObjectMeta { length: o.bytes.len() as u64, sha256: o.sha256 };
        self.call("head", key, |state| Ok(state.objects.get(&key.to_string()).map(meta))).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<KeyPage> {
        let page_keys = self.page_keys;
        self.call("list", prefix, |state| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let matching = state.objects.range::<str, _>((from, Bound::Unbounded)).map(|(key, _)| key);
            let mut keys: Vec<String> =
                matching.filter(|key| key.starts_with(prefix)).take(page_keys + 1).cloned().collect();
            let more = keys.len() > page_keys;
            keys.truncate(page_keys);
            let next = keys.last().filter(|_| more).cloned();
            Ok(KeyPage { keys, next })
        })
        .await
    }

    async fn check(&self) -> Result<()> {
        let bucket = &self.place.bucket;
        self.call("check", bucket, |state| {
            if state.versioned { Ok(()) } else { Err(Error::invalid(format!("bucket {bucket} is not versioned"))) }
        })
        .await
    }
}

fn found<'a>(state: &'a State, key: &ObjectKey) -> Result<&'a Object> {
    state.objects.get(&key.to_string()).ok_or_else(|| Error::not_found(format!("there is no object {key}")))
}
