use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::{Error, TenantId};
use uuid::Uuid;

use super::{identifier_lock, subject};
use crate::domain::identifier::Strength;
use crate::domain::medium::Verification;
use crate::domain::party::Party;
use crate::domain::period::Period;
use crate::domain::question::{Holders, Outcome, Question, Resolution};
use crate::domain::resolution::{Holder, Holding};
use crate::events;
use crate::store::identifier::{self as rows, Value3};
use crate::store::party_set::PartySet;

/// Finds the party behind identifiers, and records a provisional one when there is none. A search that records nothing
/// needs no command; this one looks again under lock, so that two calls from one unknown number make one party.
#[derive(Debug)]
pub struct ResolveParty {
    /// The search, with the party to record.
    pub question: Question,
}

/// What the batch knows and makes.
#[derive(Debug, Default)]
pub struct State {
    holders: BTreeMap<Value3, Vec<Holder>>,
    parties: PartySet,
}

impl State {
    /// What concerns one search.
    fn view(&self, tenant: &TenantId, question: &Question) -> (Holders, BTreeMap<Uuid, Party>) {
        let mut holders = Holders::new();
        let mut parties = BTreeMap::new();
        for (scheme, value) in question.values() {
            let Some(found) = self.holders.get(&(tenant.clone(), scheme.clone(), value.clone())) else {
                continue;
            };
            for holder in found {
                if let Ok(party) = self.parties.get(tenant, holder.party) {
                    parties.insert(holder.party, party.clone());
                }
            }
            holders.insert((scheme, value), found.clone());
        }
        (holders, parties)
    }

    /// Takes note of a party that was recorded, for the searches behind this one.
    fn hold(&mut self, tenant: &TenantId, party: &Party) {
        let mut note = |scheme: &str, value: &str, holding, shared| {
            let key = (tenant.clone(), scheme.to_owned(), value.to_owned());
            self.holders.entry(key).or_default().push(Holder {
                party: party.id,
                holding,
                shared,
                verification: Verification::Unverified,
                validity: Period::ALWAYS,
            });
        };
        for medium in &party.profile.media {
            if let Some(scheme) = medium.scheme() {
                note(scheme.as_str(), &medium.normalized, Holding::Medium, medium.shared);
            }
        }
        for claim in &party.identifiers {
            note(claim.scheme.as_str(), &claim.normalized, Holding::Claim(Strength::Strong), false);
        }
    }
}

#[async_trait]
impl Command for ResolveParty {
    type State = State;
    type Reply = Resolution;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        self.question.values().map(|(scheme, value)| identifier_lock(tenant, &scheme, &value)).collect()
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let values: BTreeSet<Value3> = items
            .iter()
            .flat_map(|item| {
                let tenant = item.scope.tenant.clone();
                item.command.question.values().map(move |(scheme, value)| (tenant.clone(), scheme, value))
            })
            .collect();
        let holders = rows::holders(tx.db(), &values.into_iter().collect::<Vec<_>>()).await?;
        let mut keys = Vec::new();
        for ((tenant, _, _), all) in &holders {
            keys.extend(all.iter().map(|holder| (tenant.clone(), holder.party)));
        }
        let parties = PartySet::load(tx, keys).await?;
        Ok(State { holders, parties })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Resolution, Error> {
        let (tenant, question) = (&item.scope.tenant, &item.command.question);
        let (holders, parties) = state.view(tenant, question);
        let mut resolution = question.answer(&holders, &parties, item.now);
        let draft = question.provisional.as_ref().filter(|_| resolution.outcome == Outcome::None);
        if let Some(draft) = draft {
            let mut party = draft.record(item.now)?;
            events::party_created(out, tenant, &mut party);
            state.hold(tenant, &party);
            state.parties.put(tenant, &item.scope.principal, party.clone());
            resolution.outcome = Outcome::ProvisionalCreated;
            resolution.party = Some(party);
        }
        if let Some(party) = &resolution.party {
            out.subject(subject(item, party.id));
        }
        Ok(resolution)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        state.parties.save(tx).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::commands::bench::{decide, tenant};
    use rapport_identity::Lookup;

    use crate::domain::identifier::Scheme;
    use crate::domain::medium::{Medium, MediumContext, MediumKind};
    use crate::domain::party::Lifecycle;
    use crate::domain::party::tests::draft;
    use crate::domain::question::Asking;
    use crate::domain::resolution::Hints;

    const NUMBER: &str = "+12025550143";

    fn search(id: u128) -> ResolveParty {
        let mut provisional = draft("");
        provisional.id = Uuid::from_u128(id);
        provisional.profile.media = vec![Medium::parse(MediumKind::Phone, NUMBER, MediumContext::default()).unwrap()];
        let asking = Asking { scheme: Scheme::tel(), lookup: Lookup::Value(NUMBER.into()), shared: false };
        let question =
            Question { identifiers: vec![asking], hints: Hints::default(), provisional: Some(provisional), most: 10 };
        ResolveParty { question }
    }

    #[test]
    fn two_calls_from_one_unknown_number_make_one_party() {
        let mut state = State::default();
        let (first, events) = decide(search(1), &mut state).unwrap();
        assert_eq!((first.outcome, events), (Outcome::ProvisionalCreated, 1));
        assert_eq!(first.party.as_ref().unwrap().lifecycle, Lifecycle::Provisional);
        let (second, events) = decide(search(2), &mut state).unwrap();
        assert_eq!((second.outcome, events), (Outcome::Matched, 0));
        assert_eq!(second.party.unwrap().id, Uuid::from_u128(1));
        assert_eq!(state.parties.all().len(), 1);
        assert!(state.parties.get(&tenant(), Uuid::from_u128(1)).is_ok());
    }

    #[test]
    fn nobody_is_recorded_without_being_asked_for() {
        let mut command = search(1);
        command.question.provisional = None;
        let (answer, events) = decide(command, &mut State::default()).unwrap();
        assert_eq!((answer.outcome, answer.party, events), (Outcome::None, None, 0));
    }

    #[test]
    fn a_number_that_many_answer_is_never_taken_for_nobody() {
        let mut state = State::default();
        let (first, _) = decide(search(1), &mut state).unwrap();
        let mut command = search(2);
        command.question.identifiers[0].shared = true;
        let (answer, events) = decide(command, &mut state).unwrap();
        assert_eq!((answer.outcome, events), (Outcome::Candidates, 0));
        assert_eq!(answer.candidates[0].candidate.party, first.party.unwrap().id);
    }
}
