//! What the desk's consumers have in common.

use std::collections::BTreeMap;

use rapport_events::Event;
use rapport_server::Context;
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use super::desk_loyalty::concerned;
use super::desk_parties::of_parties;
use super::desk_scores::{everybody, moved};
use crate::domain::{PartyName, SectionKind};
use crate::queries::{Learning, learn};
use crate::store::{Known, SectionKey};

/// The name of the desk's consumers, one for each feed.
pub(crate) const DESK: &str = "desk";
/// Up to so many sections of a sort are asked for within a batch. In a storm, as an import makes one, a batch only notes
/// what was spoken of: whoever calls is asked for at once, and the others follow beside it.
const AT_ONCE: usize = 20;

/// Events that are noted at once at most: what moved a hundred times in a flood is one mark.
pub(super) const BATCH: usize = 5_000;

/// The key of the one section of a sort that a party has.
pub(super) fn key(tenant: &TenantId, party: Uuid, kind: SectionKind) -> SectionKey {
    SectionKey { tenant: tenant.clone(), party, kind, facet: String::new() }
}

/// Of whom an event of another service's feed speaks, as far as the desk shows them; none where it speaks of everybody.
///
/// # Errors
/// A bug, where the event cannot be read.
pub(crate) fn whom(event: &Event) -> Result<Option<Vec<Uuid>>, Error> {
    match event.source.as_str() {
        "stakeholders" => of_parties(event).map(Some),
        _ if everybody(event).is_some() => Ok(None),
        _ => Ok(Some(spoken(event)?.map(|key| key.party).into_iter().collect())),
    }
}

/// The section that an event of scoring or loyalty speaks of; none where it speaks of no party.
///
/// # Errors
/// A bug, where the event cannot be read.
pub(super) fn spoken(event: &Event) -> Result<Option<SectionKey>, Error> {
    let spoken = moved(event).or_else(|| {
        let concerned = concerned(event)?;
        Some(concerned.map(|party| (party, SectionKind::Loyalty)))
    });
    let Some((party, kind)) = spoken.transpose()?.filter(|(party, _)| !party.is_empty()) else { return Ok(None) };
    let party = PartyName::parse(&party).map_err(|error| error.at("party"))?;
    Ok(Some(key(&event.tenant, party.uuid(), kind)))
}

/// Asks for those sections that a batch spoke of, if they are few; `wanted` holds the last event of each.
pub(super) async fn learn_few(
    cx: &Context,
    purposes: &[String],
    events: &[Event],
    wanted: &BTreeMap<SectionKey, i64>,
    kinds: &[SectionKind],
) -> Result<BTreeMap<SectionKey, Known>, Error> {
    let mut learned = BTreeMap::new();
    let Some(last) = events.last() else { return Ok(learned) };
    let learning = Learning { cx, purposes, trace: last.traceparent.as_deref() };
    for kind in kinds {
        // Asked after the whole batch was told: the answer holds all of it.
        let of: BTreeMap<SectionKey, i64> =
            wanted.keys().filter(|key| key.kind == *kind).map(|key| (key.clone(), last.position)).collect();
        if of.len() <= AT_ONCE || *kind == SectionKind::Card {
            learned.extend(learn(&learning, *kind, &of).await?);
        }
    }
    Ok(learned)
}
