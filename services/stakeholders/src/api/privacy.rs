use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::privacy_service_server::PrivacyService;
use rapport_rpc::{Reply, handle, wire, written};
use rapport_types::PageSize;
use tonic::{Request, Response, async_trait};

use super::party::unread;
use super::{Hands, SERVICE, convert};
use crate::commands::RecordConsent;
use crate::domain::text;
use crate::queries::{self, ConsentQuestion};

/// What parties allow us to do.
#[derive(Clone, Debug)]
pub struct PrivacyApi {
    hands: Hands,
}

impl PrivacyApi {
    pub(crate) fn new(hands: Hands) -> PrivacyApi {
        PrivacyApi { hands }
    }
}

#[async_trait]
impl PrivacyService for PrivacyApi {
    async fn record_consent(&self, request: Request<proto::RecordConsentRequest>) -> Reply<proto::Consent> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            reading.fields.check("request_id", wire::request_id(&request.request_id));
            let given = reading.fields.required("consent", request.consent.as_ref());
            let consent = given.and_then(|given| convert::consent_in(&reading.at("consent"), given));
            reading.fields.finish()?;
            let command = RecordConsent { consent: consent.ok_or_else(unread)? };
            let scope = call.scope(call.method, &request.request_id, &request)?;
            let done = self.hands.store.submit(scope, command).await?;
            Ok(written(SERVICE, done, |consent| convert::consent_out(&consent)))
        })
        .await
    }

    async fn check_consent(&self, request: Request<proto::CheckConsentRequest>) -> Reply<proto::CheckConsentResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            let party = convert::party_in(fields, "party", &request.party);
            let purpose = fields.check("purpose", text::slug(&request.purpose));
            let channel = fields.check("channel", text::slug(&request.channel));
            let as_of = convert::time(fields, "as_of", request.as_of.as_ref());
            let known_at = convert::time(fields, "as_known_at", request.as_known_at.as_ref());
            reading.fields.finish()?;
            let question = ConsentQuestion {
                party: party.ok_or_else(unread)?,
                purpose: purpose.ok_or_else(unread)?,
                channel: channel.ok_or_else(unread)?,
                as_of: as_of.ok_or_else(unread)?,
                known_at: known_at.ok_or_else(unread)?,
            };
            let answer = queries::check_consent(&self.hands.store, call.tenant(), question).await?;
            Ok(Response::new(proto::CheckConsentResponse {
                allowed: answer.verdict.allowed(),
                reason: convert::reason_to_proto(answer.verdict.reason).into(),
                deciding_consent: answer.deciding.as_ref().map(convert::consent_out),
                as_of: Some(wire::to_timestamp(answer.as_of)),
                next_change_time: answer.next_change.map(wire::to_timestamp),
            }))
        })
        .await
    }

    async fn list_consents(&self, request: Request<proto::ListConsentsRequest>) -> Reply<proto::ListConsentsResponse> {
        handle(request, |call, request| async move {
            let reading = self.hands.reading();
            let fields = &reading.fields;
            let party = convert::party_in(fields, "party", &request.party);
            let size = fields.check("page_size", PageSize::parse(request.page_size));
            reading.fields.finish()?;
            let (party, size) = (party.ok_or_else(unread)?, size.ok_or_else(unread)?);
            let token = &request.page_token;
            let page = queries::list_consents(&self.hands.store, call.tenant(), party, size, token).await?;
            Ok(Response::new(proto::ListConsentsResponse {
                consents: page.consents.iter().map(convert::consent_out).collect(),
                next_page_token: page.next,
            }))
        })
        .await
    }
}
