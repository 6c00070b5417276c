use prost::Message;
use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::party_service_server::PartyService;
use rapport_rpc::{Call, Reply, handle, reply_stream, until_stopped, wire, written};
use rapport_server::Context;
use rapport_types::{Error, Kind, PageSize, TenantId, reason};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, async_trait};
use uuid::Uuid;

use super::{Hands, SERVICE, batch, convert, watch};
use crate::commands::{AssignRole, CreateParty, EndRole, UpdateParty};
use crate::domain::names::{PartyName, RoleName};
use crate::domain::party::{Lifecycle, PartyDraft};
use crate::domain::role::RoleType;
use crate::queries::{self, PartyQuestion};

/// The most names that one batch reads.
const MAX_BATCH: usize = 500;
/// What an answer may weigh: well under what the server sends.
const MAX_ANSWER: usize = 3 * 1024 * 1024;

/// What a caller needs, besides the permission to write parties, to set one apart and to lift that.
const RESTRICT: &str = "stakeholders.parties.restrict";

/// Parties and the roles they hold.
#[derive(Clone, Debug)]
pub struct PartyApi {
    hands: Hands,
    stopping: StopSignal,
}

/// The token by which streams learn that the process stops.
type StopSignal = tokio_util::sync::CancellationToken;

impl PartyApi {
    pub(crate) fn new(hands: Hands, cx: &Context) -> PartyApi {
        PartyApi { hands, stopping: cx.stopping.clone() }
    }

    /// The country of a party, for numbers in national form that come without one.
    async fn home(&self, tenant: &TenantId, party: &proto::Party, id: Option<Uuid>) -> Result<String, Error> {
        match id {
            Some(id) if party.country_code.is_empty() => {
                Ok(queries::get_party(&self.hands.store, tenant, id).await?.profile.country_code)
            }
            _ => Ok(party.country_code.clone()),
        }
    }
}

#[async_trait]
impl PartyService for PartyApi {
    async fn create_party(&self, request: Request<proto::CreatePartyRequest>) -> Reply<proto::Party> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let party = reading.fields.required("party", request.party.as_ref());
            let draft = party.and_then(|party| convert::draft_in(&reading.at("party"), party));
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            reading.fields.finish()?;
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, creation(&call, draft.ok_or_else(unread)?)).await?;
            Ok(written(SERVICE, done, |party| convert::party_out(&party)))
        })
        .await
    }

    async fn batch_create_parties(
        &self,
        request: Request<proto::BatchCreatePartiesRequest>,
    ) -> Reply<proto::BatchCreatePartiesResponse> {
        handle(request, |call, request| async move { batch::create(&self.hands, &call, &request).await }).await
    }

    async fn get_party(&self, request: Request<proto::GetPartyRequest>) -> Reply<proto::Party> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let id = convert::party_in(&reading.fields, "name", &request.name);
            reading.fields.finish()?;
            let party = queries::get_party(&self.hands.store, call.tenant(), id.ok_or_else(unread)?).await?;
            Ok(Response::new(convert::party_out(&party)))
        })
        .await
    }

    async fn batch_get_parties(
        &self,
        request: Request<proto::BatchGetPartiesRequest>,
    ) -> Reply<proto::BatchGetPartiesResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            if request.names.is_empty() {
                fields.push("names", reason::REQUIRED, "must name at least one party");
            }
            let mut ids = Vec::new();
            if convert::bounded(fields, "names", &request.names, MAX_BATCH) {
                let names = request.names.iter().enumerate();
                ids.extend(names.filter_map(|(i, name)| convert::party_in(fields, &format!("names[{i}]"), name)));
            }
            reading.fields.finish()?;
            let (found, missing) = queries::get_parties(&self.hands.store, call.tenant(), &ids).await?;
            let answer = proto::BatchGetPartiesResponse {
                parties: found.iter().map(convert::party_out).collect(),
                missing_names: missing.into_iter().map(convert::party_name).collect(),
            };
            if answer.encoded_len() > MAX_ANSWER {
                return Err(Error::new(
                    Kind::Exhausted,
                    reason::BUDGET_EXCEEDED,
                    "the parties are too large for one answer: ask for fewer at a time",
                )
                .with("names", request.names.len()));
            }
            Ok(Response::new(answer))
        })
        .await
    }

    async fn update_party(&self, request: Request<proto::UpdatePartyRequest>) -> Reply<proto::Party> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let party = reading.fields.required("party", request.party.as_ref());
            let inner = reading.at("party");
            let id = party.and_then(|party| convert::party_in(&inner.fields, "name", &party.name));
            let mask = request.update_mask.as_ref();
            let numbers = mask.is_some_and(|mask| mask.paths.iter().any(|path| path == "contact_media" || path == "*"));
            let home = match party {
                Some(party) if numbers => self.home(call.tenant(), party, id).await?,
                _ => String::new(),
            };
            let changes = party.and_then(|party| convert::changes_in(&inner, party, mask, &reading.fields, &home));
            drop(inner);
            reading.fields.finish()?;
            let command = UpdateParty {
                party: id.ok_or_else(unread)?,
                etag: party.map(|party| party.etag.clone()).unwrap_or_default(),
                changes: changes.ok_or_else(unread)?,
                may_restrict: call.require(RESTRICT),
            };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |party| convert::party_out(&party)))
        })
        .await
    }

    async fn list_parties(&self, request: Request<proto::ListPartiesRequest>) -> Reply<proto::ListPartiesResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let size = reading.fields.check("page_size", PageSize::parse(request.page_size));
            let role_type = match request.role_type.as_str() {
                "" => None,
                text => reading.fields.check("role_type", RoleType::parse(text)),
            };
            reading.fields.finish()?;
            let mut question = PartyQuestion {
                size: size.ok_or_else(unread)?,
                token: request.page_token,
                filter: request.filter,
                order_by: request.order_by,
                role_type: role_type.map(|kind| kind.as_str().to_owned()),
            };
            loop {
                let page = queries::list_parties(&self.hands.store, call.tenant(), question.clone()).await?;
                let answer = proto::ListPartiesResponse {
                    parties: page.parties.iter().map(convert::party_out).collect(),
                    next_page_token: page.next,
                };
                // Parties with very large attributes come on smaller pages; one alone always fits.
                if answer.encoded_len() <= MAX_ANSWER || answer.parties.len() <= 1 {
                    return Ok(Response::new(answer));
                }
                let half = i32::try_from(answer.parties.len() / 2).unwrap_or(1);
                question.size = PageSize::parse(half).map_err(|error| error.at("page_size"))?;
            }
        })
        .await
    }

    async fn assign_role(&self, request: Request<proto::AssignRoleRequest>) -> Reply<proto::PartyRole> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let party = convert::party_in(&reading.fields, "party", &request.party);
            let role = reading.fields.required("role", request.role.as_ref());
            let role = role.and_then(|role| convert::role_in(&reading.at("role"), role));
            reading.fields.finish()?;
            let command = AssignRole { party: party.ok_or_else(unread)?, role: role.ok_or_else(unread)? };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |role| convert::role_out(&role)))
        })
        .await
    }

    async fn end_role(&self, request: Request<proto::EndRoleRequest>) -> Reply<proto::PartyRole> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            fields.check("request_id", wire::request_id(&request.request_id));
            let role = fields.check("name", RoleName::parse(&request.name));
            let at = convert::past(&reading, "end_time", request.end_time.as_ref());
            let reason = convert::line(fields, "reason", &request.reason, 500);
            let provenance = convert::provenance_in(fields, request.provenance.as_ref());
            reading.fields.finish()?;
            let command = EndRole {
                role: role.ok_or_else(unread)?,
                at: at.ok_or_else(unread)?,
                reason: reason.ok_or_else(unread)?,
                provenance: provenance.ok_or_else(unread)?,
            };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |role| convert::role_out(&role)))
        })
        .await
    }

    type WatchPartiesStream = BoxStream<proto::WatchPartiesResponse>;

    async fn watch_parties(
        &self,
        request: Request<proto::WatchPartiesRequest>,
    ) -> Reply<BoxStream<proto::WatchPartiesResponse>> {
        handle(request, |call, request| async move {
            let interest = watch::Interest::read(&self.hands.reading(), &request)?;
            let changes = watch::changes(&self.hands.feed, call.tenant(), interest).await?;
            Ok(Response::new(reply_stream(until_stopped(changes, self.stopping.clone()))))
        })
        .await
    }
}

/// The party as this caller may record it.
pub(super) fn creation(call: &Call, draft: PartyDraft) -> CreateParty {
    let may_restrict = if draft.stated == Some(Lifecycle::Restricted) { call.require(RESTRICT) } else { Ok(()) };
    CreateParty { draft, may_restrict }
}

/// A value is missing although nothing was found wrong: ours to repair.
pub(super) fn unread() -> Error {
    Error::bug("a field was neither read nor refused")
}

/// Names of parties, as a request gives them.
pub(super) fn names_in(
    names: &[String],
) -> impl Iterator<Item = (usize, Result<PartyName, rapport_types::FieldError>)> {
    names.iter().enumerate().map(|(index, name)| (index, PartyName::parse(name)))
}
