use std::collections::BTreeSet;
use std::sync::Arc;

use rapport_proto::loyalty::v1 as proto;
use rapport_proto::loyalty::v1::advocacy_service_server::AdvocacyService;
use rapport_rpc::{Call, Reply, handle, wire, written};
use rapport_server::Context;
use rapport_store::{Binding, Committed, read_error};
use rapport_types::error::{Collector, Error};
use rapport_types::page::PageSize;
use rapport_types::{Timestamp, Uuid, reason};
use tonic::{Request, Response};

use super::convert::invitation::{answer, invitation_note, invitation_reason, to_funnel, to_invitation, wanted_state};
use super::paging::cut;
use crate::commands::{InviteAdvocate, RespondToInvitation};
use crate::domain::{InvitationName, MemberName, PartyName, ResponseName, Slug};
use crate::queries::{
    Advocates, Candidate, InvitationList, advocacy_funnel, get_invitation, list_invitations, show_invitation,
};
use crate::store::{InvitationRow, catalogs_warm, invitation_find, member_find, member_of_party};

/// `rapport.loyalty.v1.AdvocacyService`.
#[derive(Clone)]
pub(crate) struct Advocacy {
    cx: Context,
    advocates: Advocates,
}

impl Advocacy {
    /// The service over its parts.
    pub(crate) fn new(advocates: Advocates) -> Advocacy {
        Advocacy { cx: advocates.context().clone(), advocates }
    }
}

#[tonic::async_trait]
impl AdvocacyService for Advocacy {
    async fn invite_advocate(&self, request: Request<proto::InviteAdvocateRequest>) -> Reply<proto::Invitation> {
        handle(request, |call, request| self.invite(call, request)).await
    }

    async fn respond_to_invitation(
        &self,
        request: Request<proto::RespondToInvitationRequest>,
    ) -> Reply<proto::Invitation> {
        handle(request, |call, request| self.respond(call, request)).await
    }

    async fn get_invitation(&self, request: Request<proto::GetInvitationRequest>) -> Reply<proto::Invitation> {
        handle(request, |call, request| async move {
            let name = InvitationName::parse(&request.name).map_err(|error| error.at("name"))?;
            let view = get_invitation(&self.cx.store, call.tenant(), name.uuid()).await?;
            Ok(Response::new(to_invitation(view)))
        })
        .await
    }

    async fn list_invitations(
        &self,
        request: Request<proto::ListInvitationsRequest>,
    ) -> Reply<proto::ListInvitationsResponse> {
        handle(request, |call, request| self.list(call, request)).await
    }

    async fn get_advocacy_funnel(
        &self,
        request: Request<proto::GetAdvocacyFunnelRequest>,
    ) -> Reply<proto::AdvocacyFunnel> {
        handle(request, |call, request| self.funnel(call, request)).await
    }
}

/// A request was refused without a reason.
fn unread() -> Error {
    Error::bug("a request was refused without a reason")
}

impl Advocacy {
    async fn invite(
        &self,
        call: Call,
        request: proto::InviteAdvocateRequest,
    ) -> Result<Response<proto::Invitation>, Error> {
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let party = optional(&fields, "party", &request.party, PartyName::parse);
        let member = optional(&fields, "member", &request.member, MemberName::parse);
        if request.party.is_empty() && request.member.is_empty() {
            fields.push("party", reason::REQUIRED, "must be given, or member");
        }
        let channel = fields.check("channel", Slug::parse(&request.channel));
        let purpose = fields.check("purpose", Slug::parse(&request.purpose));
        let rules = self.advocates.rules();
        let ask = match request.ask.as_str() {
            "" => Some(rules.ask.clone()),
            ask => fields.check("ask", Slug::parse(ask)),
        };
        let response = optional(&fields, "survey_response", &request.survey_response, ResponseName::parse);
        let why = fields.check("reason", invitation_reason(&request.reason));
        if request.survey_response.is_empty() && request.reason.is_empty() {
            fields.push("reason", reason::REQUIRED, "must be given, or survey_response");
        }
        fields.finish()?;
        let (Some(channel), Some(purpose), Some(ask), Some(reason)) = (channel, purpose, ask, why) else {
            return Err(unread());
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let party = self.named(&call, party, member).await?;
        let candidate = Candidate {
            tenant: call.tenant(),
            origin: party,
            party: Some(party),
            member,
            purpose: &purpose,
            channel: &channel,
            patience: call.remaining(),
            traceparent: scope.traceparent.as_deref(),
        };
        let advocate = self.advocates.find(candidate).await?;
        if advocate.party.is_none() {
            return Err(Error::not_found(PartyName::new(party)));
        }
        let id = self.cx.world.next_id();
        let rules = Arc::clone(rules);
        let command = InviteAdvocate { id, advocate, channel, purpose, ask, response, reason, rules };
        self.answered(self.cx.store.submit(scope, command).await?).await
    }

    /// The party that a request is about.
    async fn named(&self, call: &Call, party: Option<PartyName>, member: Option<MemberName>) -> Result<Uuid, Error> {
        let Some(member) = member else {
            return party.map(|party| party.uuid()).ok_or_else(unread);
        };
        let key = (call.tenant().clone(), member.uuid());
        let found = member_find(self.cx.store.reader(), &BTreeSet::from([key])).await.map_err(read_error)?;
        let enrolled = found.into_values().find(|found| found.program == member.parent().uuid());
        let enrolled = enrolled.ok_or_else(|| Error::not_found(member))?.party;
        match party {
            Some(party) if party.uuid() != enrolled => {
                Err(Error::field("member", reason::CONFLICTING_FIELDS, "is not a membership of the party"))
            }
            _ => Ok(enrolled),
        }
    }

    async fn respond(
        &self,
        call: Call,
        request: proto::RespondToInvitationRequest,
    ) -> Result<Response<proto::Invitation>, Error> {
        let fields = Collector::new();
        fields.check("request_id", wire::request_id(&request.request_id));
        let name = fields.check("name", InvitationName::parse(&request.name));
        let answer = fields.check("answer", answer(request.answer));
        let note = fields.check("note", invitation_note(&request.note));
        let occurred_at = request
            .occurred_time
            .as_ref()
            .and_then(|time| fields.check("occurred_time", wire::occurred(Some(time), self.cx.world.now())));
        fields.finish()?;
        let (Some(name), Some(answer), Some(note)) = (name, answer, note) else {
            return Err(unread());
        };
        let scope = call.scope(call.method, &request.request_id, &request)?;
        let members = self.memberships(&call, name.uuid()).await?;
        let (units, world) = (self.advocates.rules().social_units, self.cx.world.clone());
        let catalogs = Arc::clone(self.advocates.catalogs());
        let command =
            RespondToInvitation { id: name.uuid(), answer, note, occurred_at, members, units, world, catalogs };
        let done = self.cx.store.submit(scope, command).await?;
        catalogs_warm(&self.cx.store, self.advocates.catalogs()).await;
        self.answered(done).await
    }

    /// The memberships of whoever an invitation is for; none where there is no such invitation, which the write will say.
    async fn memberships(&self, call: &Call, invitation: Uuid) -> Result<Vec<Uuid>, Error> {
        let (db, tenant) = (self.cx.store.reader(), call.tenant());
        let ids = BTreeSet::from([(tenant.clone(), invitation)]);
        let found = invitation_find(db, &ids).await.map_err(read_error)?;
        let Some(party) = found.into_values().find_map(|row| row.invitation.party) else {
            return Ok(Vec::new());
        };
        let members = member_of_party(db, tenant, party).await.map_err(read_error)?;
        Ok(members.into_iter().map(|member| member.id).collect())
    }

    /// The invitation as the write left it, with its texts.
    async fn answered(&self, committed: Committed<InvitationRow>) -> Result<Response<proto::Invitation>, Error> {
        let store = &self.cx.store;
        let Committed { reply, position, replayed } = committed;
        let view = show_invitation(store, reply).await?;
        Ok(written(store.service(), Committed { reply: view, position, replayed }, to_invitation))
    }

    async fn list(
        &self,
        call: Call,
        request: proto::ListInvitationsRequest,
    ) -> Result<Response<proto::ListInvitationsResponse>, Error> {
        let store = &self.cx.store;
        let fields = Collector::new();
        let party = optional(&fields, "party", &request.party, PartyName::parse);
        let state = fields.check("state", wanted_state(request.state));
        let size = fields.check("page_size", PageSize::parse(request.page_size));
        fields.finish()?;
        let (Some(state), Some(size)) = (state, size) else {
            return Err(unread());
        };
        let bound = format!("{}|{}", request.party, request.state);
        let binding = Binding::new(call.tenant(), call.method, &bound, "");
        let after: Option<Uuid> = store.pages().open(&binding, &request.page_token)?;
        let party = party.map(|party| party.uuid());
        let list = InvitationList { party, state, after, limit: size.probe() };
        let read = list_invitations(store, call.tenant(), list).await?;
        let (page, next_page_token) = cut(store, &binding, size, read, |view| view.invitation.id)?;
        let invitations = page.into_iter().map(to_invitation).collect();
        Ok(Response::new(proto::ListInvitationsResponse { invitations, next_page_token }))
    }

    async fn funnel(
        &self,
        call: Call,
        request: proto::GetAdvocacyFunnelRequest,
    ) -> Result<Response<proto::AdvocacyFunnel>, Error> {
        let fields = Collector::new();
        let time = |field: &str, value: &Option<prost_types::Timestamp>| {
            value.as_ref().and_then(|value| fields.check(field, wire::timestamp(value)))
        };
        let now = self.cx.world.now();
        let from = time("from_time", &request.from_time).unwrap_or(Timestamp::MIN);
        // An invitation of this very moment is meant too.
        let until = time("to_time", &request.to_time).unwrap_or(Timestamp::MAX);
        if request.from_time.is_some() && request.to_time.is_some() && until < from {
            fields.push("to_time", reason::END_BEFORE_START, "must not be before from_time");
        }
        fields.finish()?;
        let funnel = advocacy_funnel(&self.cx.store, call.tenant(), from, until, now).await?;
        Ok(Response::new(to_funnel(&funnel)))
    }
}

/// A name that may be left out.
fn optional<T>(
    fields: &Collector,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, rapport_types::FieldError>,
) -> Option<T> {
    if text.is_empty() { None } else { fields.check(field, parse(text)) }
}
