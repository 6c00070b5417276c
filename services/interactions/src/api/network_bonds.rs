//! Whom a party is bound to, and what roles they hold.

use std::collections::BTreeSet;

use rapport_proto::interactions::v1 as proto;
use rapport_types::Uuid;

use super::context::About;
use super::network::id;
use super::network_kept::Several;
use super::network_lack::Lack;
use crate::domain::{BINDING, Bond};
use crate::queries::{Asking, Standing};

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
        let ids: Vec<Uuid> = bound.iter().map(|one| id(one)).collect();
        let ask = async |asking: &Asking<'_>, ids: &[Uuid]| asking.cards(ids).await;
        let Several { sections: cards, lack, cold } = self.several(&ids, standing, ask).await;
        let bonds = bound.into_iter().filter_map(|one| bond(one, cards.get(&id(one))?)).collect();
        Bonds { bonds, lack, cold }
    }
}
