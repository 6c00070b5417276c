//! Whom a party is bound to, and what roles they hold.

use std::collections::{BTreeSet, HashMap};

use rapport_proto::interactions::v1 as proto;
use rapport_types::Uuid;

use super::context::{About, Book};
use super::network::id;
use super::network_parts::Lack;
use crate::domain::{BINDING, Bond, SectionKind};
use crate::queries::{Asked, Heard, Section, Standing, hear, serve, why};
use crate::store::section_held;

/// The ties that bind a party to others, and what is not known of them.
#[derive(Default)]
pub(super) struct Bonds {
    /// The strongest first.
    pub(super) bonds: Vec<Bond>,
    /// Why their roles are not known as they are now, if they are not.
    pub(super) lack: Option<Lack>,
    /// Those of whom nothing was kept: they are asked for beside the answer.
    pub(super) cold: Vec<Uuid>,
}

/// The tie that binds the party to a neighbour: the strongest of those that do.
fn binding(neighbor: &proto::ContextNeighbor) -> Option<(&str, &str)> {
    let first = (neighbor.relationship_type.as_str(), neighbor.label.as_str());
    let more = neighbor.more_ties.iter().map(|tie| (tie.relationship_type.as_str(), tie.label.as_str()));
    std::iter::once(first).chain(more).find(|(kind, _)| BINDING.contains(kind))
}

fn bond(neighbor: &proto::ContextNeighbor, card: &proto::CardSection) -> Option<Bond> {
    let (relationship_type, label) = binding(neighbor)?;
    let roles: BTreeSet<&String> = card.roles.iter().map(|role| &role.role_type).collect();
    Some(Bond {
        neighbor: neighbor.party.clone(),
        relationship_type: relationship_type.to_owned(),
        label: label.to_owned(),
        role_types: roles.into_iter().cloned().collect(),
    })
}

impl About<'_> {
    /// The ties that bind, with the roles that stakeholders told of those at their other ends. Nothing for a caller who may
    /// not read roles: their warnings say nothing of roles at all.
    pub(super) async fn bonds(&self, near: &[proto::ContextNeighbor], standing: &Standing) -> Bonds {
        let bound: Vec<&proto::ContextNeighbor> = near.iter().filter(|one| binding(one).is_some()).collect();
        if bound.is_empty() || !self.call.allows(proto::CardSection::PERMISSION) {
            return Bonds::default();
        }
        let ids: Vec<Uuid> = bound.iter().map(|one| id(one)).collect();
        let held = section_held(&self.cx.store, self.call.tenant(), &ids, Some(SectionKind::Card)).await;
        let held = held.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is kept of cards cannot be read");
            Book::new()
        });
        let now = self.cx.world.now();
        let mut lack: Option<Lack> = None;
        let (mut cards, mut unknown) = (HashMap::with_capacity(ids.len()), Vec::new());
        for id in ids {
            let row = held.get(&self.key(id, SectionKind::Card, ""));
            let Some(mut card) = serve::<proto::CardSection>(row, 0, standing, now) else {
                unknown.push(id);
                continue;
            };
            let status = card.status.take().unwrap_or_default();
            if status.state() != proto::SectionState::Fresh {
                let said = row.and_then(|row| row.known.as_ref());
                let said = said.map(|known| Asked { at: known.as_of, position: known.position });
                lack = Some(Lack::older(lack, Lack::new("stakeholders", status.reason, said)));
            }
            cards.insert(id, card);
        }
        if !unknown.is_empty() {
            let asking = self.asking();
            let heard = hear(self.until, &asking, Box::pin(asking.cards(&unknown))).await;
            let reason = why(&heard, "stakeholders");
            let (found, said) = match heard {
                Heard::Said(found) | Heard::Behind(found) => {
                    (found, Some(Asked { at: now, position: standing.position }))
                }
                _ => Lack::last_known::<proto::CardSection>(&held, &unknown),
            };
            if !reason.is_empty() {
                lack = Some(Lack::older(lack, Lack::new("stakeholders", reason, said)));
            }
            cards.extend(found);
        }
        unknown.retain(|id| !held.contains_key(&self.key(*id, SectionKind::Card, "")));
        let bonds = bound.into_iter().filter_map(|one| bond(one, cards.get(&id(one))?)).collect();
        Bonds { bonds, lack, cold: unknown }
    }
}
