use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Subject, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid, reason};

use super::Standings;
use crate::domain::{Advocate, Invitation, InvitationRules, Key, Proposal, ResponseName, Slug};
use crate::error::decided;
use crate::events::invitation_changed;
use crate::store::{InvitationRow, advocate_lock, invitation_insert, invitation_of_responses, sealing};

/// Invites somebody, if the gates allow it.
#[derive(Clone, Debug)]
pub(crate) struct InviteAdvocate {
    /// The invitation's id, given by the server.
    pub(crate) id: Uuid,
    /// Whom, and what is known of them.
    pub(crate) advocate: Advocate,
    /// By what.
    pub(crate) channel: Slug,
    /// What for.
    pub(crate) purpose: Slug,
    /// To do what.
    pub(crate) ask: Slug,
    /// The survey response that leads to it.
    pub(crate) response: Option<ResponseName>,
    /// Why somebody asks for it; empty when nothing was said.
    pub(crate) reason: String,
    /// How invitations are made.
    pub(crate) rules: Arc<InvitationRules>,
}

/// What a group of invitations needs and leaves.
#[derive(Default)]
pub(crate) struct Inviting {
    standings: Standings,
    /// The invitations that responses led to, before and now.
    responses: BTreeMap<Key, InvitationRow>,
    /// What is to be written.
    rows: Vec<InvitationRow>,
}

impl Inviting {
    /// Looks at everything that bears on these invitations, and keeps others from deciding about the same parties.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn load(tx: &Tx, wanted: &[(&TenantId, &InviteAdvocate)]) -> Result<Inviting, StoreError> {
        let Some((_, first)) = wanted.first() else {
            return Ok(Inviting::default());
        };
        let key = |tenant: &TenantId, id: Uuid| (tenant.clone(), id);
        let parties: BTreeSet<Key> =
            wanted.iter().filter_map(|(tenant, one)| one.advocate.party.map(|party| key(tenant, party))).collect();
        let responses: BTreeSet<Key> = wanted
            .iter()
            .filter_map(|(tenant, one)| one.response.map(|response| key(tenant, response.uuid())))
            .collect();
        // The parties first: whoever waited for them sees what the one before wrote.
        let standings = Standings::load(tx, &first.rules, &parties).await?;
        let responses = invitation_of_responses(tx.db(), &responses).await?;
        Ok(Inviting { standings, responses, rows: Vec::with_capacity(wanted.len()) })
    }

    /// The invitation, made or not; the one there is where the response led to one before.
    ///
    /// # Errors
    /// Invalid where the response led to an invitation of somebody else. Nothing has changed then.
    pub(crate) fn invite(
        &mut self,
        tenant: &TenantId,
        wanted: &InviteAdvocate,
        why: Option<Vec<u8>>,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Result<InvitationRow, Error> {
        let response = wanted.response.map(|response| (tenant.clone(), response.uuid()));
        if let Some(row) = response.as_ref().and_then(|response| self.responses.get(response)) {
            if !is_for(&row.invitation, &wanted.advocate) {
                let what = "led to an invitation of another party; name its own, or none and say the reason";
                return Err(Error::field("survey_response", reason::CONFLICTING_FIELDS, what));
            }
            return Ok(row.clone());
        }
        let InviteAdvocate { advocate, rules, .. } = wanted;
        let verdict = self.standings.judge(tenant, advocate, rules, now);
        let proposal = Proposal {
            origin: advocate.origin,
            party: advocate.party,
            member: advocate.member,
            channel: wanted.channel.clone(),
            purpose: wanted.purpose.clone(),
            ask: wanted.ask.clone(),
            response: wanted.response,
        };
        let invitation = Invitation::decided(wanted.id, proposal, verdict, &advocate.zone.name, rules.lifetime, now);
        self.standings.note(tenant, advocate.party, invitation.as_sent());
        invitation_changed(out, tenant, &invitation);
        let row = InvitationRow { tenant: tenant.clone(), invitation, reason: why, note: None };
        if let Some(response) = response {
            self.responses.insert(response, row.clone());
        }
        self.rows.push(row.clone());
        Ok(row)
    }

    /// Writes them.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn apply(self, tx: &Tx) -> Result<(), StoreError> {
        Ok(invitation_insert(tx.db(), &self.rows).await?)
    }
}

/// Whether an invitation is for this one: the same party, or where one of them is nobody yet, the same origin.
fn is_for(invitation: &Invitation, advocate: &Advocate) -> bool {
    match (invitation.party, advocate.party) {
        (Some(invited), Some(party)) => invited == party,
        _ => invitation.origin == advocate.origin,
    }
}

/// What a group of requests needs and leaves.
pub(crate) struct State {
    inviting: Inviting,
    /// The keys of those about whom something was said.
    keys: SubjectKeys,
}

#[async_trait]
impl Command for InviteAdvocate {
    type State = State;
    type Reply = InvitationRow;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        let party = self.advocate.party.unwrap_or(self.advocate.origin);
        let mut locks = vec![advocate_lock(tenant, party)];
        locks.extend(self.response.map(|response| LockKey::of(tenant, "response", response.uuid().as_bytes())));
        locks
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<State, StoreError> {
        let said: Vec<Subject> = items
            .iter()
            .filter(|item| !item.command.reason.is_empty())
            .map(|item| sealing::subject(&item.scope.tenant, item.command.advocate.origin))
            .collect();
        let keys = tx.keys(&said).await?;
        let wanted: Vec<_> = items.iter().map(|item| (&item.scope.tenant, &item.command)).collect();
        Ok(State { inviting: Inviting::load(tx, &wanted).await?, keys })
    }

    fn decide(item: &Item<Self>, state: &mut State, out: &mut Outbox) -> Result<InvitationRow, Error> {
        let Item { scope, command, now } = item;
        let why = sealing::reason(&state.keys, &scope.tenant, command.advocate.origin, &command.reason);
        state.inviting.invite(&scope.tenant, command, why.map_err(decided)?, *now, out)
    }

    async fn apply(tx: &Tx, state: State) -> Result<(), StoreError> {
        state.inviting.apply(tx).await
    }
}
