//! The answer of GetAgentContext in words.

use rapport_proto::interactions::v1 as ix;

use super::history::happened;
use crate::demo::program::Program;
use crate::demo::report::{Context, Felt, Membership, Permission, Promise, Unhappy};
use crate::demo::{wire, words};

/// The context as the report has it.
pub(super) fn told(answer: &ix::AgentContext, program: &Program) -> Context {
    let card = answer.card.clone().unwrap_or_default();
    let value = answer.value.clone().unwrap_or_default();
    let history = answer.history.as_ref().map(|section| section.interactions.as_slice()).unwrap_or_default();
    let cases = answer.cases.as_ref().map(|section| section.cases.as_slice()).unwrap_or_default();
    let action = answer.next_best_action.as_ref();
    Context {
        party: answer.party.clone(),
        display_name: card.display_name,
        standing: format!("{}, {}", card.kind, card.lifecycle),
        place: format!("{}, {}", card.country_code, card.time_zone),
        roles: card.roles.into_iter().map(|role| (role.role_type, role.scope)).collect(),
        last: history.iter().map(happened).collect(),
        cases: cases.iter().map(|case| (case.title.clone(), words::status(case.status()))).collect(),
        promises: answer.promises.iter().flat_map(|section| &section.commitments).map(promise).collect(),
        scores: answer.scores.iter().flat_map(|section| &section.scores).map(felt).collect(),
        alive: value.alive_probability,
        expected_purchases: value.expected_purchases,
        horizon_days: value.horizon_days,
        lifetime_cents: value.lifetime_value.as_ref().map(wire::hundredths),
        members: answer
            .loyalty
            .iter()
            .flat_map(|section| &section.members)
            .map(|member| membership(member, program))
            .collect(),
        consents: answer.consents.iter().flat_map(|section| &section.consents).map(permission).collect(),
        unhappy: answer.network.iter().flat_map(|section| &section.neighbors).filter_map(unhappy).collect(),
        warnings: answer.warnings.iter().map(|warning| warning.text.clone()).collect(),
        action: action.map(|next| (words::action(next.action()), next.reason.clone())).unwrap_or_default(),
        not_fresh: not_fresh(answer),
    }
}

fn promise(promise: &ix::Commitment) -> Promise {
    Promise {
        what: promise.promise.clone(),
        ours: promise.side() == ix::CommitmentSide::Ours,
        due: wire::micros(promise.due_time.as_ref()),
        late: promise.late,
    }
}

fn felt(score: &ix::ContextScore) -> Felt {
    Felt {
        definition: score.definition.clone(),
        value_micros: score.value_micros,
        change_micros: score.change_micros,
        facts: score.contribution_count,
        reasons: score.reasons.iter().map(|reason| reason.reason.clone()).collect(),
    }
}

fn membership(member: &ix::ContextMember, program: &Program) -> Membership {
    let mut balances: Vec<(String, i64)> =
        member.balances.iter().map(|held| (program.unit(&held.unit_type), held.available)).collect();
    balances.sort();
    let expiries = member.expiries.iter();
    Membership {
        tier: member.tier.clone(),
        next: (!member.next_tier.is_empty()).then(|| (member.next_tier.clone(), member.units_to_next)),
        balances,
        expiries: expiries
            .map(|soon| (program.unit(&soon.unit_type), soon.amount, wire::micros(soon.expire_time.as_ref())))
            .collect(),
    }
}

fn permission(consent: &ix::ContextConsent) -> Permission {
    Permission {
        purpose: consent.purpose.clone(),
        channel: consent.channel.clone(),
        allowed: consent.allowed,
        reason: consent.reason.replace('_', " "),
    }
}

/// A neighbour who is unhappy, whatever else there is to know of them.
fn unhappy(neighbor: &ix::ContextNeighbor) -> Option<Unhappy> {
    let why = neighbor.reasons.iter().find(|reason| reason.kind() == ix::NeighborReasonKind::Unhappy)?;
    Some(Unhappy {
        display_name: neighbor.display_name.clone(),
        label: neighbor.label.clone(),
        health_micros: neighbor.health_micros,
        reason: why.text.clone(),
    })
}

/// Which sections say less than they could.
fn not_fresh(answer: &ix::AgentContext) -> Vec<(String, String, String)> {
    let late = answer.statuses().filter(|(_, status)| status.state() != ix::SectionState::Fresh);
    late.map(|(name, status)| (name.to_owned(), words::section(status.state()), status.reason.clone())).collect()
}
