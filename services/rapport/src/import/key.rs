//! Parties by their keys: `crm:7` for whoever holds the identifier 7 of the scheme crm.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rapport::patience::tried;
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::{
    IdentifierQuery, IdentifierStrength, Party, PartyIdentifier, ResolvePartyRequest,
};
use rapport_rpc::Transport;
use rapport_types::error::Error;

use super::rows::Reject;

/// Looks parties up and remembers them.
#[derive(Debug)]
pub(crate) struct Keys {
    transport: Transport,
    known: Mutex<HashMap<String, String>>,
}

/// Who a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// This party.
    Party(Box<Party>),
    /// Nobody so far.
    Nobody,
    /// More than one.
    Several(usize),
}

impl Keys {
    /// Looks up over this way.
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, known: Mutex::default() }
    }

    /// The name of the party that a file calls `text`: `parties/{id}`, or `SCHEME:VALUE`. `None` where nobody holds it.
    ///
    /// # Errors
    /// The lookup was refused; or, inside, the text is no key or the key of several.
    pub(crate) async fn name(&self, text: &str) -> Result<Result<Option<String>, Reject>, Error> {
        if text.starts_with("parties/") {
            return Ok(Ok(Some(text.to_owned())));
        }
        let Some((scheme, value)) =
            text.split_once(':').filter(|(scheme, value)| !scheme.is_empty() && !value.is_empty())
        else {
            return Ok(Err(Reject::malformed(
                "",
                format!("\"{text}\" is no party; valid is SCHEME:VALUE such as crm:7, or parties/{{id}}"),
            )));
        };
        if let Some(name) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Ok(Some(name.clone())));
        }
        Ok(match self.find(scheme.trim(), value.trim()).await? {
            Found::Party(party) => {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), party.name.clone());
                Ok(Some(party.name))
            }
            Found::Nobody => Ok(None),
            Found::Several(count) => Err(Reject {
                place: String::new(),
                reason: "AMBIGUOUS_PARTY".to_owned(),
                message: format!("{count} parties hold {text}; valid is a key that one party holds"),
            }),
        })
    }

    /// Who holds this identifier.
    ///
    /// # Errors
    /// The lookup was refused.
    pub(crate) async fn find(&self, scheme: &str, value: &str) -> Result<Found, Error> {
        let request = ResolvePartyRequest {
            identifiers: vec![IdentifierQuery {
                scheme: scheme.to_owned(),
                value: value.to_owned(),
                ..Default::default()
            }],
            max_candidates: 2,
            ..Default::default()
        };
        let answer =
            tried(async || IdentityServiceClient::new(self.transport.clone()).resolve_party(request.clone()).await);
        let answer = answer.await?.into_inner();
        let understood =
            answer.identifiers.first().map(|identifier| identifier.normalized_value.clone()).unwrap_or_default();
        let holds = |party: &Party| {
            let scheme = if scheme == "phone" { "tel" } else { scheme };
            party.identifiers.iter().any(|held| held.scheme == scheme && held.normalized_value == understood)
        };
        Ok(match answer.party {
            Some(party) if holds(&party) => Found::Party(Box::new(party)),
            _ => match answer.candidates.len() {
                0 | 1 => Found::Nobody,
                several => Found::Several(several),
            },
        })
    }
}

/// The identifier by which files know a party: its first unique one, else its first strong one.
pub(crate) fn key_of(identifiers: &[PartyIdentifier]) -> Option<&PartyIdentifier> {
    let of = |strength: IdentifierStrength| identifiers.iter().find(move |held| held.strength == i32::from(strength));
    of(IdentifierStrength::Unique)
        .or_else(|| of(IdentifierStrength::Strong))
        .or_else(|| of(IdentifierStrength::Unspecified))
}

/// A key as files write it.
pub(crate) fn key_text(identifier: &PartyIdentifier) -> String {
    format!("{}:{}", identifier.scheme, identifier.value)
}
