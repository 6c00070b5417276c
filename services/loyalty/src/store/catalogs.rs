//! Programmes that are kept in memory, for as long as they are what the database holds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapport_store::sea_orm::{ConnectionTrait, DbErr};
use rapport_store::{Sql, Store};

use super::catalog::catalog_find;
use super::{MOST_KEYS, key_of, key_values};
use crate::domain::{Catalog, Key};

/// Programmes as they were read last. A programme's version grows with each change of it and of what belongs to it, so
/// one that is known under its version need not be read again.
///
/// Only what is committed is kept: a transaction may see a version that is rolled back, whose number the next change has
/// again. What a transaction missed is read anew once it is over, by [`catalogs_warm`].
#[derive(Debug, Default)]
pub(crate) struct Catalogs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Key, Arc<Catalog>>,
    /// What transactions had to read themselves.
    missed: BTreeSet<Key>,
}

impl Catalogs {
    /// How many are kept.
    const MOST: usize = 1_000;

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key, version: i64) -> Option<Arc<Catalog>> {
        self.state().known.get(key).filter(|catalog| catalog.program.version == version).cloned()
    }

    fn put(&self, key: &Key, catalog: &Arc<Catalog>) {
        let mut state = self.state();
        if state.known.len() >= Catalogs::MOST {
            state.known.clear();
        }
        state.known.insert(key.clone(), catalog.clone());
    }

    fn miss(&self, keys: &BTreeSet<Key>) {
        let mut state = self.state();
        if state.missed.len() < Catalogs::MOST {
            state.missed.extend(keys.iter().cloned());
        }
    }

    fn take_missed(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.state().missed)
    }

    /// The version under which a programme is kept.
    #[cfg(test)]
    pub(crate) fn version(&self, key: &Key) -> Option<i64> {
        self.state().known.get(key).map(|catalog| catalog.program.version)
    }
}

/// The programmes with these ids and all that belongs to them, read only where they are not known as they are now.
/// `settled`: what is read here is committed, and may be kept.
pub(crate) async fn catalogs_load(
    db: &impl ConnectionTrait,
    programs: &BTreeSet<Key>,
    known: &Catalogs,
    settled: bool,
) -> Result<HashMap<Key, Arc<Catalog>>, DbErr> {
    let keys: Vec<&Key> = programs.iter().collect();
    let mut found = HashMap::new();
    let mut unknown = BTreeSet::new();
    for keys in keys.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT tenant, id, version FROM program WHERE ")
            .in_rows(&["tenant", "id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            let key = key_of(row, "id")?;
            match known.get(&key, row.try_get("", "version")?) {
                Some(catalog) => {
                    found.insert(key, catalog);
                }
                None => {
                    unknown.insert(key);
                }
            }
        }
    }
    if unknown.is_empty() {
        return Ok(found);
    }
    if !settled {
        known.miss(&unknown);
    }
    for (key, catalog) in catalog_find(db, &unknown).await? {
        let catalog = Arc::new(catalog);
        if settled {
            known.put(&key, &catalog);
        }
        found.insert(key, catalog);
    }
    Ok(found)
}

/// Reads what transactions missed since the last time, so that the next ones find it: for after a write, and before one
/// that nobody waits for. Nothing is lost where that fails.
pub(crate) async fn catalogs_warm(store: &Store, known: &Catalogs) {
    let missed = known.take_missed();
    if missed.is_empty() {
        return;
    }
    if let Err(error) = catalogs_load(store.reader(), &missed, known, true).await {
        tracing::debug!(%error, "programmes could not be read ahead");
        known.miss(&missed);
    }
}
