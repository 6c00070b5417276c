use async_trait::async_trait;
use rapport_store::{Command, Item, LockKey, Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::settle::{By, Whose, outcome, row_of, share, told_change};
use super::talks::{Key, Leg, Talks, WEIGHT, Wanted, lost, place, talk_locks};
use crate::domain::{
    Case, CaseName, CasePriority, Direction, Disposition, Ending, InteractionName, Match, NewCase, Outcome, Provenance,
    Resolution, Route, Slug, Told,
};
use crate::events;
use crate::store::{CallRow, CaseRow, InteractionRow, Said, sealing};

/// What a case says that follows up a call that nobody took: nothing about anybody.
const MISSED: &str = "missed call";

/// Ends a call: the interaction that its conversation becomes, the case that is opened with it and the call's own end are
/// written together or not at all. A call that has ended stays as it is.
pub(crate) struct EndCall {
    /// The call's id: the same for the same call, however often it is told.
    pub(crate) id: Uuid,
    /// The conversation that it is a leg of, and its interaction.
    pub(crate) talk: Uuid,
    /// What is told of the call; it counts where its beginning did not say it.
    pub(crate) told: Told,
    /// How it ended.
    pub(crate) ending: Ending,
    /// How the origin is found where no beginning told who it was.
    pub(crate) route: Route,
    /// The id of the case that is asked for.
    pub(crate) case: Uuid,
    /// How it is followed up if nobody took it; none when it is not.
    pub(crate) follow_up: Option<FollowUp>,
    /// The cases that were opened with the conversation.
    pub(crate) cases: Vec<Uuid>,
}

/// A case that follows up what nobody took.
#[derive(Clone, Debug)]
pub(crate) struct FollowUp {
    /// Its id: one for a conversation.
    pub(crate) id: Uuid,
    /// Its type.
    pub(crate) kind: Slug,
}

#[async_trait]
impl Command for EndCall {
    type State = Talks;
    type Reply = CallRow;
    const WEIGHT: usize = WEIGHT;

    fn locks(&self, tenant: &TenantId) -> Vec<LockKey> {
        talk_locks(tenant, self.talk, &self.cases)
    }

    async fn load(tx: &Tx, items: &[Item<Self>]) -> Result<Talks, StoreError> {
        let wanted: Vec<Wanted<'_>> = items
            .iter()
            .map(|Item { scope, command, .. }| Wanted {
                tenant: &scope.tenant,
                talk: command.talk,
                call: Some(command.id),
                route: Some(command.route),
                party: command.ending.party,
                follow_up: command.follow_up.as_ref().map(|follow_up| &follow_up.kind),
            })
            .collect();
        Talks::load(tx, &wanted).await
    }

    fn decide(item: &Item<Self>, state: &mut Talks, out: &mut Outbox) -> Result<CallRow, Error> {
        let EndCall { id, talk, ending, .. } = &item.command;
        let tenant = &item.scope.tenant;
        if let Some(row) = state.stray(tenant, *id) {
            return Ok(row);
        }
        let key = (tenant.clone(), *talk);
        let mut legs = state.legs(&key);
        let at = place(&mut legs, &key, *id, item.now);
        let before = outcome(&legs, None);
        let leg = legs.get_mut(at).ok_or_else(lost)?;
        if leg.row.ended() {
            return Ok(state.known(&leg.row));
        }
        let told = end(item, state, &key, leg);
        let whose = share(state, &key, &mut legs)?;
        let after = outcome(&legs, None).ok_or_else(lost)?;
        let followed = opened(item, state, &key, &mut legs, at, &told, &whose)?;

        match before.filter(|_| state.revision.rows.contains_key(&key)) {
            Some(before) => {
                let change = told_change(*talk, "another-leg");
                let more = Some((&after, &before, ending.wrap_up.as_str()));
                let settled = state.settle(&key, &legs, &whose, more, &change, item.now)?;
                state.settled(&key, settled, By::of(item), out)?;
            }
            // The one record may be there already, where the texts of the leg that made it were erased since.
            None if state.revision.rows.contains_key(&key) => {}
            None => record(item, state, &key, &told, &whose, &after, out)?,
        }
        followed.put(item, state, out);
        let row = row_of(&legs, *id)?;
        state.put(&key, legs);
        Ok(row)
    }

    async fn apply(tx: &Tx, state: Talks) -> Result<(), StoreError> {
        Talks::apply(tx, state).await
    }
}

/// Ends a leg, and gives all that was told of it: the beginning first.
fn end(item: &Item<EndCall>, state: &Talks, key: &Key, leg: &mut Leg) -> Told {
    let EndCall { told, ending, route, talk, .. } = &item.command;
    let known = leg.row.told_of(leg.text.as_ref());
    let told = match known {
        Some(known) if leg.row.begun => known.or(told),
        Some(known) => told.clone().or(&known),
        None => told.clone(),
    };
    let ended_at = ending.ended_at.unwrap_or(item.now);
    // An end that nobody timed is not before a beginning that was.
    let ended_at = told.started_at.map_or(ended_at, |started| ended_at.max(started));
    let mut text = leg.text.take().unwrap_or_default();
    text.subject_line.clone_from(&ending.subject_line);
    text.wrap_up.clone_from(&ending.wrap_up);
    let text = leg.row.tell(&told, &text);
    leg.write(text);
    let row = &mut leg.row;
    row.ended_at = Some(ended_at);
    row.disposition = ending.disposition.code();
    row.interaction = Some(*talk);
    row.said = ending.party;
    row.said_at_end = Said {
        valence: ending.valence.map(|one| (one.value, one.method.code(), one.confidence)),
        effort: ending.effort.map(|effort| effort.get()),
        topics: ending.topics.iter().map(ToString::to_string).collect(),
        role_type: ending.role_type.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    // An identifier that the end tells counts where the beginning told none.
    if !leg.identified() && item.command.told.identifier.is_some() {
        let unknown = Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new());
        let (origin, named, resolution) = state.found(key, *route, &unknown);
        leg.identify((origin, named, resolution));
    }
    told
}

/// The first leg that ends records the conversation.
fn record(
    item: &Item<EndCall>,
    state: &mut Talks,
    key: &Key,
    told: &Told,
    whose: &Whose,
    outcome: &Outcome,
    out: &mut Outbox,
) -> Result<(), Error> {
    let (tenant, id) = key;
    let new = outcome.interaction(whose.named(told));
    let origins = [whose.origin];
    let row = InteractionRow::first(tenant, *id, &new, &origins, item.now, &state.revision.keys)?;
    let event = events::interaction_recorded(*id, &new, &origins, item.now);
    out.event(tenant, InteractionName::new(*id), 1, new.occurred_at, &event);
    state.recorded.push((tenant.clone(), row.clone()));
    state.revision.rows.insert(key.clone(), row);
    Ok(())
}

/// The case that comes of the end of a leg.
#[derive(Default)]
struct Followed {
    /// One that is opened.
    opened: Option<(NewCase, CaseRow)>,
    /// One that waits already.
    linked: Option<Uuid>,
    /// Who waits for it.
    waits: Option<Key>,
}

impl Followed {
    fn put(self, item: &Item<EndCall>, state: &mut Talks, out: &mut Outbox) {
        let tenant = &item.scope.tenant;
        if let Some((new, row)) = self.opened {
            let event = events::case_opened(row.id, &new, &row.case, row.origin, item.now);
            out.event(tenant, CaseName::new(row.id), row.case.version, row.case.opened_at, &event);
            if let Some(waits) = self.waits {
                state.waiting.insert(waits, row.id);
            }
            state.cases.insert((tenant.clone(), row.id), row.clone());
            state.opened.push((row, item.scope.principal.clone()));
        }
        if let Some(case) = self.linked {
            let EndCall { talk, told, .. } = &item.command;
            state.link(&(tenant.clone(), case), *talk, &told.provenance.source_system, By::of(item), out);
        }
    }
}

/// The case that was asked for, or that follows up a conversation which nobody took in any of its legs.
fn opened(
    item: &Item<EndCall>,
    state: &Talks,
    key: &Key,
    legs: &mut [Leg],
    at: usize,
    told: &Told,
    whose: &Whose,
) -> Result<Followed, Error> {
    let command = &item.command;
    let followed_up = legs.iter().any(|leg| leg.row.case.is_some());
    let missed = legs.iter().all(|leg| leg.row.ended() && leg.row.disposition == Disposition::Missed.code());
    let inbound = |leg: &Leg| leg.row.direction != Direction::Outbound.code();
    let missed = missed && legs.iter().all(inbound) && !followed_up && whose.origin.id != key.1;
    let leg = legs.get_mut(at).ok_or_else(lost)?;
    let ended_at = leg.row.ended_at.unwrap_or(item.now);
    if let Some(new) = command.ending.case(told, whose.named(told), command.talk, ended_at) {
        let row = case_row(item, command.case, &new, whose, &state.revision.keys)?;
        leg.row.case = Some(command.case);
        return Ok(Followed { opened: Some((new, row)), ..Followed::default() });
    }
    let Some(follow_up) = command.follow_up.as_ref().filter(|_| missed) else { return Ok(Followed::default()) };
    let owner = state.owner(&key.0, whose.origin).unwrap_or(whose.origin.id);
    let waits = (key.0.clone(), owner);
    if let Some(case) = state.waiting.get(&waits) {
        leg.row.case = Some(*case);
        leg.row.linked = true;
        return Ok(Followed { linked: Some(*case), ..Followed::default() });
    }
    let new = follow_up.case(told, whose, command, ended_at);
    let row = case_row(item, follow_up.id, &new, whose, &state.revision.keys)?;
    leg.row.case = Some(follow_up.id);
    Ok(Followed { opened: Some((new, row)), linked: None, waits: Some(waits) })
}

impl FollowUp {
    fn case(&self, told: &Told, whose: &Whose, command: &EndCall, ended_at: Timestamp) -> NewCase {
        NewCase {
            named: whose.named(told),
            role_type: command.ending.role_type.clone(),
            kind: self.kind.clone(),
            priority: CasePriority::Normal,
            title: MISSED.to_owned(),
            description: String::new(),
            interactions: vec![command.talk],
            opened_at: Some(ended_at),
            provenance: Provenance { source_system: told.provenance.source_system.clone(), ..Provenance::default() },
        }
    }
}

fn case_row(
    item: &Item<EndCall>,
    id: Uuid,
    new: &NewCase,
    whose: &Whose,
    keys: &rapport_store::SubjectKeys,
) -> Result<CaseRow, Error> {
    let tenant = &item.scope.tenant;
    Ok(CaseRow {
        tenant: tenant.clone(),
        id,
        case: Case::open(new.opened_at.unwrap_or(item.now)),
        origin: whose.origin,
        named: whose.named,
        role_type: new.role_type.as_ref().map(ToString::to_string),
        kind: new.kind.to_string(),
        priority: new.priority.code(),
        source_system: new.provenance.source_system.clone(),
        sealed: sealing::case_text(keys, tenant, whose.origin.id, new)?,
        interactions: new.interactions.clone(),
        recorded_at: item.now,
        updated_at: item.now,
        assignment: None,
    })
}
