use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Subject, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::domain::{Catalog, Key, Member, MemberName, ProgramName, ProgramState};
use crate::error::{enrolled, not_published, number_taken};
use crate::events;
use crate::store::{catalog_find, member_by_number, member_insert, member_of_parties};

/// Makes a party a member.
pub(crate) struct EnrollMember {
    /// The member; when it is recorded is the decision's to say.
    pub(crate) member: Member,
    /// Whether the caller said when the party joined.
    pub(crate) joined: bool,
}

/// What a member was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    pub(crate) id: Uuid,
    pub(crate) number: String,
    pub(crate) joined_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
}

/// What a group of enrolments needs and leaves.
pub(crate) struct State {
    catalogs: HashMap<Key, Catalog>,
    by_party: HashMap<(TenantId, Uuid, Uuid), Uuid>,
    numbers: HashSet<(TenantId, Uuid, String)>,
    new: Vec<(TenantId, Member)>,
}

#[async_trait]
impl Command for EnrollMember {
    type State = State;
    type Reply = Enrolled;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let Member { program, party, number, .. } = &self.member;
        let key = [program.as_bytes().as_slice(), party.as_bytes().as_slice()].concat();
        let number = [program.as_bytes().as_slice(), number.as_bytes()].concat();
        vec![LockKey::of(tenant, "membership", &key), LockKey::of(tenant, "member number", &number)]
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let of = |item: &Item<Self>, id| (item.scope.tenant.clone(), id);
        let programs: BTreeSet<Key> = items.iter().map(|item| of(item, item.command.member.program)).collect();
        let parties: BTreeSet<Key> = items.iter().map(|item| of(item, item.command.member.party)).collect();
        let numbers: BTreeSet<(TenantId, Uuid, String)> = items
            .iter()
            .map(|item| {
                let Member { program, number, .. } = &item.command.member;
                (item.scope.tenant.clone(), *program, number.clone())
            })
            .collect();
        let catalogs = catalog_find(tx.db(), &programs).await?;
        let known = member_of_parties(tx.db(), &parties).await?;
        let taken = member_by_number(tx.db(), &numbers).await?;
        Ok(State {
            catalogs,
            by_party: known.into_iter().map(|(tenant, one)| ((tenant, one.program, one.party), one.id)).collect(),
            numbers: taken.into_iter().map(|(tenant, one)| (tenant, one.program, one.number)).collect(),
            new: Vec::new(),
        })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<Enrolled, Error> {
        let tenant = &item.scope.tenant;
        let EnrollMember { member, joined } = &item.command;
        let program = ProgramName::new(member.program);
        let catalog = state.catalogs.get(&(tenant.clone(), member.program)).ok_or_else(|| Error::not_found(program))?;
        if catalog.program.state != ProgramState::Published {
            return Err(not_published(member.program));
        }
        let party = (tenant.clone(), member.program, member.party);
        if let Some(known) = state.by_party.get(&party) {
            return Err(enrolled(MemberName::new(program, *known)));
        }
        let number = (tenant.clone(), member.program, member.number.clone());
        if state.numbers.contains(&number) {
            return Err(number_taken());
        }
        let joined_at = if *joined { member.joined_at } else { item.now };
        let member = Member { joined_at, recorded_at: item.now, ..member.clone() };
        state.by_party.insert(party, member.id);
        state.numbers.insert(number);
        let name = MemberName::new(program, member.id);
        out.subject(Subject::of(tenant, member.party));
        out.event(tenant, name, 0, member.joined_at, &events::member_enrolled(&member));
        let reply =
            Enrolled { id: member.id, number: member.number.clone(), joined_at, recorded_at: member.recorded_at };
        state.new.push((tenant.clone(), member));
        Ok(reply)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        member_insert(tx.db(), &state.new).await?;
        Ok(())
    }
}
