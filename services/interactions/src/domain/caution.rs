//! What to be careful about with a caller.

use super::role_conflict::conflicts;
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
    /// How many of the promises of ours that are shown are late.
    pub(crate) late_promises: usize,
    /// Consent for service on this medium was taken back or refused.
    pub(crate) service_refused: bool,
    /// The services whose sections are not fresh.
    pub(crate) not_fresh: Vec<&'a str>,
}

/// The warnings, the gravest first, each in a sentence without personal data.
pub(crate) fn cautions(signs: &Signs<'_>) -> Vec<(Caution, String)> {
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
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_gravest_comes_first() {
        let signs = Signs {
            matched: Some(Match::Candidates),
            cessation: "deceased",
            restricted: true,
            role_types: vec!["supplier", "customer", "government"],
            late_promises: 2,
            service_refused: true,
            not_fresh: vec!["scoring", "loyalty", "scoring"],
        };
        let found = cautions(&signs);
        let kinds: Vec<Caution> = found.iter().map(|(kind, _)| *kind).collect();
        use Caution::{
            Deceased, NoServiceConsent, NotFresh, OurPromiseLate, Restricted, RoleConflict, SeveralCandidates,
        };
        let gravest = [Deceased, Restricted, SeveralCandidates];
        assert_eq!(kinds[..3], gravest);
        assert_eq!(kinds[3..], [RoleConflict, OurPromiseLate, NoServiceConsent, NotFresh]);
        assert_eq!(found[4].1, "2 promises of ours to the party are late");
        assert_eq!(found[6].1, "not everything is fresh: loyalty, scoring");
        assert!(cautions(&Signs { matched: Some(Match::Resolved), ..Signs::default() }).is_empty());
    }

    #[test]
    fn nobody_answered_is_not_nobody_is_known() {
        let told = |matched: Match| cautions(&Signs { matched: Some(matched), ..Signs::default() });
        let unknown = (Caution::UnknownCaller, "nobody is known by this identifier".to_owned());
        assert_eq!(told(Match::Unknown), [unknown]);
        let pending = (Caution::UnknownCaller, "it could not be found out in time who this is".to_owned());
        assert_eq!(told(Match::Pending), [pending]);
    }
}
