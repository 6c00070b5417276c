//! The data keys that this process knows already.
//!
//! On PostgreSQL a key comes here before it is durable: the commit of its batch waits for no flush, and what is read may be
//! another replica's commit of that kind. While the database lives that is safe: whatever a key sealed is committed later
//! in the same log, so no row outlives its key. A database that crashed may have lost the key, and every connection
//! with it. So each new connection makes this cache forget everything, also what is still on its way here: whoever commits
//! on a connection has used only keys that were read or made since it was opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::keys::{DataKey, Subject};

/// How long another replica's destruction of a key may go unnoticed here.
const CACHE_TIME: Duration = Duration::from_secs(60);
const CACHE_KEYS: u64 = 50_000;

/// What the pools and the transactions of one store share. A clone is the same cache.
#[derive(Clone)]
pub(crate) struct KeyCache {
    keys: moka::sync::Cache<Subject, (u64, DataKey)>,
    age: Arc<AtomicU64>,
    asked: Arc<Asked>,
}

/// How often a key was asked for, and found.
#[derive(Debug, Default)]
struct Asked {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// When something was read; see [`KeyCache::now`].
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Default for KeyCache {
    fn default() -> Self {
        Self {
            keys: moka::sync::Cache::builder().max_capacity(CACHE_KEYS).time_to_live(CACHE_TIME).build(),
            age: Arc::default(),
            asked: Arc::default(),
        }
    }
}

impl KeyCache {
    /// To be asked for before a key is read or made, and given with the key.
    pub(crate) fn now(&self) -> Moment {
        Moment(self.age.load(Ordering::SeqCst))
    }

    pub(crate) fn get(&self, subject: &Subject) -> Option<DataKey> {
        let found = self.keys.get(subject).filter(|(age, _)| *age == self.now().0);
        let asked = if found.is_some() { &self.asked.hits } else { &self.asked.misses };
        asked.fetch_add(1, Ordering::Relaxed);
        found.map(|(_, key)| key)
    }

    /// Keys held, and how often one was found and was not.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (self.keys.entry_count(), read(&self.asked.hits), read(&self.asked.misses))
    }

    pub(crate) fn put(&self, read: Moment, subject: Subject, key: DataKey) {
        self.keys.insert(subject, (read.0, key));
    }

    /// There is a new connection: the database may be another one than before.
    pub(crate) fn forget(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
        self.keys.invalidate_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rapport_types::Uuid;
    use rapport_types::tenant::TenantId;

    use super::*;

    #[test]
    fn what_was_read_before_a_new_connection_is_not_known_after_it() {
        let cache = KeyCache::default();
        let (early, late) = (Subject::of(&TenantId::local(), Uuid::now_v7()), Subject::tenant(&TenantId::local()));
        let read = cache.now();
        cache.put(read, early.clone(), DataKey::Destroyed);
        assert!(cache.get(&early).is_some());
        cache.clone().forget();
        assert!(cache.get(&early).is_none(), "the clones are one cache");
        // Read before, told after.
        cache.put(read, late.clone(), DataKey::Destroyed);
        assert!(cache.get(&late).is_none());
        cache.put(cache.now(), late.clone(), DataKey::Destroyed);
        assert!(cache.get(&late).is_some());
    }
}
