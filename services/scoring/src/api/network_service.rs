use async_trait::async_trait;
use rapport_proto::scoring::v1 as proto;
use rapport_proto::scoring::v1::network_service_server::{NetworkService, NetworkServiceServer};
use rapport_rpc::{Reply, handle};
use rapport_store::{Binding, Pages, Store};
use rapport_types::error::Collector;
use rapport_types::{PageSize, Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use tonic::{Request, Response};

use super::{convert, convert_network};
use crate::options::ScoringOptions;
use crate::queries::{Networks, Several};

/// The network service.
#[derive(Clone, Debug)]
pub(crate) struct NetworkApi {
    networks: Networks,
    pages: Pages,
}

/// Where the next page of a ranking goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    as_of: i64,
    rank: usize,
    party: Uuid,
}

impl NetworkApi {
    /// The service over a store.
    pub(crate) fn server(store: &Store, options: ScoringOptions) -> NetworkServiceServer<NetworkApi> {
        let api = NetworkApi { networks: Networks::new(store.clone(), options), pages: store.pages().clone() };
        rapport_rpc::sized!(NetworkServiceServer::new(api))
    }
}

#[async_trait]
impl NetworkService for NetworkApi {
    async fn get_influence(&self, request: Request<proto::GetInfluenceRequest>) -> Reply<proto::GetInfluenceResponse> {
        handle(request, |call, request| async move {
            let (party, as_of) = convert_network::get_influence(&request)?;
            let as_of = as_of.unwrap_or_else(|| self.networks.now());
            let (party, standing, computed) = self.networks.influence(call.tenant(), party, as_of).await?;
            Ok(Response::new(proto::GetInfluenceResponse {
                influence: Some(convert_network::to_influence(party, standing, &computed)),
                network: Some(convert_network::to_network(&computed, as_of)),
            }))
        })
        .await
    }

    async fn batch_get_influence(
        &self,
        request: Request<proto::BatchGetInfluenceRequest>,
    ) -> Reply<proto::BatchGetInfluenceResponse> {
        handle(request, |call, request| async move {
            let (parties, max_age) = convert_network::batch_get_influence(&request)?;
            let now = self.networks.now();
            let several = self.networks.influences(call.tenant(), &parties, now, max_age).await?;
            // One that relationships changed since holds for the moment when it was computed.
            let Several { standings, computed, of_now } = several;
            let as_of = if of_now { now } else { computed.computed_at };
            let influences = standings
                .into_iter()
                .map(|(party, standing)| convert_network::to_influence(party, standing, &computed));
            Ok(Response::new(proto::BatchGetInfluenceResponse {
                influences: influences.collect(),
                network: Some(convert_network::to_network(&computed, as_of)),
            }))
        })
        .await
    }

    async fn rank_influencers(
        &self,
        request: Request<proto::RankInfluencersRequest>,
    ) -> Reply<proto::RankInfluencersResponse> {
        handle(request, |call, request| async move {
            let fields = Collector::new();
            let as_of = convert::time(&fields, "as_of", request.as_of.as_ref());
            let size = fields.check("page_size", PageSize::parse(request.page_size)).unwrap_or_default();
            fields.finish()?;
            let binding = Binding::new(call.tenant(), call.method, &format!("{:?}", request.as_of), "rank");
            let mark: Option<Mark> = self.pages.open(&binding, &request.page_token)?;
            let first = as_of.unwrap_or_else(|| self.networks.now());
            let as_of = mark.as_ref().map_or(first, |mark| Timestamp::from_micros(mark.as_of));
            let computed = self.networks.get(call.tenant(), as_of).await?;
            let after = mark.map(|mark| (mark.rank, mark.party));
            let (page, more) = computed.network.ranking(after, size.get());
            let next_page_token = match page.last().filter(|_| more) {
                Some(last) => {
                    let mark = Mark { as_of: as_of.as_micros(), rank: last.place.rank, party: last.party };
                    self.pages.seal(&binding, &mark)?
                }
                None => String::new(),
            };
            let influences = page
                .into_iter()
                .map(|standing| convert_network::to_influence(standing.party, Some(standing), &computed))
                .collect();
            let network = Some(convert_network::to_network(&computed, as_of));
            Ok(Response::new(proto::RankInfluencersResponse { influences, network, next_page_token }))
        })
        .await
    }
}
