//! Parties: created in batches; those that are there already are compared and brought to what the file says.

use std::collections::HashMap;

use futures::stream::{self, StreamExt};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use prost_types::FieldMask;
use rapport::patience::tried;
use rapport_proto::stakeholders::v1::create_party_result::Result as Made;
use rapport_proto::stakeholders::v1::identity_service_client::IdentityServiceClient;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{
    AssignRoleRequest, BatchCreatePartiesRequest, BatchGetPartiesRequest, ClaimIdentifierRequest, CreatePartyRequest,
    Party, PartyIdentifier, PartyLifecycle, PartyRole, RoleStatus, UpdatePartyRequest,
};
use rapport_rpc::Transport;
use rapport_types::error::Error;
use rapport_types::reason;
use serde_json::Value;
use uuid::Uuid;

use super::key::{Found, Keys, key_of};
use super::request::patient;
use super::rows::Reject;
use super::{Outcome, Record, refusal};

/// Lookups at once for a preview.
const PREVIEWS: usize = 64;
/// Fields that an import brings up to date; the others are fixed, or have methods of their own.
const UPDATED: &[&str] = &[
    "lifecycle",
    "displayName",
    "names",
    "contactMedia",
    "languageCode",
    "countryCode",
    "timeZone",
    "cessation",
    "provenance",
];

/// Imports parties.
pub(crate) struct Parties {
    pub(crate) transport: Transport,
    pub(crate) keys: Keys,
    pub(crate) message: MessageDescriptor,
}

/// What a file says of a party beyond what is known.
#[derive(Debug, Default)]
struct Difference {
    fields: Vec<String>,
    identifiers: Vec<PartyIdentifier>,
    roles: Vec<PartyRole>,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.identifiers.is_empty() && self.roles.is_empty()
    }

    fn told(&self) -> String {
        let mut parts = self.fields.clone();
        parts.extend(self.identifiers.iter().map(|identifier| format!("identifier {}", identifier.scheme)));
        parts.extend(self.roles.iter().map(|role| format!("role {}", role.role_type)));
        parts.join(", ")
    }
}

impl Parties {
    /// Brings a batch in.
    ///
    /// # Errors
    /// The server refuses whatever it is sent, or is away for too long.
    pub(crate) async fn settle(&self, records: &[Record<Party>]) -> Result<Vec<Outcome>, Error> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; records.len()];
        // Who is there already, to be compared.
        let mut there: Vec<(usize, String)> = Vec::new();
        let mut left: Vec<usize> = (0..records.len()).collect();
        let mut tries = 0;
        while !left.is_empty() {
            tries += 1;
            let request = BatchCreatePartiesRequest {
                requests: left.iter().filter_map(|at| records.get(*at)).map(creation).collect(),
                validate_only: false,
            };
            let answer = tried(async || {
                PartyServiceClient::new(self.transport.clone()).batch_create_parties(patient(request.clone())).await
            });
            let results = answer.await?.into_inner().results;
            let mut again = Vec::new();
            for (at, result) in left.iter().copied().zip(results) {
                let outcome = match result.result {
                    Some(Made::Receipt(receipt)) if receipt.replayed || self.looked_at(records, at) => {
                        there.push((at, receipt.name));
                        (!receipt.replayed).then_some(Outcome::Created)
                    }
                    Some(Made::Receipt(_)) => Some(Outcome::Created),
                    Some(Made::Error(error)) if error.reason == reason::IDENTIFIER_TAKEN => {
                        let holder = error.metadata.get("holder").cloned();
                        match holder {
                            Some(holder) => {
                                there.push((at, holder));
                                None
                            }
                            None => Some(Outcome::Rejected(refusal::of_party(&error))),
                        }
                    }
                    Some(Made::Error(error)) if matches!(error.code, 8 | 10 | 14) && tries < 100 => {
                        again.push(at);
                        None
                    }
                    Some(Made::Error(error)) => Some(Outcome::Rejected(refusal::of_party(&error))),
                    None => Some(Outcome::Rejected(Reject::malformed("", "the server answered nothing"))),
                };
                if let Some(slot) = outcomes.get_mut(at) {
                    *slot = outcome;
                }
            }
            if !again.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(20 * tries)).await;
            }
            left = again;
        }
        let known = self.read(there.iter().map(|(_, name)| name.clone()).collect()).await?;
        let compared = stream::iter(there).map(|(at, name)| {
            let (record, party) = (records.get(at), known.get(&name));
            async move {
                match (record, party) {
                    (Some(record), Some(party)) => Ok((at, self.bring(&record.message, party).await?)),
                    _ => Ok((at, Outcome::Rejected(Reject::malformed("", format!("{name} is gone"))))),
                }
            }
        });
        let compared: Vec<Result<(usize, Outcome), Error>> = compared.buffer_unordered(16).collect().await;
        for settled in compared {
            let (at, outcome) = settled?;
            if let Some(slot) = outcomes.get_mut(at) {
                // Created and then curated is created, and so is who was set apart from the start.
                let created =
                    matches!((&slot, &outcome), (Some(Outcome::Created), Outcome::Updated(_) | Outcome::Unchanged));
                *slot = Some(if created { Outcome::Created } else { outcome });
            }
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Unchanged)).collect())
    }

    /// What would come of rows: the server reads them as it would to record them.
    ///
    /// # Errors
    /// The server refuses the lookup, or whoever asks may not write.
    pub(crate) async fn preview(&self, records: &[Record<Party>]) -> Result<Vec<Outcome>, Error> {
        let requests = records.iter().map(creation).collect();
        let request = BatchCreatePartiesRequest { requests, validate_only: true };
        let answer = tried(async || {
            PartyServiceClient::new(self.transport.clone()).batch_create_parties(patient(request.clone())).await
        });
        let results = answer.await?.into_inner().results;
        let each = stream::iter(records.iter().zip(results)).map(|(record, checked)| async move {
            match checked.result {
                // Who is set apart already needs nobody who may do it.
                Some(Made::Error(error)) if refusal::is_of_restricting(error.metadata.get("permission")) => {
                    Ok(match self.compared(record).await? {
                        Outcome::Created => Outcome::Rejected(refusal::of_party(&error)),
                        Outcome::Updated(what) if what.split(", ").any(|field| field == "lifecycle") => {
                            Outcome::Rejected(refusal::of_party(&error))
                        }
                        outcome => outcome,
                    })
                }
                Some(Made::Error(error)) => Ok(Outcome::Rejected(refusal::of_party(&error))),
                _ => self.compared(record).await,
            }
        });
        each.buffered(PREVIEWS).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// What would come of a row that may be recorded.
    async fn compared(&self, record: &Record<Party>) -> Result<Outcome, Error> {
        let Some(key) = key_of(&record.message.identifiers) else { return Ok(Outcome::Created) };
        Ok(match self.keys.find(&key.scheme, &key.value).await? {
            Found::Party(party) => match self.difference(&record.message, &party) {
                Ok(difference) if difference.is_empty() => Outcome::Unchanged,
                Ok(difference) => Outcome::Updated(difference.told()),
                Err(reject) => Outcome::Rejected(reject),
            },
            Found::Nobody => Outcome::Created,
            Found::Several(count) => {
                Outcome::Rejected(Reject::malformed("identifiers", format!("{count} parties hold this identifier")))
            }
        })
    }

    /// Whether a party that was created is looked at: a server of an earlier version takes an update to make it what the
    /// row says.
    fn looked_at(&self, records: &[Record<Party>], at: usize) -> bool {
        records.get(at).is_some_and(|record| said(&record.message))
    }

    async fn read(&self, mut names: Vec<String>) -> Result<HashMap<String, Party>, Error> {
        names.sort();
        names.dedup();
        let mut known = HashMap::new();
        for names in names.chunks(super::BATCH_ROWS) {
            let request = BatchGetPartiesRequest { names: names.to_vec() };
            let answer = tried(async || {
                PartyServiceClient::new(self.transport.clone()).batch_get_parties(patient(request.clone())).await
            });
            known.extend(answer.await?.into_inner().parties.into_iter().map(|party| (party.name.clone(), party)));
        }
        Ok(known)
    }

    /// Brings a party that is there to what the file says.
    async fn bring(&self, wanted: &Party, known: &Party) -> Result<Outcome, Error> {
        let difference = match self.difference(wanted, known) {
            Ok(difference) if difference.is_empty() => return Ok(Outcome::Unchanged),
            Ok(difference) => difference,
            Err(reject) => return Ok(Outcome::Rejected(reject)),
        };
        match self.change(wanted, known, &difference).await {
            Ok(()) => Ok(Outcome::Updated(difference.told())),
            Err(error) if refusal::stops(&error) => Err(error),
            Err(error) => Ok(Outcome::Rejected(refusal::of_call(&error))),
        }
    }

    async fn change(&self, wanted: &Party, known: &Party, difference: &Difference) -> Result<(), Error> {
        let id = || Uuid::new_v4().to_string();
        if !difference.fields.is_empty() {
            let mut party = Party { name: known.name.clone(), etag: known.etag.clone(), ..wanted.clone() };
            let mut paths: Vec<String> = difference.fields.iter().map(|field| snake(field)).collect();
            if wanted.lifecycle() == PartyLifecycle::Restricted && paths.iter().any(|path| path == "lifecycle") {
                reasoned(&mut party);
                if !paths.iter().any(|path| path == "provenance") {
                    paths.push("provenance".to_owned());
                }
            }
            let request =
                UpdatePartyRequest { party: Some(party), update_mask: Some(FieldMask { paths }), request_id: id() };
            tried(async || PartyServiceClient::new(self.transport.clone()).update_party(request.clone()).await).await?;
        }
        for identifier in &difference.identifiers {
            let request = ClaimIdentifierRequest {
                party: known.name.clone(),
                identifier: Some(identifier.clone()),
                provenance: wanted.provenance.clone(),
                request_id: id(),
            };
            tried(async || IdentityServiceClient::new(self.transport.clone()).claim_identifier(request.clone()).await)
                .await?;
        }
        for role in &difference.roles {
            let request = AssignRoleRequest { party: known.name.clone(), role: Some(role.clone()), request_id: id() };
            tried(async || PartyServiceClient::new(self.transport.clone()).assign_role(request.clone()).await).await?;
        }
        Ok(())
    }

    /// What the file says that is not so yet. What it does not speak of stays.
    fn difference(&self, wanted: &Party, known: &Party) -> Result<Difference, Reject> {
        if wanted.kind != 0 && wanted.kind != known.kind {
            return Err(Reject {
                place: "kind".to_owned(),
                reason: "KIND_IS_FIXED".to_owned(),
                message: format!("{} is of another kind, which is fixed at creation", known.name),
            });
        }
        if known.lifecycle() == PartyLifecycle::Restricted && wanted.lifecycle() == PartyLifecycle::Curated {
            return Err(Reject {
                place: "lifecycle".to_owned(),
                reason: "INVALID_TRANSITION".to_owned(),
                message: format!("{} is restricted, which no file ends", known.name),
            });
        }
        let (wished, is) = (self.json(wanted), self.json(known));
        let mut difference = Difference::default();
        for field in UPDATED {
            let (Some(value), now) = (wished.get(*field), is.get(*field)) else { continue };
            // A file says who is curated or restricted; who else is known how well, the server finds.
            let other = *field == "lifecycle" && !said(wanted);
            let tags = *field == "languageCode"
                && matches!((value, now), (Value::String(a), Some(Value::String(b))) if a.eq_ignore_ascii_case(b));
            if !other && !tags && !now.is_some_and(|now| within(value, now)) {
                difference.fields.push((*field).to_owned());
            }
        }
        if let Some(Value::Object(attributes)) = wished.get("attributes") {
            for (key, value) in attributes {
                if is.get("attributes").and_then(|all| all.get(key)) != Some(value) {
                    difference.fields.push(format!("attributes.{key}"));
                }
            }
        }
        difference.identifiers = wanted
            .identifiers
            .iter()
            .filter(|identifier| {
                let scheme = if identifier.scheme == "phone" { "tel" } else { &identifier.scheme };
                !known.identifiers.iter().any(|held| {
                    held.scheme == scheme
                        && (held.value == identifier.value || held.normalized_value == identifier.value)
                })
            })
            .cloned()
            .collect();
        difference.roles = wanted
            .roles
            .iter()
            .filter(|role| {
                !known.roles.iter().any(|held| {
                    held.role_type == role.role_type
                        && held.scope == role.scope
                        && held.status != i32::from(RoleStatus::Ended)
                })
            })
            .cloned()
            .collect();
        Ok(difference)
    }

    fn json(&self, party: &Party) -> Value {
        let mut message = DynamicMessage::new(self.message.clone());
        let read = message.transcode_from(party).ok();
        read.and_then(|()| serde_json::to_value(&message).ok()).unwrap_or_default()
    }
}

/// Whether everything that `said` says is so: what the server fills in of itself is no difference.
fn within(said: &Value, is: &Value) -> bool {
    match (said, is) {
        (Value::Object(said), Value::Object(is)) => {
            said.iter().all(|(key, value)| is.get(key).is_some_and(|now| within(value, now)))
        }
        (Value::Array(said), Value::Array(is)) => {
            said.len() == is.len() && said.iter().zip(is).all(|(value, now)| within(value, now))
        }
        (said, is) => said == is,
    }
}

/// `contactMedia` as a mask writes it.
fn snake(field: &str) -> String {
    let (head, key) = field.split_once('.').map_or((field, None), |(head, key)| (head, Some(key)));
    let mut name = String::new();
    for letter in head.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    match key {
        Some(key) => format!("{name}.{key}"),
        None => name,
    }
}

/// The request that records a row. Whoever restricts says why: the row does, or that it stands in a file is the reason.
fn creation(record: &Record<Party>) -> CreatePartyRequest {
    let mut party = record.message.clone();
    if party.lifecycle() == PartyLifecycle::Restricted {
        reasoned(&mut party);
    }
    CreatePartyRequest { party: Some(party), request_id: record.request_id.to_string() }
}

fn reasoned(party: &mut Party) {
    let why = party.provenance.get_or_insert_default();
    if why.reason.is_empty() {
        "restricted in a file that was imported".clone_into(&mut why.reason);
    }
}

/// Whether a row says how well its party is known, as far as that can be said: curated or restricted.
fn said(party: &Party) -> bool {
    matches!(party.lifecycle(), PartyLifecycle::Curated | PartyLifecycle::Restricted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        let said = json!([{"kind": "MEDIUM_KIND_PHONE", "value": "+55"}]);
        assert!(within(&said, &json!([{"kind": "MEDIUM_KIND_PHONE", "value": "+55", "normalizedValue": "+55"}])));
        assert!(!within(&said, &json!([{"kind": "MEDIUM_KIND_PHONE", "value": "+56"}])));
        assert!(!within(&said, &json!([])));
    }

    #[test]
    fn fields_are_named_as_masks_name_them() {
        assert_eq!(
            (snake("contactMedia"), snake("attributes.firstSeen")),
            ("contact_media".into(), "attributes.firstSeen".into())
        );
    }
}
