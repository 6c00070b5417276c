//! What to be careful about with a caller.

use super::role_conflict::conflicts;
use super::tie_conflict::{Bond, tie_conflicts};
use super::{Match, coded};

coded! {
    /// A sort of warning.
    Caution {
        /// The party is deceased.
        Deceased = 1 "deceased",
        /// The organisation is closed.
        Closed = 2 "closed",
        /// Several come into question.
        SeveralCandidates = 3 "several_candidates",
        /// Nobody is known by the identifier, or nobody said in time who is.
        UnknownCaller = 4 "unknown_caller",
        /// The identifier was withheld.
        Withheld = 5 "withheld",
        /// Roles that may be in conflict.
        RoleConflict = 6 "role_conflict",
        /// No consent for service on this medium.
        NoServiceConsent = 7 "no_service_consent",
        /// A section is not fresh.
        NotFresh = 8 "not_fresh",
        /// Something that we promised is late.
        OurPromiseLate = 9 "our_promise_late",
        /// The party is restricted.
        Restricted = 10 "restricted",
        /// Roles that may be in conflict, which a tie brings together.
        TieConflict = 11 "tie_conflict",
    }
}

/// What the warnings look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs<'a> {
    /// How the search for the caller ended; none when nobody searched.
    pub(crate) matched: Option<Match>,
    /// `deceased`, `closed` or empty.
    pub(crate) cessation: &'a str,
    /// It is set apart.
    pub(crate) restricted: bool,
    /// The role types that the party holds now.
    pub(crate) role_types: Vec<&'a str>,
    /// It is a person or a household.
    pub(crate) person: bool,
    /// The ties that bind it to others.
    pub(crate) bonds: &'a [Bond],
    /// How many of the promises of ours that are shown are late.
    pub(crate) late_promises: usize,
    /// Consent for service on this medium was taken back or refused.
    pub(crate) service_refused: bool,
    /// The services whose sections are not fresh.
    pub(crate) not_fresh: Vec<&'a str>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warned<'a> {
    /// What sort of warning it is.
    pub(crate) kind: Caution,
    /// The warning in a sentence without personal data.
    pub(crate) text: String,
    /// The ties that it comes by.
    pub(crate) through: Vec<&'a Bond>,
}

/// The warnings, the gravest first.
pub(crate) fn cautions<'a>(signs: &Signs<'a>) -> Vec<Warned<'a>> {
    let (before, after) = by_itself(signs);
    let alone = |(kind, text)| Warned { kind, text, through: Vec::new() };
    let tied = tie_conflicts(&signs.role_types, signs.person, signs.bonds);
    let tied = tied.into_iter().map(|one| Warned { kind: Caution::TieConflict, text: one.text, through: one.through });
    before.into_iter().map(alone).chain(tied).chain(after.into_iter().map(alone)).collect()
}

/// A sort of warning, and what it says.
type Plain = (Caution, String);

/// What the party is to be warned of without its ties: what is graver than a conflict that they bring, and what is less.
fn by_itself(signs: &Signs<'_>) -> (Vec<Plain>, Vec<Plain>) {
    let mut found = Vec::new();
    match signs.cessation {
        "deceased" => found.push((Caution::Deceased, "the party is deceased".to_owned())),
        "closed" => found.push((Caution::Closed, "the organisation is closed".to_owned())),
        _ => {}
    }
    if signs.restricted {
        found.push((Caution::Restricted, "the party is restricted: serve it, and ask nothing of it".to_owned()));
    }
    match signs.matched {
        Some(Match::Candidates) => found.push((
            Caution::SeveralCandidates,
            "several parties come into question: ask who it is before anything is told".to_owned(),
        )),
        Some(Match::Unknown) => {
            found.push((Caution::UnknownCaller, "nobody is known by this identifier".to_owned()));
        }
        Some(Match::Pending) => {
            found.push((Caution::UnknownCaller, "it could not be found out in time who this is".to_owned()));
        }
        Some(Match::Withheld) => found.push((Caution::Withheld, "the identifier was withheld".to_owned())),
        Some(Match::Resolved) | None => {}
    }
    found.extend(conflicts(&signs.role_types).into_iter().map(|text| (Caution::RoleConflict, text)));
    let graver = std::mem::take(&mut found);
    match signs.late_promises {
        0 => {}
        1 => found.push((Caution::OurPromiseLate, "a promise of ours to the party is late".to_owned())),
        many => found.push((Caution::OurPromiseLate, format!("{many} promises of ours to the party are late"))),
    }
    if signs.service_refused {
        found.push((
            Caution::NoServiceConsent,
            "the party does not want to be addressed for service on this medium".to_owned(),
        ));
    }
    if !signs.not_fresh.is_empty() {
        let mut services = signs.not_fresh.clone();
        services.sort_unstable();
        services.dedup();
        found.push((Caution::NotFresh, format!("not everything is fresh: {}", services.join(", "))));
    }
    (graver, found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_gravest_comes_first() {
        let bonds = [Bond { role_types: vec!["media".to_owned()], ..Bond::default() }];
        let signs = Signs {
            matched: Some(Match::Candidates),
            cessation: "deceased",
            restricted: true,
            role_types: vec!["supplier", "customer", "government"],
            person: true,
            bonds: &bonds,
            late_promises: 2,
            service_refused: true,
            not_fresh: vec!["scoring", "loyalty", "scoring"],
        };
        let found = cautions(&signs);
        let kinds: Vec<Caution> = found.iter().map(|one| one.kind).collect();
        use Caution::{
            Deceased, NoServiceConsent, NotFresh, OurPromiseLate, Restricted, RoleConflict, SeveralCandidates,
            TieConflict,
        };
        let gravest = [Deceased, Restricted, SeveralCandidates];
        assert_eq!(kinds[..3], gravest);
        assert_eq!(kinds[3..], [RoleConflict, TieConflict, OurPromiseLate, NoServiceConsent, NotFresh]);
        assert_eq!(found[4].through, [&bonds[0]]);
        assert_eq!(found[5].text, "2 promises of ours to the party are late");
        assert_eq!(found[7].text, "not everything is fresh: loyalty, scoring");
        assert!(cautions(&Signs { matched: Some(Match::Resolved), ..Signs::default() }).is_empty());
    }

    #[test]
    fn nobody_answered_is_not_nobody_is_known() {
        let told = |matched: Match| by_itself(&Signs { matched: Some(matched), ..Signs::default() }).0;
        let unknown = (Caution::UnknownCaller, "nobody is known by this identifier".to_owned());
        assert_eq!(told(Match::Unknown), [unknown]);
        let pending = (Caution::UnknownCaller, "it could not be found out in time who this is".to_owned());
        assert_eq!(told(Match::Pending), [pending]);
    }
}
