//! A toy service: accounts with a balance that must not become negative, and names claimed once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use rapport_store::sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use rapport_store::sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};
use rapport_store::{
    Command, Committed, Item, LockKey, Migrations, Outbox, Rows, Scope, Sql, Store, StoreError, Subject, Tx,
};
use rapport_types::Uuid;
use rapport_types::error::{Error, Kind};
use rapport_types::tenant::TenantId;
use serde::{Deserialize, Serialize};

pub(crate) fn migrations() -> Migrations {
    vec![Box::new(Accounts)]
}

struct Accounts;

impl MigrationName for Accounts {
    fn name(&self) -> &str {
        "m20250101_000001_accounts"
    }
}

#[async_trait]
impl MigrationTrait for Accounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let (text, uuid) = match db.get_database_backend() {
            DbBackend::Postgres => ("TEXT COLLATE \"C\"", "UUID"),
            _ => ("TEXT", "BLOB"),
        };
        db.execute_unprepared(&format!(
            "CREATE TABLE account (tenant {text} NOT NULL, id {uuid} NOT NULL, balance BIGINT NOT NULL CHECK (balance <> 666), \
             version BIGINT NOT NULL, PRIMARY KEY (tenant, id)); \
             CREATE TABLE claim (tenant {text} NOT NULL, name {text} NOT NULL, owner {uuid}, PRIMARY KEY (tenant, name))"
        ))
        .await
        .map(drop)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Deposited {
    #[prost(int64, tag = "1")]
    pub(crate) amount: i64,
    #[prost(int64, tag = "2")]
    pub(crate) balance: i64,
}

impl prost::Name for Deposited {
    const NAME: &'static str = "Deposited";
    const PACKAGE: &'static str = "toy.v1";
}

/// Adds to (or takes from) an account. The balance 666 breaks a constraint of the table; the amount 999 panics.
#[derive(Clone, Debug)]
pub(crate) struct Deposit {
    pub(crate) account: Uuid,
    pub(crate) amount: i64,
    pub(crate) subject: Option<Uuid>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) account: Uuid,
    pub(crate) balance: i64,
    pub(crate) version: i64,
}

#[derive(Default)]
pub(crate) struct Book {
    accounts: HashMap<(TenantId, Uuid), (i64, i64)>,
    changed: BTreeSet<(TenantId, Uuid)>,
}

pub(crate) fn deposit(account: Uuid, amount: i64) -> Deposit {
    Deposit { account, amount, subject: None }
}

#[async_trait]
impl Command for Deposit {
    type State = Book;
    type Reply = Balance;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![LockKey::of(tenant, "account", self.account.as_bytes())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Book, StoreError> {
        let keys: BTreeSet<_> = items.iter().map(|item| (item.scope.tenant.clone(), item.command.account)).collect();
        let values = keys.iter().flat_map(|(tenant, id)| [Value::from(tenant.as_str()), Value::from(*id)]).collect();
        let rows = Sql::new(tx.db(), "SELECT tenant, id, balance, version FROM account WHERE ")
            .in_rows(&["tenant", "id"], values)
            .all(tx.db())
            .await?;
        let mut book = Book::default();
        for row in rows {
            let tenant = TenantId::parse(&row.try_get_by_index::<String>(0)?).unwrap();
            book.accounts
                .insert((tenant, row.try_get_by_index(1)?), (row.try_get_by_index(2)?, row.try_get_by_index(3)?));
        }
        Ok(book)
    }

    fn decide(item: &Item<Self>, book: &mut Book, out: &mut Outbox) -> Result<Balance, Error> {
        let command = &item.command;
        assert_ne!(command.amount, 999, "a panicking decision");
        let key = (item.scope.tenant.clone(), command.account);
        let (balance, version) = book.accounts.get(&key).copied().unwrap_or((0, 0));
        // told before it is known whether it holds: a failed decision's events are taken back
        let after = balance + command.amount;
        out.event(
            &item.scope.tenant,
            format!("accounts/{}", command.account),
            version + 1,
            item.now,
            &Deposited { amount: command.amount, balance: after },
        );
        if after < 0 {
            return Err(Error::new(Kind::Precondition, "OVERDRAWN", "not enough"));
        }
        if let Some(subject) = command.subject {
            out.subject(Subject::of(&item.scope.tenant, subject));
        }
        book.accounts.insert(key.clone(), (after, version + 1));
        book.changed.insert(key);
        Ok(Balance { account: command.account, balance: after, version: version + 1 })
    }

    async fn apply(tx: &Tx, book: Book) -> Result<(), StoreError> {
        let mut rows = Rows::new("account", &["tenant", "id", "balance", "version"]);
        for key in book.changed {
            let (balance, version) = book.accounts[&key];
            rows.push([key.0.as_str().into(), key.1.into(), balance.into(), version.into()]);
        }
        rows.insert_with(
            tx.db(),
            "ON CONFLICT (tenant, id) DO UPDATE SET balance = excluded.balance, version = excluded.version",
        )
        .await?;
        Ok(())
    }
}

/// Claims a name. Takes no lock, so that two batches (or replicas) can race for the same name.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) owner: Option<Uuid>,
}

#[async_trait]
impl Command for Claim {
    type State = BTreeMap<(TenantId, String), (Option<Uuid>, bool)>;
    type Reply = String;

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Self::State, StoreError> {
        let values = items.iter().map(|item| Value::from(item.command.name.as_str())).collect();
        let rows = Sql::new(tx.db(), "SELECT tenant, name, owner FROM claim WHERE ")
            .in_list("name", values)
            .all(tx.db())
            .await?;
        let mut state = BTreeMap::new();
        for row in rows {
            let tenant = TenantId::parse(&row.try_get_by_index::<String>(0)?).unwrap();
            let owner = row.try_get_by_index(2)?;
            state.insert((tenant, row.try_get_by_index(1)?), (owner, false));
        }
        Ok(state)
    }

    fn decide(item: &Item<Self>, state: &mut Self::State, _: &mut Outbox) -> Result<String, Error> {
        let name = item.command.name.clone();
        let key = (item.scope.tenant.clone(), name.clone());
        if state.contains_key(&key) {
            return Err(Error::already_exists("IDENTIFIER_TAKEN", "taken"));
        }
        state.insert(key, (item.command.owner, true));
        Ok(name)
    }

    async fn apply(tx: &Tx, state: Self::State) -> Result<(), StoreError> {
        let mut rows = Rows::new("claim", &["tenant", "name", "owner"]);
        for ((tenant, name), (owner, _)) in state.into_iter().filter(|(_, (_, new))| *new) {
            rows.push([tenant.as_str().into(), name.into(), owner.into()]);
        }
        rows.insert(tx.db()).await?;
        Ok(())
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn scope(request_id: Option<Uuid>) -> Scope {
    scope_of("acme", request_id)
}

pub(crate) fn scope_of(name: &str, request_id: Option<Uuid>) -> Scope {
    Scope {
        tenant: tenant(name),
        principal: "users/ana".to_owned(),
        method: "toy.v1.Accounts/Deposit",
        request_id,
        fingerprint: [7; 32],
        traceparent: None,
    }
}

pub(crate) async fn add(store: &Store, account: Uuid, amount: i64) -> Result<Committed<Balance>, Error> {
    store.submit(scope(None), deposit(account, amount)).await
}

/// Every account as it is in the table.
pub(crate) async fn balances(store: &Store) -> BTreeMap<Uuid, (i64, i64)> {
    let db = store.reader();
    let rows = Sql::new(db, "SELECT id, balance, version FROM account").all(db).await.unwrap();
    rows.iter()
        .map(|row| {
            (row.try_get_by_index(0).unwrap(), (row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap()))
        })
        .collect()
}

pub(crate) async fn count(store: &Store, table: &str) -> i64 {
    let db = store.reader();
    let row = Sql::new(db, &format!("SELECT count(*) FROM {table}")).one(db).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}
