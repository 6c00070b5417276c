use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::etag::Etag;
use rapport_types::{TenantId, Timestamp, Uuid, reason};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Catalog, Key, Ladder, Program, ProgramName, ProgramState, Rule, Tier, UnitKind, UnitType, UnitTypeName,
};
use crate::error::{incomplete, too_many};
use crate::events;
use crate::store::{Additions, catalog_find, catalog_insert, program_update};

/// Makes a programme, adds to it, or puts it in force.
pub(crate) struct ChangeProgram {
    /// Whose.
    pub(crate) program: Uuid,
    /// What is to be done.
    pub(crate) change: Change,
}

/// What is to be done to a programme. Times and versions in it are the decision's to set.
pub(crate) enum Change {
    Create(Program),
    AddUnit(UnitType),
    AddRule(Rule),
    AddTier(Tier),
    Publish { etag: String, validate_only: bool },
}

/// What a change was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The id of what was made, or of the programme.
    pub(crate) id: Uuid,
    /// The programme's version after it.
    pub(crate) version: i64,
    pub(crate) recorded_at: Timestamp,
    /// Whether the programme is in force after it.
    pub(crate) published: bool,
}

/// What a group of changes needs and leaves.
pub(crate) struct State {
    catalogs: HashMap<Key, Catalog>,
    changed: BTreeSet<Key>,
    new: Additions,
}

#[async_trait]
impl Command for ChangeProgram {
    type State = State;
    type Reply = Receipt;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        vec![LockKey::of(tenant, "program", self.program.as_bytes())]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let wanted = items.iter().map(|item| (item.scope.tenant.clone(), item.command.program)).collect();
        let catalogs = catalog_find(tx.db(), &wanted).await?;
        Ok(State { catalogs, changed: BTreeSet::new(), new: Additions::default() })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Receipt, Error> {
        let tenant = &item.scope.tenant;
        let now = item.now;
        let key = (tenant.clone(), item.command.program);
        if let Change::Create(program) = &item.command.change {
            let program = Program { recorded_at: now, ..program.clone() };
            let receipt = Receipt { id: program.id, version: program.version, recorded_at: now, published: false };
            let catalog = Catalog {
                units: Default::default(),
                rules: Default::default(),
                ladder: Ladder::new(program.tier_window, Vec::new()),
                program: program.clone(),
            };
            state.new.programs.push((tenant.clone(), program));
            state.catalogs.insert(key, catalog);
            return Ok(receipt);
        }
        let catalog =
            state.catalogs.get_mut(&key).ok_or_else(|| Error::not_found(ProgramName::new(item.command.program)))?;
        match &item.command.change {
            Change::Create(_) => {}
            Change::AddUnit(unit) => {
                if catalog.units.len() >= Catalog::MOST_UNITS {
                    return Err(too_many("unit types", Catalog::MOST_UNITS));
                }
                let unit = UnitType { recorded_at: now, ..unit.clone() };
                catalog.units.insert(unit.id, unit.clone());
                state.new.units.push((tenant.clone(), unit));
            }
            Change::AddRule(rule) => {
                if catalog.rules.len() >= Catalog::MOST_RULES {
                    return Err(too_many("earning rules", Catalog::MOST_RULES));
                }
                find_unit(catalog, rule.unit_type)?;
                let rule = Rule { recorded_at: now, ..rule.clone() };
                catalog.rules.insert(rule.id, rule.clone());
                state.new.rules.push((tenant.clone(), rule));
            }
            Change::AddTier(tier) => {
                check_tier(catalog, tier)?;
                let tier = Tier { recorded_at: now, ..tier.clone() };
                let mut tiers = catalog.ladder.tiers().to_vec();
                tiers.push(tier.clone());
                catalog.ladder = Ladder::new(catalog.program.tier_window, tiers);
                state.new.tiers.push((tenant.clone(), tier));
            }
            Change::Publish { etag, validate_only } => {
                let name = ProgramName::new(catalog.program.id);
                Etag::check(etag, catalog.program.version, name)?;
                if catalog.program.state == ProgramState::Published {
                    return Err(Error::precondition(reason::INVALID_TRANSITION, format!("{name} is published"))
                        .with("program", name));
                }
                if let Some(lacks) = catalog.lacks() {
                    return Err(incomplete(catalog.program.id, lacks));
                }
                if *validate_only {
                    let Program { id, version, .. } = catalog.program;
                    return Ok(Receipt { id, version, recorded_at: now, published: false });
                }
                catalog.program.state = ProgramState::Published;
                catalog.program.published_at = Some(now);
            }
        }
        catalog.program.version += 1;
        let program = &catalog.program;
        if let Change::Publish { .. } = item.command.change {
            let name = ProgramName::new(program.id);
            out.event(tenant, name, program.version, now, &events::program_published(program, now));
        }
        state.changed.insert(key);
        let id = match &item.command.change {
            Change::AddUnit(unit) => unit.id,
            Change::AddRule(rule) => rule.id,
            Change::AddTier(tier) => tier.id,
            Change::Create(_) | Change::Publish { .. } => program.id,
        };
        Ok(Receipt {
            id,
            version: program.version,
            recorded_at: now,
            published: program.state == ProgramState::Published,
        })
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        let State { catalogs, changed, new } = state;
        catalog_insert(tx.db(), new).await?;
        let changed = changed.iter().filter_map(|key| Some((&key.0, &catalogs.get(key)?.program)));
        program_update(tx.db(), changed).await?;
        Ok(())
    }
}

fn find_unit(catalog: &Catalog, id: Uuid) -> Result<&UnitType, Error> {
    let name = || UnitTypeName::new(ProgramName::new(catalog.program.id), id);
    catalog.units.get(&id).ok_or_else(|| Error::not_found(name()))
}

fn check_tier(catalog: &Catalog, tier: &Tier) -> Result<(), Error> {
    let tiers = catalog.ladder.tiers();
    if tiers.len() >= Catalog::MOST_TIERS {
        return Err(too_many("tiers", Catalog::MOST_TIERS));
    }
    let unit = find_unit(catalog, tier.unit_type)?;
    let wrong = |what| Err(Error::field("tier.unit_type", reason::CONFLICTING_FIELDS, what));
    if unit.kind != UnitKind::Qualifying {
        return wrong("must be a unit type that qualifies");
    }
    if catalog.ladder.unit_type().is_some_and(|counted| counted != tier.unit_type) {
        return wrong("must be the unit type that the other tiers count");
    }
    if tiers.iter().any(|other| other.entry == tier.entry) {
        return Err(Error::already_exists(reason::ALREADY_EXISTS, "a tier with the same entry threshold exists")
            .with("field", "tier.entry_threshold"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_store::Scope;

    use super::*;
    use crate::domain::{Expiry, TierWindow, Trigger, Zone};

    fn program() -> Program {
        Program {
            id: Uuid::from_u128(1),
            display_name: "Club".into(),
            zone: Zone::parse("UTC").unwrap(),
            tier_window: TierWindow::Year,
            state: ProgramState::Draft,
            version: 1,
            recorded_at: Timestamp::EPOCH,
            published_at: None,
        }
    }

    fn unit(id: u128, kind: UnitKind) -> UnitType {
        UnitType {
            id: Uuid::from_u128(id),
            program: Uuid::from_u128(1),
            display_name: "points".into(),
            kind,
            minor_digits: 0,
            expiry: Expiry::NEVER,
            pending_days: 0,
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn tier(unit: u128, entry: i64) -> Tier {
        Tier {
            id: Uuid::from_u128(entry as u128 + 100),
            program: Uuid::from_u128(1),
            unit_type: Uuid::from_u128(unit),
            display_name: "gold".into(),
            entry,
            keep: entry - 1,
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn rule(unit: u128) -> Rule {
        Rule {
            id: Uuid::from_u128(50),
            program: Uuid::from_u128(1),
            unit_type: Uuid::from_u128(unit),
            display_name: "orders".into(),
            trigger: Trigger::Manual,
            award: crate::domain::Award::Fixed(1),
            max_units: 0,
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn decide(state: &mut State, change: Change) -> Result<Receipt, Error> {
        let scope = Scope {
            tenant: TenantId::parse("acme").unwrap(),
            principal: "users/ana".into(),
            method: "m",
            request_id: None,
            fingerprint: [0; 32],
            traceparent: None,
        };
        let command = ChangeProgram { program: Uuid::from_u128(1), change };
        ChangeProgram::decide(&Item { scope, command, now: Timestamp::from_micros(9) }, state, &mut Outbox::default())
    }

    fn publish(etag: &str) -> Change {
        Change::Publish { etag: etag.into(), validate_only: false }
    }

    #[test]
    fn a_draft_is_filled_and_published_once() {
        let mut state = State { catalogs: HashMap::new(), changed: BTreeSet::new(), new: Additions::default() };
        assert_eq!(decide(&mut state, publish("")).unwrap_err().reason, reason::RESOURCE_NOT_FOUND);
        assert_eq!(decide(&mut state, Change::Create(program())).unwrap().version, 1);
        let lacking = decide(&mut state, publish("")).unwrap_err();
        assert_eq!((lacking.reason, lacking.metadata["lacks"].as_str()), (reason::PROGRAM_INCOMPLETE, "a unit type"));
        assert_eq!(decide(&mut state, Change::AddRule(rule(2))).unwrap_err().reason, reason::RESOURCE_NOT_FOUND);
        decide(&mut state, Change::AddUnit(unit(2, UnitKind::Redeemable))).unwrap();
        assert_eq!(decide(&mut state, publish("")).unwrap_err().metadata["lacks"], "an earning rule");
        decide(&mut state, Change::AddRule(rule(2))).unwrap();
        assert_eq!(decide(&mut state, publish(Etag::of(1).as_str())).unwrap_err().reason, reason::ETAG_MISMATCH);
        let checked = decide(&mut state, Change::Publish { etag: String::new(), validate_only: true }).unwrap();
        assert!(!checked.published && checked.version == 3);
        let published = decide(&mut state, publish(Etag::of(3).as_str())).unwrap();
        assert!(published.published && published.version == 4);
        assert_eq!(decide(&mut state, publish("")).unwrap_err().reason, reason::INVALID_TRANSITION);
    }

    #[test]
    fn tiers_count_one_qualifying_unit_type() {
        let mut state = State { catalogs: HashMap::new(), changed: BTreeSet::new(), new: Additions::default() };
        decide(&mut state, Change::Create(program())).unwrap();
        for (id, kind) in [(2, UnitKind::Redeemable), (3, UnitKind::Qualifying), (4, UnitKind::Qualifying)] {
            decide(&mut state, Change::AddUnit(unit(id, kind))).unwrap();
        }
        let mut add = |unit, entry| decide(&mut state, Change::AddTier(tier(unit, entry)));
        assert_eq!(add(9, 10).unwrap_err().reason, reason::RESOURCE_NOT_FOUND);
        assert_eq!(add(2, 10).unwrap_err().violations[0].reason, reason::CONFLICTING_FIELDS);
        add(3, 10).unwrap();
        assert_eq!(add(3, 10).unwrap_err().reason, reason::ALREADY_EXISTS);
        assert_eq!(add(4, 20).unwrap_err().violations[0].reason, reason::CONFLICTING_FIELDS);
        for entry in 20..39 {
            add(3, entry).unwrap();
        }
        assert_eq!(add(3, 39).unwrap_err().reason, reason::TOO_MANY_CHILDREN);
    }
}
