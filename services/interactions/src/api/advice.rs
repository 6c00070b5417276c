use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::time::Timestamp;

use super::context::Sections;
use crate::domain::{Bond, Expiry, Facts, Health, Match, Resolution, Signs, cautions, consider};
use crate::queries::HEALTH;

/// The purpose whose consent lets a party be asked to speak for us.
const REFERENCE: &str = "reference";
/// The purpose whose refusal is to be minded when a party is served.
const SERVICE: &str = "service";

/// Whether there is something to go by: also the last that was known, where more is waited for.
fn known(status: Option<&proto::SectionStatus>) -> bool {
    use proto::SectionState::{Fresh, Pending, Stale};
    status.is_some_and(|status| match status.state() {
        Fresh | Stale => true,
        Pending => status.as_of_time.is_some(),
        _ => false,
    })
}

/// What to be careful about.
pub(super) fn warnings(sections: &Sections, resolution: Option<&Resolution>) -> Vec<proto::ContextWarning> {
    let statuses = [
        &sections.card.status,
        &sections.history.status,
        &sections.cases.status,
        &sections.promises.status,
        &sections.scores.status,
        &sections.value.status,
        &sections.loyalty.status,
        &sections.consents.status,
        &sections.network.status,
    ];
    let not_fresh = statuses
        .iter()
        .filter_map(|status| status.as_ref())
        .filter(|status| matches!(status.state(), proto::SectionState::Stale | proto::SectionState::Pending));
    let signs = Signs {
        matched: resolution.map(Resolution::matched),
        cessation: &sections.card.cessation,
        restricted: restricted(sections),
        role_types: sections.card.roles.iter().map(|role| role.role_type.as_str()).collect(),
        person: matches!(sections.card.kind.as_str(), "individual" | "household"),
        bonds: &sections.bonds,
        late_promises: late(sections),
        service_refused: sections
            .consents
            .consents
            .iter()
            .any(|consent| consent.purpose == SERVICE && consent.reason == "withdrawn"),
        not_fresh: not_fresh.map(|status| status.source.as_str()).collect(),
    };
    let told = cautions(&signs);
    let tie = |bond: &Bond| proto::ContextTie {
        party: bond.neighbor.clone(),
        relationship_type: bond.relationship_type.clone(),
        label: bond.label.clone(),
    };
    let told = told.into_iter().map(|one| proto::ContextWarning {
        kind: i32::from(one.kind.code()),
        text: one.text,
        ties: one.through.into_iter().map(tie).collect(),
    });
    told.collect()
}

/// Whether the card says that the party is set apart.
fn restricted(sections: &Sections) -> bool {
    sections.card.lifecycle == "restricted"
}

/// How many of the promises that are shown are ours and late.
fn late(sections: &Sections) -> usize {
    let promises = &sections.promises.commitments;
    promises.iter().filter(|promise| promise.late && promise.side() == proto::CommitmentSide::Ours).count()
}

/// Whether every late promise is among those that are shown: the late ones come first.
fn all_late_shown(section: &proto::CommitmentSection) -> bool {
    !section.truncated || section.commitments.last().is_some_and(|promise| !promise.late)
}

/// What to do next, and what else was considered.
pub(super) fn next_best_action(
    sections: &Sections,
    known_party: bool,
    resolution: Option<&Resolution>,
    now: Timestamp,
) -> Option<proto::NextBestAction> {
    let considered = consider(&facts(sections, known_party, resolution, now));
    let chosen = considered.iter().find(|one| one.applies)?.clone();
    let candidates = considered.into_iter().map(|one| proto::ActionCandidate {
        action: i32::from(one.action.code()),
        applies: one.applies,
        reason: one.reason,
    });
    Some(proto::NextBestAction {
        action: i32::from(chosen.action.code()),
        reason: chosen.reason,
        candidates: candidates.collect(),
    })
}

fn facts(sections: &Sections, known_party: bool, resolution: Option<&Resolution>, now: Timestamp) -> Facts {
    let complaints = sections.cases.cases.iter().filter(|case| case.r#type == "complaint").count();
    let health = sections.scores.scores.iter().find(|score| score.definition == HEALTH && score.contribution_count > 0);
    let reference = sections.consents.consents.iter().find(|consent| consent.purpose == REFERENCE);
    Facts {
        known: known_party,
        candidates: resolution
            .filter(|resolution| resolution.matched() == Match::Candidates)
            .map_or(0, |resolution| resolution.candidates.len()),
        cessation: known(sections.card.status.as_ref()).then(|| sections.card.cessation.clone()),
        restricted: restricted(sections),
        // More than are shown may be open.
        cases_known: known(sections.cases.status.as_ref()) && !sections.cases.truncated,
        open_complaints: complaints,
        open_cases: sections.cases.cases.len() - complaints,
        promises_known: known(sections.promises.status.as_ref()) && all_late_shown(&sections.promises),
        late_promises: late(sections),
        health: health.map(|score| Health { value_micros: score.value_micros, change_micros: score.change_micros }),
        alive: sections.value.alive_probability,
        valuable: sections.value.lifetime_value.as_ref().is_some_and(|money| money.units >= 1),
        unhappy_neighbors: known(sections.network.status.as_ref()).then(|| unhappy(&sections.network)),
        expiry: expiry(&sections.loyalty, now),
        may_refer: reference.map(|consent| consent.allowed),
    }
}

/// How many of those who are shown are unhappy. They come first, so that none is hidden behind somebody who is not.
fn unhappy(network: &proto::NetworkSection) -> usize {
    let unhappy = |one: &&proto::NeighborReason| one.kind() == proto::NeighborReasonKind::Unhappy;
    network.neighbors.iter().filter(|one| one.reasons.iter().any(|reason| unhappy(&reason))).count()
}

/// The soonest expiry.
fn expiry(loyalty: &proto::LoyaltySection, now: Timestamp) -> Option<Expiry> {
    let all = loyalty.members.iter().flat_map(|member| &member.expiries);
    let mut soonest: Vec<(Timestamp, i64)> = all
        .filter_map(|expiry| Some((wire::timestamp(expiry.expire_time.as_ref()?).ok()?, expiry.amount)))
        .filter(|(at, _)| *at > now)
        .collect();
    soonest.sort_unstable();
    let (at, amount) = soonest.first()?;
    Some(Expiry { amount: *amount, days: at.micros_since(now) / 86_400_000_000 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proto::SectionState::{Fresh, Pending, Redacted, Stale};
    use rapport_types::{Currency, Money};

    use super::*;
    use crate::queries::section_status;

    fn status(state: proto::SectionState) -> Option<proto::SectionStatus> {
        Some(section_status("somebody", state, String::new(), None))
    }

    /// A glad party of whom everything is known.
    fn glad() -> Sections {
        let score = proto::ContextScore {
            definition: HEALTH.to_owned(),
            value_micros: 90_000_000,
            contribution_count: 3,
            ..proto::ContextScore::default()
        };
        let consent =
            proto::ContextConsent { purpose: REFERENCE.to_owned(), allowed: true, ..proto::ContextConsent::default() };
        Sections {
            card: proto::CardSection { status: status(Fresh), ..proto::CardSection::default() },
            history: proto::HistorySection { status: status(Fresh), interactions: Vec::new() },
            cases: proto::CaseSection { status: status(Fresh), ..proto::CaseSection::default() },
            promises: proto::CommitmentSection { status: status(Fresh), ..proto::CommitmentSection::default() },
            scores: proto::ScoreSection { status: status(Fresh), scores: vec![score] },
            value: proto::ValueSection { status: status(Fresh), ..proto::ValueSection::default() },
            loyalty: proto::LoyaltySection { status: status(Fresh), members: Vec::new() },
            consents: proto::ConsentSection { status: status(Fresh), consents: vec![consent] },
            network: proto::NetworkSection { status: status(Fresh), ..proto::NetworkSection::default() },
            bonds: Vec::new(),
            keep: Vec::new(),
            want: Vec::new(),
            rests: None,
            no_such_party: false,
        }
    }

    fn advised(sections: &Sections) -> proto::NextBestAction {
        next_best_action(sections, true, None, Timestamp::from_micros(0)).unwrap()
    }

    fn reason(advice: &proto::NextBestAction, action: proto::ActionKind) -> &str {
        &advice.candidates.iter().find(|one| one.action() == action).unwrap().reason
    }

    #[test]
    fn nobody_is_invited_while_it_is_not_known_what_is_open() {
        let known = advised(&glad());
        assert_eq!(known.action(), proto::ActionKind::InviteAdvocacy);
        assert_eq!(reason(&known, proto::ActionKind::SolveComplaint), "no complaint is open");
        for state in [Pending, Redacted] {
            let cases = proto::CaseSection { status: status(state), ..proto::CaseSection::default() };
            let told = advised(&Sections { cases, ..glad() });
            assert_eq!(told.action(), proto::ActionKind::Serve, "{state:?}");
            let unknown = "it is not known whether a complaint is open";
            assert_eq!(reason(&told, proto::ActionKind::SolveComplaint), unknown, "{state:?}");
            assert_eq!(reason(&told, proto::ActionKind::InviteAdvocacy), unknown, "{state:?}");
        }
        // More is open than is shown, and what is shown is no complaint.
        let cases = vec![proto::Case { r#type: "question".to_owned(), ..proto::Case::default() }];
        let told = advised(&Sections {
            cases: proto::CaseSection { status: status(Fresh), cases, truncated: true },
            ..glad()
        });
        assert_eq!(told.action(), proto::ActionKind::UpdateCase);
        assert_eq!(reason(&told, proto::ActionKind::SolveComplaint), "it is not known whether a complaint is open");
    }

    fn promise(side: proto::CommitmentSide, late: bool) -> proto::Commitment {
        proto::Commitment { side: side.into(), late, ..proto::Commitment::default() }
    }

    fn promised(commitments: Vec<proto::Commitment>, truncated: bool) -> Sections {
        Sections { promises: proto::CommitmentSection { status: status(Fresh), commitments, truncated }, ..glad() }
    }

    #[test]
    fn a_late_promise_of_ours_is_kept_before_anything_is_asked_for() {
        use proto::CommitmentSide::{Ours, Theirs};
        let told = |sections: &Sections| {
            let late = proto::WarningKind::OurPromiseLate;
            (advised(sections).action(), warnings(sections, None).iter().any(|warning| warning.kind() == late))
        };
        assert_eq!(told(&promised(vec![promise(Ours, true)], false)), (proto::ActionKind::KeepPromise, true));
        let others = vec![promise(Theirs, true), promise(Ours, false)];
        assert_eq!(told(&promised(others.clone(), false)), (proto::ActionKind::InviteAdvocacy, false));
        // More is open than is shown: what is late comes first, so that none of it is hidden behind what is not.
        assert_eq!(told(&promised(others, true)), (proto::ActionKind::InviteAdvocacy, false));
        let hidden = promised(vec![promise(Theirs, true)], true);
        assert_eq!(told(&hidden), (proto::ActionKind::Serve, false));
        let unknown = "it is not known whether a promise of ours is late";
        assert_eq!(reason(&advised(&hidden), proto::ActionKind::KeepPromise), unknown);
        for state in [Pending, Redacted] {
            let promises = proto::CommitmentSection { status: status(state), ..proto::CommitmentSection::default() };
            let told = advised(&Sections { promises, ..glad() });
            assert_eq!(told.action(), proto::ActionKind::Serve, "{state:?}");
            assert_eq!(reason(&told, proto::ActionKind::KeepPromise), unknown, "{state:?}");
            assert_eq!(reason(&told, proto::ActionKind::InviteAdvocacy), unknown, "{state:?}");
        }
    }

    #[test]
    fn nobody_is_won_back_while_it_is_not_known_whether_they_live() {
        let leaving = || {
            let worth = Money::new(9, 0, Currency::parse("EUR").unwrap()).unwrap();
            let worth = Some(wire::to_money(worth));
            let value = proto::ValueSection { alive_probability: Some(0.1), lifetime_value: worth, ..glad().value };
            Sections { value, ..glad() }
        };
        assert_eq!(advised(&leaving()).action(), proto::ActionKind::Retain);
        for state in [Pending, Redacted] {
            let card = proto::CardSection { status: status(state), ..proto::CardSection::default() };
            let told = advised(&Sections { card, ..leaving() });
            assert_eq!(told.action(), proto::ActionKind::Serve, "{state:?}");
        }
        let card = proto::CardSection { lifecycle: "restricted".to_owned(), ..glad().card };
        let apart = Sections { card, ..leaving() };
        assert_eq!(advised(&apart).action(), proto::ActionKind::Serve);
        assert_eq!(warnings(&apart, None)[0].kind(), proto::WarningKind::Restricted);
        // The last that was known is known.
        let card = proto::CardSection { status: status(Stale), ..proto::CardSection::default() };
        assert_eq!(advised(&Sections { card, ..leaving() }).action(), proto::ActionKind::Retain);
    }
}
