//! Promoters become advocates: what the feed of interactions says that bears on invitations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use rapport_events::{Consumer, Event};
use rapport_proto::interactions::v1 as interactions;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::reading::{case, interaction, origin, party, promoted, response, speakers, time};
use crate::commands::{InviteAdvocate, Inviting};
use crate::domain::{InvitationRules, Key, ResponseName};
use crate::error::malformed_event;
use crate::queries::{Advocates, Candidate};
use crate::store::{ActRow, ComplaintRow, act_delete, act_insert, alias_save, complaint_find, complaint_save};

/// How long stakeholders may take to answer about one party.
const PATIENCE: Duration = Duration::from_secs(5);
/// About how many parties stakeholders is asked at once.
const AT_ONCE: usize = 8;

/// Follows complaints, and invites promoters at the moment they say that they are.
#[derive(Clone, Debug)]
pub(crate) struct Promotion {
    advocates: Advocates,
}

impl Promotion {
    /// The consumer over its parts.
    pub(crate) fn new(advocates: Advocates) -> Promotion {
        Promotion { advocates }
    }
}

/// A survey response by which somebody proved to be a promoter.
#[derive(Clone, Debug, PartialEq)]
struct Promoter {
    response: ResponseName,
    origin: Uuid,
    party: Option<Uuid>,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    /// An origin belongs to a party.
    Attributed { origin: Uuid, party: Uuid },
    /// A case was opened that holds invitations back.
    Complaint { case: Uuid, row: ComplaintRow },
    /// A case is under another origin from now on.
    Given { case: Uuid, version: i64, origin: Uuid },
    /// A case went on.
    Moved { case: Uuid, version: i64, open: bool },
    /// Parties spoke for the tenant, maybe none any more.
    Acted { interaction: Uuid, origins: Vec<Uuid>, occurred_at: Timestamp },
    /// An interaction counts no longer.
    Retracted { interaction: Uuid },
    /// Somebody proved to be a promoter.
    Promoted(Promoter),
}

/// What an event says, in whose data, and the trace it belongs to.
struct Heard {
    tenant: TenantId,
    traceparent: Option<String>,
    said: Said,
}

/// What a batch of events says, with what stakeholders knows of its promoters.
pub(crate) struct Batch {
    heard: Vec<Heard>,
    invitations: Vec<(TenantId, Option<String>, InviteAdvocate)>,
}

#[async_trait]
impl Consumer for Promotion {
    type Gathered = Batch;

    fn name(&self) -> &'static str {
        "advocacy"
    }

    fn source(&self) -> &'static str {
        "interactions"
    }

    async fn gather(&self, events: &[Event]) -> Result<Batch, Error> {
        let rules = self.advocates.rules();
        let mut heard = Vec::with_capacity(events.len());
        for event in events {
            if let Some(said) = read(event, rules)? {
                heard.push(Heard { tenant: event.tenant.clone(), traceparent: event.traceparent.clone(), said });
            }
        }
        // What the feed has told since may be more than what an event knew, and this very batch more than that.
        let mut whose = self.advocates.whose(&promoted_origins(&heard)).await?;
        whose.extend(attributions(&heard));
        let promoters = heard.iter().filter_map(|one| match &one.said {
            Said::Promoted(promoter) => Some((one, promoter.clone())),
            _ => None,
        });
        let asked = promoters.map(|(one, promoter)| {
            let party = whose.get(&(one.tenant.clone(), promoter.origin)).copied().or(promoter.party);
            self.invitation(one, Promoter { party, ..promoter })
        });
        // In the order of the events: the first answer of a party is the one that it is invited for.
        let invitations = futures::stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        Ok(Batch { heard, invitations })
    }

    async fn apply(&self, tx: &Tx, _: &[Event], batch: &Batch, out: &mut Outbox) -> Result<(), StoreError> {
        let Batch { heard, invitations } = batch;
        alias_save(tx.db(), &attributions(heard)).await?;
        follow_complaints(tx, heard).await?;
        follow_acts(tx, heard).await?;
        let wanted: Vec<_> = invitations.iter().map(|(tenant, _, wanted)| (tenant, wanted)).collect();
        // After the complaints: one that was solved in this very batch holds nobody back.
        let mut inviting = Inviting::load(tx, &wanted).await?;
        for (tenant, traceparent, wanted) in invitations {
            out.traceparent(traceparent.clone());
            if let Err(error) = inviting.invite(tenant, wanted, None, tx.now(), out) {
                // Somebody named this answer to invite another party. It led to an invitation, and to one alone.
                tracing::debug!(%error, "an answer had led to an invitation");
            }
        }
        inviting.apply(tx).await
    }
}

impl Promotion {
    /// What is to be decided about a promoter.
    async fn invitation(
        &self,
        heard: &Heard,
        promoter: Promoter,
    ) -> Result<(TenantId, Option<String>, InviteAdvocate), Error> {
        let Heard { tenant, traceparent, .. } = heard;
        let Promoter { response, origin, party } = promoter;
        let rules = self.advocates.rules();
        let candidate = Candidate {
            tenant,
            origin,
            party,
            member: None,
            purpose: &rules.purpose,
            channel: &rules.channel,
            patience: PATIENCE,
            traceparent: traceparent.as_deref(),
        };
        let wanted = InviteAdvocate {
            id: self.advocates.context().world.next_id(),
            advocate: self.advocates.find(candidate).await?,
            channel: rules.channel.clone(),
            purpose: rules.purpose.clone(),
            ask: rules.ask.clone(),
            response: Some(response),
            reason: String::new(),
            rules: rules.clone(),
        };
        Ok((tenant.clone(), traceparent.clone(), wanted))
    }
}

/// The origins by which promoters answered.
fn promoted_origins(heard: &[Heard]) -> BTreeSet<Key> {
    let origin = |one: &Heard| match &one.said {
        Said::Promoted(promoter) => Some((one.tenant.clone(), promoter.origin)),
        _ => None,
    };
    heard.iter().filter_map(origin).collect()
}

/// Whose origins are, by this batch.
fn attributions(heard: &[Heard]) -> BTreeMap<Key, Uuid> {
    let mut told = BTreeMap::new();
    for Heard { tenant, said, .. } in heard {
        if let Said::Attributed { origin, party } = said {
            told.insert((tenant.clone(), *origin), *party);
        }
    }
    told
}

async fn follow_complaints(tx: &Tx, heard: &[Heard]) -> Result<(), StoreError> {
    let key = |tenant: &TenantId, case: &Uuid| (tenant.clone(), *case);
    let cases: BTreeSet<Key> = heard
        .iter()
        .filter_map(|one| match &one.said {
            Said::Complaint { case, .. } | Said::Moved { case, .. } | Said::Given { case, .. } => {
                Some(key(&one.tenant, case))
            }
            _ => None,
        })
        .collect();
    let mut complaints = complaint_find(tx.db(), &cases).await?;
    let before = complaints.clone();
    for Heard { tenant, said, .. } in heard {
        match said {
            Said::Complaint { case, row } => {
                complaints.entry(key(tenant, case)).or_insert_with(|| row.clone());
            }
            Said::Given { case, version, origin } => {
                if let Some(row) = complaints.get_mut(&key(tenant, case)).filter(|row| row.version < *version) {
                    (row.version, row.origin) = (*version, *origin);
                }
            }
            Said::Moved { case, version, open } => {
                // Other cases than complaints are not kept.
                if let Some(row) = complaints.get_mut(&key(tenant, case)).filter(|row| row.version < *version) {
                    (row.version, row.open) = (*version, *open);
                }
            }
            _ => {}
        }
    }
    complaints.retain(|key, row| before.get(key) != Some(row));
    Ok(complaint_save(tx.db(), &complaints).await?)
}

async fn follow_acts(tx: &Tx, heard: &[Heard]) -> Result<(), StoreError> {
    let mut gone: BTreeSet<Key> = BTreeSet::new();
    let mut acts: BTreeMap<Key, Vec<ActRow>> = BTreeMap::new();
    for Heard { tenant, said, .. } in heard {
        match said {
            Said::Acted { interaction, origins, occurred_at } => {
                let key = (tenant.clone(), *interaction);
                let act = |origin: &Uuid| ActRow {
                    tenant: tenant.clone(),
                    origin: *origin,
                    interaction: *interaction,
                    occurred_at: *occurred_at,
                };
                gone.insert(key.clone());
                acts.insert(key, origins.iter().map(act).collect());
            }
            Said::Retracted { interaction } => {
                let key = (tenant.clone(), *interaction);
                acts.remove(&key);
                gone.insert(key);
            }
            _ => {}
        }
    }
    act_delete(tx.db(), &gone).await?;
    let acts: Vec<ActRow> = acts.into_values().flatten().collect();
    Ok(act_insert(tx.db(), &acts).await?)
}

/// What an event says that bears on invitations, if anything.
fn read(event: &Event, rules: &InvitationRules) -> Result<Option<Said>, Error> {
    let is_act = |kind: &str| rules.advocacy_kinds.iter().any(|known| known.as_str() == kind);
    if let Some(attributed) = event.decode::<interactions::OriginAttributed>() {
        let attributed = attributed?;
        let (origin, party) = (origin(&attributed.origin)?, party(&attributed.party)?);
        return Ok(party.map(|party| Said::Attributed { origin, party }));
    }
    if let Some(opened) = event.decode::<interactions::CaseOpened>() {
        let opened = opened?;
        if !rules.complaint_types.iter().any(|known| known.as_str() == opened.r#type) {
            return Ok(None);
        }
        let row = ComplaintRow {
            origin: origin(&opened.origin)?,
            open: true,
            version: opened.version,
            opened_at: time(opened.occurred_time, "occurred_time")?,
        };
        return Ok(Some(Said::Complaint { case: case(&opened.case)?, row }));
    }
    if let Some(given) = event.decode::<interactions::CaseReassigned>() {
        let given = given?;
        let (case, origin) = (case(&given.case)?, origin(&given.origin)?);
        return Ok(Some(Said::Given { case, version: given.version, origin }));
    }
    if let Some(moved) = event.decode::<interactions::CaseTransitioned>() {
        let moved = moved?;
        use interactions::CaseStatus::{Closed, InProgress, New, Resolved, Unspecified, Waiting};
        let open = match moved.to() {
            New | InProgress | Waiting => true,
            Resolved | Closed => false,
            Unspecified => return Err(malformed_event("to")),
        };
        return Ok(Some(Said::Moved { case: case(&moved.case)?, version: moved.version, open }));
    }
    if let Some(recorded) = event.decode::<interactions::InteractionRecorded>() {
        let recorded = recorded?;
        if !is_act(&recorded.kind) {
            return Ok(None);
        }
        return acted(&recorded).map(Some);
    }
    if let Some(amended) = event.decode::<interactions::InteractionAmended>() {
        let after = amended?.after.ok_or_else(|| malformed_event("after"))?;
        if !is_act(&after.kind) {
            // It may have been one before.
            return Ok(Some(Said::Retracted { interaction: interaction(&after.interaction)? }));
        }
        return acted(&after).map(Some);
    }
    if let Some(retracted) = event.decode::<interactions::InteractionRetracted>() {
        let retracted = retracted?;
        return Ok(Some(Said::Retracted { interaction: interaction(&retracted.interaction)? }));
    }
    if let Some(answered) = event.decode::<interactions::SurveyResponseRecorded>() {
        let answered = answered?;
        if !promoted(&answered) {
            return Ok(None);
        }
        let promoter = Promoter {
            response: response(&answered.response)?,
            origin: origin(&answered.origin)?,
            party: party(&answered.party)?,
        };
        return Ok(Some(Said::Promoted(promoter)));
    }
    Ok(None)
}

fn acted(recorded: &interactions::InteractionRecorded) -> Result<Said, Error> {
    let origins = speakers(recorded)?.into_iter().map(|speaker| speaker.origin).collect();
    Ok(Said::Acted {
        interaction: interaction(&recorded.interaction)?,
        origins,
        occurred_at: time(recorded.occurred_time, "occurred_time")?,
    })
}

#[cfg(test)]
#[path = "advocacy_tests.rs"]
mod tests;
