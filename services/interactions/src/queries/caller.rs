use std::collections::HashMap;
use std::time::Instant;

use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_store::{Store, read_error};
use rapport_types::error::{Error, Kind};
use rapport_types::{TenantId, Uuid, reason};

use super::ask::Asking;
use crate::domain::{Candidate, Identifier, MAX_CANDIDATES, Match, PartyName, Resolution};
use crate::store::{holder_list, identifier_find};

/// Why a party is taken for the caller, by what is known here.
pub(crate) const HOLDS: &str = "holds this identifier";

/// Who a caller is.
pub(crate) struct Caller {
    /// How the search ended.
    pub(crate) resolution: Resolution,
    /// The identifier as it was read: in international form, where the stakeholders service read it.
    pub(crate) identifier: Option<Identifier>,
    /// Names and roles that came with the answer.
    pub(crate) named: HashMap<Uuid, (String, Vec<String>)>,
    /// How it is known.
    pub(crate) found: Found,
}

/// How it is known who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It was said before, or there is nothing to find.
    Before,
    /// The own index says so: the identifier leads to the party by itself.
    Index,
    /// The stakeholders service said so.
    Asked,
    /// Nobody could be asked: this is what the own index has.
    Guessed,
}

impl Caller {
    /// A caller who was found before.
    pub(crate) fn unasked(resolution: Resolution) -> Caller {
        Caller::plain(resolution, None, Found::Before)
    }

    fn plain(resolution: Resolution, identifier: Option<&Identifier>, found: Found) -> Caller {
        Caller { resolution, identifier: identifier.cloned(), named: HashMap::new(), found }
    }
}

/// Who is behind an identifier, as far as nobody has to be asked: by the own index. Else the identifier to ask about.
///
/// # Errors
/// Unavailable, when the own database does not answer.
pub(crate) async fn known_caller<'a>(
    store: &Store,
    tenant: &TenantId,
    identifier: Option<&'a Identifier>,
) -> Result<Result<Caller, &'a Identifier>, Error> {
    let Some(identifier) = identifier.filter(|identifier| !identifier.withheld()) else {
        let withheld = Resolution::new(Match::Withheld, "the identifier was withheld", Vec::new());
        return Ok(Ok(Caller::plain(withheld, None, Found::Before)));
    };
    let keys = std::iter::once((tenant.clone(), index(store, tenant, identifier))).collect();
    let held = identifier_find(store.reader(), &keys).await.map_err(read_error)?.into_values().next();
    let party = held.and_then(|held| held.party).ok_or(identifier);
    Ok(party.map(|party| Caller::plain(Resolution::resolved(party, HOLDS), Some(identifier), Found::Index)))
}

fn index(store: &Store, tenant: &TenantId, identifier: &Identifier) -> Uuid {
    store.blind(tenant, "identifier", &identifier.comparable())
}

/// Asks the stakeholders service until `until` who is behind an identifier. Nobody is recorded, and a service that does not
/// answer is no failure; one that is known to be `away` is not asked.
///
/// # Errors
/// Unavailable, when the own database does not answer.
pub(crate) async fn ask_caller(
    store: &Store,
    asking: &Asking<'_>,
    tenant: &TenantId,
    identifier: &Identifier,
    country_code: &str,
    until: Instant,
    away: bool,
) -> Result<Caller, Error> {
    let asked = Box::pin(async {
        if away {
            return Err(Error::new(Kind::Unavailable, reason::PEER_UNAVAILABLE, "the service is known to be away"));
        }
        asking.resolve(identifier.scheme_name(), identifier.given(), country_code).await
    });
    match tokio::time::timeout_at(until.into(), asked).await {
        Ok(Ok(answer)) => Ok(told(identifier, answer)),
        // It reads identifiers better than we do: what it cannot read belongs to nobody.
        Ok(Err(error)) if error.kind == Kind::Invalid => {
            let unknown = Resolution::new(Match::Unknown, "the identifier cannot be read", Vec::new());
            Ok(Caller::plain(unknown, Some(identifier), Found::Asked))
        }
        Ok(Err(_)) | Err(_) => {
            let index = index(store, tenant, identifier);
            let holders = holder_list(store.reader(), tenant, index, MAX_CANDIDATES).await.map_err(read_error)?;
            Ok(Caller::plain(guessed(&holders), Some(identifier), Found::Guessed))
        }
    }
}

/// What can be said of an identifier that several hold while nobody ranks them.
fn guessed(holders: &[(Uuid, bool)]) -> Resolution {
    if holders.is_empty() {
        return Resolution::new(
            Match::Pending,
            "nobody is known by this identifier here, and the stakeholders service did not answer in time",
            Vec::new(),
        );
    }
    let mut candidates: Vec<Candidate> = holders
        .iter()
        .map(|(party, own)| Candidate {
            party: *party,
            confidence: if *own { 500 } else { 200 },
            reasons: vec![
                if *own { "holds this identifier, as others do" } else { "is reached there, like others" }.to_owned(),
            ],
        })
        .collect();
    candidates.sort_by_key(|candidate| (std::cmp::Reverse(candidate.confidence), candidate.party));
    Resolution::new(
        Match::Candidates,
        "several hold this identifier, and the stakeholders service did not answer in time",
        candidates,
    )
}

/// What the stakeholders service said.
fn told(identifier: &Identifier, answer: stakeholders::ResolvePartyResponse) -> Caller {
    let mut named = HashMap::new();
    let mut candidates = Vec::with_capacity(answer.candidates.len());
    for candidate in &answer.candidates {
        let Ok(name) = PartyName::parse(&candidate.party) else { continue };
        named.insert(name.uuid(), (candidate.display_name.clone(), candidate.role_types.clone()));
        candidates.push(Candidate {
            party: name.uuid(),
            // From 0 to 1, kept in thousandths.
            confidence: (candidate.confidence.clamp(0.0, 1.0) * 1_000.0).round() as i32,
            reasons: candidate.reasons.iter().map(|reason| reason.description.clone()).collect(),
        });
    }
    let read = answer.identifiers.first();
    let reading = read.map(stakeholders::ResolvedIdentifier::reading);
    let resolution = match answer.outcome() {
        stakeholders::ResolutionOutcome::Matched => {
            let matched = answer.party.as_ref().and_then(|party| PartyName::parse(&party.name).ok());
            // The match stands first, whatever else comes into question.
            candidates.sort_by_key(|candidate| Some(candidate.party) != matched.map(|name| name.uuid()));
            let reason = candidates.first().and_then(|first| first.reasons.first()).cloned();
            Resolution::new(Match::Resolved, reason.unwrap_or_else(|| HOLDS.to_owned()), candidates)
        }
        stakeholders::ResolutionOutcome::Candidates => {
            Resolution::new(Match::Candidates, "several come into question: none is safe to assume", candidates)
        }
        _ if reading == Some(stakeholders::IdentifierReading::Withheld) => {
            Resolution::new(Match::Withheld, "the identifier was withheld", Vec::new())
        }
        _ => Resolution::new(Match::Unknown, "nobody is known by this identifier", Vec::new()),
    };
    let normalized = read
        .filter(|read| read.reading() == stakeholders::IdentifierReading::Read && !read.normalized_value.is_empty())
        .and_then(|read| Identifier::new(identifier.scheme_name().to_owned(), read.normalized_value.clone()).ok());
    Caller {
        resolution,
        identifier: Some(normalized.unwrap_or_else(|| identifier.clone())),
        named,
        found: Found::Asked,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn number() -> Identifier {
        Identifier::new("tel".to_owned(), "912 345 678".to_owned()).unwrap()
    }

    fn candidate(id: u128, confidence: f64) -> stakeholders::MatchCandidate {
        stakeholders::MatchCandidate {
            party: PartyName::new(Uuid::from_u128(id)).to_string(),
            display_name: format!("Party {id}"),
            confidence,
            reasons: vec![stakeholders::MatchReason {
                description: "is reached there".to_owned(),
                ..stakeholders::MatchReason::default()
            }],
            role_types: vec!["customer".to_owned()],
        }
    }

    #[test]
    fn the_match_stands_first_and_the_number_is_read() {
        let answer = stakeholders::ResolvePartyResponse {
            outcome: stakeholders::ResolutionOutcome::Matched.into(),
            party: Some(stakeholders::Party {
                name: PartyName::new(Uuid::from_u128(2)).to_string(),
                ..stakeholders::Party::default()
            }),
            candidates: vec![candidate(1, 0.3), candidate(2, 0.85)],
            identifiers: vec![stakeholders::ResolvedIdentifier {
                scheme: "tel".to_owned(),
                normalized_value: "+351912345678".to_owned(),
                reading: stakeholders::IdentifierReading::Read.into(),
                holder_count: 1,
            }],
            truncated: false,
        };
        let caller = told(&number(), answer);
        assert_eq!(caller.resolution.party, Some(Uuid::from_u128(2)));
        assert_eq!(caller.resolution.candidates[0].confidence, 850);
        assert_eq!(caller.identifier.unwrap().given(), "+351912345678");
        assert_eq!(caller.named[&Uuid::from_u128(1)].0, "Party 1");
    }

    #[test]
    fn without_an_answer_holders_are_candidates_and_nobody_is_a_match() {
        assert_eq!(guessed(&[]).matched(), Match::Pending);
        let some = guessed(&[(Uuid::from_u128(1), false), (Uuid::from_u128(2), true)]);
        assert_eq!((some.matched(), some.party), (Match::Candidates, None));
        assert_eq!(some.candidates[0].party, Uuid::from_u128(2));
    }

    #[test]
    fn nobody_is_unknown() {
        let none = stakeholders::ResolvePartyResponse {
            outcome: stakeholders::ResolutionOutcome::None.into(),
            ..stakeholders::ResolvePartyResponse::default()
        };
        let caller = told(&number(), none);
        assert_eq!(caller.resolution.matched(), Match::Unknown);
        assert_eq!(caller.identifier.unwrap().given(), "912 345 678");
    }
}
