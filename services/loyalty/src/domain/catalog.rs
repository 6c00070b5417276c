use std::collections::BTreeMap;

use rapport_types::Uuid;

use super::program::Program;
use super::rule::Rule;
use super::tier::Ladder;
use super::unit::UnitType;

/// A programme with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Catalog {
    pub(crate) program: Program,
    pub(crate) units: BTreeMap<Uuid, UnitType>,
    pub(crate) rules: BTreeMap<Uuid, Rule>,
    pub(crate) ladder: Ladder,
}

impl Catalog {
    /// The most unit types of a programme.
    pub(crate) const MOST_UNITS: usize = 50;
    /// The most rules of a programme.
    pub(crate) const MOST_RULES: usize = 200;
    /// The most tiers of a programme.
    pub(crate) const MOST_TIERS: usize = 20;

    /// What a draft lacks before it can be published.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        if self.units.is_empty() {
            Some("a unit type")
        } else if self.rules.is_empty() {
            Some("an earning rule")
        } else {
            None
        }
    }
}
