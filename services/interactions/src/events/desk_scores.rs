use std::collections::BTreeMap;

use async_trait::async_trait;
use rapport_events::{Consumer, Event};
use rapport_proto::scoring::v1 as proto;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx};
use rapport_types::TenantId;
use rapport_types::error::Error;

use super::desk::{BATCH, DESK, learn_few, spoken};
use super::pace::Pace;
use crate::domain::SectionKind;
use crate::store::{Known, SectionKey, section_floor, section_mark, section_put};

/// Learns the scores that the desk shows, and what parties are worth, whenever something moves them. However often that
/// happens within a batch, they are asked for once.
pub(crate) struct DeskScores {
    cx: Context,
    pace: Pace,
}

impl DeskScores {
    /// The consumer over its parts.
    pub(crate) fn new(cx: Context) -> DeskScores {
        DeskScores { cx, pace: Pace::default() }
    }
}

/// What a batch spoke of, and what was learned of it.
#[derive(Default)]
pub(crate) struct Learned {
    wanted: BTreeMap<SectionKey, i64>,
    /// What speaks of every party of a tenant.
    floors: BTreeMap<(TenantId, SectionKind), i64>,
    sections: BTreeMap<SectionKey, Known>,
}

impl Learned {
    /// What a batch speaks of.
    fn spoken(events: &[Event]) -> Result<Learned, Error> {
        let mut learned = Learned::default();
        for event in events {
            if let Some(kind) = everybody(event) {
                learned.floors.insert((event.tenant.clone(), kind?), event.position);
            } else if let Some(key) = spoken(event)? {
                learned.wanted.insert(key, event.position);
            }
        }
        Ok(learned)
    }
}

/// The sections of every party of a tenant that an event speaks of: a model that was fitted changes what each is worth.
pub(super) fn everybody(event: &Event) -> Option<Result<SectionKind, Error>> {
    let fitted = event.decode::<proto::ClvModelFitted>()?;
    Some(fitted.map(|_| SectionKind::Value))
}

/// Whose scores, or whose worth, an event moved; empty where an origin belongs to nobody.
pub(super) fn moved(event: &Event) -> Option<Result<(String, SectionKind), Error>> {
    if let Some(moved) = event.decode::<proto::ScoreMoved>() {
        return Some(moved.map(|moved| (moved.party, SectionKind::Scores)));
    }
    let moved = event.decode::<proto::ValueMoved>()?;
    Some(moved.map(|moved| (moved.party, SectionKind::Value)))
}

#[async_trait]
impl Consumer for DeskScores {
    type Gathered = Learned;

    fn name(&self) -> &'static str {
        DESK
    }

    fn source(&self) -> &'static str {
        "scoring"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn gather(&self, events: &[Event]) -> Result<Learned, Error> {
        self.pace.keep().await;
        let spoken = Learned::spoken(events)?;
        let kinds = [SectionKind::Scores, SectionKind::Value];
        let sections = learn_few(&self.cx, &[], events, &spoken.wanted, &kinds).await?;
        Ok(Learned { sections, ..spoken })
    }

    async fn apply(&self, tx: &Tx, _events: &[Event], learned: &Learned, _out: &mut Outbox) -> Result<(), StoreError> {
        section_floor(tx, &learned.floors).await?;
        section_mark(tx, &learned.wanted).await?;
        section_put(tx, &learned.sections).await
    }
}
