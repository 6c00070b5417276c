use rapport_proto::interactions::v1 as proto;
use rapport_rpc::wire;
use rapport_types::time::Timestamp;

use super::context::Sections;
use crate::domain::{Expiry, Facts, Health, Match, Resolution, Signs, cautions, consider};
use crate::queries::HEALTH;

/// The purpose whose consent lets a party be asked to speak for us.
const REFERENCE: &str = "reference";
/// The purpose whose refusal is to be minded when a party is served.
const SERVICE: &str = "service";

fn known(status: Option<&proto::SectionStatus>) -> bool {
    status.is_some_and(|status| matches!(status.state(), proto::SectionState::Fresh | proto::SectionState::Stale))
}

/// What to be careful about.
pub(super) fn warnings(sections: &Sections, resolution: Option<&Resolution>) -> Vec<proto::ContextWarning> {
    let statuses = [
        &sections.card.status,
        &sections.history.status,
        &sections.cases.status,
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
        role_types: sections.card.roles.iter().map(|role| role.role_type.as_str()).collect(),
        service_refused: sections
            .consents
            .consents
            .iter()
            .any(|consent| consent.purpose == SERVICE && consent.reason == "withdrawn"),
        not_fresh: not_fresh.map(|status| status.source.as_str()).collect(),
    };
    let told = cautions(&signs);
    told.into_iter().map(|(kind, text)| proto::ContextWarning { kind: i32::from(kind.code()), text }).collect()
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
        open_complaints: complaints,
        open_cases: sections.cases.cases.len() - complaints,
        health: health.map(|score| Health { value_micros: score.value_micros, change_micros: score.change_micros }),
        alive: sections.value.alive_probability,
        valuable: sections.value.lifetime_value.as_ref().is_some_and(|money| money.units >= 1),
        unhappy_neighbors: known(sections.network.status.as_ref()).then_some(sections.network.neighbors.len()),
        expiry: expiry(&sections.loyalty, now),
        may_refer: reference.map(|consent| consent.allowed),
    }
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
