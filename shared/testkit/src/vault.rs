//! A vault in memory.

use crate::clock::ManualClock;
use crate::faults::FaultScript;
use crate::lock;
use bytes::Bytes;
use engine::clock::{Clock, Timestamp};
use engine::error::{Error, Result};
use engine::layout::ObjectKey;
use engine::limits::PAGE_MAX;
use engine::stage::{Sha256, Storable};
use engine::vault::{KeyPage, ObjectMeta, PutOutcome, Vault, VaultPlace};
use engine::versions::{Deleted, ObjectLock, ObjectVersion, VersionPage, VersionPlace, Versions};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

/// A vault in memory, with hands to damage it.
pub struct MemoryVault {
    place: VaultPlace,
    service: String,
    faults: FaultScript,
    page_keys: usize,
    /// The store's own clock, and for how long what it takes is locked.
    clock: Arc<dyn Clock>,
    lock_s: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The versions of each key, newest first.
    objects: BTreeMap<String, Vec<Version>>,
    unversioned: bool,
    /// Versions that were made.
    count: u64,
}

#[derive(Debug)]
struct Version {
    name: String,
    /// A delete marker has none.
    object: Option<Object>,
    modified_at: Timestamp,
    lock: Option<ObjectLock>,
}

/// What is stored: the bytes, and the checksum that the store keeps for them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    bytes: Bytes,
    sha256: Option<Sha256>,
}

impl State {
    /// What a reader finds under a key.
    fn current(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)?.first()?.object.as_ref()
    }

    fn current_mut(&mut self, key: &str) -> Option<&mut Object> {
        self.objects.get_mut(key)?.first_mut()?.object.as_mut()
    }

    fn found(&self, key: &ObjectKey) -> Result<&Object> {
        self.current(&key.to_string()).ok_or_else(|| Error::not_found(format!("there is no object {key}")))
    }

    fn push(&mut self, key: String, object: Option<Object>, now: Timestamp, lock_s: i64) {
        self.count += 1;
        let locked = object.is_some() && lock_s > 0;
        let version = Version {
            name: format!("version-{}", self.count),
            object,
            modified_at: now,
            lock: locked.then(|| ObjectLock { compliance: false, until: now.plus_s(lock_s) }),
        };
        self.objects.entry(key).or_default().insert(0, version);
    }
}

impl std::fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryVault").field("place", &self.place).finish_non_exhaustive()
    }
}

impl MemoryVault {
    /// An empty one. Its calls are recorded under `<role> vault`. Its clock stands still, and it locks nothing.
    pub fn new(place: VaultPlace, faults: FaultScript) -> Self {
        let service = format!("{} vault", place.role);
        let clock = Arc::new(ManualClock::stepping());
        Self { place, service, faults, page_keys: PAGE_MAX, clock, lock_s: 0, state: Mutex::default() }
    }

    /// With a clock of its own, by which objects are locked for some seconds from when they are put.
    #[must_use]
    pub fn with_locks(mut self, clock: Arc<dyn Clock>, lock_s: i64) -> Self {
        (self.clock, self.lock_s) = (clock, lock_s);
        self
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

    /// All objects, as a reader finds them: for comparing end states.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        let state = lock(&self.state);
        let current = |key: &String| Some((key.clone(), state.current(key)?.bytes.clone()));
        state.objects.keys().filter_map(current).collect()
    }

    /// Puts bytes as someone with the right to write could: with their own right checksum, over what is there.
    pub fn plant(&self, key: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let sha256 = Some(Sha256::of(&bytes));
        lock(&self.state).push(key.to_owned(), Some(Object { bytes, sha256 }), self.clock.now(), self.lock_s);
    }

    /// Puts a delete marker over an object, as someone with the right to delete could.
    pub fn hide(&self, key: &str) {
        lock(&self.state).push(key.to_owned(), None, self.clock.now(), 0);
    }

    /// Changes the bytes of an object behind the store's back: its checksum stays. False when there is no such object.
    pub fn rot(&self, key: &str, damage: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = lock(&self.state);
        let Some(object) = state.current_mut(key) else { return false };
        let mut bytes = object.bytes.to_vec();
        damage(&mut bytes);
        object.bytes = bytes.into();
        true
    }

    /// Lets the store forget the checksum of an object, as if it had been put without. False when there is none.
    pub fn forget_checksum(&self, key: &str) -> bool {
        lock(&self.state).current_mut(key).map(|o| o.sha256 = None).is_some()
    }

    /// Sets the lock of an object, also to an earlier end: as someone with the right to bypass it could. False when there is none.
    pub fn set_lock(&self, key: &str, until: Timestamp) -> bool {
        let mut state = lock(&self.state);
        let version = state.objects.get_mut(key).and_then(|versions| versions.first_mut());
        version.map(|v| v.lock = Some(ObjectLock { compliance: false, until })).is_some()
    }

    /// Removes an object with all its versions, and gives its bytes.
    pub fn remove(&self, key: &str) -> Option<Bytes> {
        let mut state = lock(&self.state);
        let bytes = state.current(key).map(|o| o.bytes.clone());
        state.objects.remove(key);
        bytes
    }

    /// Turns versioning on or off, as [`Vault::check`] sees it.
    pub fn set_versioned(&self, versioned: bool) {
        lock(&self.state).unversioned = !versioned;
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
            if state.current(&key.to_string()).is_some() {
                return Ok(PutOutcome::Exists);
            }
            let object = Object { bytes: body.bytes().clone(), sha256: Some(body.sha256()) };
            state.push(key.to_string(), Some(object), self.clock.now(), self.lock_s);
            Ok(PutOutcome::Written)
        };
        self.call("put", key, effect).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.call("get", key, |state| {
            let object = state.found(key)?;
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
            let bytes = &state.found(key)?.bytes;
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
        self.call("head", key, |state| Ok(state.current(&key.to_string()).map(meta))).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<KeyPage> {
        let page_keys = self.page_keys;
        self.call("list", prefix, |state| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let matching = state.objects.range::<str, _>((from, Bound::Unbounded)).map(|(key, _)| key);
            let matching = matching.filter(|key| state.current(key).is_some());
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
            if !state.unversioned { Ok(()) } else { Err(Error::invalid(format!("bucket {bucket} is not versioned"))) }
        })
        .await
    }
}

#[async_trait::async_trait]
impl Versions for MemoryVault {
    fn place(&self) -> &VaultPlace {
        &self.place
    }

    async fn list(&self, prefix: &str, after: Option<&VersionPlace>) -> Result<VersionPage> {
        self.call("list_versions", prefix, |state| {
            let all = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
            let all =
                all.flat_map(|(key, versions)| versions.iter().enumerate().map(move |(n, v)| described(key, n, v)));
            let mut versions: Vec<ObjectVersion> = match after {
                None => all.take(self.page_keys + 1).collect(),
                Some(after) => {
                    let mut all = all.skip_while(|v| v.key < after.key).peekable();
                    // From after that version on, or from the next key when it is gone.
                    let here: Vec<_> = std::iter::from_fn(|| all.next_if(|v| v.key == after.key)).collect();
                    let place = here.iter().position(|v| v.version == after.version).map_or(here.len(), |n| n + 1);
                    here.into_iter().skip(place).chain(all).take(self.page_keys + 1).collect()
                }
            };
            let more = versions.len() > self.page_keys;
            versions.truncate(self.page_keys);
            let last = versions.last().filter(|_| more);
            let next = last.map(|v| VersionPlace { key: v.key.clone(), version: v.version.clone() });
            Ok(VersionPage { versions, next })
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey, version: &str) -> Result<Deleted> {
        self.call("delete_version", key, |state| {
            let Some(versions) = state.objects.get_mut(&key.to_string()) else { return Ok(Deleted::Gone) };
            let Some(place) = versions.iter().position(|v| v.name == version) else { return Ok(Deleted::Gone) };
            if versions[place].lock.is_some_and(|lock| lock.until > self.clock.now()) {
                return Ok(Deleted::Locked);
            }
            versions.remove(place);
            if versions.is_empty() {
                state.objects.remove(&key.to_string());
            }
            Ok(Deleted::Gone)
        })
        .await
    }

    async fn lock_of(&self, key: &ObjectKey, version: &str) -> Result<Option<ObjectLock>> {
        self.call("lock_of", key, |state| Ok(version_of(state, key, version)?.lock)).await
    }

    async fn extend_lock(&self, key: &ObjectKey, version: &str, lock: ObjectLock) -> Result<()> {
        self.call("extend_lock", key, |state| {
            if self.lock_s == 0 {
                return Err(Error::invalid(format!("bucket {} has no Object Lock", self.place.bucket)));
            }
            let version = version_of(state, key, version)?;
            if version.lock.is_some_and(|kept| kept.until > lock.until || (kept.compliance && !lock.compliance)) {
                return Err(Error::invalid(format!("the lock of {key} is only extended")));
            }
            version.lock = Some(lock);
            Ok(())
        })
        .await
    }
}

fn described(key: &str, place: usize, version: &Version) -> ObjectVersion {
    let object = version.object.as_ref();
    ObjectVersion {
        key: key.to_owned(),
        version: version.name.clone(),
        latest: place == 0,
        delete_marker: object.is_none(),
        length: object.map_or(0, |o| o.bytes.len() as u64),
        etag: object.map_or_else(String::new, |o| Sha256::of(&o.bytes).to_string()),
        modified_at: version.modified_at,
    }
}

fn version_of<'a>(state: &'a mut State, key: &ObjectKey, version: &str) -> Result<&'a mut Version> {
    let versions = state.objects.get_mut(&key.to_string());
    let found = versions.and_then(|versions| versions.iter_mut().find(|v| v.name == version));
    found.ok_or_else(|| Error::not_found(format!("there is no version {version} of {key}")))
}
