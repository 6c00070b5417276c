//! Roles that one party should not hold together without whoever deals with it knowing. Client and provider are flexible
//! roles, and most of them go together; these pairs have one side judge, or know, what the other side gains by.

/// Two role types, and why an agent has to know. `README.md` of this service has the same table.
pub(crate) const CONFLICTS: &[(&str, &str, &str)] = &[
    ("government", "supplier", "who oversees us also sells to us"),
    ("government", "dealer", "who oversees us also sells for us"),
    ("government", "partner", "who oversees us also gains by what we do together"),
    ("government", "competitor", "who oversees us also competes with us"),
    ("government", "investor", "who oversees us also owns a part of us"),
    ("government", "employee", "who oversees us is also paid by us"),
    ("media", "supplier", "who reports on us also sells to us"),
    ("media", "partner", "who reports on us also gains by what we do together"),
    ("media", "competitor", "who reports on us also competes with us"),
    ("media", "investor", "who reports on us also gains by what we are worth"),
    ("media", "employee", "who reports on us is also paid by us"),
    ("competitor", "customer", "who competes with us also sees what we offer and to whom"),
    ("competitor", "supplier", "who competes with us also knows what we need"),
    ("competitor", "dealer", "who competes with us also sells for us"),
    ("competitor", "after-sales", "who competes with us also looks after what we sold"),
    ("competitor", "partner", "who competes with us also knows what we plan together"),
    ("competitor", "investor", "who competes with us also owns a part of us"),
    ("competitor", "employee", "who competes with us also works for us"),
    ("employee", "supplier", "who works for us also sells to us"),
];

/// What is to be known of a party that holds these roles: one sentence for each pair, without personal data.
pub(crate) fn conflicts(role_types: &[&str]) -> Vec<String> {
    let holds = |one: &str| role_types.contains(&one);
    let held = CONFLICTS.iter().filter(|(one, two, _)| holds(one) && holds(two));
    held.map(|(one, two, why)| format!("the party is {one} and {two} at once: {why}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pair_is_there_once_and_says_why() {
        let mut pairs = BTreeSet::new();
        for (one, two, why) in CONFLICTS {
            assert_ne!(one, two);
            assert!(pairs.insert(BTreeSet::from([*one, *two])), "{one} and {two} are there twice");
            assert!(!why.is_empty());
        }
    }

    #[test]
    fn what_is_documented_is_the_table() {
        let readme = include_str!("../../README.md");
        let rows: BTreeSet<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
        for (one, two, why) in CONFLICTS {
            let row = format!("| `{one}` | `{two}` | {why} |");
            assert!(rows.contains(row.as_str()), "README.md lacks {row}");
        }
        assert_eq!(rows.len(), CONFLICTS.len());
    }

    #[test]
    fn each_pair_is_told_by_itself_and_most_roles_go_together() {
        assert_eq!(conflicts(&["supplier", "customer", "dealer", "investor", "community", "partner"]), [""; 0]);
        assert_eq!(
            conflicts(&["supplier", "customer", "government"]),
            ["the party is government and supplier at once: who oversees us also sells to us"]
        );
        assert_eq!(conflicts(&["media", "competitor", "employee"]).len(), 3);
        // A role that is held in two scopes is held.
        assert_eq!(conflicts(&["media", "media", "investor"]).len(), 1);
        assert!(conflicts(&["media", "media"]).is_empty());
    }
}
