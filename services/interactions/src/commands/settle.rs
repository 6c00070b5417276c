//! What follows from what was told of a conversation: who it is with, what it comes to, and the cases that go with it.

use rapport_store::Outbox;
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::amend_interaction::put;
use super::pledges::Pledge;
use super::revision::{Change, Made};
use super::talks::{Key, Leg, Talks};
use crate::domain::{
    Amendment, CALL, CaseName, EndedLeg, Identifier, Match, Named, Origin, Outcome, Resolution, Slug, Told, under,
};
use crate::events;
use crate::store::sealing::{self, Rewording, Sealing};
use crate::store::{CallRow, CaseMove, CaseRow, Follow, InteractionRow, Step};

/// Whom a conversation is with.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    /// Under which origin it is recorded.
    pub(super) origin: Origin,
    /// Whether the record names the party, whose id the origin then is.
    pub(super) named: bool,
    /// Whom somebody said it to be.
    picked: Option<Uuid>,
    /// Who it was is known no longer.
    erased: bool,
    /// The identifier that was used.
    pub(super) identifier: Option<Identifier>,
    /// The leg that told who it is.
    lender: Option<usize>,
}

/// What is to be written of an interaction and of cases, found out before anything is changed.
#[derive(Default)]
pub(super) struct Settled {
    revised: Option<InteractionRow>,
    /// The participant that is somebody else from now on, as it was.
    replaced: Option<usize>,
    follows: Vec<Follow>,
    pledges: Vec<Pledge>,
    /// The system that the change comes from; empty when nothing was said.
    source_system: String,
}

/// Who asks for a change, and when it is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct By<'a> {
    /// Who.
    pub(super) principal: &'a str,
    /// When.
    pub(super) now: Timestamp,
}

impl<'a> By<'a> {
    /// Whoever sent a command.
    pub(super) fn of<C: rapport_store::Command>(item: &'a rapport_store::Item<C>) -> By<'a> {
        By { principal: &item.scope.principal, now: item.now }
    }
}

impl Whose {
    /// How a record names them.
    pub(super) fn named(&self, told: &Told) -> Named {
        let mut told = told.clone();
        told.identifier.clone_from(&self.identifier);
        told.named(self.origin.party.filter(|_| self.named))
    }
}

/// Whom the conversation is with: whom somebody corrected it to; else whom an agent said it was, the leg that ended last
/// before the others; else whoever the leg that began first told of; else nobody.
pub(super) fn whose(state: &Talks, key: &Key, legs: &[Leg], corrected: Option<Uuid>) -> Whose {
    let name = |leg: &Leg| leg.text.as_ref().map(|text| text.leg.clone()).unwrap_or_default();
    let beginning = |leg: &Leg| leg.row.started_at.or(leg.row.ended_at).unwrap_or(Timestamp::MAX);
    let told = legs.iter().enumerate().filter(|(_, leg)| leg.identified());
    let lender = told.min_by_key(|(_, leg)| (beginning(leg), name(leg), leg.row.id)).map(|(at, _)| at);
    let said = legs.iter().filter(|leg| leg.row.said.is_some());
    let said = said.max_by_key(|leg| (leg.row.ended_at, name(leg), leg.row.id)).and_then(|leg| leg.row.said);
    let picked = corrected.or(said);
    let found = lender.and_then(|at| legs.get(at)).map(|leg| (leg.row.origin, leg.row.named));
    let (origin, named) = match (picked, found) {
        (Some(party), _) => (Origin { id: party, party: Some(party) }, true),
        (None, Some((origin, named))) => (Origin { party: state.owner(&key.0, origin), ..origin }, named),
        (None, None) => (Origin { id: key.1, party: None }, false),
    };
    let number = |leg: &Leg| {
        let identifier = leg.text.as_ref()?.identifier.clone()?;
        Some(Identifier::kept(identifier.scheme, identifier.value))
    };
    let identifier = lender.and_then(|at| legs.get(at)).and_then(number);
    if origin.id != key.1 && state.erased(&key.0, origin.id) {
        let origin = Origin { id: key.1, party: None };
        return Whose { origin, named: false, picked: None, erased: true, identifier, lender };
    }
    Whose { origin, named, picked, erased: false, identifier, lender }
}

/// Lets every leg know whom the conversation is with and how it was handed on, and seals its texts under the same origin.
pub(super) fn share(state: &Talks, key: &Key, legs: &mut [Leg]) -> Result<Whose, Error> {
    for leg in legs.iter_mut().filter(|leg| leg.identified()) {
        let owner = state.owner(&key.0, leg.row.origin);
        leg.row.origin.party = owner;
        if let Some(party) = owner.filter(|party| leg.row.resolution.party != Some(*party)) {
            leg.row.resolution = Resolution::claimed(party);
        }
    }
    let corrected = legs.iter().find_map(|leg| leg.row.corrected);
    let whose = whose(state, key, legs, corrected);
    let lent = whose.lender.and_then(|at| legs.get(at)).cloned();
    let transfers = transfers(legs);
    for leg in legs.iter_mut() {
        let before = leg.text.clone();
        if let (Some(lender), false) = (&lent, leg.identified()) {
            leg.row.origin = lender.row.origin;
            leg.row.named = lender.row.named;
            leg.row.resolution = lender.row.resolution.clone();
            leg.row.lent = true;
            if let (Some(text), Some(from)) = (&mut leg.text, &lender.text) {
                text.identifier.clone_from(&from.identifier);
            }
            if !leg.row.begun && leg.row.direction == 0 {
                leg.row.direction = lender.row.direction;
            }
            if !leg.row.begun && leg.row.medium == 0 {
                leg.row.medium = lender.row.medium;
            }
        }
        if whose.erased {
            leg.row.origin = whose.origin;
            leg.row.named = false;
            leg.row.resolution = Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new());
        }
        leg.row.picked = whose.picked;
        if let Some(text) = &mut leg.text {
            text.transfers.clone_from(&transfers);
        }
        let resealed = leg.row.subject != whose.origin.id || leg.row.sealed.is_empty() || leg.text != before;
        if let Some(text) = leg.text.as_ref().filter(|_| resealed) {
            leg.row.seal(text, whose.origin.id, &state.revision.keys)?;
        }
    }
    Ok(whose)
}

/// How the conversation was handed on: what was told of any of its legs.
fn transfers(legs: &[Leg]) -> Vec<crate::store::TransferText> {
    let mut all = crate::store::CallText::default();
    for transfer in legs.iter().filter_map(|leg| leg.text.as_ref()).flat_map(|text| &text.transfers) {
        let mut transfer = transfer.clone();
        if transfer.from_agent.is_empty() {
            // The beginning may have come later, and told who had it.
            let from = legs.iter().find(|leg| leg.row.id == transfer.from()).and_then(|leg| leg.text.as_ref());
            transfer.from_agent = from.map(|text| text.agent.clone()).unwrap_or_default();
        }
        all.hand_on(transfer);
    }
    all.transfers
}

/// What the legs that have ended come to; `but` leaves one out.
pub(super) fn outcome(legs: &[Leg], but: Option<Uuid>) -> Option<Outcome> {
    let ended = legs.iter().filter(|leg| Some(leg.row.id) != but);
    let ended: Vec<EndedLeg> = ended.filter_map(|leg| leg.row.ended_leg(leg.text.as_ref())).collect();
    Outcome::of(ended)
}

impl Talks {
    /// What follows for what was recorded of a conversation: whom it is with, and what more is said of it. `more` is what
    /// its legs come to now, what they came to before, and the wrap-up that is new.
    pub(super) fn settle(
        &self,
        key: &Key,
        legs: &[Leg],
        whose: &Whose,
        more: Option<(&Outcome, &Outcome, &str)>,
        change: &Change,
        now: Timestamp,
    ) -> Result<Settled, Error> {
        let tenant = &key.0;
        let Some(row) = self.revision.rows.get(key).filter(|row| !row.retracted) else {
            return Ok(Settled::default());
        };
        let Some(other) = row.detail.participants.first() else { return Ok(Settled::default()) };
        let replaced = (other.origin(), other.named) != (whose.origin.id, whose.named);
        let keys = &self.revision.keys;
        let mut base = row.clone();
        if replaced {
            base = self.given(tenant, row, 0, whose.origin.id, whose.named)?;
        }
        // By which identifier they came may be told later than who they are.
        let mut quiet = true;
        if let Some(other) = base.detail.participants.first_mut() {
            let subject = sealing::subject(tenant, whose.origin.id);
            let known = sealing::identifier_opened(keys, &subject, &other.identifier)?;
            let used = used(legs, whose);
            let alike = match (&used, &known) {
                (Some(used), Some(known)) => sealing::identifier_text(used) == *known,
                // What can no longer be said stays as it is.
                (None, Some(known)) => known.scheme != CALL,
                (used, None) => used.is_none(),
            };
            if !alike {
                let sealed = used.map(|used| sealing::identifier(keys, tenant, whose.origin.id, &used));
                other.identifier = sealed.transpose().map_err(sealing::decided)?.unwrap_or_default();
                quiet = false;
            }
        }
        let mut amendment = more.map(|(now, before, _)| now.since(before));
        let mut role_type = None;
        let mut provenance = change.provenance.clone();
        if let (Some((now, before, added)), Some(amendment)) = (more, &mut amendment) {
            self.keep_amended(tenant, row, amendment, before, added)?;
            role_type = (now.role_type != before.role_type).then(|| now.role_type.clone());
            if now.provenance != before.provenance {
                provenance = Some(now.provenance.clone());
                quiet = false;
            }
            quiet &= amendment.is_empty() && role_type.is_none();
        }
        let source_system = change.provenance.as_ref().map(|one| one.source_system.clone()).unwrap_or_default();
        if !replaced && quiet {
            // Nothing that was recorded changes.
            return Ok(Settled {
                follows: self.following(key, legs, whose, now)?,
                source_system,
                ..Settled::default()
            });
        }
        let rewording = Rewording {
            subject_line: amendment.as_ref().and_then(|amendment| amendment.subject_line.as_deref()),
            body: amendment.as_ref().and_then(|amendment| amendment.body.as_deref()),
            provenance: provenance.as_ref(),
        };
        let change = Change { provenance: provenance.clone(), ..change.clone() };
        let mut after = self.revision.next(tenant, &base, &change, &rewording, now)?;
        if let Some(amendment) = &amendment {
            put(amendment, &mut after);
        }
        if let (Some(role_type), Some(other)) = (role_type, after.detail.participants.first_mut()) {
            other.role_type = role_type.map(|one| one.to_string()).unwrap_or_default();
        }
        let follows = self.following(key, legs, whose, now)?;
        let pledges = if replaced { self.pledged(tenant, (row, &after), 0, now)? } else { Vec::new() };
        Ok(Settled { revised: Some(after), replaced: replaced.then_some(0), follows, pledges, source_system })
    }

    /// What somebody amended by hand meanwhile stays: a wrap-up that comes later goes under it.
    fn keep_amended(
        &self,
        tenant: &TenantId,
        row: &InteractionRow,
        amendment: &mut Amendment,
        before: &Outcome,
        added: &str,
    ) -> Result<(), Error> {
        if amendment.body.is_none() {
            return Ok(());
        }
        let subject = sealing::subject(tenant, row.subject);
        let stands = sealing::interaction_opened(&self.revision.keys, &subject, row.sealed.as_deref())?.body;
        if stands != before.body {
            amendment.body = Some(under(&stands, added));
        }
        Ok(())
    }

    /// An interaction with a participant under another origin: what was sealed for the one is sealed for the other.
    pub(super) fn given(
        &self,
        tenant: &TenantId,
        row: &InteractionRow,
        ordinal: usize,
        origin: Uuid,
        named: bool,
    ) -> Result<InteractionRow, Error> {
        let keys = &self.revision.keys;
        let mut after = row.clone();
        let Some(one) = after.detail.participants.get_mut(ordinal) else {
            return Err(Error::bug("a participant is given away that there is not"));
        };
        let to = sealing::subject(tenant, origin);
        if !one.identifier.is_empty() {
            let from = sealing::subject(tenant, one.origin());
            let anew = sealing::resealed(keys, Sealing::Identifier(&one.identifier), (&from, &to))?;
            one.identifier = anew.unwrap_or_default();
        }
        one.give(origin, named);
        if ordinal == 0 {
            let from = sealing::subject(tenant, row.subject);
            after.sealed = match &row.sealed {
                Some(sealed) => sealing::resealed(keys, Sealing::Texts(sealed), (&from, &to))?,
                None => None,
            };
            after.subject = origin;
        }
        Ok(after)
    }

    /// The cases that were opened with a conversation and are not under its origin yet.
    fn following(&self, key: &Key, legs: &[Leg], whose: &Whose, now: Timestamp) -> Result<Vec<Follow>, Error> {
        let opened = legs.iter().filter(|leg| !leg.row.linked).filter_map(|leg| leg.row.case);
        let cases = opened.filter_map(|case| self.cases.get(&(key.0.clone(), case)));
        let moved = cases.filter(|case| (case.origin.id, case.named) != (whose.origin.id, whose.named));
        moved.map(|case| self.followed(case, whose, now)).collect()
    }

    fn followed(&self, case: &CaseRow, whose: &Whose, now: Timestamp) -> Result<Follow, Error> {
        let keys = &self.revision.keys;
        let (from, to) =
            (sealing::subject(&case.tenant, case.origin.id), sealing::subject(&case.tenant, whose.origin.id));
        let mut row = case.clone();
        row.sealed = match sealing::resealed(keys, Sealing::Case(&case.sealed), (&from, &to))? {
            Some(sealed) => sealed,
            None => sealing::case_blank(keys, &to)?,
        };
        row.origin = whose.origin;
        row.named = whose.named;
        row.case.version += 1;
        row.updated_at = now.max(row.updated_at);
        Ok(Follow { row, from: case.origin.id })
    }

    /// Takes note of what follows, and tells it. Nothing here can fail any more.
    pub(super) fn settled(
        &mut self,
        key: &Key,
        settled: Settled,
        by: By<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Made>, Error> {
        let (tenant, now) = (&key.0, by.now);
        self.pledge_all(settled.pledges, now, out);
        for follow in settled.follows {
            let row = &follow.row;
            let event = events::case_reassigned(row, follow.from, now);
            out.event(tenant, CaseName::new(row.id), row.case.version, now, &event);
            let given = Step::Given { to: row.origin, named: row.named, interaction: key.1 };
            self.steps.push(CaseMove::beside(row, given, now, (by.principal, &settled.source_system)));
            let case = (tenant.clone(), row.id);
            self.cases.insert(case.clone(), row.clone());
            let first = self.follows.get(&case).map_or(follow.from, |earlier| earlier.from);
            self.follows.insert(case, Follow { from: first, ..follow });
        }
        let Some(after) = settled.revised else { return Ok(None) };
        let replaced = match (settled.replaced, self.revision.rows.get(key)) {
            (Some(ordinal), Some(before)) => {
                let origins = self.revision.origins(tenant, before);
                events::participants(before, &origins).into_iter().nth(ordinal)
            }
            _ => None,
        };
        let origins = self.revision.origins(tenant, &after);
        let mut event = events::interaction_amended(&after, &origins);
        event.replaced.extend(replaced);
        self.revision.make(tenant, after, &event, out).map(Some)
    }

    /// An interaction that somebody else takes part in from now on.
    pub(super) fn reassigned(
        &mut self,
        tenant: &TenantId,
        row: InteractionRow,
        ordinal: usize,
        by: By<'_>,
        out: &mut Outbox,
    ) -> Result<Made, Error> {
        let key = (tenant.clone(), row.id);
        let by = By { now: row.recorded_at, ..by };
        let pledges = match self.revision.rows.get(&key) {
            Some(before) => self.pledged(tenant, (before, &row), ordinal, by.now)?,
            None => Vec::new(),
        };
        let settled = Settled { revised: Some(row), replaced: Some(ordinal), pledges, ..Settled::default() };
        let made = self.settled(&key, settled, by, out)?;
        made.ok_or_else(|| Error::bug("a version was not made of an interaction that was reassigned"))
    }
}

/// The identifier by which a record knows the other side: the one that was used, else, where nobody is named, what the
/// telephony calls the conversation.
fn used(legs: &[Leg], whose: &Whose) -> Option<Identifier> {
    let called = || {
        let mut names = legs.iter().filter_map(|leg| leg.text.as_ref()).map(|text| &text.call_id);
        names.find(|name| !name.is_empty()).map(|name| Identifier::known(CALL, name.clone()))
    };
    whose.identifier.clone().or_else(|| if whose.named { None } else { called() })
}

/// A change that nobody asked for by itself: what was told of a call makes it.
pub(super) fn told_change(interaction: Uuid, reason: &'static str) -> Change {
    Change { id: interaction, etag: String::new(), reason: Slug::own(reason), provenance: None }
}

/// The row of a call among the legs.
pub(super) fn row_of(legs: &[Leg], call: Uuid) -> Result<CallRow, Error> {
    legs.iter().find(|leg| leg.row.id == call).map(|leg| leg.row.clone()).ok_or_else(super::talks::lost)
}
