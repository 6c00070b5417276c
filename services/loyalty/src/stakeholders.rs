//! What loyalty asks the stakeholders service: whether somebody may be addressed, and where their clock is.

use std::time::Duration;

use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::privacy_service_client::PrivacyServiceClient;
use rapport_rpc::{Peers, error_of, outgoing};
use rapport_types::error::{Error, Kind};
use rapport_types::{TenantId, Uuid};

use crate::domain::{Consent, Gate, PartyName, Slug};

/// Asks about parties, on loyalty's own account.
#[derive(Clone, Debug)]
pub(crate) struct Stakeholders {
    peers: Peers,
}

/// Whom to ask about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whose party.
    pub(crate) tenant: &'a TenantId,
    /// The party.
    pub(crate) party: Uuid,
    /// What they would be addressed for.
    pub(crate) purpose: &'a Slug,
    /// By what.
    pub(crate) channel: &'a Slug,
    /// How long to wait for an answer.
    pub(crate) patience: Duration,
    /// The trace that this belongs to.
    pub(crate) traceparent: Option<&'a str>,
}

/// What stakeholders says of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addressee {
    /// Whether it may be addressed.
    pub(crate) consent: Consent,
    /// Its zone; empty where that is not known.
    pub(crate) time_zone: String,
}

impl Stakeholders {
    /// Over the way to the service.
    pub(crate) fn new(peers: Peers) -> Stakeholders {
        Stakeholders { peers }
    }

    /// Whether a party may be addressed, as of now, and where its clock is; `None` for a party that does not exist.
    ///
    /// # Errors
    /// Those of the call: Unavailable, Deadline and the like.
    pub(crate) async fn addressee(&self, question: Question<'_>) -> Result<Option<Addressee>, Error> {
        let Question { tenant, party, purpose, channel, patience, traceparent } = question;
        let name = PartyName::new(party).to_string();
        let transport = self.peers.transport("stakeholders");
        let check = proto::CheckConsentRequest {
            party: name.clone(),
            purpose: purpose.to_string(),
            channel: channel.to_string(),
            ..Default::default()
        };
        let mut privacy = PrivacyServiceClient::new(transport.clone());
        let mut parties = PartyServiceClient::new(transport);
        let (checked, found) = futures::join!(
            privacy.check_consent(outgoing(tenant, patience, traceparent, check)),
            parties.get_party(outgoing(tenant, patience, traceparent, proto::GetPartyRequest { name })),
        );
        let (Some(checked), Some(found)) = (known(checked)?, known(found)?) else {
            return Ok(None);
        };
        Ok(Some(Addressee { consent: consent(checked), time_zone: found.time_zone }))
    }
}

/// What does not exist is no failure here.
fn known<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<Option<T>, Error> {
    match answer.map_err(error_of) {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn consent(checked: proto::CheckConsentResponse) -> Consent {
    use proto::ConsentReason;
    let forbids = match checked.reason() {
        ConsentReason::Granted if checked.allowed => None,
        ConsentReason::Withdrawn => Some(Gate::ConsentWithdrawn),
        ConsentReason::Expired => Some(Gate::ConsentExpired),
        ConsentReason::NotYetValid => Some(Gate::ConsentNotYetValid),
        ConsentReason::PartyCeased => Some(Gate::PartyCeased),
        ConsentReason::PartyRestricted => Some(Gate::PartyRestricted),
        // What this version does not understand is not a consent.
        ConsentReason::Granted | ConsentReason::NoConsent | ConsentReason::Unspecified => Some(Gate::NoConsent),
    };
    Consent { forbids, record: checked.deciding_consent.map(|record| record.name).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_a_grant_allows() {
        use proto::ConsentReason;
        let told = |reason: i32, allowed| {
            let record = proto::Consent { name: "parties/1/consents/2".into(), ..Default::default() };
            consent(proto::CheckConsentResponse {
                allowed,
                reason,
                deciding_consent: Some(record),
                ..Default::default()
            })
        };
        assert_eq!(told(ConsentReason::Granted.into(), true).forbids, None);
        assert_eq!(told(ConsentReason::Granted.into(), false).forbids, Some(Gate::NoConsent));
        assert_eq!(told(ConsentReason::Withdrawn.into(), false).forbids, Some(Gate::ConsentWithdrawn));
        assert_eq!(told(ConsentReason::PartyCeased.into(), false).forbids, Some(Gate::PartyCeased));
        assert_eq!(told(ConsentReason::PartyRestricted.into(), false).forbids, Some(Gate::PartyRestricted));
        assert_eq!(told(99, true).forbids, Some(Gate::NoConsent), "a reason of a later version");
        assert_eq!(told(ConsentReason::Expired.into(), false).record, "parties/1/consents/2");
    }
}
