use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{LockKey, Outbox, StoreError, Tx};
use rapport_types::id::World;
use rapport_types::money::Money;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::post::ledger_lock;
use super::told::tell;
use crate::domain::{Key, Member, MemberName, Occasion, ProgramName, ProgramState, Rule, Trigger, Unearned};
use crate::error::refused;
use crate::store::{Books, Catalogs, Wanted, books_load, books_save, catalog_find, member_of_parties};

/// Something that happened elsewhere and may earn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Earning {
    pub(crate) tenant: TenantId,
    /// Whose it is. All its memberships in published programmes earn.
    pub(crate) party: Uuid,
    /// What happened, with its own word.
    pub(crate) trigger: Trigger,
    /// What was paid; none when nothing was, or when it was paid back.
    pub(crate) money: Option<Money>,
    /// The name of what happened: it earns once by each rule.
    pub(crate) source: String,
    pub(crate) occurred_at: Timestamp,
    pub(crate) traceparent: Option<String>,
}

/// What something earned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earned {
    /// Its place among the earnings.
    pub(crate) at: usize,
    pub(crate) transaction: Uuid,
    pub(crate) member: MemberName,
    pub(crate) rule: Uuid,
    pub(crate) amount: i64,
}

/// Posts what these earn by every rule that they set off, once for each member, rule and source, in a fixed number of
/// statements. It is for consumers, in the transaction that moves their cursor; what earns nothing, or has earned
/// before, is left out of the answer.
///
/// # Errors
/// The database's; Precondition when a balance would not fit.
pub(crate) async fn earn(
    tx: &Tx,
    world: &World,
    earnings: &[Earning],
    out: &mut Outbox,
) -> Result<Vec<Earned>, StoreError> {
    let parties: BTreeSet<Key> = earnings.iter().map(|one| (one.tenant.clone(), one.party)).collect();
    let mut members: BTreeMap<Key, Vec<Member>> = BTreeMap::new();
    let mut programs = BTreeSet::new();
    for (tenant, member) in member_of_parties(tx.db(), &parties).await? {
        programs.insert((tenant.clone(), member.program));
        members.entry((tenant, member.party)).or_default().push(member);
    }
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let catalogs = catalog_find(tx.db(), &programs).await?;
    let mut jobs: Vec<(usize, Key, Rule)> = Vec::new();
    for (at, earning) in earnings.iter().enumerate() {
        let whose = members.get(&(earning.tenant.clone(), earning.party)).into_iter().flatten();
        for member in whose {
            let Some(catalog) = catalogs.get(&(earning.tenant.clone(), member.program)) else { continue };
            if catalog.program.state != ProgramState::Published {
                continue;
            }
            for rule in catalog.rules.values().filter(|rule| rule.trigger.is_set_off_by(&earning.trigger)) {
                jobs.push((at, (earning.tenant.clone(), member.id), rule.clone()));
            }
        }
    }
    let wanted = Wanted {
        members: jobs.iter().map(|(_, key, _)| key.clone()).collect(),
        takers: BTreeSet::new(),
        sources: jobs
            .iter()
            .map(|(at, key, rule)| (key.0.clone(), key.1, rule.id, earnings[*at].source.clone()))
            .collect(),
    };
    let mut books = locked(tx, &wanted).await?;
    let mut earned = Vec::new();
    for (at, key, rule) in jobs {
        let Earning { tenant, money, source, occurred_at, traceparent, .. } = &earnings[at];
        let Some((holder, catalog)) = books.of(&key) else { continue };
        let transaction = world.next_id();
        let occasion =
            Occasion { transaction, lot: world.next_id(), source: source.clone(), occurred_at: *occurred_at };
        match holder.earn(&catalog, &rule, *money, occasion, tx.now()) {
            Ok(done) => {
                out.traceparent(traceparent.clone());
                tell(out, tenant, &holder.member, &done);
                let member = MemberName::new(ProgramName::new(holder.member.program), key.1);
                earned.push(Earned { at, transaction, member, rule: rule.id, amount: done.posted.entry.amount });
            }
            Err(Unearned::Before(_) | Unearned::Nothing(_)) => {}
            Err(Unearned::Refused(why)) => return Err(StoreError::Domain(refused(why, 0))),
        }
    }
    books_save(tx.db(), books).await?;
    Ok(earned)
}

/// Books that nobody else may write to until the transaction ends.
async fn locked(tx: &Tx, wanted: &Wanted) -> Result<Books, StoreError> {
    let locks: Vec<LockKey> = wanted.members.iter().map(|(tenant, member)| ledger_lock(tenant, *member)).collect();
    tx.lock(&locks).await?;
    Ok(books_load(tx.db(), wanted, &Catalogs::default(), tx.now()).await?)
}
