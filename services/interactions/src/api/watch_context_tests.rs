//! A context as it changes while somebody reads it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::desk_service_server::DeskService;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_proto::interactions::v1::watch_agent_context_request::About;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};
use tonic::codegen::BoxStream;

use super::conversation_tests::{Line, NUMBER, ending, handover, leg};
use crate::domain::SectionKind;
use crate::events::{holder, learn};
use crate::fixture::{Keep, by_party, complaint, keep, party, request, tenant};
use crate::store::{Known, SectionKey};

/// How long something that comes at once may take on a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(30);

struct Watch(BoxStream<proto::WatchAgentContextResponse>);

impl Watch {
    async fn over(line: &Line, about: About) -> Watch {
        let message = proto::WatchAgentContextRequest { about: Some(about), budget_ms: 5_000, ..Default::default() };
        Watch(line.desk.watch_agent_context(request("acme", message)).await.unwrap().into_inner())
    }

    /// The next message; none when it is over.
    async fn next(&mut self) -> Option<proto::WatchAgentContextResponse> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("it says nothing");
        message.map(|message| message.unwrap())
    }

    /// The first message that tells of a field.
    async fn until(&mut self, field: &str) -> proto::WatchAgentContextResponse {
        loop {
            let message = self.next().await.expect("it is over");
            assert!(message.ended || !message.changed.is_empty(), "a message tells something: {message:?}");
            if message.changed.iter().any(|changed| changed == field) {
                return message;
            }
        }
    }
}

impl Line {
    async fn complain(&self, id: u128, seconds: i64) -> String {
        let message = proto::RecordInteractionRequest {
            interaction: Some(complaint(by_party(id), seconds)),
            request_id: String::new(),
        };
        self.api.record_interaction(request("acme", message)).await.unwrap().into_inner().name
    }
}

/// What a consumer learns of a party, in whichever process it runs.
fn card(id: u128, name: &str) -> Keep {
    let card = proto::CardSection { party: party(id), display_name: name.to_owned(), ..Default::default() };
    let (party, facet) = (Uuid::from_u128(id), String::new());
    let key = SectionKey { tenant: tenant("acme"), party, kind: SectionKind::Card, facet };
    let as_of = rapport_types::World::system().now();
    Keep {
        sections: BTreeMap::from([(key, Known { position: 1, as_of, plain: card.encode_to_vec() })]),
        ..Keep::default()
    }
}

each_store! {
    async fn what_changes_during_a_call_is_told_until_it_ends(place: StorePlace) {
        let line = Line::open(&place).await;
        // Another replica, where the store can have one: nothing that happens there is known in this process.
        let other = if place.is_postgres() { Line::open(&place).await } else { line.twin() };
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let call = line.begin(leg("1", "a", NUMBER)).await;
        let mut watch = Watch::over(&line, About::Call(call.name.clone())).await;
        let first = watch.next().await.unwrap();
        let context = first.context.unwrap();
        assert_eq!((first.changed.len(), first.ended, context.party.as_str()), (0, false, party(1).as_str()));
        assert!(context.card.is_some() && context.history.is_some() && context.caller.is_some());

        other.complain(2, 1).await;
        let name = other.complain(1, 2).await;
        let message = watch.until("history").await;
        let has = |field: &str| message.changed.iter().any(|changed| changed == field);
        let context = message.context.clone().unwrap();
        assert_eq!(context.history.unwrap().interactions.iter().map(|one| &one.name).collect::<Vec<_>>(), [&name]);
        assert_eq!((context.card.is_some(), context.caller.is_some()), (has("card"), has("caller")));
        assert_eq!((context.scores.is_some(), context.promises.is_some()), (has("scores"), has("promises")));
        assert_eq!((context.call.as_str(), context.party.as_str()), (call.name.as_str(), party(1).as_str()));

        // What a consumer learned elsewhere fills a section that nobody answered for.
        keep(&other.cx, card(1, "Noa Moreira")).await;
        let learned = watch.until("card").await.context.unwrap();
        assert_eq!(learned.card.unwrap().display_name, "Noa Moreira");
        let new = other.transfer(handover("1", "a", "")).await;
        let handed = watch.until("caller").await.context.unwrap();
        assert_eq!(handed.caller.unwrap().transfers, new.transfers);

        let case = proto::CallCase { r#type: "complaint".to_owned(), title: "Vase".to_owned(), ..Default::default() };
        other.end(proto::EndCallRequest { open_case: Some(case), party: party(3), ..ending(leg("1", "a", ""), 90) }).await;
        let mut last = watch.next().await.unwrap();
        while !last.ended {
            last = watch.next().await.unwrap();
        }
        let context = last.context.unwrap();
        assert_eq!(context.party, party(3));
        assert_eq!(context.cases.unwrap().cases.len(), 1);
        assert!(watch.next().await.is_none(), "it ends with the call");
        // One that has ended is told whole, and is over.
        let mut over = Watch::over(&line, About::Call(call.name)).await;
        assert!(over.next().await.unwrap().ended);
        assert!(over.next().await.is_none());
        if place.is_postgres() {
            other.cx.store.close().await;
        }
        line.cx.store.close().await;
    }

    async fn a_stranger_who_is_known_during_the_call_is_told(place: StorePlace) {
        let line = Line::open(&place).await;
        let call = line.begin(leg("1", "a", NUMBER)).await;
        let by_number = proto::Identifier { scheme: "tel".to_owned(), value: NUMBER.to_owned() };
        let mut by_call = Watch::over(&line, About::Call(call.name.clone())).await;
        let mut by_number = Watch::over(&line, About::Identifier(by_number)).await;
        for watch in [&mut by_call, &mut by_number] {
            assert_eq!(watch.next().await.unwrap().context.unwrap().party, "");
        }
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        for watch in [&mut by_call, &mut by_number] {
            let told = watch.until("caller").await.context.unwrap();
            assert_eq!((told.party.as_str(), told.caller.unwrap().resolution.unwrap().party), (party(1).as_str(), party(1)));
        }
        // It was somebody else's call, the agent says.
        let ended = line.end(ending(leg("1", "a", ""), 90)).await;
        let gone = by_number.until("history").await.context.unwrap();
        assert_eq!(gone.history.unwrap().interactions.len(), 1);
        let message = proto::ReassignInteractionRequest {
            name: ended.interaction, party: party(2), reason: "wrong-party".to_owned(), ..Default::default()
        };
        line.api.reassign_interaction(request("acme", message)).await.unwrap();
        let gone = by_number.until("history").await.context.unwrap();
        assert!(gone.history.unwrap().interactions.is_empty());
        line.cx.store.close().await;
    }

    async fn it_ends_when_the_server_stops_and_holds_nothing_up(place: StorePlace) {
        let line = Line::open(&place).await;
        let mut watch = Watch::over(&line, About::Party(party(1))).await;
        assert!(watch.next().await.is_some());
        // Nobody reads while much happens: then it is told once, as it is.
        for number in 0..20 {
            line.complain(1, number).await;
        }
        let told = watch.until("history").await.context.unwrap().history.unwrap();
        assert_eq!(told.interactions.len(), 10);
        assert_eq!(told.interactions[0].occurred_time.as_ref().unwrap().seconds, 1_700_000_019);
        line.cx.stopping.cancel();
        while watch.next().await.is_some() {}
        let nobody = proto::WatchAgentContextRequest::default();
        let refused = line.desk.watch_agent_context(request("acme", nobody)).await.map(|_| ());
        assert_reason!(refused, Code::InvalidArgument, reason::INVALID_FIELDS);
        let unknown = About::Call(format!("calls/{}", Uuid::from_u128(7)));
        let unknown = proto::WatchAgentContextRequest { about: Some(unknown), ..Default::default() };
        let refused = line.desk.watch_agent_context(request("acme", unknown)).await.map(|_| ());
        assert_reason!(refused, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        line.cx.store.close().await;
    }
}
