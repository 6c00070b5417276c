use rapport_scoring_models::decayed::{Observation, Share, Sign, Weight};
use rapport_types::{Timestamp, Uuid};

use super::Direction;

/// One row of the contribution log: what one version of an interaction contributes to one score of one origin, or the
/// taking back of it. Rows are only ever added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The interaction.
    pub(crate) interaction: Uuid,
    /// The version of it that this entry puts in or takes out.
    pub(crate) version: i64,
    /// Whether it puts in or takes out.
    pub(crate) sign: Sign,
    /// The id under which the fact came.
    pub(crate) origin: Uuid,
    /// Whether the origin is a party's own id, rather than an opaque one for an identifier.
    pub(crate) named: bool,
    /// The key of the definition.
    pub(crate) definition: &'static str,
    /// When the interaction happened, also for a taking back.
    pub(crate) occurred_at: Timestamp,
    /// When what this entry says became known.
    pub(crate) recorded_at: Timestamp,
    /// What happened, as a slug.
    pub(crate) kind: String,
    /// Who spoke to whom.
    pub(crate) direction: Direction,
    /// The fresh weight.
    pub(crate) weight: Weight,
    /// The satisfaction it shows.
    pub(crate) satisfaction: Share,
    /// Whether a valence said so.
    pub(crate) from_valence: bool,
    /// Whether other origins have a contribution from the same version. Should they turn out to be one party, only one
    /// of them counts.
    pub(crate) joint: bool,
}

impl Entry {
    /// What the mean sees of it.
    pub(crate) fn observation(&self) -> Observation {
        Observation { at: self.occurred_at.as_micros(), weight: self.weight, share: self.satisfaction }
    }

    /// The entry that takes this one back.
    pub(crate) fn reversed(&self, recorded_at: Timestamp) -> Entry {
        Entry { sign: Sign::Minus, recorded_at, ..self.clone() }
    }
}
