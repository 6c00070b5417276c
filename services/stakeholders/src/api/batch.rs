use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::create_party_result::Result as Outcome;
use rapport_rpc::{Call, wire, written};
use rapport_store::{Committed, Scope};
use rapport_types::{Error, reason};
use tonic::Response;

use super::party::{creation, unread};
use super::{Hands, SERVICE, convert};
use crate::commands::CreateParty;

/// The most parties of a batch.
const MAX_BATCH: usize = 500;
/// The method under which request ids are remembered, whether they come alone or in a batch.
const METHOD: &str = "/rapport.stakeholders.v1.PartyService/CreateParty";

/// Records parties, each for itself.
pub(super) async fn create(
    hands: &Hands,
    call: &Call,
    request: &proto::BatchCreatePartiesRequest,
) -> Result<Response<proto::BatchCreatePartiesResponse>, Error> {
    let reading = hands.reading();
    if request.requests.is_empty() {
        reading.fields.push("requests", reason::REQUIRED, "must hold at least one request");
    }
    convert::bounded(&reading.fields, "requests", &request.requests, MAX_BATCH);
    reading.fields.finish()?;
    let mut results: Vec<Option<Outcome>> = Vec::with_capacity(request.requests.len());
    let (mut places, mut writes) = (Vec::new(), Vec::new());
    for (place, one) in request.requests.iter().enumerate() {
        match ready(hands, call, place, one) {
            Ok((_, CreateParty { may_restrict, .. })) if request.validate_only => {
                results.push(Some(match may_restrict {
                    Ok(()) => Outcome::Receipt(proto::CreatePartyReceipt::default()),
                    Err(error) => Outcome::Error(item_error(error)),
                }))
            }
            Ok(write) => {
                places.push(place);
                writes.push(write);
                results.push(None);
            }
            Err(error) => results.push(Some(Outcome::Error(item_error(error)))),
        }
    }
    let mut newest = None;
    for (place, committed) in places.into_iter().zip(hands.store.submit_many(writes).await) {
        let outcome = match committed {
            Ok(committed) => {
                newest = newest.max(Some(committed.position));
                Outcome::Receipt(proto::CreatePartyReceipt {
                    name: convert::party_name(committed.reply.id),
                    replayed: committed.replayed,
                })
            }
            Err(error) => Outcome::Error(item_error(error)),
        };
        if let Some(result) = results.get_mut(place) {
            *result = Some(outcome);
        }
    }
    let results = results.into_iter().map(|result| proto::CreatePartyResult { result }).collect();
    let reply = proto::BatchCreatePartiesResponse { results };
    Ok(match newest {
        Some(position) => written(SERVICE, Committed { reply, position, replayed: false }, |reply| reply),
        None => Response::new(reply),
    })
}

/// One request of the batch, read as CreateParty reads it.
fn ready(
    hands: &Hands,
    call: &Call,
    place: usize,
    one: &proto::CreatePartyRequest,
) -> Result<(Scope, CreateParty), Error> {
    let reading = hands.reading();
    let item = reading.index("requests", place);
    item.fields.check("request_id", wire::request_id(&one.request_id));
    let party = item.fields.required("party", one.party.as_ref());
    let draft = party.and_then(|party| convert::draft_in(&item.at("party"), party));
    drop(item);
    reading.fields.finish()?;
    let scope = call.scope(METHOD, &one.request_id, one)?;
    Ok((scope, creation(call, draft.ok_or_else(unread)?)))
}

/// An error as an item of a batch tells it: what the status of a unary call would say. A fault of ours is masked and
/// logged there too.
fn item_error(error: Error) -> proto::ItemError {
    let status = rapport_rpc::status(error);
    let code = status.code().into();
    let shown = rapport_rpc::error_of(status);
    let violations = shown.violations.into_iter().map(|violation| proto::ItemViolation {
        field: violation.field,
        reason: violation.reason.to_owned(),
        description: violation.description,
    });
    proto::ItemError {
        code,
        reason: shown.reason.to_owned(),
        message: shown.message,
        metadata: shown.metadata,
        violations: violations.collect(),
    }
}
