//! The books of a batch: read with a fixed number of statements, and written with as many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rapport_store::sea_orm::{ConnectionTrait, DbErr, Value};
use rapport_store::{Rows, Sql};
use rapport_types::{TenantId, Timestamp, Uuid};

use super::catalogs::{Catalogs, catalogs_load};
use super::journal::lot;
use super::member::member_find;
use super::{MOST_KEYS, key_of, key_values};
use crate::domain::{Announced, Catalog, File, Holder, Holding, Key, Lot, Member};

/// What a batch needs to know.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Whose books.
    pub(crate) members: BTreeSet<Key>,
    /// From whom units may be taken: all their open lots are read.
    pub(crate) takers: BTreeSet<Key>,
    /// What may have been earned before: member, rule, source.
    pub(crate) sources: BTreeSet<Earned>,
}

/// A member, a rule and a source: what earns once.
pub(crate) type Earned = (TenantId, Uuid, Uuid, String);

/// By member and sequence of an entry: who asked for it, and what is sealed of it.
type Notes = HashMap<(Key, i64), (String, Option<Vec<u8>>)>;

/// Members with their accounts, and their programmes.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) holders: HashMap<Key, Holder>,
    pub(crate) catalogs: HashMap<Key, Arc<Catalog>>,
    /// Of entries: who asked for them, and what is sealed. Whoever is not here is the service itself.
    pub(crate) notes: Notes,
}

impl Books {
    /// A member's book and its programme.
    pub(crate) fn of(&mut self, key: &Key) -> Option<(&mut Holder, Arc<Catalog>)> {
        let holder = self.holders.get_mut(key)?;
        let catalog = self.catalogs.get(&(key.0.clone(), holder.member.program))?.clone();
        Some((holder, catalog))
    }
}

/// Reads books. The members must be locked against other writes.
pub(crate) async fn books_load(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    known: &Catalogs,
    now: Timestamp,
) -> Result<Books, DbErr> {
    let members = member_find(db, &wanted.members).await?;
    let programs = members.iter().map(|((tenant, _), member)| (tenant.clone(), member.program)).collect();
    let catalogs = catalogs_load(db, &programs, known, false).await?;
    books_open(db, wanted, members, catalogs, now).await
}

/// The same, where members and programmes were read already.
pub(crate) async fn books_open(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    members: HashMap<Key, Member>,
    catalogs: HashMap<Key, Arc<Catalog>>,
    now: Timestamp,
) -> Result<Books, DbErr> {
    let mut books = Books { catalogs, ..Books::default() };
    for (key, member) in members {
        books.holders.insert(key, Holder::new(member, File::default(), Announced::default()));
    }
    let keys: Vec<&Key> = wanted.members.iter().collect();
    for keys in keys.chunks(MOST_KEYS) {
        accounts(db, keys, &mut books).await?;
    }
    lots(db, wanted, &mut books, now).await?;
    months(db, &mut books).await?;
    sources(db, wanted, &mut books).await?;
    Ok(books)
}

/// Sequences, tiers and balances, in one statement: a row without an account is a member's own.
async fn accounts(db: &impl ConnectionTrait, keys: &[&Key], books: &mut Books) -> Result<(), DbErr> {
    let rows = Sql::new(
        db,
        "SELECT l.tenant, l.member_id, l.sequence, l.tier_id, l.tier_until, a.unit_type_id, a.balance, \
         a.next_expires_at FROM (SELECT * FROM member_ledger WHERE ",
    )
    .in_rows(&["tenant", "member_id"], key_values(keys))
    .text(") AS l LEFT JOIN account AS a ON a.tenant = l.tenant AND a.member_id = l.member_id")
    .all(db)
    .await?;
    for row in &rows {
        let Some(holder) = books.holders.get_mut(&key_of(row, "member_id")?) else { continue };
        holder.file.sequence = row.try_get("", "sequence")?;
        let until: Option<i64> = row.try_get("", "tier_until")?;
        holder.standing = Announced { tier: row.try_get("", "tier_id")?, until: until.map(Timestamp::from_micros) };
        let Some(unit_type) = row.try_get::<Option<Uuid>>("", "unit_type_id")? else { continue };
        let next: Option<i64> = row.try_get("", "next_expires_at")?;
        let holding = Holding {
            balance: row.try_get("", "balance")?,
            lots: BTreeSet::new(),
            unread: next.map(Timestamp::from_micros),
        };
        holder.file.holdings.insert(unit_type, holding);
    }
    Ok(())
}

/// The open lots of those from whom units may be taken, and of those that have one that expired.
async fn lots(db: &impl ConnectionTrait, wanted: &Wanted, books: &mut Books, now: Timestamp) -> Result<(), DbErr> {
    let due = books.holders.iter().filter(|(key, holder)| {
        wanted.takers.contains(key) || holder.file.holdings.values().any(|holding| holding.is_due(now))
    });
    let read: BTreeSet<Key> = due.map(|(key, _)| key.clone()).collect();
    let read: Vec<&Key> = read.iter().collect();
    for keys in read.chunks(MOST_KEYS) {
        for key in keys {
            for holding in books.holders.get_mut(key).into_iter().flat_map(|holder| holder.file.holdings.values_mut()) {
                holding.unread = None;
            }
        }
        let rows = Sql::new(db, &format!("SELECT {LOT} FROM lot WHERE remaining > 0 AND "))
            .in_rows(&["tenant", "member_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            let Some(holder) = books.holders.get_mut(&key_of(row, "member_id")?) else { continue };
            let lot = lot(row)?;
            holder.file.holdings.entry(lot.unit_type).or_default().lots.insert(lot);
        }
    }
    Ok(())
}

/// What counts for tiers, of those in whose programmes something does.
async fn months(db: &impl ConnectionTrait, books: &mut Books) -> Result<(), DbErr> {
    let counted = books.holders.iter().filter(|((tenant, _), holder)| {
        let program = (tenant.clone(), holder.member.program);
        books
            .catalogs
            .get(&program)
            .is_some_and(|catalog| catalog.units.values().any(|unit| unit.kind == crate::domain::UnitKind::Qualifying))
    });
    let counted: BTreeSet<Key> = counted.map(|(key, _)| key.clone()).collect();
    let counted: Vec<&Key> = counted.iter().collect();
    for keys in counted.chunks(MOST_KEYS) {
        let rows = Sql::new(db, "SELECT tenant, member_id, unit_type_id, month, units FROM earned_month WHERE ")
            .in_rows(&["tenant", "member_id"], key_values(keys))
            .all(db)
            .await?;
        for row in &rows {
            if let Some(holder) = books.holders.get_mut(&key_of(row, "member_id")?) {
                let months = holder.months.entry(row.try_get("", "unit_type_id")?).or_default();
                months.insert(row.try_get("", "month")?, row.try_get("", "units")?);
            }
        }
    }
    Ok(())
}

async fn sources(db: &impl ConnectionTrait, wanted: &Wanted, books: &mut Books) -> Result<(), DbErr> {
    let asked: Vec<&Earned> = wanted.sources.iter().collect();
    for some in asked.chunks(MOST_KEYS) {
        let values: Vec<Value> = some
            .iter()
            .flat_map(|(tenant, member, rule, source)| {
                [Value::from(tenant.as_str()), source.as_str().into(), (*member).into(), (*rule).into()]
            })
            .collect();
        let rows = Sql::new(db, "SELECT tenant, member_id, rule_id, source, transaction_id FROM earned_by WHERE ")
            .in_rows(&["tenant", "source", "member_id", "rule_id"], values)
            .all(db)
            .await?;
        for row in &rows {
            if let Some(holder) = books.holders.get_mut(&key_of(row, "member_id")?) {
                let key = (row.try_get("", "rule_id")?, row.try_get("", "source")?);
                holder.earned_by.insert(key, row.try_get("", "transaction_id")?);
            }
        }
    }
    Ok(())
}

/// The columns of a lot that is read.
pub(super) const LOT: &str =
    "tenant, member_id, expires_at, earned_at, id, unit_type_id, available_at, amount, remaining, expired, recorded_at";

/// Whoever writes when nobody asked.
const ITSELF: &str = "services/loyalty";

/// Writes what became of books: the net effect per account, and every entry.
pub(crate) async fn books_save(db: &impl ConnectionTrait, books: Books) -> Result<(), DbErr> {
    let mut tables = Tables::default();
    let Books { holders, mut notes, .. } = books;
    // In one order, so that a batch writes the same rows in the same order whenever it runs.
    let holders: BTreeMap<Key, Holder> = holders.into_iter().collect();
    for (key, holder) in holders {
        tables.add(&key, holder, &mut notes);
    }
    tables.write(db).await
}

struct Tables {
    ledgers: Rows,
    accounts: Rows,
    entries: Rows,
    lots: Rows,
    used: Rows,
    uses: Rows,
    months: Rows,
    sources: Rows,
    /// What was taken back: tenant, source, member, rule.
    gone: Vec<Value>,
}

impl Default for Tables {
    fn default() -> Tables {
        Tables {
            ledgers: Rows::new("member_ledger", &["tenant", "member_id", "sequence", "tier_id", "tier_until"]),
            accounts: Rows::new("account", &["tenant", "member_id", "unit_type_id", "balance", "next_expires_at"]),
            entries: Rows::new(
                "entry",
                &[
                    "tenant",
                    "member_id",
                    "sequence",
                    "unit_type_id",
                    "kind",
                    "transaction_id",
                    "giver",
                    "taker",
                    "amount",
                    "previous_balance",
                    "new_balance",
                    "rule_id",
                    "source",
                    "effective_at",
                    "recorded_at",
                    "principal",
                    "sealed",
                ],
            ),
            lots: Rows::new(
                "lot",
                &[
                    "tenant",
                    "member_id",
                    "expires_at",
                    "earned_at",
                    "id",
                    "unit_type_id",
                    "available_at",
                    "amount",
                    "remaining",
                    "expired",
                    "recorded_at",
                ],
            ),
            used: Rows::new("lot", &["tenant", "member_id", "expires_at", "earned_at", "id", "remaining", "expired"]),
            uses: Rows::new("lot_use", &["tenant", "member_id", "effective_at", "lot_id", "sequence", "amount"]),
            months: Rows::new("earned_month", &["tenant", "member_id", "unit_type_id", "month", "units"]),
            sources: Rows::new("earned_by", &["tenant", "member_id", "rule_id", "source", "transaction_id"]),
            gone: Vec::new(),
        }
    }
}

impl Tables {
    fn add(&mut self, key: &Key, holder: Holder, notes: &mut Notes) {
        let (tenant, member) = (key.0.as_str(), key.1);
        let Holder { file, changes, standing, .. } = &holder;
        for (rule, source) in &holder.gone_sources {
            self.gone.extend([tenant.into(), source.as_str().into(), member.into(), (*rule).into()]);
        }
        if changes.is_empty() && !holder.told {
            return;
        }
        self.ledgers.push([
            tenant.into(),
            member.into(),
            file.sequence.into(),
            standing.tier.into(),
            standing.until.map(Timestamp::as_micros).into(),
        ]);
        for unit in &changes.touched {
            if let Some(holding) = file.holdings.get(unit) {
                self.accounts.push([
                    tenant.into(),
                    member.into(),
                    (*unit).into(),
                    holding.balance.into(),
                    holding.next_expires_at().map(Timestamp::as_micros).into(),
                ]);
            }
        }
        for entry in &changes.entries {
            let (principal, sealed) =
                notes.remove(&(key.clone(), entry.sequence)).unwrap_or_else(|| (ITSELF.to_owned(), None));
            self.entries.push([
                tenant.into(),
                member.into(),
                entry.sequence.into(),
                entry.unit_type.into(),
                entry.kind.code().into(),
                entry.transaction.into(),
                entry.giver.code().into(),
                entry.taker.code().into(),
                entry.amount.into(),
                entry.previous.into(),
                entry.next.into(),
                entry.rule.into(),
                entry.source.as_str().into(),
                entry.effective_at.as_micros().into(),
                entry.recorded_at.as_micros().into(),
                principal.into(),
                sealed.into(),
            ]);
        }
        let new: BTreeSet<Uuid> = changes.new_lots.iter().copied().collect();
        for lot in changes.lots.values().filter(|lot| new.contains(&lot.id)) {
            self.lots.push(made(tenant, member, lot));
        }
        for lot in changes.lots.values().filter(|lot| !new.contains(&lot.id)) {
            self.used.push([
                tenant.into(),
                member.into(),
                lot.expires_at.as_micros().into(),
                lot.earned_at.as_micros().into(),
                lot.id.into(),
                lot.remaining.into(),
                lot.expired.into(),
            ]);
        }
        for one in &changes.uses {
            self.uses.push([
                tenant.into(),
                member.into(),
                one.effective_at.as_micros().into(),
                one.lot.into(),
                one.sequence.into(),
                one.amount.into(),
            ]);
        }
        for (unit, month) in &holder.changed_months {
            let units = holder.months.get(unit).and_then(|months| months.get(month)).copied().unwrap_or(0);
            self.months.push([tenant.into(), member.into(), (*unit).into(), (*month).into(), units.into()]);
        }
        for (rule, source, transaction) in &holder.new_sources {
            self.sources.push([
                tenant.into(),
                member.into(),
                (*rule).into(),
                source.as_str().into(),
                (*transaction).into(),
            ]);
        }
    }

    async fn write(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        self.ledgers
            .insert_with(
                db,
                "ON CONFLICT (tenant, member_id) DO UPDATE SET sequence = excluded.sequence, \
                 tier_id = excluded.tier_id, tier_until = excluded.tier_until",
            )
            .await?;
        self.accounts
            .insert_with(
                db,
                "ON CONFLICT (tenant, member_id, unit_type_id) DO UPDATE SET balance = excluded.balance, \
                 next_expires_at = excluded.next_expires_at",
            )
            .await?;
        self.entries.insert(db).await?;
        self.lots.insert(db).await?;
        let used = self.used.len() as u64;
        let found = self.used.update_by(db, &["tenant", "member_id", "expires_at", "earned_at", "id"]).await?;
        if found != used {
            return Err(super::corrupt("lot"));
        }
        self.uses.insert(db).await?;
        self.months
            .insert_with(
                db,
                "ON CONFLICT (tenant, member_id, unit_type_id, month) DO UPDATE SET units = excluded.units",
            )
            .await?;
        // Earned once more by the same rule, it is there again.
        for gone in self.gone.chunks(4 * MOST_KEYS) {
            Sql::new(db, "DELETE FROM earned_by WHERE ")
                .in_rows(&["tenant", "source", "member_id", "rule_id"], gone.to_vec())
                .execute(db)
                .await?;
        }
        self.sources.insert(db).await?;
        Ok(())
    }
}

fn made(tenant: &str, member: Uuid, lot: &Lot) -> [Value; 11] {
    [
        tenant.into(),
        member.into(),
        lot.expires_at.as_micros().into(),
        lot.earned_at.as_micros().into(),
        lot.id.into(),
        lot.unit_type.into(),
        lot.available_at.as_micros().into(),
        lot.amount.into(),
        lot.remaining.into(),
        lot.expired.into(),
        lot.recorded_at.as_micros().into(),
    ]
}
