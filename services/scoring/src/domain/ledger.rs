//! What a batch of facts does to the contribution log, the sums and the alias map.

use std::collections::{BTreeMap, BTreeSet};

use rapport_scoring_models::decayed::{Overflow, Sign, Sum};
use rapport_types::{TenantId, Timestamp, Uuid};

use super::{Definition, Entry, Fact, Participation, Revision, ScoreName};

/// A tenant's interaction or origin.
pub(crate) type Key = (TenantId, Uuid);

/// A version of a tenant's interaction.
pub(crate) type RevisionKey = (TenantId, Uuid, i64);

/// Which interaction took the place of another, and since when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superseded {
    /// The newer interaction.
    pub(crate) by: Uuid,
    /// When it was recorded.
    pub(crate) recorded_at: Timestamp,
}

/// The key of one row of sums.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SumKey {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The id under which the facts came.
    pub(crate) origin: Uuid,
    /// The key of the definition.
    pub(crate) definition: &'static str,
    /// The era of the definition's half-life.
    pub(crate) era: i64,
}

/// What is added to one row of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SumChange {
    /// The sums themselves.
    pub(crate) sum: Sum,
    /// How many contributions more are joint ones.
    pub(crate) joint: i64,
    /// The newest occurrence, of entries taken back too: an upper bound of what the row holds.
    pub(crate) newest: Timestamp,
}

/// Whose score moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A party's.
    Party(Uuid),
    /// That of an origin which belongs to no party yet.
    Origin(Uuid),
}

/// Why a score moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A new fact counts.
    Recorded,
    /// A newer version replaced an older one.
    Amended,
    /// A fact was retracted.
    Retracted,
    /// An origin's facts came to a party, or left it.
    Attributed,
}

/// A score that moved.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// Whose score.
    pub(crate) subject: Subject,
    /// The origin whose facts moved it.
    pub(crate) origin: Uuid,
    /// Which score.
    pub(crate) definition: &'static Definition,
    /// The interaction that moved it.
    pub(crate) interaction: Option<Uuid>,
    /// Why.
    pub(crate) cause: Cause,
    /// The position of the event that brought the change: grows from event to event.
    pub(crate) position: i64,
    /// When it happened.
    pub(crate) occurred_at: Timestamp,
}

impl Move {
    /// The score's name.
    pub(crate) fn score(&self) -> ScoreName {
        match self.subject {
            Subject::Party(party) => ScoreName::of_party(party, self.definition.slug),
            Subject::Origin(origin) => ScoreName::of_origin(origin, self.definition.slug),
        }
    }
}

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// New rows of the log.
    pub(crate) entries: Vec<(TenantId, Entry)>,
    /// What is added to the sums.
    pub(crate) sums: BTreeMap<SumKey, SumChange>,
    /// New knowledge of which interaction took the place of which.
    pub(crate) superseded: BTreeMap<Key, Superseded>,
    /// Versions that amended or retracted an interaction, and when they were recorded.
    pub(crate) revisions: BTreeMap<RevisionKey, Timestamp>,
    /// Origins and the parties they belong to from now on.
    pub(crate) aliases: BTreeMap<Key, Uuid>,
    /// Scores that moved, in the order of the events.
    pub(crate) moves: Vec<Move>,
    /// Origins with facts that came to a party or left it: the origin, the party, and the position of the event that said so.
    pub(crate) given: Vec<(TenantId, Uuid, Uuid, i64)>,
}

/// What a batch needs to know of what is stored, and what it changes. Facts may come in any order: what counts in the end
/// is the newest version of each interaction that nothing took the place of, and none of one that was retracted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    in_force: BTreeMap<Key, Vec<Entry>>,
    /// The versions of each interaction that are known of, and when each was recorded.
    versions: BTreeMap<Key, BTreeMap<i64, Timestamp>>,
    superseded: BTreeMap<Key, Superseded>,
    aliases: BTreeMap<Key, Uuid>,
    with_facts: BTreeSet<Key>,
    changes: Changes,
}

impl Ledger {
    /// Takes note of stored rows of the log: all of each interaction that the batch names.
    pub(crate) fn know_entries(&mut self, rows: impl IntoIterator<Item = (TenantId, Entry)>) {
        let (taken_back, put_in): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, entry)| entry.sign == Sign::Minus);
        let gone: BTreeSet<_> = taken_back
            .iter()
            .map(|(tenant, entry)| (tenant.clone(), entry.interaction, entry.origin, entry.definition, entry.version))
            .collect();
        for (tenant, entry) in put_in {
            let key = (tenant.clone(), entry.interaction);
            self.versions.entry(key.clone()).or_default().insert(entry.version, entry.recorded_at);
            if !gone.contains(&(tenant, entry.interaction, entry.origin, entry.definition, entry.version)) {
                self.in_force.entry(key).or_default().push(entry);
            }
        }
    }

    /// Takes note of which interactions others took the place of.
    pub(crate) fn know_superseded(&mut self, rows: impl IntoIterator<Item = (Key, Superseded)>) {
        self.superseded.extend(rows);
    }

    /// Takes note of stored versions that amended or retracted: all of each interaction that the batch names.
    pub(crate) fn know_revisions(&mut self, rows: impl IntoIterator<Item = (RevisionKey, Timestamp)>) {
        for ((tenant, interaction, version), recorded_at) in rows {
            self.versions.entry((tenant, interaction)).or_default().insert(version, recorded_at);
        }
    }

    /// Takes note of whose origins are.
    pub(crate) fn know_aliases(&mut self, rows: impl IntoIterator<Item = (Key, Uuid)>) {
        self.aliases.extend(rows);
    }

    /// Takes note of origins that have contributions.
    pub(crate) fn know_with_facts(&mut self, origins: impl IntoIterator<Item = Key>) {
        self.with_facts.extend(origins);
    }

    /// What is to be written after all of the batch.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// A version of an interaction: a first record, an amendment or a retraction.
    ///
    /// # Errors
    /// [`Overflow`] when one batch holds more than sums can.
    pub(crate) fn record(&mut self, tenant: &TenantId, position: i64, fact: &Fact) -> Result<(), Overflow> {
        self.learn_parties(tenant, position, fact);
        let key = (tenant.clone(), fact.interaction);
        let versions = self.versions.entry(key.clone()).or_default();
        if versions.contains_key(&fact.version) {
            return Ok(());
        }
        let newer = versions.range(fact.version..).next().map(|(_, recorded_at)| *recorded_at);
        versions.insert(fact.version, fact.recorded_at);
        if fact.revision != Revision::First {
            self.changes.revisions.insert((tenant.clone(), fact.interaction, fact.version), fact.recorded_at);
        }

        let mut gone = self.supersede(tenant, fact);
        if newer.is_none() {
            gone.extend(self.in_force.remove(&key).unwrap_or_default());
        }
        for entry in &gone {
            self.append(tenant, entry.reversed(fact.recorded_at))?;
        }
        let entries = entries(fact);
        for entry in &entries {
            self.append(tenant, entry.clone())?;
        }
        // A newer version, or what took its place, was here first: it is history the moment it arrives.
        let superseded = self.superseded.get(&key).map(|superseded| superseded.recorded_at);
        let past = newer.into_iter().chain(superseded).min();
        let mut touched: Vec<&Entry> = gone.iter().collect();
        if let Some(past) = past {
            for entry in &entries {
                self.append(tenant, entry.reversed(past.max(fact.recorded_at)))?;
            }
        } else {
            touched.extend(&entries);
            self.in_force.insert(key, entries.clone());
        }
        let cause = match fact.revision {
            Revision::Retracted => Cause::Retracted,
            Revision::First if gone.is_empty() => Cause::Recorded,
            Revision::First | Revision::Amended => Cause::Amended,
        };
        self.tell(tenant, position, fact, cause, touched);
        Ok(())
    }

    /// What a fact says of its parties held when it was recorded: it never overrides what was learned since.
    fn learn_parties(&mut self, tenant: &TenantId, position: i64, fact: &Fact) {
        for Participation { origin, party } in &fact.participants {
            if let Some(party) = party.filter(|party| party != origin) {
                let key = (tenant.clone(), *origin);
                if !self.aliases.contains_key(&key) {
                    self.changes.given.push((tenant.clone(), key.1, party, position));
                    self.set_alias(key, party);
                }
            }
        }
    }

    /// Notes which other interaction a fact takes the place of, and gives what of that one no longer counts.
    fn supersede(&mut self, tenant: &TenantId, fact: &Fact) -> Vec<Entry> {
        let Some(older) = fact.supersedes.filter(|older| *older != fact.interaction) else {
            return Vec::new();
        };
        let older = (tenant.clone(), older);
        if !self.superseded.contains_key(&older) {
            let superseded = Superseded { by: fact.interaction, recorded_at: fact.recorded_at };
            self.superseded.insert(older.clone(), superseded);
            self.changes.superseded.insert(older.clone(), superseded);
        }
        self.in_force.remove(&older).unwrap_or_default()
    }

    /// Tells which scores the entries are part of, each once.
    fn tell(&mut self, tenant: &TenantId, position: i64, fact: &Fact, cause: Cause, touched: Vec<&Entry>) {
        let mut told = BTreeSet::new();
        for entry in touched {
            let subject = self.subject(tenant, entry);
            let Some(definition) = Definition::by_key(entry.definition) else {
                continue;
            };
            if told.insert((subject, definition.slug)) {
                self.changes.moves.push(Move {
                    tenant: tenant.clone(),
                    subject,
                    origin: entry.origin,
                    definition,
                    interaction: Some(fact.interaction),
                    cause,
                    position,
                    occurred_at: fact.occurred_at,
                });
            }
        }
    }

    /// An origin belongs to a party from now on.
    pub(crate) fn attribute(&mut self, tenant: &TenantId, position: i64, at: Timestamp, origin: Uuid, party: Uuid) {
        let key = (tenant.clone(), origin);
        let before = self.aliases.get(&key).copied();
        if before == Some(party) || (before.is_none() && party == origin) {
            return;
        }
        let has_facts = self.with_facts.contains(&key);
        self.set_alias(key, party);
        // An attribution without facts moves nobody's score, and nobody's value.
        if !has_facts {
            return;
        }
        let both = before.into_iter().chain([party]);
        self.changes.given.extend(both.map(|one| (tenant.clone(), origin, one, position)));
        for definition in Definition::all() {
            for subject in before.into_iter().chain([party]).map(Subject::Party) {
                self.changes.moves.push(Move {
                    tenant: tenant.clone(),
                    subject,
                    origin,
                    definition,
                    interaction: None,
                    cause: Cause::Attributed,
                    position,
                    occurred_at: at,
                });
            }
        }
    }

    fn set_alias(&mut self, key: Key, party: Uuid) {
        self.aliases.insert(key.clone(), party);
        self.changes.aliases.insert(key, party);
    }

    /// Whose score an entry is part of.
    fn subject(&self, tenant: &TenantId, entry: &Entry) -> Subject {
        match self.aliases.get(&(tenant.clone(), entry.origin)) {
            Some(party) => Subject::Party(*party),
            None if entry.named => Subject::Party(entry.origin),
            None => Subject::Origin(entry.origin),
        }
    }

    fn append(&mut self, tenant: &TenantId, entry: Entry) -> Result<(), Overflow> {
        let Some(definition) = Definition::by_key(entry.definition) else {
            return Ok(());
        };
        let term = definition.mean.term(&entry.observation());
        let factor = entry.sign.factor();
        let added = SumChange {
            sum: Sum { pull: term.pull * i128::from(factor), weight: term.weight * i128::from(factor), count: factor },
            joint: if entry.joint { factor } else { 0 },
            newest: entry.occurred_at,
        };
        let key = SumKey { tenant: tenant.clone(), origin: entry.origin, definition: entry.definition, era: term.era };
        let change = self.changes.sums.entry(key).or_insert(SumChange {
            sum: Sum::default(),
            joint: 0,
            newest: entry.occurred_at,
        });
        change.sum.add(&added.sum)?;
        change.joint += added.joint;
        change.newest = change.newest.max(added.newest);
        self.with_facts.insert((tenant.clone(), entry.origin));
        self.changes.entries.push((tenant.clone(), entry));
        Ok(())
    }
}

/// What a fact puts into the log.
fn entries(fact: &Fact) -> Vec<Entry> {
    let origins: BTreeMap<Uuid, bool> =
        fact.participants.iter().map(|one| (one.origin, one.party == Some(one.origin))).collect();
    Definition::all()
        .iter()
        .flat_map(|definition| {
            let observed = definition.observe(fact);
            let joint = origins.len() > 1;
            origins.iter().map(move |(origin, named)| Entry {
                interaction: fact.interaction,
                version: fact.version,
                sign: Sign::Plus,
                origin: *origin,
                named: *named,
                definition: definition.key,
                occurred_at: fact.occurred_at,
                recorded_at: fact.recorded_at,
                kind: fact.kind.clone(),
                direction: fact.direction,
                weight: observed.weight,
                satisfaction: observed.satisfaction,
                from_valence: observed.from_valence,
                joint,
            })
        })
        .collect()
}
