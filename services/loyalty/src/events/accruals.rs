//! What members do earns: orders, answers to surveys, whatever a published rule names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::interactions::v1 as interactions;
use rapport_rpc::wire;
use rapport_store::{Outbox, Store, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{Money, TenantId, Timestamp, Uuid};

use super::reading::{Speaker, interaction, origin, party, response, speakers, time};
use crate::commands::{Earning, Unearning, earn};
use crate::domain::{Key, Slug, Trigger};
use crate::error::malformed_event;
use crate::store::{
    Catalogs, UnclaimedRow, alias_find, alias_save, catalogs_warm, rule_triggers, unclaimed_claim, unclaimed_delete,
    unclaimed_find, unclaimed_insert,
};

/// Posts what interactions and survey responses earn, by the published rules, each once.
#[derive(Clone, Debug)]
pub(crate) struct Accruals {
    store: Store,
    catalogs: Arc<Catalogs>,
}

impl Accruals {
    /// The consumer over its store, with the programmes as they are known.
    pub(crate) fn new(store: Store, catalogs: Arc<Catalogs>) -> Accruals {
        Accruals { store, catalogs }
    }
}

/// Something that may earn.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    /// Its own name.
    source: String,
    /// The interaction under which it came.
    interaction: Uuid,
    trigger: Trigger,
    money: Option<Money>,
    occurred_at: Timestamp,
    /// Whose act it is.
    by: Vec<Speaker>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    /// Something that may earn happened.
    Happened(Fact),
    /// What happened reads otherwise now: as far as it still waits, it will earn by that.
    Amended(Fact),
    /// It turned out to be somebody else's: whoever took part in it before and no longer does has earned nothing by it.
    Reassigned { interaction: Uuid, source: String, from: Vec<Speaker>, fact: Option<Fact> },
    /// An interaction counts no longer: whoever took part in it has earned nothing by it.
    Retracted { interaction: Uuid, source: String, from: Vec<Speaker> },
    /// An origin belongs to a party: what came by it earns now.
    Attributed { origin: Uuid, party: Uuid },
}

/// What an event says, in whose data, and the trace it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    tenant: TenantId,
    traceparent: Option<String>,
    said: Said,
}

#[async_trait]
impl Consumer for Accruals {
    type Gathered = Vec<Heard>;

    fn name(&self) -> &'static str {
        "accruals"
    }

    fn source(&self) -> &'static str {
        "interactions"
    }

    /// Nothing is asked of others: accruals go on while stakeholders is away.
    async fn gather(&self, events: &[Event]) -> Result<Vec<Heard>, Error> {
        catalogs_warm(&self.store, &self.catalogs).await;
        let mut heard = Vec::with_capacity(events.len());
        for event in events {
            if let Some(said) = read(event)? {
                heard.push(Heard { tenant: event.tenant.clone(), traceparent: event.traceparent.clone(), said });
            }
        }
        Ok(heard)
    }

    async fn apply(&self, tx: &Tx, _: &[Event], heard: &Vec<Heard>, out: &mut Outbox) -> Result<(), StoreError> {
        let mut ledger = Claims::load(tx, heard).await?;
        for one in heard {
            ledger.hear(one);
        }
        let Claims { unearnings, earnings, kept, gone, attributed, told, .. } = ledger;
        alias_save(tx.db(), &told).await?;
        unclaimed_claim(tx.db(), &attributed).await?;
        unclaimed_delete(tx.db(), &gone).await?;
        unclaimed_insert(tx.db(), &worth_keeping(tx, kept).await?).await?;
        // In the order of the feed: what is taken back may have been earned in this very batch.
        for (unearned, earned) in steps(&unearnings, &earnings) {
            earn(tx, self.store.world(), &self.catalogs, &unearned, earned, out).await?;
        }
        Ok(())
    }
}

/// Those facts that a rule names: the others would earn nobody anything, whoever it was.
async fn worth_keeping(tx: &Tx, mut kept: Vec<UnclaimedRow>) -> Result<Vec<UnclaimedRow>, StoreError> {
    if kept.is_empty() {
        return Ok(kept);
    }
    let tenants: BTreeSet<TenantId> = kept.iter().map(|row| row.origin.0.clone()).collect();
    let triggers = rule_triggers(tx.db(), &tenants).await?;
    kept.retain(|row| {
        let rules = triggers.get(&row.origin.0);
        rules.is_some_and(|rules| rules.iter().any(|rule| rule.is_set_off_by(&row.trigger)))
    });
    Ok(kept)
}

/// Whose facts are, and which of them earn.
#[derive(Debug, Default)]
struct Claims {
    /// Whose origins are, by the store and by this batch.
    whose: BTreeMap<Key, Uuid>,
    /// Facts that belong to nobody yet: those of the store whose origins this batch attributes, and those of this batch.
    kept: Vec<UnclaimedRow>,
    /// What this batch says of origins.
    told: BTreeMap<Key, Uuid>,
    /// The origins that it attributes.
    attributed: BTreeSet<Key>,
    /// Interactions that no longer count.
    gone: BTreeSet<Key>,
    earnings: Vec<Earning>,
    /// What is taken back, each with how many of the earnings came before it.
    unearnings: Vec<(usize, Unearning)>,
}

/// What is taken back and what is earned, in steps: in each first the one, then the other.
fn steps<'a>(unearnings: &'a [(usize, Unearning)], earnings: &'a [Earning]) -> Vec<(Vec<Unearning>, &'a [Earning])> {
    let mut places: Vec<usize> = unearnings.iter().map(|(at, _)| *at).chain([0, earnings.len()]).collect();
    places.sort_unstable();
    places.dedup();
    let mut steps = Vec::with_capacity(places.len());
    for (step, from) in places.iter().enumerate() {
        let until = places.get(step + 1).copied().unwrap_or(earnings.len());
        let undone = unearnings.iter().filter(|(at, _)| at == from).map(|(_, one)| one.clone());
        let undone: Vec<Unearning> = undone.collect();
        let earned = earnings.get(*from..until).unwrap_or_default();
        if !undone.is_empty() || !earned.is_empty() {
            steps.push((undone, earned));
        }
    }
    steps
}

impl Claims {
    async fn load(tx: &Tx, heard: &[Heard]) -> Result<Claims, StoreError> {
        let mut origins = BTreeSet::new();
        let mut attributed = BTreeSet::new();
        for Heard { tenant, said, .. } in heard {
            match said {
                Said::Happened(fact) => origins.extend(fact.by.iter().map(|one| (tenant.clone(), one.origin))),
                Said::Attributed { origin, .. } => {
                    attributed.insert((tenant.clone(), *origin));
                }
                Said::Reassigned { from, fact, .. } => {
                    let now = fact.iter().flat_map(|fact| &fact.by);
                    origins.extend(from.iter().chain(now).map(|one| (tenant.clone(), one.origin)));
                }
                Said::Retracted { from, .. } => {
                    origins.extend(from.iter().map(|one| (tenant.clone(), one.origin)));
                }
                // Who took part is the same, and what the event says of them is as old as the event.
                Said::Amended(_) => {}
            }
        }
        let whose = alias_find(tx.db(), &origins).await?;
        let kept = unclaimed_find(tx.db(), &attributed).await?;
        Ok(Claims { whose, kept, attributed, ..Claims::default() })
    }

    fn hear(&mut self, heard: &Heard) {
        let Heard { tenant, traceparent, said } = heard;
        match said {
            Said::Happened(fact) => self.earned(tenant, traceparent, fact),
            Said::Reassigned { interaction, source, from, fact } => {
                self.forget(tenant, *interaction);
                let now = self.parties(tenant, fact.iter().flat_map(|fact| &fact.by));
                let before = self.parties(tenant, from);
                self.undo(heard, source, before.difference(&now));
                if let Some(fact) = fact {
                    self.earned(tenant, traceparent, fact);
                }
            }
            Said::Amended(fact) => {
                self.forget(tenant, fact.interaction);
                for Speaker { origin, party } in &fact.by {
                    let key = (tenant.clone(), *origin);
                    // Whoever was known before it was amended has earned. That is for this feed to say, up to here: the map is
                    // written by another consumer too, which may have read further.
                    if party.is_none() && !self.told.contains_key(&key) {
                        self.kept.push(fact.waiting(key));
                    }
                }
            }
            Said::Retracted { interaction, source, from } => {
                self.forget(tenant, *interaction);
                let before = self.parties(tenant, from);
                self.undo(heard, source, &before);
            }
            Said::Attributed { origin, party } => {
                let key = (tenant.clone(), *origin);
                self.whose.insert(key.clone(), *party);
                let mut waiting = Vec::new();
                self.kept.retain(|row| {
                    let claimed = row.origin == key;
                    if claimed {
                        waiting.push(row.clone());
                    }
                    !claimed
                });
                for row in waiting {
                    self.earnings.push(Earning {
                        tenant: tenant.clone(),
                        party: *party,
                        trigger: row.trigger,
                        money: row.money,
                        source: row.source,
                        occurred_at: row.occurred_at,
                        traceparent: traceparent.clone(),
                    });
                }
                self.told.insert(key, *party);
            }
        }
    }
}

impl Claims {
    /// What happened earns for those who are known, and waits for the others.
    fn earned(&mut self, tenant: &TenantId, traceparent: &Option<String>, fact: &Fact) {
        let mut parties = BTreeSet::new();
        for Speaker { origin, party } in &fact.by {
            let key = (tenant.clone(), *origin);
            match self.whose.get(&key).copied().or(*party) {
                Some(party) => {
                    parties.insert(party);
                }
                None => self.kept.push(fact.waiting(key)),
            }
        }
        // Two origins of one party did one thing.
        for party in parties {
            self.earnings.push(Earning {
                tenant: tenant.clone(),
                party,
                trigger: fact.trigger.clone(),
                money: fact.money,
                source: fact.source.clone(),
                occurred_at: fact.occurred_at,
                traceparent: traceparent.clone(),
            });
        }
    }

    /// The parties that these are known to be.
    fn parties<'a>(&self, tenant: &TenantId, by: impl IntoIterator<Item = &'a Speaker>) -> BTreeSet<Uuid> {
        let party = |one: &Speaker| self.whose.get(&(tenant.clone(), one.origin)).copied().or(one.party);
        by.into_iter().filter_map(party).collect()
    }

    /// Takes back what these earned from a source before.
    fn undo<'a>(&mut self, heard: &Heard, source: &str, parties: impl IntoIterator<Item = &'a Uuid>) {
        let before = self.earnings.len();
        self.unearnings.extend(parties.into_iter().map(|party| {
            let undone = Unearning {
                tenant: heard.tenant.clone(),
                party: *party,
                source: source.to_owned(),
                traceparent: heard.traceparent.clone(),
            };
            (before, undone)
        }));
    }

    /// What waits of an interaction, here and in the store, earns nothing as it is.
    fn forget(&mut self, tenant: &TenantId, interaction: Uuid) {
        self.kept.retain(|row| row.origin.0 != *tenant || row.interaction != interaction);
        self.gone.insert((tenant.clone(), interaction));
    }
}

impl Fact {
    /// It, as it waits for its origin to belong to somebody.
    fn waiting(&self, origin: Key) -> UnclaimedRow {
        UnclaimedRow {
            origin,
            source: self.source.clone(),
            interaction: self.interaction,
            trigger: self.trigger.clone(),
            money: self.money,
            occurred_at: self.occurred_at,
        }
    }
}

/// What an event says that may earn, if anything. A kind that no rule can name earns nothing and is no fault.
fn read(event: &Event) -> Result<Option<Said>, Error> {
    if let Some(recorded) = event.decode::<interactions::InteractionRecorded>() {
        return Ok(happened(&recorded?)?.map(Said::Happened));
    }
    if let Some(amended) = event.decode::<interactions::InteractionAmended>() {
        let interactions::InteractionAmended { after, replaced, .. } = amended?;
        let after = after.ok_or_else(|| malformed_event("after"))?;
        if !replaced.is_empty() {
            return Ok(Some(Said::Reassigned {
                interaction: interaction(&after.interaction)?,
                source: after.interaction.clone(),
                from: who(&replaced)?,
                fact: happened(&after)?,
            }));
        }
        return Ok(Some(match happened(&after)? {
            Some(fact) => Said::Amended(fact),
            // It may have been something that earns before.
            None => retracted(&after.interaction, &after.participants)?,
        }));
    }
    if let Some(answered) = event.decode::<interactions::SurveyResponseRecorded>() {
        let answered = answered?;
        response(&answered.response)?;
        let Some(category) = category(answered.category()) else { return Ok(None) };
        return Ok(Some(Said::Happened(Fact {
            source: answered.response.clone(),
            interaction: interaction(&answered.interaction)?,
            trigger: Trigger::Survey(Some(Slug::own(category))),
            money: None,
            occurred_at: time(answered.occurred_time, "occurred_time")?,
            by: vec![Speaker { origin: origin(&answered.origin)?, party: party(&answered.party)? }],
        })));
    }
    if let Some(told) = event.decode::<interactions::InteractionRetracted>() {
        let told = told?;
        return retracted(&told.interaction, &told.participants).map(Some);
    }
    if let Some(attributed) = event.decode::<interactions::OriginAttributed>() {
        let attributed = attributed?;
        let (origin, party) = (origin(&attributed.origin)?, party(&attributed.party)?);
        return Ok(party.map(|party| Said::Attributed { origin, party }));
    }
    Ok(None)
}

/// Everybody who took part, whatever they did.
fn who(participants: &[interactions::RecordedParticipant]) -> Result<Vec<Speaker>, Error> {
    participants.iter().map(|one| Ok(Speaker { origin: origin(&one.origin)?, party: party(&one.party)? })).collect()
}

fn retracted(name: &str, participants: &[interactions::RecordedParticipant]) -> Result<Said, Error> {
    Ok(Said::Retracted { interaction: interaction(name)?, source: name.to_owned(), from: who(participants)? })
}

/// What a version of an interaction says that may earn.
fn happened(recorded: &interactions::InteractionRecorded) -> Result<Option<Fact>, Error> {
    let Ok(kind) = Slug::parse(&recorded.kind) else { return Ok(None) };
    let by = speakers(recorded)?;
    if by.is_empty() {
        return Ok(None);
    }
    Ok(Some(Fact {
        source: recorded.interaction.clone(),
        interaction: interaction(&recorded.interaction)?,
        trigger: Trigger::Interaction(kind),
        money: paid(recorded.amount.as_ref())?,
        occurred_at: time(recorded.occurred_time, "occurred_time")?,
        by,
    }))
}

/// What was paid: money of an order, not what was given back.
fn paid(amount: Option<&interactions::Amount>) -> Result<Option<Money>, Error> {
    let Some(amount) = amount.filter(|amount| amount.kind() == interactions::AmountKind::Order) else {
        return Ok(None);
    };
    let money = amount.money.as_ref().ok_or_else(|| malformed_event("amount.money"))?;
    wire::money(money).map(Some).map_err(|_| malformed_event("amount.money"))
}

/// The word of a category in earning rules.
fn category(category: interactions::SurveyCategory) -> Option<&'static str> {
    use interactions::SurveyCategory::{
        Detractor, Easy, NotEasy, NotSatisfied, Passive, Promoter, Satisfied, Unspecified,
    };
    match category {
        Promoter => Some("promoter"),
        Passive => Some("passive"),
        Detractor => Some("detractor"),
        Satisfied => Some("satisfied"),
        NotSatisfied => Some("not_satisfied"),
        Easy => Some("easy"),
        NotEasy => Some("not_easy"),
        Unspecified => None,
    }
}

#[cfg(test)]
#[path = "accruals_tests.rs"]
mod tests;
