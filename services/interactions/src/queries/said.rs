//! From what other services say to what an agent reads. Pure: messages in, messages out.

use std::collections::HashMap;

use rapport_proto::interactions::v1 as proto;
use rapport_proto::loyalty::v1 as loyalty;
use rapport_proto::scoring::v1 as scoring;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_rpc::wire;
use rapport_types::Uuid;
use rapport_types::time::Timestamp;

use crate::domain::PartyName;

/// An enum's value as the word without its prefix: `PARTY_KIND_INDIVIDUAL` is `individual`; empty when it is not set.
fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        word => word.to_ascii_lowercase(),
    }
}

/// A status that says nothing but when the section changes by itself: the next of some moments.
pub(crate) fn next_change(
    moments: impl IntoIterator<Item = prost_types::Timestamp>,
    now: Timestamp,
) -> Option<proto::SectionStatus> {
    turning(moments, |moment| moment > now)
}

/// The same of moments that were to come when they were told. Those that have passed since count too: what was told may be
/// otherwise by now.
pub(crate) fn told_change(moments: impl IntoIterator<Item = prost_types::Timestamp>) -> Option<proto::SectionStatus> {
    turning(moments, |_| true)
}

fn turning(
    moments: impl IntoIterator<Item = prost_types::Timestamp>,
    counts: impl Fn(Timestamp) -> bool,
) -> Option<proto::SectionStatus> {
    let read = moments.into_iter().filter_map(|moment| wire::timestamp(&moment).ok());
    let next = read.filter(|moment| counts(*moment)).min()?;
    Some(proto::SectionStatus { next_change_time: Some(wire::to_timestamp(next)), ..proto::SectionStatus::default() })
}

/// A party's card, with the roles that hold now.
pub(crate) fn card(party: stakeholders::Party, now: Timestamp) -> proto::CardSection {
    let passed = |time: &Option<prost_types::Timestamp>| {
        time.as_ref().and_then(|time| wire::timestamp(time).ok()).map(|time| time <= now)
    };
    let bounds = party.roles.iter().flat_map(|role| [role.valid_from_time, role.valid_to_time]);
    let status = next_change(bounds.flatten(), now);
    let roles = party
        .roles
        .iter()
        .filter(|role| role.status() != stakeholders::RoleStatus::Ended)
        .filter(|role| passed(&role.valid_from_time).unwrap_or(true) && !passed(&role.valid_to_time).unwrap_or(false))
        .map(|role| proto::ContextRole {
            role_type: role.role_type.clone(),
            scope: role.scope.clone(),
            status: word(role.status().as_str_name(), "ROLE_STATUS_"),
        })
        .collect();
    let cessation = party.cessation.as_ref().map(|cessation| cessation.kind().as_str_name());
    proto::CardSection {
        status,
        kind: word(party.kind().as_str_name(), "PARTY_KIND_"),
        lifecycle: word(party.lifecycle().as_str_name(), "PARTY_LIFECYCLE_"),
        cessation: cessation.map(|name| word(name, "CESSATION_KIND_")).unwrap_or_default(),
        roles,
        party: party.name,
        display_name: party.display_name,
        language_code: party.language_code,
        country_code: party.country_code,
        time_zone: party.time_zone,
    }
}

/// A party's scores.
pub(crate) fn scores(party: scoring::PartyScores) -> proto::ScoreSection {
    let scores = party.scores.into_iter().filter_map(|summary| {
        let score = summary.score?;
        let reasons = summary
            .reasons
            .into_iter()
            .map(|line| proto::ScoreReason { reason: line.reason, effect_micros: line.effect_micros });
        Some(proto::ContextScore {
            definition: score.definition,
            value_micros: score.value_micros,
            as_of_time: score.as_of,
            change_micros: summary.change_micros,
            contribution_count: score.evidence.map_or(0, |evidence| evidence.contribution_count),
            reasons: reasons.collect(),
        })
    });
    proto::ScoreSection { status: None, scores: scores.collect() }
}

/// What a party is likely to be worth, or why nothing can be said.
pub(crate) fn value(clv: scoring::Clv) -> Result<proto::ValueSection, &'static str> {
    match clv.status() {
        scoring::ClvStatus::Estimated => Ok(proto::ValueSection {
            status: None,
            model: clv.model,
            alive_probability: clv.p_alive,
            expected_purchases: clv.expected_purchases,
            horizon_days: clv.horizon.and_then(|span| i32::try_from(span.seconds / 86_400).ok()).unwrap_or_default(),
            lifetime_value: clv.clv,
        }),
        scoring::ClvStatus::NoOrders => Err("the party has ordered nothing"),
        scoring::ClvStatus::NoModel => Err("no model was fitted yet"),
        scoring::ClvStatus::Unspecified => Err("the service says nothing of it"),
    }
}

/// A membership.
pub(crate) fn member(
    name: String,
    status: Option<loyalty::TierStatus>,
    balances: loyalty::GetBalancesResponse,
) -> proto::ContextMember {
    let program = name.split("/members/").next().unwrap_or_default().to_owned();
    let tier = |tier: Option<loyalty::Tier>| tier.map(|tier| tier.display_name).unwrap_or_default();
    let (tier_name, next_tier, units_to_next) = status.map_or((String::new(), String::new(), 0), |status| {
        (tier(status.current), tier(status.next), status.units_to_next)
    });
    let mut expiries: Vec<proto::ContextExpiry> = balances
        .balances
        .iter()
        .filter(|balance| balance.expiring > 0)
        .map(|balance| proto::ContextExpiry {
            unit_type: balance.unit_type.clone(),
            amount: balance.expiring,
            expire_time: balance.next_expire_time,
        })
        .collect();
    expiries.sort_by_key(|expiry| expiry.expire_time.as_ref().map_or(i64::MAX, |time| time.seconds));
    expiries.truncate(5);
    let balances = balances.balances.into_iter().map(|balance| proto::ContextBalance {
        unit_type: balance.unit_type,
        available: balance.available,
        pending: balance.pending,
    });
    proto::ContextMember {
        member: name,
        program,
        tier: tier_name,
        next_tier,
        units_to_next,
        balances: balances.collect(),
        expiries,
    }
}

/// Whether a party may be addressed for a purpose on a channel.
pub(crate) fn consent(
    purpose: &str,
    channel: &str,
    checked: &stakeholders::CheckConsentResponse,
) -> proto::ContextConsent {
    proto::ContextConsent {
        purpose: purpose.to_owned(),
        channel: channel.to_owned(),
        allowed: checked.allowed,
        reason: word(checked.reason().as_str_name(), "CONSENT_REASON_"),
    }
}

/// Who is near a party, the strongest ties first, each once, and whether there are more.
pub(crate) fn near(party: Uuid, answer: stakeholders::GetNeighborhoodResponse) -> (Vec<proto::ContextNeighbor>, bool) {
    let middle = PartyName::new(party).to_string();
    let names: HashMap<&str, &stakeholders::NeighborNode> =
        answer.nodes.iter().map(|node| (node.party.as_str(), node)).collect();
    let mut found: Vec<proto::ContextNeighbor> = Vec::new();
    let mut edges: Vec<&stakeholders::NeighborEdge> = answer.edges.iter().collect();
    edges.sort_by(|one, two| two.weight.total_cmp(&one.weight));
    for edge in edges {
        let neighbor = match (edge.from_party == middle, edge.to_party == middle) {
            (true, false) => &edge.to_party,
            (false, true) => &edge.from_party,
            // A tie between two neighbours says nothing of the middle.
            _ => continue,
        };
        if let Some(known) = found.iter_mut().find(|known| known.party == *neighbor) {
            known.more_ties.push(proto::ContextTie {
                party: neighbor.clone(),
                relationship_type: edge.relationship_type.clone(),
                label: edge.label.clone(),
            });
            continue;
        }
        found.push(proto::ContextNeighbor {
            party: neighbor.clone(),
            display_name: names.get(neighbor.as_str()).map(|node| node.display_name.clone()).unwrap_or_default(),
            relationship_type: edge.relationship_type.clone(),
            label: edge.label.clone(),
            weight: edge.weight,
            ..proto::ContextNeighbor::default()
        });
    }
    found.sort_by(|one, two| two.weight.total_cmp(&one.weight).then_with(|| one.party.cmp(&two.party)));
    (found, answer.truncated)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn words_are_bare_and_unset_ones_empty() {
        assert_eq!(word("PARTY_KIND_INDIVIDUAL", "PARTY_KIND_"), "individual");
        assert_eq!(word("CONSENT_REASON_NO_CONSENT", "CONSENT_REASON_"), "no_consent");
        assert_eq!(word("PARTY_KIND_UNSPECIFIED", "PARTY_KIND_"), "");
    }

    #[test]
    fn a_card_has_the_roles_that_hold_and_says_when_they_turn() {
        let at = |seconds| Timestamp::from_micros(seconds * 1_000_000);
        let role = |role_type: &str, from: i64, to: Option<i64>| stakeholders::PartyRole {
            role_type: role_type.to_owned(),
            valid_from_time: Some(wire::to_timestamp(at(from))),
            valid_to_time: to.map(|to| wire::to_timestamp(at(to))),
            ..stakeholders::PartyRole::default()
        };
        let roles = vec![role("customer", 1, None), role("supplier", 1, Some(20)), role("media", 30, None)];
        let told = |now: i64| {
            let party = stakeholders::Party { roles: roles.clone(), ..stakeholders::Party::default() };
            let card = card(party, at(now));
            let next = card.status.and_then(|status| status.next_change_time).map(|time| time.seconds);
            (card.roles.into_iter().map(|role| role.role_type).collect::<Vec<_>>(), next)
        };
        assert_eq!(told(10), (vec!["customer".to_owned(), "supplier".to_owned()], Some(20)));
        assert_eq!(told(20), (vec!["customer".to_owned()], Some(30)));
        assert_eq!(told(30), (vec!["customer".to_owned(), "media".to_owned()], None));
    }

    #[test]
    fn what_was_to_change_and_has_changed_since_is_not_forgotten() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let moments = || [wire::to_timestamp(at(9)), wire::to_timestamp(at(5))];
        let next = |status: Option<proto::SectionStatus>| status?.next_change_time.map(|time| time.seconds);
        assert_eq!(next(told_change(moments())), Some(5));
        assert_eq!((next(next_change(moments(), at(5))), next(next_change(moments(), at(9)))), (Some(9), None));
        assert_eq!(next(told_change([])), None);
    }

    #[test]
    fn a_neighbour_comes_once_by_its_strongest_tie() {
        let middle = PartyName::new(Uuid::from_u128(1)).to_string();
        let (one, two) =
            (PartyName::new(Uuid::from_u128(2)).to_string(), PartyName::new(Uuid::from_u128(3)).to_string());
        let edge = |from: &str, to: &str, label: &str, weight: f64| stakeholders::NeighborEdge {
            from_party: from.to_owned(),
            to_party: to.to_owned(),
            label: label.to_owned(),
            weight,
            ..stakeholders::NeighborEdge::default()
        };
        let answer = stakeholders::GetNeighborhoodResponse {
            nodes: vec![stakeholders::NeighborNode {
                party: one.clone(),
                display_name: "Rui".to_owned(),
                ..stakeholders::NeighborNode::default()
            }],
            edges: vec![
                edge(&middle, &one, "knows", 0.2),
                edge(&two, &middle, "is employed by", 0.5),
                edge(&one, &middle, "employs", 0.9),
                edge(&one, &two, "knows", 1.0),
            ],
            truncated: true,
        };
        let (found, truncated) = near(Uuid::from_u128(1), answer);
        assert!(truncated);
        let told: Vec<(&str, &str, f64)> =
            found.iter().map(|n| (n.party.as_str(), n.label.as_str(), n.weight)).collect();
        assert_eq!(told, [(one.as_str(), "employs", 0.9), (two.as_str(), "is employed by", 0.5)]);
        assert_eq!(found[0].display_name, "Rui");
        let more: Vec<&str> = found[0].more_ties.iter().map(|tie| tie.label.as_str()).collect();
        assert_eq!(more, ["knows"], "what is weaker is there too");
    }
}
