use futures::StreamExt;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_proto::interactions::v1::record_result::Result as Outcome;
use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_rpc::{Call, Reply, error_of, handle, reply_stream, wire, written};
use rapport_store::{Binding, Committed, read_error};
use rapport_types::error::{Collector, Error, Kind};
use rapport_types::page::PageSize;
use rapport_types::time::Timestamp;
use rapport_types::{Uuid, reason};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Streaming};

use super::convert::{to_interaction, to_recorded};
use super::convert_amendment::{amendment, change, reassignment};
use super::desk_service::opened;
use super::item_error::item_error;
use super::paging::{Place, ascending, cut};
use super::recording::{ready, to_receipt};
use super::{stream, watch};
use crate::commands::{AmendInteraction, Made, ReassignInteraction, RetractInteraction};
use crate::domain::{InteractionName, PartyName};
use crate::options::InteractionOptions;
use crate::queries::{
    InteractionList, InteractionView, Timeline, get_interaction, get_timeline, get_version, list_interactions,
};
use crate::store::{call_legs, interaction_filter, timeline_filter};
use rapport_server::Context;

/// The most items of a batch.
const MAX_BATCH: usize = 500;

/// `rapport.interactions.v1.InteractionService`.
#[derive(Clone)]
pub(crate) struct Interactions {
    cx: Context,
    options: InteractionOptions,
}

impl Interactions {
    /// The service over its parts.
    pub(crate) fn new(cx: Context, options: InteractionOptions) -> Interactions {
        Interactions { cx, options }
    }
}

#[tonic::async_trait]
impl InteractionService for Interactions {
    async fn record_interaction(&self, request: Request<proto::RecordInteractionRequest>) -> Reply<proto::Interaction> {
        handle(request, |call, request| self.record(call, request)).await
    }

    async fn batch_record_interactions(
        &self,
        request: Request<proto::BatchRecordInteractionsRequest>,
    ) -> Reply<proto::BatchRecordInteractionsResponse> {
        handle(request, |call, request| self.batch(call, request)).await
    }

    type StreamInteractionsStream = BoxStream<proto::StreamInteractionsResponse>;

    async fn stream_interactions(
        &self,
        request: Request<Streaming<proto::StreamInteractionsRequest>>,
    ) -> Reply<Self::StreamInteractionsStream> {
        handle(request, |call, inbound| async move {
            let inbound = inbound.map(|message| message.map_err(rapport_rpc::received));
            let window = self.options.stream_window;
            Ok(Response::new(reply_stream(stream::acknowledgements(self.cx.clone(), call, window, inbound))))
        })
        .await
    }

    async fn amend_interaction(&self, request: Request<proto::AmendInteractionRequest>) -> Reply<proto::Interaction> {
        handle(request, |call, request| self.amend(call, request)).await
    }

    async fn retract_interaction(
        &self,
        request: Request<proto::RetractInteractionRequest>,
    ) -> Reply<proto::Interaction> {
        handle(request, |call, request| self.retract(call, request)).await
    }

    async fn reassign_interaction(
        &self,
        request: Request<proto::ReassignInteractionRequest>,
    ) -> Reply<proto::Interaction> {
        handle(request, |call, request| self.reassign(call, request)).await
    }

    async fn get_interaction(&self, request: Request<proto::GetInteractionRequest>) -> Reply<proto::Interaction> {
        handle(request, |call, request| async move {
            let name = InteractionName::parse(&request.name).map_err(|error| error.at("name"))?;
            let view = match request.version {
                0 => get_interaction(&self.cx.store, call.tenant(), name.uuid()).await?,
                1.. => get_version(&self.cx.store, call.tenant(), name.uuid(), request.version).await?,
                _ => return Err(Error::field("version", reason::OUT_OF_RANGE, "must be 0 or more")),
            };
            Ok(Response::new(to_interaction(view)))
        })
        .await
    }

    async fn list_interactions(
        &self,
        request: Request<proto::ListInteractionsRequest>,
    ) -> Reply<proto::ListInteractionsResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn get_timeline(&self, request: Request<proto::GetTimelineRequest>) -> Reply<proto::GetTimelineResponse> {
        handle(request, |call, request| self.timeline(call, request)).await
    }

    type WatchInteractionsStream = BoxStream<proto::WatchInteractionsResponse>;

    async fn watch_interactions(
        &self,
        request: Request<proto::WatchInteractionsRequest>,
    ) -> Reply<Self::WatchInteractionsStream> {
        handle(request, |call, request| async move {
            let changes = watch::changes(&self.cx, call.tenant().clone(), request).await?;
            Ok(Response::new(reply_stream(changes)))
        })
        .await
    }
}

impl Interactions {
    async fn record(
        &self,
        call: Call,
        request: proto::RecordInteractionRequest,
    ) -> Result<Response<proto::Interaction>, Error> {
        let store = &self.cx.store;
        let ready = ready(store, &call, "", request.interaction.as_ref(), &request.request_id)?;
        let interaction = ready.interaction;
        let committed = store.submit(ready.scope, ready.command).await?;
        Ok(written(store.service(), committed, |receipt| to_recorded(&interaction, &receipt)))
    }

    async fn batch(
        &self,
        call: Call,
        request: proto::BatchRecordInteractionsRequest,
    ) -> Result<Response<proto::BatchRecordInteractionsResponse>, Error> {
        if request.items.is_empty() {
            return Err(Error::field("items", reason::REQUIRED, "must be given"));
        }
        if request.items.len() > MAX_BATCH {
            return Err(super::convert::too_many(MAX_BATCH).at("items"));
        }
        let store = &self.cx.store;
        let mut results: Vec<Option<Outcome>> = Vec::with_capacity(request.items.len());
        let mut places = Vec::new();
        let mut writes = Vec::new();
        for (position, item) in request.items.iter().enumerate() {
            let path = format!("items[{position}]");
            match ready(store, &call, &path, item.interaction.as_ref(), &item.request_id) {
                Ok(_) if request.validate_only => {
                    results.push(Some(Outcome::Receipt(proto::RecordReceipt::default())));
                }
                Ok(ready) => {
                    places.push(position);
                    writes.push((ready.scope, ready.command));
                    results.push(None);
                }
                Err(error) => results.push(Some(Outcome::Error(item_error(error)))),
            }
        }
        let mut newest = None;
        for (position, committed) in places.into_iter().zip(store.submit_many(writes).await) {
            let outcome = match committed {
                Ok(committed) => {
                    newest = newest.max(Some(committed.position));
                    Outcome::Receipt(to_receipt(&committed.reply, committed.replayed))
                }
                Err(error) => Outcome::Error(item_error(error)),
            };
            if let Some(result) = results.get_mut(position) {
                *result = Some(outcome);
            }
        }
        let results = results.into_iter().map(|result| proto::RecordResult { result }).collect();
        let reply = proto::BatchRecordInteractionsResponse { results };
        Ok(match newest {
            Some(position) => {
                let committed = Committed { reply, position, replayed: false };
                written(store.service(), committed, |reply| reply)
            }
            None => Response::new(reply),
        })
    }

    async fn amend(
        &self,
        call: Call,
        request: proto::AmendInteractionRequest,
    ) -> Result<Response<proto::Interaction>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let read = amendment(&fields, &request, store.world().now());
        fields.finish()?;
        let (change, amendment) = read.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let committed = store.submit(scope, AmendInteraction { change, amendment }).await?;
        self.version(&call, committed).await
    }

    async fn retract(
        &self,
        call: Call,
        request: proto::RetractInteractionRequest,
    ) -> Result<Response<proto::Interaction>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let name = ("name", Some(request.name.as_str()));
        let read = change(&fields, name, &request.etag, &request.reason, request.provenance.as_ref());
        fields.finish()?;
        let change = read.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let committed = store.submit(scope, RetractInteraction { change }).await?;
        self.version(&call, committed).await
    }

    async fn reassign(
        &self,
        call: Call,
        request: proto::ReassignInteractionRequest,
    ) -> Result<Response<proto::Interaction>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let read = reassignment(&fields, &request);
        fields.finish()?;
        let (change, participant, to) = read.ok_or_else(|| Error::bug("a request was refused without a reason"))?;
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let talks = std::iter::once((call.tenant().clone(), change.id)).collect();
        let cases = opened(&call_legs(store.reader(), &talks).await.map_err(read_error)?);
        let command = ReassignInteraction { change, participant, to, cases };
        let committed = store.submit(scope, command).await?;
        self.version(&call, committed).await
    }

    /// The version that a change made, with its texts.
    async fn version(&self, call: &Call, committed: Committed<Made>) -> Result<Response<proto::Interaction>, Error> {
        let store = &self.cx.store;
        let Committed { reply: Made { id, version }, position, replayed } = committed;
        let reply = get_version(store, call.tenant(), id, version).await?;
        Ok(written(store.service(), Committed { reply, position, replayed }, to_interaction))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListInteractionsRequest,
    ) -> Result<Response<proto::ListInteractionsResponse>, Error> {
        let store = &self.cx.store;
        let size = PageSize::parse(request.page_size).map_err(|error| error.at("page_size"))?;
        let ascending = ascending(&request.order_by, "occurred_time")?;
        let filter = interaction_filter(&request.filter)?;
        let order = if ascending { "asc" } else { "desc" };
        let include_retracted = request.include_retracted;
        let bound = format!("{include_retracted}|{}", request.filter);
        let binding = Binding::new(call.tenant(), call.method, &bound, order);
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let list = InteractionList { filter: &filter, ascending, include_retracted, after, limit: size.probe() };
        let views = list_interactions(store, call.tenant(), &list).await?;
        let (interactions, next_page_token) = cut(store, &binding, size, places(views))?;
        Ok(Response::new(proto::ListInteractionsResponse { interactions, next_page_token }))
    }

    async fn timeline(
        &self,
        call: Call,
        request: proto::GetTimelineRequest,
    ) -> Result<Response<proto::GetTimelineResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let party = fields.check("party", PartyName::parse(&request.party));
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        let time = |field: &str, time: &Option<prost_types::Timestamp>| -> Option<Timestamp> {
            time.as_ref().and_then(|time| fields.check(field, wire::timestamp(time)))
        };
        let as_of = time("as_of", &request.as_of);
        let as_known_at = time("as_known_at", &request.as_known_at);
        fields.finish()?;
        let (Some(party), Some(size)) = (party, size) else {
            return Err(Error::bug("a request was refused without a reason"));
        };
        let filter = timeline_filter(&request.filter)?;
        let include_retracted = request.include_retracted;
        let bound = format!("{party}|{as_of:?}|{as_known_at:?}|{include_retracted}|{}", request.filter);
        let binding = Binding::new(call.tenant(), call.method, &bound, "");
        let after: Option<Place> = store.pages().open(&binding, &request.page_token)?;
        let timeline = Timeline {
            party: party.uuid(),
            filter: &filter,
            as_of,
            as_known_at,
            include_retracted,
            after,
            limit: size.probe(),
        };
        let views = get_timeline(store, call.tenant(), &timeline).await?;
        if views.is_empty() && after.is_none() {
            self.exists(&call, party).await?;
        }
        let (interactions, next_page_token) = cut(store, &binding, size, places(views))?;
        Ok(Response::new(proto::GetTimelineResponse { interactions, next_page_token }))
    }

    /// Nothing is recorded of a party: whether there is such a party, its own service knows. While that one does not
    /// answer, nothing recorded is the answer.
    async fn exists(&self, call: &Call, party: PartyName) -> Result<(), Error> {
        let mut parties = PartyServiceClient::new(self.cx.peers.transport("stakeholders"));
        let request = call.request(GetPartyRequest { name: party.to_string() });
        match parties.get_party(request).await.map_err(error_of) {
            Err(error) if error.kind == Kind::NotFound => Err(Error::not_found(party)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn places(views: Vec<InteractionView>) -> Vec<(Place, proto::Interaction)> {
    views
        .into_iter()
        .map(|view| {
            let place: (i64, Uuid) = (view.row.occurred_at.as_micros(), view.row.id);
            (place, to_interaction(view))
        })
        .collect()
}
