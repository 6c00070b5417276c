//! The types of relationships that every tenant has.

use rapport_types::error::FieldError;
use rapport_types::reason;

use super::party::PartyKind;
use super::text::{refuse, slug};

/// A type of relationship.
#[derive(Debug, PartialEq, Eq)]
pub struct RelationshipType {
    /// What relationships carry.
    pub slug: &'static str,
    /// The tie read from its start.
    pub label: &'static str,
    /// The tie read from its end.
    pub inverse_label: &'static str,
    /// It has no direction.
    pub symmetric: bool,
    /// The kinds of party it may start from.
    pub from: &'static [PartyKind],
    /// The kinds of party it may lead to.
    pub to: &'static [PartyKind],
}

use PartyKind::{Group, Household, Individual, Organization};

const PEOPLE: &[PartyKind] = &[Individual];
const HOMES: &[PartyKind] = &[Household];
const FIRMS: &[PartyKind] = &[Organization, Group];
const ACTORS: &[PartyKind] = &[Individual, Organization, Group];
const ALL: &[PartyKind] = &PartyKind::ALL;

const fn directed(
    slug: &'static str,
    label: &'static str,
    inverse_label: &'static str,
    from: &'static [PartyKind],
    to: &'static [PartyKind],
) -> RelationshipType {
    RelationshipType { slug, label, inverse_label, symmetric: false, from, to }
}

const fn mutual(slug: &'static str, label: &'static str, kinds: &'static [PartyKind]) -> RelationshipType {
    RelationshipType { slug, label, inverse_label: label, symmetric: true, from: kinds, to: kinds }
}

/// The built-in types, by slug.
pub const BUILT_IN: &[RelationshipType] = &[
    directed("advises", "advises", "is advised by", ACTORS, ALL),
    mutual("competes_with", "competes with", ACTORS),
    directed("covers", "reports on", "is covered by", ACTORS, ALL),
    directed("deals_for", "deals for", "is represented by dealer", ACTORS, ACTORS),
    directed("distributes", "distributes for", "is distributed by", ACTORS, ACTORS),
    directed("employs", "employs", "is employed by", ACTORS, PEOPLE),
    directed("influences", "influences", "is influenced by", ALL, ALL),
    directed("invests_in", "invests in", "has as investor", ALL, FIRMS),
    mutual("knows", "knows", ALL),
    directed("member_of_household", "is a member of", "has as member", PEOPLE, HOMES),
    directed("parent_of", "is the parent organisation of", "is a subsidiary of", FIRMS, FIRMS),
    mutual("partner_of", "is a partner of", ACTORS),
    directed("refers", "referred", "was referred by", ALL, ALL),
    directed("regulates", "regulates", "is regulated by", FIRMS, ALL),
    directed("supplies", "supplies", "is supplied by", ALL, ALL),
];

impl RelationshipType {
    /// The type of a slug.
    ///
    /// # Errors
    /// `REQUIRED`, `TOO_LONG`, `MALFORMED` or `UNKNOWN_TYPE`.
    pub fn parse(value: &str) -> Result<&'static RelationshipType, FieldError> {
        let value = slug(value)?;
        match Self::find(&value) {
            Some(found) => Ok(found),
            None => {
                let all: Vec<_> = BUILT_IN.iter().map(|one| one.slug).collect();
                refuse(reason::UNKNOWN_TYPE, format!("must be one of {}", all.join(", ")))
            }
        }
    }

    /// The type of a slug, if there is one.
    pub fn find(slug: &str) -> Option<&'static RelationshipType> {
        BUILT_IN.iter().find(|one| one.slug == slug)
    }

    /// The tie in words, read from its start or from its end.
    pub fn label(&self, from_start: bool) -> &'static str {
        if from_start { self.label } else { self.inverse_label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_and_well_formed() {
        assert!(BUILT_IN.is_sorted_by_key(|one| one.slug));
        for one in BUILT_IN {
            assert_eq!(RelationshipType::parse(one.slug).ok(), Some(one));
            assert!(!one.from.is_empty() && !one.to.is_empty());
            assert_eq!(one.symmetric, one.label == one.inverse_label, "{}", one.slug);
            assert!(!one.symmetric || one.from == one.to);
        }
        assert!(RelationshipType::parse("loathes").is_err());
    }
}
