//! What to do next with a caller: a table of rules, looked at from the top. The first one that applies is the answer,
//! and all of them are told, so that an agent sees what was considered. What is not known never makes a rule apply.

use super::coded;

/// A relationship below this many millionths of a point suffers.
pub(crate) const UNHAPPY_MICROS: i64 = 40_000_000;
/// A fall of this many millionths of a point within 30 days is one to ask about.
const FALL_MICROS: i64 = 10_000_000;
/// A relationship from here on is a glad one.
const GLAD_MICROS: i64 = 70_000_000;
/// Below this, a customer is more likely gone than not.
const LEAVING: f64 = 0.5;

coded! {
    /// An action, in the order in which they are considered; the codes say when each was added.
    Action {
        /// Find out who it is.
        Identify = 1 "identify",
        /// Express regret, offer nothing.
        Condole = 2 "condole",
        /// Move the open complaint.
        SolveComplaint = 3 "solve_complaint",
        /// Keep the promise of ours that is late.
        KeepPromise = 11 "keep_promise",
        /// Say where the open case stands.
        UpdateCase = 4 "update_case",
        /// Make good what went wrong.
        Recover = 5 "recover",
        /// Win them back.
        Retain = 6 "retain",
        /// Ask about somebody near them.
        AskAboutNeighbor = 7 "ask_about_neighbor",
        /// Tell that units expire.
        RemindExpiry = 8 "remind_expiry",
        /// Invite them to speak for us.
        InviteAdvocacy = 9 "invite_advocacy",
        /// Nothing special.
        Serve = 10 "serve",
    }
}

/// A score that rests on facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// In millionths of a point, 0 to 100000000.
    pub(crate) value_micros: i64,
    /// Against 30 days before.
    pub(crate) change_micros: Option<i64>,
}

/// Units that expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// How many, in minor units.
    pub(crate) amount: i64,
    /// In how many days.
    pub(crate) days: i64,
}

/// What the rules look at. `None` is what nobody could say in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// It is known who calls.
    pub(crate) known: bool,
    /// How many come into question, while it is not.
    pub(crate) candidates: usize,
    /// The party ceased: `deceased` or `closed`; empty when it lives.
    pub(crate) cessation: Option<String>,
    /// The party is known to be set apart.
    pub(crate) restricted: bool,
    /// Everything of theirs that is not solved could be looked at: where a count is 0, there is none.
    pub(crate) cases_known: bool,
    /// Complaints of theirs that are not solved.
    pub(crate) open_complaints: usize,
    /// Other cases of theirs that are not solved.
    pub(crate) open_cases: usize,
    /// Every late promise of ours to them could be looked at: where the count is 0, there is none.
    pub(crate) promises_known: bool,
    /// Promises of ours to them that are late.
    pub(crate) late_promises: usize,
    /// Relationship health, where it rests on facts.
    pub(crate) health: Option<Health>,
    /// How likely it is that they will order again.
    pub(crate) alive: Option<f64>,
    /// They ordered before, and what they order is worth something.
    pub(crate) valuable: bool,
    /// How many near them are unhappy.
    pub(crate) unhappy_neighbors: Option<usize>,
    /// What expires soon.
    pub(crate) expiry: Option<Expiry>,
    /// They may be asked to speak for us on this medium.
    pub(crate) may_refer: Option<bool>,
}

/// One rule, as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Considered {
    /// What it would have us do.
    pub(crate) action: Action,
    /// It applies.
    pub(crate) applies: bool,
    /// Why it does or does not; no personal data.
    pub(crate) reason: String,
}

/// Looks at every rule, in order. The first one that applies is what to do; the last one always does.
pub(crate) fn consider(facts: &Facts) -> Vec<Considered> {
    Action::ALL
        .iter()
        .map(|(action, _, _)| {
            let (applies, reason) = rule(*action, facts);
            Considered { action: *action, applies, reason }
        })
        .collect()
}

/// Points of a score, for people.
pub(crate) fn points(micros: i64) -> String {
    let tenths = micros.div_euclid(100_000);
    format!("{}.{}", tenths.div_euclid(10), tenths.rem_euclid(10))
}

const RESTRICTED: &str = "the party is restricted";
const UNKNOWN_LIFE: &str = "it is not known whether the party lives";
const UNKNOWN_COMPLAINTS: &str = "it is not known whether a complaint is open";
const UNKNOWN_PROMISES: &str = "it is not known whether a promise of ours is late";

fn rule(action: Action, facts: &Facts) -> (bool, String) {
    match action {
        Action::Identify => match (facts.known, facts.candidates) {
            (true, _) => (false, "it is known who it is".to_owned()),
            (false, 0) => (true, "it is not known who it is: ask".to_owned()),
            (false, count) => (true, format!("{count} come into question: ask before anything is told")),
        },
        Action::Condole => match facts.cessation.as_deref() {
            None => (false, UNKNOWN_LIFE.to_owned()),
            Some("") => (false, "nothing says that the party ceased".to_owned()),
            Some(how) => (true, format!("the party is {how}: offer nothing, settle what is open")),
        },
        Action::SolveComplaint => match facts.open_complaints {
            0 if !facts.cases_known => (false, UNKNOWN_COMPLAINTS.to_owned()),
            open => count(open, "complaint is open", "complaints are open"),
        },
        Action::KeepPromise => match facts.late_promises {
            0 if !facts.promises_known => (false, UNKNOWN_PROMISES.to_owned()),
            0 => (false, "no promise of ours is late".to_owned()),
            1 => (true, "1 promise of ours is late: say when it will be kept, and keep it".to_owned()),
            more => (true, format!("{more} promises of ours are late: say when they will be kept, and keep them")),
        },
        Action::UpdateCase => match facts.open_cases {
            0 if !facts.cases_known => (false, "it is not known whether another case is open".to_owned()),
            open => count(open, "other case is open", "other cases are open"),
        },
        Action::Recover => recover(facts.health),
        Action::Retain => retain(facts),
        Action::AskAboutNeighbor | Action::RemindExpiry if facts.restricted => (false, RESTRICTED.to_owned()),
        Action::AskAboutNeighbor => match facts.unhappy_neighbors {
            None => (false, "it is not known who is near".to_owned()),
            Some(0) => (false, "nobody near is known to be unhappy".to_owned()),
            Some(1) => (true, "somebody near is unhappy: ask, and offer help".to_owned()),
            Some(many) => (true, format!("{many} near are unhappy: ask, and offer help")),
        },
        Action::RemindExpiry => match facts.expiry {
            None => (false, "nothing is known to expire soon".to_owned()),
            Some(Expiry { amount, days }) => (true, format!("{amount} units expire in {days} days")),
        },
        Action::InviteAdvocacy => invite(facts),
        Action::Serve => (true, "nothing calls for anything else: serve them well".to_owned()),
    }
}

fn count(count: usize, one: &str, many: &str) -> (bool, String) {
    match count {
        0 => (false, format!("no {one}")),
        1 => (true, format!("1 {one}: say where it stands, and move it")),
        more => (true, format!("{more} {many}: say where they stand, and move them")),
    }
}

fn recover(health: Option<Health>) -> (bool, String) {
    let Some(health) = health else {
        return (false, "relationship health rests on no facts".to_owned());
    };
    let value = points(health.value_micros);
    let fall = health.change_micros.filter(|change| *change <= -FALL_MICROS);
    match fall {
        Some(change) => {
            (true, format!("relationship health fell by {} to {value} within 30 days: ask why", points(-change)))
        }
        None if health.value_micros < UNHAPPY_MICROS => {
            (true, format!("relationship health is {value} of 100: listen, and make good what went wrong"))
        }
        None => (false, format!("relationship health is {value} of 100")),
    }
}

/// Why nothing is to be asked of the party for our own sake; none when it is known to live, and is not set apart.
fn off_limits(facts: &Facts) -> Option<String> {
    match facts.cessation.as_deref() {
        None => Some(UNKNOWN_LIFE.to_owned()),
        Some("") => facts.restricted.then(|| RESTRICTED.to_owned()),
        Some(how) => Some(format!("the party is {how}")),
    }
}

fn retain(facts: &Facts) -> (bool, String) {
    if let Some(reason) = off_limits(facts) {
        return (false, reason);
    }
    match facts.alive {
        None => (false, "no model says whether they will order again".to_owned()),
        Some(alive) if alive >= LEAVING => {
            (false, format!("they will order again with a probability of {}", percent(alive)))
        }
        Some(alive) if facts.valuable => {
            (true, format!("they are leaving: a probability of {} that they order again", percent(alive)))
        }
        Some(_) => (false, "what they ordered is worth too little to win them back".to_owned()),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn invite(facts: &Facts) -> (bool, String) {
    if let Some(reason) = off_limits(facts) {
        return (false, reason);
    }
    if !facts.cases_known {
        return (false, UNKNOWN_COMPLAINTS.to_owned());
    }
    if !facts.promises_known {
        return (false, UNKNOWN_PROMISES.to_owned());
    }
    let Some(health) = facts.health else {
        return (false, "relationship health rests on no facts".to_owned());
    };
    let value = points(health.value_micros);
    if health.value_micros < GLAD_MICROS {
        return (false, format!("relationship health is {value}, less than {}", points(GLAD_MICROS)));
    }
    match facts.may_refer {
        Some(true) => (true, format!("relationship health is {value}, and they agreed to be asked")),
        Some(false) => (false, "they did not agree to be asked".to_owned()),
        None => (false, "it is not known whether they agreed to be asked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn chosen(facts: &Facts) -> Action {
        consider(facts).into_iter().find(|one| one.applies).unwrap().action
    }

    /// A glad party with everything to be said about it.
    fn glad() -> Facts {
        Facts {
            known: true,
            cessation: Some(String::new()),
            cases_known: true,
            promises_known: true,
            health: Some(Health { value_micros: 80_000_000, change_micros: Some(1_000_000) }),
            alive: Some(0.9),
            valuable: true,
            unhappy_neighbors: Some(0),
            may_refer: Some(true),
            ..Facts::default()
        }
    }

    #[test]
    fn each_rule_has_its_moment() {
        assert_eq!(chosen(&Facts::default()), Action::Identify);
        assert_eq!(chosen(&glad()), Action::InviteAdvocacy);
        assert_eq!(chosen(&Facts { may_refer: Some(false), ..glad() }), Action::Serve);
        let expiry = Some(Expiry { amount: 500, days: 12 });
        assert_eq!(chosen(&Facts { expiry, ..glad() }), Action::RemindExpiry);
        assert_eq!(chosen(&Facts { expiry, unhappy_neighbors: Some(2), ..glad() }), Action::AskAboutNeighbor);
        assert_eq!(chosen(&Facts { expiry, alive: Some(0.2), ..glad() }), Action::Retain);
        let health = Some(Health { value_micros: 30_000_000, change_micros: None });
        assert_eq!(chosen(&Facts { health, alive: Some(0.2), ..glad() }), Action::Recover);
        assert_eq!(chosen(&Facts { health, open_cases: 1, ..glad() }), Action::UpdateCase);
        assert_eq!(chosen(&Facts { open_cases: 1, late_promises: 1, ..glad() }), Action::KeepPromise);
        let complaint = Facts { open_cases: 1, open_complaints: 1, late_promises: 1, ..glad() };
        assert_eq!(chosen(&complaint), Action::SolveComplaint);
        let cessation = Some("deceased".to_owned());
        assert_eq!(chosen(&Facts { cessation, open_complaints: 1, ..glad() }), Action::Condole);
    }

    #[test]
    fn a_fall_calls_for_recovery_whatever_is_left() {
        let health = |value_micros, change_micros| Facts {
            health: Some(Health { value_micros, change_micros }),
            may_refer: None,
            ..glad()
        };
        assert_eq!(chosen(&health(75_000_000, Some(-10_000_000))), Action::Recover);
        assert_eq!(chosen(&health(75_000_000, Some(-9_999_999))), Action::Serve);
        assert_eq!(chosen(&health(39_999_999, None)), Action::Recover);
        assert_eq!(chosen(&health(40_000_000, None)), Action::Serve);
    }

    #[test]
    fn what_is_not_known_is_said_to_be_so_and_nothing_is_asked_of_anybody_for_it() {
        let told = |facts: &Facts, action: Action| {
            let found = consider(facts).into_iter().find(|one| one.action == action).unwrap();
            (found.applies, found.reason)
        };
        let blind = Facts { cases_known: false, ..glad() };
        assert_eq!(chosen(&blind), Action::Serve);
        for (action, reason) in [
            (Action::SolveComplaint, "it is not known whether a complaint is open"),
            (Action::UpdateCase, "it is not known whether another case is open"),
            (Action::InviteAdvocacy, "it is not known whether a complaint is open"),
        ] {
            assert_eq!(told(&blind, action), (false, reason.to_owned()), "{action:?}");
        }
        assert_eq!(told(&glad(), Action::SolveComplaint), (false, "no complaint is open".to_owned()));
        let unpromised = Facts { promises_known: false, ..glad() };
        assert_eq!(chosen(&unpromised), Action::Serve);
        for action in [Action::KeepPromise, Action::InviteAdvocacy] {
            let reason = "it is not known whether a promise of ours is late";
            assert_eq!(told(&unpromised, action), (false, reason.to_owned()), "{action:?}");
        }
        assert_eq!(told(&glad(), Action::KeepPromise), (false, "no promise of ours is late".to_owned()));
        assert_eq!(chosen(&Facts { late_promises: 2, ..unpromised }), Action::KeepPromise);
        // What is seen of a part is seen.
        assert_eq!(chosen(&Facts { open_cases: 2, ..blind }), Action::UpdateCase);
        let leaving = Facts { alive: Some(0.1), ..glad() };
        assert!(told(&leaving, Action::Retain).0);
        for (cessation, reason) in
            [(None, "it is not known whether the party lives"), (Some("deceased".to_owned()), "the party is deceased")]
        {
            let facts = Facts { cessation, ..leaving.clone() };
            assert_eq!(told(&facts, Action::Retain), (false, reason.to_owned()));
            assert_eq!(told(&facts, Action::InviteAdvocacy), (false, reason.to_owned()));
        }
        // Who is set apart is served.
        let apart = Facts { restricted: true, open_cases: 1, late_promises: 1, ..leaving };
        for action in [Action::Retain, Action::AskAboutNeighbor, Action::RemindExpiry, Action::InviteAdvocacy] {
            assert_eq!(told(&apart, action), (false, "the party is restricted".to_owned()), "{action:?}");
        }
        assert_eq!(chosen(&apart), Action::KeepPromise);
    }

    #[test]
    fn points_are_rounded_down() {
        assert_eq!(points(59_990_000), "59.9");
        assert_eq!(points(0), "0.0");
        assert_eq!(points(100_000_000), "100.0");
    }

    proptest! {
        /// Whatever is known: every rule is told once, in order; the last one applies; a party that is not known is
        /// never offered anything, one that is not known to live is asked for nothing, and what nobody could look at is
        /// not said to be absent.
        #[test]
        fn there_is_always_one_thing_to_do(
            known in any::<bool>(), candidates in 0..5usize, ceased in proptest::option::of("(|deceased|closed)"),
            restricted in any::<bool>(),
            complaints in 0..3usize, cases in 0..3usize, cases_known in any::<bool>(),
            promises in 0..3usize, promises_known in any::<bool>(),
            value in proptest::option::of((0..=100_000_000i64, proptest::option::of(-100_000_000..100_000_000i64))),
            alive in proptest::option::of(0.0..=1.0f64), valuable in any::<bool>(),
            near in proptest::option::of(0..4usize), refer in proptest::option::of(any::<bool>()),
        ) {
            let facts = Facts {
                known, candidates, cessation: ceased, restricted, cases_known, open_complaints: complaints, open_cases: cases,
                promises_known, late_promises: promises,
                health: value.map(|(value_micros, change_micros)| Health { value_micros, change_micros }),
                alive, valuable, unhappy_neighbors: near, expiry: None, may_refer: refer,
            };
            let considered = consider(&facts);
            let order: Vec<i16> = considered.iter().map(|one| one.action.code()).collect();
            prop_assert_eq!(order, [1, 2, 3, 11, 4, 5, 6, 7, 8, 9, 10]);
            prop_assert!(considered.last().unwrap().applies);
            prop_assert!(considered.iter().all(|one| !one.reason.is_empty()));
            if !known {
                prop_assert_eq!(chosen(&facts), Action::Identify);
            }
            let of = |action: Action| considered.iter().find(|one| one.action == action).unwrap();
            if facts.cessation.as_deref() != Some("") || restricted {
                prop_assert!(!of(Action::Retain).applies && !of(Action::InviteAdvocacy).applies);
            }
            prop_assert!((cases_known && promises_known) || !of(Action::InviteAdvocacy).applies);
            for (action, count, looked) in [
                (Action::SolveComplaint, complaints, cases_known),
                (Action::KeepPromise, promises, promises_known),
                (Action::UpdateCase, cases, cases_known),
            ] {
                let told = of(action);
                prop_assert_eq!(told.applies, count > 0);
                prop_assert_eq!(told.reason.starts_with("it is not known"), count == 0 && !looked);
            }
            // A late promise of ours comes before everything but who it is, whether they live, and what they complain of.
            if promises > 0 {
                prop_assert!(chosen(&facts) == Action::KeepPromise
                    || matches!(chosen(&facts), Action::Identify | Action::Condole | Action::SolveComplaint));
            }
        }
    }
}
