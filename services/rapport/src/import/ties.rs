//! Relationships: edges name parties by their keys; those whose parties are not there yet come again at the end.

use futures::stream::{self, StreamExt};
use prost_types::FieldMask;
use rapport::patience::tried;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_proto::stakeholders::v1::{
    CreateRelationshipRequest, ListRelationshipsRequest, Relationship, UpdateRelationshipRequest,
};
use rapport_proto::types::v1::Provenance;
use rapport_rpc::{Transport, header, wire};
use rapport_types::error::Error;
use rapport_types::reason;
use uuid::Uuid;

use super::key::Keys;
use super::rows::Reject;
use super::{Outcome, Record, refusal};

/// Calls in flight for one batch.
const IN_FLIGHT: usize = 64;

/// Imports relationships.
pub(crate) struct Ties {
    pub(crate) transport: Transport,
    pub(crate) keys: Keys,
}

impl Ties {
    /// Brings a batch in.
    ///
    /// # Errors
    /// The server refuses whatever it is sent, or is away for too long.
    pub(crate) async fn settle(&self, records: &[Record<Relationship>]) -> Result<Vec<Outcome>, Error> {
        let all = stream::iter(records).map(|record| self.one(record, false));
        all.buffered(IN_FLIGHT).collect::<Vec<_>>().await.into_iter().collect()
    }

    /// What would come of rows: the server reads them as it would to record them.
    ///
    /// # Errors
    /// The server refuses the lookup, or whoever asks may not write.
    pub(crate) async fn preview(&self, records: &[Record<Relationship>]) -> Result<Vec<Outcome>, Error> {
        let all = stream::iter(records).map(|record| self.one(record, true));
        all.buffered(IN_FLIGHT).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn one(&self, record: &Record<Relationship>, preview: bool) -> Result<Outcome, Error> {
        let mut tie = record.message.clone();
        for (field, end) in [("from_party", &mut tie.from_party), ("to_party", &mut tie.to_party)] {
            match self.keys.name(end).await? {
                Ok(Some(name)) => *end = name,
                Ok(None) => return Ok(Outcome::Unresolved(unknown(field, end))),
                Err(reject) => return Ok(Outcome::Rejected(Reject { place: field.to_owned(), ..reject })),
            }
        }
        let request = CreateRelationshipRequest {
            relationship: Some(tie),
            request_id: record.request_id.to_string(),
            validate_only: preview,
        };
        let made = tried(async || {
            RelationshipServiceClient::new(self.transport.clone()).create_relationship(request.clone()).await
        });
        match made.await {
            Ok(answer) if answer.metadata().contains_key(header::REPLAYED) => Ok(Outcome::Unchanged),
            Ok(_) => Ok(Outcome::Created),
            Err(error) if error.reason == reason::RELATIONSHIP_ALREADY_EXISTS => self.bring(request, &error).await,
            Err(error) if refusal::stops(&error) => Err(error),
            Err(error) => Ok(Outcome::Rejected(refusal::of_call(&error))),
        }
    }

    /// Brings a tie that is there to what the file says of it.
    async fn bring(&self, wanted: CreateRelationshipRequest, exists: &Error) -> Result<Outcome, Error> {
        let (Some(tie), Some(name)) = (wanted.relationship, exists.metadata.get("name")) else {
            return Ok(Outcome::Rejected(refusal::of_call(exists)));
        };
        if let Some(reject) = otherwise(&tie, exists) {
            return Ok(Outcome::Rejected(reject));
        }
        let paths = told(&tie);
        if paths.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        if wanted.validate_only {
            return self.compared(&tie, name).await;
        }
        let request = UpdateRelationshipRequest {
            relationship: Some(Relationship { name: name.clone(), ..tie }),
            update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
            request_id: Uuid::new_v4().to_string(),
        };
        let brought = tried(async || {
            RelationshipServiceClient::new(self.transport.clone()).update_relationship(request.clone()).await
        });
        match brought.await {
            // A version that it had before is one that nothing was changed in.
            Ok(now) if exists.metadata.get("etag") == Some(&now.get_ref().etag) => Ok(Outcome::Unchanged),
            Ok(_) => Ok(Outcome::Updated(paths.join(", "))),
            Err(error) if refusal::stops(&error) => Err(error),
            Err(error) => Ok(Outcome::Rejected(refusal::of_call(&error))),
        }
    }

    /// What would be corrected in the tie of this name.
    async fn compared(&self, tie: &Relationship, name: &str) -> Result<Outcome, Error> {
        let mut request = ListRelationshipsRequest {
            party: tie.from_party.clone(),
            relationship_types: vec![tie.relationship_type.clone()],
            include_ended: true,
            page_size: 500,
            ..Default::default()
        };
        loop {
            let listed = tried(async || {
                RelationshipServiceClient::new(self.transport.clone()).list_relationships(request.clone()).await
            });
            let page = listed.await?.into_inner();
            if let Some(known) = page.relationships.iter().find(|known| known.name == name) {
                return Ok(match differing(tie, known) {
                    paths if paths.is_empty() => Outcome::Unchanged,
                    paths => Outcome::Updated(paths.join(", ")),
                });
            }
            if page.next_page_token.is_empty() {
                // Ended and forgotten since the server looked.
                return Ok(Outcome::Created);
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// That a row says another time than the tie that is there has, which no update changes. A bound that a row leaves out stays.
fn otherwise(tie: &Relationship, exists: &Error) -> Option<Reject> {
    let bounds = [("valid_from_time", &tie.valid_from_time), ("valid_to_time", &tie.valid_to_time)];
    bounds.into_iter().find_map(|(place, said)| {
        let said = wire::timestamp(said.as_ref()?).ok()?.to_string();
        let tie = exists.metadata.get("name")?;
        // A bound that is not told of is open.
        let known = exists.metadata.get(place).map_or("open", String::as_str);
        (said != known).then(|| Reject {
            place: place.to_owned(),
            reason: reason::IMMUTABLE_FIELD.to_owned(),
            message: format!("{tie} is there with {place} {known}, which is fixed: end it, and record it anew"),
        })
    })
}

/// The fields that a row says and that can be corrected in a tie that is there. What a row leaves out stays.
fn told(tie: &Relationship) -> Vec<&'static str> {
    let told = [
        ("weight", tie.weight.is_some()),
        ("scope", !tie.scope.is_empty()),
        ("provenance", tie.provenance.as_ref().is_some_and(|told| *told != Provenance::default())),
    ];
    told.into_iter().filter_map(|(path, said)| said.then_some(path)).collect()
}

/// Those of them that are otherwise in the tie that is there.
fn differing(tie: &Relationship, known: &Relationship) -> Vec<&'static str> {
    let mut paths = told(tie);
    paths.retain(|path| match *path {
        // Weights are kept to six decimals.
        "weight" => (tie.weight.unwrap_or(1.0) - known.weight.unwrap_or(1.0)).abs() > 0.000_000_5,
        "scope" => tie.scope.trim() != known.scope,
        _ => tie.provenance != known.provenance,
    });
    paths
}

/// Nobody holds the key, so far.
fn unknown(field: &str, key: &str) -> Reject {
    Reject {
        place: field.to_owned(),
        reason: "UNKNOWN_PARTY".to_owned(),
        message: format!("no party holds {key}; import the parties first, or name another"),
    }
}
