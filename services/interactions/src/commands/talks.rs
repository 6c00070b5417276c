use std::collections::{BTreeMap, HashMap, HashSet};

use rapport_store::{LockKey, Outbox, StoreError, Subject, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::pledges::pledges;
use super::revision::Revision;
use super::settle::By;
use crate::domain::{CaseName, Held, MAX_LINKED, Match, Origin, Resolution, Route, Slug};
use crate::events;
use crate::store::{
    CallRow, CallText, CaseMove, CaseRow, CommitmentRow, Follow, FoundCalls, InteractionRow, Step, alias_find,
    alias_origins, call_put, call_told, call_waiting, case_find, case_follow, case_hold, case_insert, case_link,
    case_waiting, commitment_follow, history_insert, interaction_stand, sealing, version_first,
};

/// What telling something of conversations costs: whatever their number, some fifteen statements.
pub(super) const WEIGHT: usize = 8;

/// Something of a tenant.
pub(super) type Key = (TenantId, Uuid);

/// A leg of a conversation, with its texts as far as they can be read.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) row: CallRow,
    /// None when they were erased.
    pub(super) text: Option<CallText>,
}

/// What is to be known of a conversation before something is decided about it.
pub(super) struct Wanted<'a> {
    pub(super) tenant: &'a TenantId,
    /// The conversation.
    pub(super) talk: Uuid,
    /// The call that something is told of.
    pub(super) call: Option<Uuid>,
    /// How its origin is found.
    pub(super) route: Option<Route>,
    /// Who is said to be at the other side.
    pub(super) party: Option<Uuid>,
    /// The type of the case by which it is followed up if nobody took it.
    pub(super) follow_up: Option<&'a Slug>,
}

/// Conversations as they stand: what a group of tellings needs and leaves.
pub(crate) struct Talks {
    legs: HashMap<Key, Vec<Leg>>,
    /// Calls that had ended before there were conversations, by their ids: they stay as they are.
    strays: HashMap<Key, CallRow>,
    pub(super) held: HashMap<Key, Held>,
    pub(super) revision: Revision,
    /// Cases that were opened with the calls, and those that wait for somebody.
    pub(super) cases: HashMap<Key, CaseRow>,
    /// The case that waits for somebody, by party or by an origin that is nobody's.
    pub(super) waiting: HashMap<Key, Uuid>,
    pub(super) recorded: Vec<(TenantId, InteractionRow)>,
    pub(super) opened: Vec<(CaseRow, String)>,
    pub(super) follows: BTreeMap<Key, Follow>,
    /// What the histories of cases say of it.
    pub(super) steps: Vec<CaseMove>,
    /// The promises that were made in the interactions, by their names.
    pub(super) promises: HashMap<Key, CommitmentRow>,
    /// Those that are somebody else's from now on.
    pub(super) pledged: HashSet<Key>,
    /// Interactions that are linked to cases: the case, its place in it, and the interaction.
    links: Vec<(Key, usize, Uuid)>,
    /// Calls of which nothing was told before.
    fresh: HashSet<Key>,
    changed: HashSet<Key>,
}

/// What must not happen to a conversation at the same time: its id is that of its interaction. `cases` are those that
/// follow it.
pub(super) fn talk_locks(tenant: &TenantId, talk: Uuid, cases: &[Uuid]) -> Vec<LockKey> {
    let mut locks = vec![super::revision::lock(tenant, talk)];
    locks.extend(cases.iter().map(|case| LockKey::of(tenant, "case", case.as_bytes())));
    locks
}

impl Talks {
    /// Reads all that may be needed.
    pub(super) async fn load(tx: &Tx, wanted: &[Wanted<'_>]) -> Result<Talks, StoreError> {
        let talks: HashSet<Key> = wanted.iter().map(|one| (one.tenant.clone(), one.talk)).collect();
        let calls = wanted.iter().filter_map(|one| Some((one.tenant.clone(), one.call?))).collect();
        let indexes: HashSet<Key> =
            wanted.iter().filter_map(|one| Some((one.tenant.clone(), one.route?.index()?))).collect();
        // The same batch may have begun some of them.
        call_waiting(tx).await?;
        let FoundCalls { rows, held } = call_told(tx, &talks, &calls, &indexes).await?;
        let (rows, strays) = strays(wanted, &talks, rows);
        // A conversation is recorded together with a leg of it, and its legs stay. Other interactions have none.
        let other = wanted.iter().filter(|one| one.call.is_none()).map(|one| (one.tenant.clone(), one.talk));
        let recorded = rows.iter().map(|row| (row.tenant.clone(), row.talk)).chain(other).collect();
        let standing = interaction_stand(tx.db(), &recorded).await?;
        let opened = rows.iter().filter(|row| !row.linked);
        let opened: HashSet<Key> = opened.filter_map(|row| Some((row.tenant.clone(), row.case?))).collect();
        let mut cases = case_find(tx.db(), &opened).await?;
        let promises = pledges(tx, &standing).await?;

        let mut origins = Origins::default();
        for row in &rows {
            origins.of_leg(row);
        }
        for row in strays.values() {
            origins.add(&row.tenant, [row.origin.id]);
        }
        for ((tenant, _), row) in &standing {
            origins.add(tenant, [row.subject]);
            for one in &row.detail.participants {
                origins
                    .add(tenant, [Some(one.origin()), one.came_by().map(|(origin, _)| origin)].into_iter().flatten());
            }
        }
        for (key, row) in &cases {
            origins.add(&key.0, [row.origin.id]);
        }
        for (key, row) in &promises {
            origins.add(&key.0, [Some(row.origin.id), row.came_by.map(|(origin, _)| origin)].into_iter().flatten());
        }
        for one in wanted {
            let known = |index| held.get(&(one.tenant.clone(), index)).copied();
            origins.add(one.tenant, one.party);
            match one.route.map(|route| route.resolve(route.index().and_then(known))) {
                Some(origin) if origin.id == one.talk => {
                    origins.bare.insert((one.tenant.clone(), one.talk));
                }
                Some(origin) => origins.add_owned(one.tenant, origin),
                None => {}
            }
        }
        // Of a conversation that is told of for the first time nothing is recorded that somebody could own.
        origins.talks = rows.iter().map(|row| (row.tenant.clone(), row.talk)).chain(standing.keys().cloned()).collect();
        let aliases = origins.aliases(tx).await?;
        let mut subjects = origins.subjects();
        let mut keys = tx.keys(&subjects).await?;
        if subjects.iter().any(|subject| keys.is_destroyed(subject)) {
            // Whoever was erased may call: the conversation is then nobody's.
            subjects.extend(talks.iter().map(|(tenant, talk)| sealing::subject(tenant, *talk)));
            keys = tx.keys(&subjects).await?;
        }
        let waiting = waiting(tx, wanted, &rows, &held, &aliases).await?;
        let to_hold: HashSet<Key> =
            opened.into_iter().chain(waiting.iter().map(|(key, case)| (key.0.clone(), *case))).collect();
        if !to_hold.is_empty() {
            // After what `waiting` locks, always. Whoever moves one of them at this moment is waited for.
            cases = case_hold(tx, &to_hold).await?;
        }
        let waits =
            |key: &Key, case: &Uuid| cases.get(&(key.0.clone(), *case)).is_some_and(|row| row.case.status().open());
        if !waiting.iter().all(|(key, case)| waits(key, case)) {
            // Somebody has settled it meanwhile: looked at again, another one waits, or none.
            return Err(StoreError::Repeated);
        }
        let mut legs: HashMap<Key, Vec<Leg>> = HashMap::new();
        for row in rows {
            let text = row.text(&keys)?;
            legs.entry((row.tenant.clone(), row.talk)).or_default().push(Leg { row, text });
        }
        Ok(Talks {
            legs,
            strays,
            held,
            revision: Revision { rows: standing, aliases, keys, revised: Vec::new() },
            cases,
            waiting,
            recorded: Vec::new(),
            opened: Vec::new(),
            follows: BTreeMap::new(),
            steps: Vec::new(),
            promises,
            pledged: HashSet::new(),
            links: Vec::new(),
            fresh: HashSet::new(),
            changed: HashSet::new(),
        })
    }

    /// A call that had ended before there were conversations.
    pub(super) fn stray(&self, tenant: &TenantId, call: Uuid) -> Option<CallRow> {
        self.strays.get(&(tenant.clone(), call)).map(|row| self.known(row))
    }

    /// A call of which nothing new is told, and whose it is as far as it is known in this transaction.
    pub(super) fn known(&self, row: &CallRow) -> CallRow {
        let party = self.owner(&row.tenant, row.origin);
        CallRow { origin: Origin { party, ..row.origin }, ..row.clone() }
    }

    /// The legs of a conversation, to be changed and put back.
    pub(super) fn legs(&self, key: &Key) -> Vec<Leg> {
        self.legs.get(key).cloned().unwrap_or_default()
    }

    /// Puts the legs of a conversation back as they are from now on.
    pub(super) fn put(&mut self, key: &Key, legs: Vec<Leg>) {
        for leg in &legs {
            let before = self.legs.get(key).and_then(|all| all.iter().find(|one| one.row.id == leg.row.id));
            let call = (key.0.clone(), leg.row.id);
            if before.is_none() {
                self.fresh.insert(call);
            } else if before.is_some_and(|before| before.row != leg.row) && !self.fresh.contains(&call) {
                self.changed.insert(call);
            }
        }
        self.legs.insert(key.clone(), legs);
    }

    /// To whom an origin belongs, as it is known in this transaction.
    pub(super) fn owner(&self, tenant: &TenantId, origin: Origin) -> Option<Uuid> {
        self.revision.aliases.get(&(tenant.clone(), origin.id)).copied().or(origin.party)
    }

    /// Whether what belongs to an origin was erased.
    pub(super) fn erased(&self, tenant: &TenantId, origin: Uuid) -> bool {
        self.revision.keys.is_destroyed(&sealing::subject(tenant, origin))
    }

    /// Who a call comes from, by what was found out before and by what the index says now, which is newer.
    pub(super) fn found(&self, key: &Key, route: Route, resolution: &Resolution) -> (Origin, bool, Resolution) {
        let known = |index| self.held.get(&(key.0.clone(), index)).copied();
        let origin = route.resolve(route.index().and_then(known));
        let unknown = || Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new());
        if self.erased(&key.0, origin.id) {
            // Erased stays erased: the call is kept, and is nobody's.
            return (Origin { id: key.1, party: None }, false, unknown());
        }
        let resolution = match (route, origin.party) {
            (Route::Identifier(_), Some(party)) if resolution.party != Some(party) => {
                Resolution::resolved(party, "holds this identifier")
            }
            (Route::Identifier(_), None) if resolution.party.is_some() => unknown(),
            _ => resolution.clone(),
        };
        (origin, matches!(route, Route::Party(_)), resolution)
    }

    /// Links an interaction to a case that is there and waits, if it has room for one more.
    pub(super) fn link(&mut self, case: &Key, interaction: Uuid, source_system: &str, by: By<'_>, out: &mut Outbox) {
        let now = by.now;
        let Some(row) = self.cases.get_mut(case).filter(|row| row.interactions.len() < MAX_LINKED) else { return };
        self.links.push((case.clone(), row.interactions.len(), interaction));
        row.interactions.push(interaction);
        row.case = row.case.linked();
        row.updated_at = now.max(row.updated_at);
        out.event(&case.0, CaseName::new(row.id), row.case.version, now, &events::case_linked(row, interaction, now));
        self.steps.push(CaseMove::beside(row, Step::Linked(interaction), now, (by.principal, source_system)));
    }

    /// Writes what became of them.
    pub(super) async fn apply(tx: &Tx, state: Talks) -> Result<(), StoreError> {
        let among = |calls: &HashSet<Key>| {
            let legs = state.legs.values().flatten().map(|leg| &leg.row);
            legs.filter(|row| calls.contains(&(row.tenant.clone(), row.id))).collect::<Vec<_>>()
        };
        call_put(tx, among(&state.fresh), among(&state.changed)).await?;
        version_first(tx, &state.recorded).await?;
        case_insert(tx, &state.opened).await?;
        let follows: Vec<Follow> = state.follows.into_values().collect();
        case_follow(tx, &follows, &state.revision.keys).await?;
        let pledged = state.promises.iter().filter(|(key, _)| state.pledged.contains(*key)).map(|(_, row)| row);
        commitment_follow(tx, pledged).await?;
        // With what else the same batch made of those cases.
        case_link(tx, &state.cases, &state.links).await?;
        history_insert(tx, &state.steps).await?;
        Revision::apply(tx, state.revision).await
    }
}

/// The legs of conversations, and calls that are known from before there were any, by their ids: one that goes on joins the
/// conversation that is told of, one that has ended stays by itself.
fn strays(wanted: &[Wanted<'_>], talks: &HashSet<Key>, found: Vec<CallRow>) -> (Vec<CallRow>, HashMap<Key, CallRow>) {
    let asked = wanted.iter().filter_map(|one| Some(((one.tenant.clone(), one.call?), one.talk)));
    let asked: HashMap<Key, Uuid> = asked.collect();
    let (mut rows, mut strays) = (Vec::with_capacity(found.len()), HashMap::new());
    for mut row in found {
        let call = (row.tenant.clone(), row.id);
        if talks.contains(&(row.tenant.clone(), row.talk)) {
            rows.push(row);
        } else if let Some(talk) = asked.get(&call).filter(|_| !row.ended()) {
            row.talk = *talk;
            rows.push(row);
        } else {
            strays.insert(call, row);
        }
    }
    (rows, strays)
}

/// The origins that something may come under.
#[derive(Default)]
struct Origins {
    whose: BTreeMap<TenantId, HashSet<Uuid>>,
    /// Conversations that are known by themselves alone.
    bare: HashSet<Key>,
    /// Conversations that may be somebody's.
    talks: HashSet<Key>,
    /// Origins of which it is known whose they are: they stay theirs.
    owned: HashMap<Key, Uuid>,
}

impl Origins {
    fn add(&mut self, tenant: &TenantId, origins: impl IntoIterator<Item = Uuid>) {
        self.whose.entry(tenant.clone()).or_default().extend(origins);
    }

    /// An origin, and whose it is if anybody's.
    fn add_owned(&mut self, tenant: &TenantId, origin: Origin) {
        self.add(tenant, [origin.id]);
        let owner = origin.party.filter(|party| *party != origin.id);
        self.owned.extend(owner.map(|party| ((tenant.clone(), origin.id), party)));
    }

    fn of_leg(&mut self, row: &CallRow) {
        if row.origin.id == row.talk {
            self.bare.insert((row.tenant.clone(), row.talk));
        }
        let all = [Some(row.subject), Some(row.origin.id), row.said, row.corrected];
        self.add(&row.tenant, all.into_iter().flatten());
    }

    async fn aliases(&self, tx: &Tx) -> Result<HashMap<Key, Uuid>, StoreError> {
        let mut aliases = self.owned.clone();
        for (tenant, origins) in &self.whose {
            let talks = self.talks.iter().filter(|(of, _)| of == tenant).map(|(_, talk)| *talk);
            let unknown = |origin: &Uuid| !self.owned.contains_key(&(tenant.clone(), *origin));
            let origins = origins.iter().copied().filter(unknown).chain(talks).collect();
            let found = alias_find(tx.db(), tenant, &origins).await?;
            aliases.extend(found.into_iter().map(|(origin, party)| ((tenant.clone(), origin), party)));
        }
        Ok(aliases)
    }

    fn subjects(&self) -> Vec<Subject> {
        let whose = self.whose.iter().flat_map(|(tenant, all)| all.iter().map(|id| sealing::subject(tenant, *id)));
        let bare = self.bare.iter().map(|(tenant, talk)| sealing::subject(tenant, *talk));
        whose.chain(bare).collect()
    }
}

/// The cases that wait for those whose call nobody took: by their party, or by an origin that is nobody's. Nobody else may
/// open one for them meanwhile.
async fn waiting(
    tx: &Tx,
    wanted: &[Wanted<'_>],
    rows: &[CallRow],
    held: &HashMap<Key, Held>,
    aliases: &HashMap<Key, Uuid>,
) -> Result<HashMap<Key, Uuid>, StoreError> {
    let mut whose: BTreeMap<Key, Slug> = BTreeMap::new();
    for one in wanted {
        let Some(kind) = one.follow_up else { continue };
        let known = |index| held.get(&(one.tenant.clone(), index)).copied();
        let legs = rows.iter().filter(|row| row.tenant == *one.tenant && row.talk == one.talk);
        let mut origins: Vec<Origin> = legs.map(CallRow::whose).collect();
        origins.extend(one.party.map(|party| Origin { id: party, party: Some(party) }));
        origins.extend(one.route.map(|route| route.resolve(route.index().and_then(known))));
        for origin in origins.into_iter().filter(|origin| origin.id != one.talk) {
            let owner = aliases.get(&(one.tenant.clone(), origin.id)).copied().or(origin.party);
            whose.insert((one.tenant.clone(), owner.unwrap_or(origin.id)), kind.clone());
        }
    }
    let locks: Vec<LockKey> =
        whose.keys().map(|(tenant, whose)| LockKey::of(tenant, "missed", whose.as_bytes())).collect();
    // After every other lock, always: whoever waits here holds nothing that somebody who holds these wants.
    tx.lock(&locks).await?;
    let mut waiting = HashMap::new();
    for (key, kind) in whose {
        let origins = alias_origins(tx.db(), &key.0, key.1).await?;
        let found = case_waiting(tx.db(), &key.0, &origins, kind.as_str()).await?;
        if let Some(case) = origins.iter().find_map(|origin| found.get(origin)) {
            waiting.insert(key, *case);
        }
    }
    Ok(waiting)
}

impl Leg {
    /// A call of which nothing was told yet.
    pub(super) fn new(key: &Key, id: Uuid, now: Timestamp) -> Leg {
        let row = CallRow {
            tenant: key.0.clone(),
            id,
            talk: key.1,
            begun: false,
            direction: 0,
            medium: 0,
            origin: Origin { id: key.1, party: None },
            named: false,
            lent: false,
            said: None,
            corrected: None,
            picked: None,
            subject: key.1,
            started_at: None,
            ended_at: None,
            disposition: 0,
            interaction: None,
            case: None,
            linked: false,
            resolution: Resolution::new(Match::Withheld, "no identifier was told", Vec::new()),
            source_system: String::new(),
            said_at_end: crate::store::Said::default(),
            sealed: Vec::new(),
            recorded_at: now,
        };
        Leg { row, text: Some(CallText::default()) }
    }

    /// Whether this leg told who it is.
    pub(super) fn identified(&self) -> bool {
        !self.row.lent && self.row.resolution.matched() != Match::Withheld
    }

    /// Takes over its texts, which are sealed once it is known under whose key.
    pub(super) fn write(&mut self, text: CallText) {
        self.text = Some(text);
        self.row.sealed = Vec::new();
    }

    /// Says who it is.
    pub(super) fn identify(&mut self, (origin, named, resolution): (Origin, bool, Resolution)) {
        self.row.origin = origin;
        self.row.named = named;
        self.row.resolution = resolution;
        self.row.lent = false;
    }
}

/// The place of a call among the legs; a new one where it is not known.
pub(super) fn place(legs: &mut Vec<Leg>, key: &Key, id: Uuid, now: Timestamp) -> usize {
    match legs.iter().position(|leg| leg.row.id == id) {
        Some(at) => at,
        None => {
            let corrected = legs.iter().find_map(|leg| leg.row.corrected);
            let mut leg = Leg::new(key, id, now);
            leg.row.corrected = corrected;
            legs.push(leg);
            legs.len() - 1
        }
    }
}

/// What was lost between two steps of one decision: a bug.
pub(super) fn lost() -> Error {
    Error::bug("a leg was lost between two steps of one decision")
}
