use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::identity_service_server::IdentityService;
use rapport_rpc::{Reply, handle, wire, written};
use tonic::{Request, Response, async_trait};

use super::party::unread;
use super::{Hands, SERVICE, convert};
use crate::commands::{ClaimIdentifier, ResolveParty};
use crate::domain::identifier::Scheme;
use crate::domain::question::Outcome;
use crate::queries;

/// What a caller needs, besides the permission to ask, to have somebody recorded whom nobody knows.
const RECORD: &str = "stakeholders.parties.write";

/// Who is who.
#[derive(Clone, Debug)]
pub struct IdentityApi {
    hands: Hands,
}

impl IdentityApi {
    pub(crate) fn new(hands: Hands) -> IdentityApi {
        IdentityApi { hands }
    }
}

#[async_trait]
impl IdentityService for IdentityApi {
    async fn resolve_party(&self, request: Request<proto::ResolvePartyRequest>) -> Reply<proto::ResolvePartyResponse> {
        handle(request, |call, request| async move {
            // Before anything is looked up, so that the answer does not depend on whom we know.
            if request.create_provisional {
                call.require(RECORD)?;
            }
            let reading = self.hands.reading();
            let id = reading.fields.check("request_id", wire::request_id(&request.request_id));
            let question = convert::question_in(&reading, &request);
            reading.fields.finish()?;
            let question = question.ok_or_else(unread)?;
            // A search that may record somebody and can be repeated has to be remembered, whatever it finds; any other
            // goes to the writer only when there is something to write.
            let repeatable = question.provisional.is_some() && id.flatten().is_some();
            if !repeatable {
                let found = queries::resolve_party(&self.hands.store, call.tenant(), &question).await?;
                if found.outcome != Outcome::None || question.provisional.is_none() {
                    return Ok(Response::new(convert::resolution_out(&found)));
                }
            }
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, ResolveParty { question }).await?;
            Ok(written(SERVICE, done, |found| convert::resolution_out(&found)))
        })
        .await
    }

    async fn claim_identifier(&self, request: Request<proto::ClaimIdentifierRequest>) -> Reply<proto::Party> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let party = convert::party_in(&reading.fields, "party", &request.party);
            let given = reading.fields.required("identifier", request.identifier.as_ref());
            // A number in national form is read with the plan of its party's country.
            let national = given.is_some_and(|given| {
                given.country_code.is_empty()
                    && Scheme::parse(&given.scheme).is_ok_and(|scheme| scheme.as_str() == rapport_identity::scheme::TEL)
            });
            let home = match party {
                Some(id) if national => {
                    queries::get_party(&self.hands.store, call.tenant(), id).await?.profile.country_code
                }
                _ => String::new(),
            };
            let identifier = given.and_then(|given| convert::identifier_in(&reading.at("identifier"), given, &home));
            let provenance = convert::provenance_in(&reading.fields, request.provenance.as_ref());
            reading.fields.finish()?;
            let command = ClaimIdentifier {
                party: party.ok_or_else(unread)?,
                identifier: identifier.ok_or_else(unread)?,
                provenance: provenance.ok_or_else(unread)?,
            };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |party| convert::party_out(&party)))
        })
        .await
    }
}
