use std::collections::{BTreeSet, HashMap};

use rapport_store::{LockKey, Outbox, StoreError, Tx};
use rapport_types::id::World;
use rapport_types::money::Money;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::post::ledger_lock;
use super::told::tell;
use crate::domain::{Key, Member, Occasion, ProgramState, Rule, Trigger, Unearned};
use crate::error::refused;
use crate::store::{Books, Catalogs, Wanted, books_open, books_save, catalogs_load, entry_of, member_of_parties};

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

/// Something that turned out to be another's, or not to have happened: what a party earned by it is taken back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unearning {
    pub(crate) tenant: TenantId,
    /// Who has not earned by it.
    pub(crate) party: Uuid,
    /// The name of what happened.
    pub(crate) source: String,
    pub(crate) traceparent: Option<String>,
}

/// Takes back what was not earned, then posts what these earn by every rule that they set off, once for each member, rule
/// and source, in a fixed number of statements; gives how many were earned. It is for consumers, in the transaction that
/// moves their cursor; what earns nothing, or has earned before, is left out.
///
/// # Errors
/// The database's; Precondition when a balance would not fit.
pub(crate) async fn earn(
    tx: &Tx,
    world: &World,
    catalogs: &Catalogs,
    unearnings: &[Unearning],
    earnings: &[Earning],
    out: &mut Outbox,
) -> Result<usize, StoreError> {
    let mut parties: BTreeSet<Key> = earnings.iter().map(|one| (one.tenant.clone(), one.party)).collect();
    parties.extend(unearnings.iter().map(|one| (one.tenant.clone(), one.party)));
    let mut members: HashMap<Key, Member> = HashMap::new();
    let mut memberships: HashMap<Key, Vec<Key>> = HashMap::new();
    let mut programs = BTreeSet::new();
    for (tenant, member) in member_of_parties(tx.db(), &parties).await? {
        programs.insert((tenant.clone(), member.program));
        let key = (tenant.clone(), member.id);
        memberships.entry((tenant, member.party)).or_default().push(key.clone());
        members.insert(key, member);
    }
    let catalogs = catalogs_load(tx.db(), &programs, catalogs, false).await?;
    let mut jobs: Vec<(&Earning, Key, Rule)> = Vec::new();
    for earning in earnings {
        let whose = memberships.get(&(earning.tenant.clone(), earning.party)).into_iter().flatten();
        for (key, member) in whose.filter_map(|key| Some((key, members.get(key)?))) {
            let Some(catalog) = catalogs.get(&(earning.tenant.clone(), member.program)) else { continue };
            if catalog.program.state != ProgramState::Published {
                continue;
            }
            for rule in catalog.rules.values().filter(|rule| rule.trigger.is_set_off_by(&earning.trigger)) {
                jobs.push((earning, key.clone(), rule.clone()));
            }
        }
    }
    // By which rules it was earned, only the books know: rules that were changed since too.
    let mut undone: Vec<(&Unearning, Key, Uuid)> = Vec::new();
    for unearning in unearnings {
        let whose = memberships.get(&(unearning.tenant.clone(), unearning.party)).into_iter().flatten();
        for (key, member) in whose.filter_map(|key| Some((key, members.get(key)?))) {
            let catalog = catalogs.get(&(unearning.tenant.clone(), member.program));
            let rules = catalog.into_iter().flat_map(|catalog| catalog.rules.keys());
            undone.extend(rules.map(|rule| (unearning, key.clone(), *rule)));
        }
    }
    if jobs.is_empty() && undone.is_empty() {
        return Ok(0);
    }
    let mut wanted = Wanted {
        members: jobs.iter().map(|(_, key, _)| key.clone()).collect(),
        takers: undone.iter().map(|(_, key, _)| key.clone()).collect(),
        sources: jobs
            .iter()
            .map(|(earning, key, rule)| (key.0.clone(), key.1, rule.id, earning.source.clone()))
            .collect(),
    };
    wanted.members.extend(wanted.takers.iter().cloned());
    wanted.sources.extend(undone.iter().map(|(one, key, rule)| (key.0.clone(), key.1, *rule, one.source.clone())));
    // Nobody else may write to these books until the transaction ends. Members never change.
    let locks: Vec<LockKey> = wanted.members.iter().map(|(tenant, member)| ledger_lock(tenant, *member)).collect();
    tx.lock(&locks).await?;
    members.retain(|key, _| wanted.members.contains(key));
    let mut books = books_open(tx.db(), &wanted, members, catalogs, tx.now()).await?;
    take_back(tx, world, &mut books, &undone, out).await?;
    let mut earned = 0;
    for (earning, key, rule) in jobs {
        let Earning { tenant, money, source, occurred_at, traceparent, .. } = earning;
        let Some((holder, catalog)) = books.of(&key) else { continue };
        let occasion = Occasion {
            transaction: world.next_id(),
            lot: world.next_id(),
            source: source.clone(),
            occurred_at: *occurred_at,
        };
        match holder.earn(&catalog, &rule, *money, occasion, tx.now()) {
            Ok(done) => {
                out.traceparent(traceparent.clone());
                tell(out, tenant, &holder.member, &done);
                earned += 1;
            }
            Err(Unearned::Before(_) | Unearned::Nothing(_)) => {}
            Err(Unearned::Refused(why)) => return Err(StoreError::Domain(refused(why, 0))),
        }
    }
    books_save(tx.db(), books).await?;
    Ok(earned)
}

/// Takes back what was earned, as far as it is there.
async fn take_back(
    tx: &Tx,
    world: &World,
    books: &mut Books,
    undone: &[(&Unearning, Key, Uuid)],
    out: &mut Outbox,
) -> Result<(), StoreError> {
    let mut earned = Vec::new();
    for (unearning, key, rule) in undone {
        let holder = books.holders.get(key);
        let by = holder.and_then(|holder| holder.earned_by.get(&(*rule, unearning.source.clone())));
        earned.extend(by.map(|transaction| (*unearning, key, *rule, *transaction)));
    }
    let transactions = earned.iter().map(|(_, key, _, transaction)| ((*key).clone(), *transaction)).collect();
    let entries = entry_of(tx.db(), &transactions).await?;
    for (unearning, key, rule, transaction) in earned {
        let Some(given) = entries.get(&(key.clone(), transaction)) else { continue };
        let Some((holder, catalog)) = books.of(key) else { continue };
        if let Some(done) = holder.unearn(&catalog, rule, given, world.next_id(), tx.now()) {
            out.traceparent(unearning.traceparent.clone());
            tell(out, &unearning.tenant, &holder.member, &done);
        }
    }
    Ok(())
}
