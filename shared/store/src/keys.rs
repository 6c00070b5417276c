//! Data keys per tenant and subject, wrapped by the key-encryption key. Destroying a key erases what it sealed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use zeroize::Zeroizing;

use crate::blind;
use crate::error::StoreError;
use crate::key_cache::{KeyCache, Moment};
use crate::page::Pages;
use crate::rows::{Rows, Sql};
use crate::seal::{self, Key, SealError};
use crate::tx::Tx;

const KEY_COLUMNS: &[&str] = &["tenant", "subject", "wrapped", "created_at"];

/// Whose key seals something: a party, an origin, or the tenant itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The tenant.
    pub tenant: TenantId,
    /// The subject's id within the service; nil for the tenant itself.
    pub id: Uuid,
}

impl Subject {
    /// A person or organisation.
    pub fn of(tenant: &TenantId, id: Uuid) -> Self {
        Self { tenant: tenant.clone(), id }
    }

    /// The tenant itself, for what belongs to no subject.
    pub fn tenant(tenant: &TenantId) -> Self {
        Self::of(tenant, Uuid::nil())
    }

    fn bound_to(&self, field: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.tenant.as_str().len() + 18 + field.len());
        bytes.extend_from_slice(self.tenant.as_str().as_bytes());
        bytes.push(b'|');
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.push(b'|');
        bytes.extend_from_slice(field.as_bytes());
        bytes
    }
}

#[derive(Clone)]
pub(crate) enum DataKey {
    Live(Arc<Key>),
    Destroyed,
}

/// The data keys of some subjects.
pub struct SubjectKeys {
    keys: HashMap<Subject, DataKey>,
}

impl std::fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectKeys({})", self.keys.len())
    }
}

impl SubjectKeys {
    /// Seals bytes for a subject; `field` names the column, and the bytes open only under the same name.
    ///
    /// # Errors
    /// `ERASED` when the subject's key was destroyed; a bug when its key was not asked for.
    pub fn seal(&self, subject: &Subject, field: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        match self.keys.get(subject) {
            Some(DataKey::Live(key)) => seal::seal(key, &subject.bound_to(field), plain).map_err(unsealed),
            Some(DataKey::Destroyed) => Err(erased().into()),
            None => Err(DbErr::Custom("the key of this subject was not loaded".to_owned()).into()),
        }
    }

    /// Opens sealed bytes; `None` when the subject's key was destroyed.
    pub fn unseal(&self, subject: &Subject, field: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.keys.get(subject) {
            Some(DataKey::Live(key)) => seal::open(key, &subject.bound_to(field), sealed).map(Some).map_err(unsealed),
            Some(DataKey::Destroyed) | None => Ok(None),
        }
    }

    /// Whether the subject's key was destroyed.
    pub fn is_destroyed(&self, subject: &Subject) -> bool {
        matches!(self.keys.get(subject), Some(DataKey::Destroyed))
    }
}

fn unsealed(error: SealError) -> StoreError {
    StoreError::Db(DbErr::Custom(error.to_string()))
}

/// The subject's data was erased.
pub(crate) fn erased() -> Error {
    Error::new(Kind::Precondition, reason::ERASED, "the personal data of this subject was erased")
}

/// The keys of one service.
pub(crate) struct KeyRing {
    wrap: Key,
    blind: Key,
    check: [u8; 32],
    pages: Pages,
    cache: KeyCache,
}

impl KeyRing {
    pub(crate) fn new(root: &[u8; 32], service: &str, cache: KeyCache) -> Self {
        Self {
            wrap: blind::derive(root, service, "wrap"),
            blind: blind::derive(root, service, "blind"),
            check: *blind::derive(root, service, "check"),
            pages: Pages::new(blind::derive(root, service, "pages")),
            cache,
        }
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Data keys held in memory, and how often one was found there and was not.
    pub(crate) fn cached(&self) -> (u64, u64, u64) {
        self.cache.counts()
    }

    /// What the database remembers of this key, to notice a wrong key file.
    pub(crate) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    pub(crate) fn blind(&self, tenant: &TenantId, label: &str, value: &str) -> Uuid {
        blind::index(&self.blind, tenant.as_str(), label, value)
    }

    /// To be asked for before anything is read whose keys are shared later.
    pub(crate) fn moment(&self) -> Moment {
        self.cache.now()
    }

    /// Lets other transactions use a key that was read or made after this moment and is committed.
    pub(crate) fn share(&self, read: Moment, subject: Subject, key: DataKey) {
        self.cache.put(read, subject, key);
    }

    /// The keys that exist.
    pub(crate) async fn find(
        &self,
        db: &impl ConnectionTrait,
        subjects: &[Subject],
    ) -> Result<SubjectKeys, StoreError> {
        let read = self.moment();
        let mut keys = HashMap::with_capacity(subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            match self.cache.get(subject) {
                Some(key) => {
                    keys.insert(subject.clone(), key);
                }
                None => missing.push(subject.clone()),
            }
        }
        for (subject, key) in self.read(db, missing).await? {
            self.share(read, subject.clone(), key.clone());
            keys.insert(subject, key);
        }
        Ok(SubjectKeys { keys })
    }

    async fn read(
        &self,
        db: &impl ConnectionTrait,
        mut subjects: Vec<Subject>,
    ) -> Result<Vec<(Subject, DataKey)>, StoreError> {
        subjects.sort_unstable();
        subjects.dedup();
        let mut found = Vec::with_capacity(subjects.len());
        for some in subjects.chunks(1000) {
            let values = some.iter().flat_map(|s| [Value::from(s.tenant.as_str()), Value::from(s.id)]).collect();
            let rows = Sql::new(db, "SELECT tenant, subject, wrapped FROM subject_key WHERE ")
                .in_rows(&["tenant", "subject"], values)
                .all(db)
                .await?;
            found.extend(self.opened(some, rows)?);
        }
        Ok(found)
    }

    /// The keys in rows of tenant, subject and wrapped key, of sorted subjects.
    fn opened(&self, subjects: &[Subject], rows: Vec<QueryResult>) -> Result<Vec<(Subject, DataKey)>, StoreError> {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant: String = row.try_get_by_index(0)?;
            let id: Uuid = row.try_get_by_index(1)?;
            let wrapped: Option<Vec<u8>> = row.try_get_by_index(2)?;
            let at = subjects.binary_search_by(|s| (s.tenant.as_str(), s.id).cmp(&(tenant.as_str(), id)));
            let Some(subject) = at.ok().and_then(|at| subjects.get(at)) else {
                continue;
            };
            let key = match wrapped {
                Some(wrapped) => self.unwrap_key(subject, &wrapped)?,
                None => DataKey::Destroyed,
            };
            found.push((subject.clone(), key));
        }
        Ok(found)
    }

    fn unwrap_key(&self, subject: &Subject, wrapped: &[u8]) -> Result<DataKey, StoreError> {
        let plain = Zeroizing::new(seal::open(&self.wrap, &subject.bound_to("key"), wrapped).map_err(unsealed)?);
        let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| unsealed(SealError::Open))?;
        Ok(DataKey::Live(Arc::new(Zeroizing::new(bytes))))
    }

    /// The keys of all subjects, made in this transaction where missing.
    pub(crate) async fn get_or_make(&self, tx: &Tx, subjects: &[Subject]) -> Result<SubjectKeys, StoreError> {
        let mut keys = HashMap::with_capacity(subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            match tx.remembered(subject).or_else(|| self.cache.get(subject)) {
                Some(key) => {
                    keys.insert(subject.clone(), key);
                }
                None => missing.push(subject.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(SubjectKeys { keys });
        }
        missing.sort_unstable();
        missing.dedup();
        let mut found = match tx.backend() {
            DbBackend::Postgres => self.read_or_make(tx, &missing).await?,
            _ => self.read(tx.db(), missing.clone()).await?,
        };
        let known: HashSet<&Subject> = found.iter().map(|(subject, _)| subject).collect();
        missing.retain(|subject| !known.contains(subject));
        if !missing.is_empty() {
            found.extend(match tx.backend() {
                // Another transaction made them at the same moment.
                DbBackend::Postgres => self.read(tx.db(), missing).await?,
                // There is no other writer.
                _ => {
                    let (rows, made) = self.make(tx, &missing)?;
                    tx.insert_last(rows);
                    made
                }
            });
        }
        for (subject, key) in found {
            tx.remember(subject.clone(), key.clone());
            keys.insert(subject, key);
        }
        Ok(SubjectKeys { keys })
    }

    /// New keys, and the rows that hold them.
    fn make(&self, tx: &Tx, subjects: &[Subject]) -> Result<(Rows, Vec<(Subject, DataKey)>), StoreError> {
        let mut rows = Rows::new("subject_key", KEY_COLUMNS);
        let mut made = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let key = seal::random_key().map_err(unsealed)?;
            let wrapped = seal::seal(&self.wrap, &subject.bound_to("key"), key.as_ref()).map_err(unsealed)?;
            rows.push([subject.tenant.as_str().into(), subject.id.into(), wrapped.into(), tx.now().as_micros().into()]);
            made.push((subject.clone(), DataKey::Live(Arc::new(key))));
        }
        Ok((rows, made))
    }

    /// The keys that exist, and new ones for the others, in one round trip. In sorted order, so that two transactions
    /// never wait for one another in a ring. Whoever comes second gets nothing, and finds the first one's key.
    async fn read_or_make(&self, tx: &Tx, subjects: &[Subject]) -> Result<Vec<(Subject, DataKey)>, StoreError> {
        let (rows, _) = self.make(tx, subjects)?;
        let mut values = Vec::new();
        let sql = format!(
            "WITH n AS ({}), k AS (SELECT k.tenant, k.subject, k.wrapped FROM n JOIN subject_key k \
             ON k.tenant = n.tenant AND k.subject = n.subject), \
             m AS (INSERT INTO subject_key ({}) SELECT n.* FROM n WHERE NOT EXISTS (SELECT 1 FROM subject_key k \
             WHERE k.tenant = n.tenant AND k.subject = n.subject) ORDER BY n.tenant, n.subject \
             ON CONFLICT DO NOTHING RETURNING tenant, subject, wrapped) \
             SELECT * FROM k UNION ALL SELECT * FROM m",
            rows.select(&mut values)?,
            KEY_COLUMNS.join(", "),
        );
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        self.opened(subjects, tx.db().query_all_raw(statement).await?)
    }

    pub(crate) async fn destroy(&self, tx: &Tx, subjects: &[Subject]) -> Result<(), StoreError> {
        let mut subjects = subjects.to_vec();
        subjects.sort_unstable();
        subjects.dedup();
        // One of them may have been made in this transaction.
        tx.insert_waiting().await?;
        let mut rows = Rows::new("subject_key", KEY_COLUMNS);
        for subject in &subjects {
            rows.push([
                subject.tenant.as_str().into(),
                subject.id.into(),
                Value::Bytes(None),
                tx.now().as_micros().into(),
            ]);
        }
        rows.insert_with(tx.db(), "ON CONFLICT (tenant, subject) DO UPDATE SET wrapped = NULL").await?;
        for subject in subjects {
            tx.remember(subject, DataKey::Destroyed);
        }
        Ok(())
    }
}

/// Why the key file does not serve.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("key file {path} does not hold a key (32 bytes in base64)")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is none, but the database was made with one.
    #[error(
        "key file {path} is missing, but the database was made with one: restore it, or point store.key_file at it"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another key than the database was made with.
    #[error("key file {path} is not the one this database was made with")]
    Wrong {
        /// The file.
        path: PathBuf,
    },
    /// No randomness to make one.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

/// Reads the key-encryption key; makes the file when it is missing and `may_make`.
pub(crate) fn load(path: &Path, may_make: bool) -> Result<Key, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(text) => return parse(path, Zeroizing::new(text)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Err(_) if !may_make => {
            return Err(KeyFileError::Missing { path: path.to_owned() });
        }
        Err(_) => {}
    }
    let key = seal::random_key().map_err(|_| KeyFileError::NoRandomness)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    // Written whole and flushed under another name, then linked: the name appears once, complete, and whoever comes
    // second (another service of the same process, another process) reads the first one's key.
    let draft = folder.join(format!(".rapport.key.{}", Uuid::new_v4()));
    let written = write_new(&draft, &key).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    });
    let _ = fs::remove_file(&draft);
    written.map_err(io)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    parse(path, Zeroizing::new(fs::read(path).map_err(io)?))
}

fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = Zeroizing::new(STANDARD.encode(key.as_ref()));
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn parse(path: &Path, text: Zeroizing<Vec<u8>>) -> Result<Key, KeyFileError> {
    let plain = Zeroizing::new(STANDARD.decode(text.trim_ascii()).unwrap_or_default());
    let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| KeyFileError::Malformed { path: path.to_owned() })?;
    Ok(Zeroizing::new(bytes))
}
