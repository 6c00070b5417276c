//! What the projection holds of a party, asked for anew.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::try_join_all;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_server::Context;
use rapport_types::error::{Error, Kind};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::ask::Asking;
use super::heard::{Section, nothing};
use super::influence::InfluenceSection;
use crate::domain::{PartyName, SectionKind};
use crate::store::{Known, SectionKey};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many parties are asked about at once, where each takes questions of its own.
const SIDE_BY_SIDE: usize = 8;

/// Who asks, and what for.
pub(crate) struct Learning<'a> {
    /// The service.
    pub(crate) cx: &'a Context,
    /// The purposes whose consents are shown.
    pub(crate) purposes: &'a [String],
    /// The trace that it belongs to.
    pub(crate) trace: Option<&'a str>,
}

/// Asks for sections of one sort. `wanted` holds up to which position of the source's feed each is known at least once
/// it is asked for now. What there is nothing of is left out.
///
/// # Errors
/// What the services answer; nothing is learned then.
pub(crate) async fn learn(
    learning: &Learning<'_>,
    kind: SectionKind,
    wanted: &BTreeMap<SectionKey, i64>,
) -> Result<BTreeMap<SectionKey, Known>, Error> {
    let mut tenants: BTreeMap<&TenantId, Vec<(&SectionKey, i64)>> = BTreeMap::new();
    for (key, position) in wanted.iter().filter(|(key, _)| key.kind == kind) {
        tenants.entry(&key.tenant).or_default().push((key, *position));
    }
    let mut learned = BTreeMap::new();
    for (tenant, keys) in tenants {
        let as_of = learning.cx.world.now();
        let asking = Asking::new(learning.cx, tenant, PATIENCE, learning.trace);
        let said = match kind {
            SectionKind::Card => cards(&asking, &keys).await?,
            SectionKind::Scores => scores(&asking, &keys).await?,
            SectionKind::Value
            | SectionKind::Loyalty
            | SectionKind::Consents
            | SectionKind::Near
            | SectionKind::Influence => one_by_one(&asking, learning.purposes, kind, &keys).await?,
            // Nobody is asked for it, and no feed marks it: see `queries::own`.
            SectionKind::Own => Vec::new(),
        };
        let said = said.into_iter().map(|(key, position, plain)| (key.clone(), known(position, as_of, plain)));
        learned.extend(said);
    }
    Ok(learned)
}

fn known(position: i64, as_of: Timestamp, plain: Vec<u8>) -> Known {
    Known { position, as_of, plain }
}

type Keys<'a> = [(&'a SectionKey, i64)];
type Said<'a> = Vec<(&'a SectionKey, i64, Vec<u8>)>;

fn of_parties<'a, S: Section>(keys: &Keys<'a>, found: &HashMap<Uuid, S>) -> Said<'a> {
    let said =
        |(key, position): &(&'a SectionKey, i64)| Some((*key, *position, found.get(&key.party)?.encode_to_vec()));
    keys.iter().filter_map(said).collect()
}

fn parties(keys: &Keys<'_>) -> Vec<Uuid> {
    keys.iter().map(|(key, _)| key.party).collect()
}

async fn cards<'a>(asking: &Asking<'_>, keys: &Keys<'a>) -> Result<Said<'a>, Error> {
    Ok(of_parties(keys, &asking.cards(&parties(keys)).await?))
}

async fn scores<'a>(asking: &Asking<'_>, keys: &Keys<'a>) -> Result<Said<'a>, Error> {
    Ok(of_parties(keys, &asking.scores(&parties(keys), true).await?))
}

async fn one_by_one<'a>(
    asking: &Asking<'_>,
    purposes: &[String],
    kind: SectionKind,
    keys: &Keys<'a>,
) -> Result<Said<'a>, Error> {
    let mut said = Vec::with_capacity(keys.len());
    for some in keys.chunks(SIDE_BY_SIDE) {
        let mut asked = Vec::with_capacity(some.len());
        for (key, position) in some {
            asked.push(async move {
                let plain = one(asking, purposes, kind, key).await?;
                Ok::<_, Error>(plain.map(|plain| (*key, *position, plain)))
            });
        }
        said.extend(try_join_all(asked).await?.into_iter().flatten());
    }
    Ok(said)
}

async fn one(
    asking: &Asking<'_>,
    purposes: &[String],
    kind: SectionKind,
    key: &SectionKey,
) -> Result<Option<Vec<u8>>, Error> {
    let plain = match kind {
        SectionKind::Value => asking
            .value(key.party)
            .await
            .map(|value| value.unwrap_or_else(nothing::<proto::ValueSection>).encode_to_vec()),
        SectionKind::Loyalty => asking.loyalty(key.party).await.map(|section| section.encode_to_vec()),
        SectionKind::Consents => {
            asking.consents(key.party, &key.facet, purposes).await.map(|section| section.encode_to_vec())
        }
        SectionKind::Influence => influence(asking, key.party).await.map(|section| section.encode_to_vec()),
        _ => asking.near(key.party).await.map(|near| nameless(near).encode_to_vec()),
    };
    match plain {
        Ok(plain) => Ok(Some(plain)),
        // Somebody who is no longer there consents to nothing.
        Err(error) if error.kind == Kind::NotFound && kind == SectionKind::Consents => Ok(Some(Vec::new())),
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Unimplemented | Kind::Precondition) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How influential those near a party are.
async fn influence(asking: &Asking<'_>, party: Uuid) -> Result<InfluenceSection, Error> {
    let near = asking.near(party).await?;
    let near: Vec<Uuid> =
        near.neighbors.iter().filter_map(|one| Some(PartyName::parse(&one.party).ok()?.uuid())).collect();
    Ok(asking.influence(&near).await?.unwrap_or_else(nothing))
}

/// Who is near, as it is kept: without names, which are other people's.
pub(crate) fn nameless(near: proto::NetworkSection) -> proto::NetworkSection {
    let without = |one| proto::ContextNeighbor { display_name: String::new(), ..one };
    proto::NetworkSection { neighbors: near.neighbors.into_iter().map(without).collect(), ..near }
}
