//! Roles in conflict that a party holds by its ties: whoever is bound to another stands, for us, where that other one
//! stands too. A journalist whom a competitor employs is both. Only direct ties count.

use super::role_conflict::CONFLICTS;

/// The types of ties by which one gains by what the other does, or answers for it, whichever way round they are read.
/// `README.md` of this service lists the same.
pub(crate) const BINDING: &[&str] =
    &["advises", "deals_for", "distributes", "employs", "invests_in", "member_of_household", "parent_of", "partner_of"];

/// A tie that binds, and the roles of whoever is at its other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bond {
    /// `parties/{id}` of the neighbour.
    pub(crate) neighbor: String,
    /// The type of the tie.
    pub(crate) relationship_type: String,
    /// The tie as it is read from the party.
    pub(crate) label: String,
    /// The role types that the neighbour holds now.
    pub(crate) role_types: Vec<String>,
}

/// Two roles that meet in a party by a tie, or by two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TieConflict<'a> {
    /// What is to be known, in a sentence without personal data.
    pub(crate) text: String,
    /// The ties that it comes by.
    pub(crate) through: Vec<&'a Bond>,
}

impl Bond {
    fn holds(&self, role_type: &str) -> bool {
        self.role_types.iter().any(|held| held == role_type)
    }
}

/// The conflicts that come by ties, one for each pair of roles at most, by the first of the bonds that makes it. A pair
/// that the party holds by itself is none of them. `person`: the party is one, or a household, in whom what two ties bind
/// it to meets too; an organisation has many ties, and nobody who stands in all of them.
pub(crate) fn tie_conflicts<'a>(role_types: &[&str], person: bool, bonds: &'a [Bond]) -> Vec<TieConflict<'a>> {
    let held = |role: &str| role_types.contains(&role);
    let bound = |role: &str| bonds.iter().find(|bond| bond.holds(role));
    let mut found = Vec::new();
    for (one, two, why) in CONFLICTS {
        if held(one) && held(two) {
            continue;
        }
        let by_one_tie = [(one, two), (two, one)].into_iter().find_map(|(own, other)| {
            let bond = bound(other).filter(|_| held(own))?;
            let tie = &bond.relationship_type;
            let text = format!("the party is {own}, and tied to one who is {other} ({tie}): {why}");
            Some(TieConflict { text, through: vec![bond] })
        });
        let by_two = || {
            let mut first = bonds.iter().filter(|bond| person && bond.holds(one));
            first.find_map(|first| {
                let second = bonds.iter().find(|bond| bond.holds(two) && bond.neighbor != first.neighbor)?;
                let ties = (&first.relationship_type, &second.relationship_type);
                let text = format!(
                    "the party is tied to one who is {one} ({}) and to one who is {two} ({}): {why}",
                    ties.0, ties.1
                );
                Some(TieConflict { text, through: vec![first, second] })
            })
        };
        found.extend(by_one_tie.or_else(by_two));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn bond(neighbor: &str, tie: &str, roles: &[&str]) -> Bond {
        Bond {
            neighbor: neighbor.to_owned(),
            relationship_type: tie.to_owned(),
            label: String::new(),
            role_types: roles.iter().map(ToString::to_string).collect(),
        }
    }

    fn texts(found: &[TieConflict<'_>]) -> Vec<String> {
        found.iter().map(|one| one.text.clone()).collect()
    }

    #[test]
    fn a_role_meets_that_of_whoever_one_is_bound_to() {
        let bonds = [bond("a", "employs", &["competitor", "community"]), bond("b", "employs", &["competitor"])];
        let found = tie_conflicts(&["media"], true, &bonds);
        let told =
            "the party is media, and tied to one who is competitor (employs): who reports on us also competes with us";
        assert_eq!(texts(&found), [told]);
        assert_eq!(found[0].through, [&bonds[0]], "the first tie makes it, once");
        // The same from the other end, and nothing where the neighbour is in conflict with itself.
        let media = [bond("j", "employs", &["media"])];
        assert_eq!(tie_conflicts(&["competitor"], false, &media)[0].through, [&media[0]]);
        assert!(tie_conflicts(&[], true, &bonds).is_empty());
        // What the party holds by itself is told as such.
        assert!(tie_conflicts(&["media", "competitor"], true, &bonds[1..]).is_empty());
    }

    #[test]
    fn a_person_stands_where_two_others_do() {
        let bonds = [bond("a", "employs", &["government"]), bond("b", "invests_in", &["supplier"])];
        let found = tie_conflicts(&["customer"], true, &bonds);
        let told = "the party is tied to one who is government (employs) and to one who is supplier (invests_in): \
                    who oversees us also sells to us";
        assert_eq!(texts(&found), [told]);
        assert_eq!(found[0].through.len(), 2);
        assert!(tie_conflicts(&["customer"], false, &bonds).is_empty(), "nobody stands in all ties of a company");
        // One tie says more than two.
        let found = tie_conflicts(&["supplier"], true, &bonds);
        assert_eq!(found[0].through, [&bonds[0]]);
    }

    #[test]
    fn the_ties_that_bind_are_documented() {
        let listed: Vec<String> = BINDING.iter().map(|one| format!("`{one}`")).collect();
        let listed = format!("**Ties that bind**: {}.", listed.join(", "));
        assert!(include_str!("../../README.md").contains(&listed), "README.md lacks {listed}");
        assert!(BINDING.is_sorted());
    }
}
