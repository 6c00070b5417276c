use rapport_store::Store;
use rapport_types::{Error, TenantId, Timestamp};
use uuid::Uuid;

use super::get_party;
use crate::domain::consent::{self, Consent, ConsentReason, Verdict};
use crate::domain::party::Lifecycle;
use crate::store::consent as rows;

/// Whether a party may be addressed.
#[derive(Clone, Debug)]
pub struct ConsentQuestion {
    /// The party.
    pub party: Uuid,
    /// What for.
    pub purpose: String,
    /// On what channel.
    pub channel: String,
    /// What held then; now when absent.
    pub as_of: Option<Timestamp>,
    /// As far as was known then; now when absent.
    pub known_at: Option<Timestamp>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Why, or why not.
    pub verdict: Verdict,
    /// The record that decided.
    pub deciding: Option<Consent>,
    /// The moment the answer holds for.
    pub as_of: Timestamp,
    /// When it may change by itself.
    pub next_change: Option<Timestamp>,
}

/// Folds what a party said over a purpose and channel.
///
/// # Errors
/// NotFound for an unknown party; Unavailable when the database does not answer.
pub async fn check_consent(store: &Store, tenant: &TenantId, asked: ConsentQuestion) -> Result<Answer, Error> {
    let now = store.world().now();
    let as_of = asked.as_of.unwrap_or(now);
    let party = get_party(store, tenant, asked.party).await?;
    let ceased = party.profile.cessation.is_some_and(|end| end.occurred_at.is_none_or(|at| at <= as_of));
    let restricted = party.lifecycle == Lifecycle::Restricted;
    if ceased || restricted {
        let reason = if ceased { ConsentReason::PartyCeased } else { ConsentReason::PartyRestricted };
        let verdict = Verdict { reason, deciding: None };
        return Ok(Answer { verdict, deciding: None, as_of, next_change: None });
    }
    // A record of this very batch may carry a moment a little ahead of this process's clock.
    let known_at = asked.known_at.unwrap_or(Timestamp::MAX);
    let topic = (asked.purpose.as_str(), asked.channel.as_str());
    let mut stored = rows::speaking_of(store, tenant, asked.party, topic, known_at).await?;
    let records: Vec<_> = stored.iter().map(|one| one.consent.clone()).collect();
    let verdict = consent::check(&records, &asked.purpose, &asked.channel, as_of);
    let next_change = consent::next_change(&records, &asked.purpose, &asked.channel, as_of);
    let deciding = match verdict.deciding {
        Some(place) => Some(rows::open(store, tenant, stored.swap_remove(place)).await?),
        None => None,
    };
    Ok(Answer { verdict, deciding, as_of, next_change })
}
