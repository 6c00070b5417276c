//! Stopping and starting again: nobody is surprised, nothing is lost.

use std::time::{Duration, Instant};

use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1::*;
use rapport_proto::scoring::v1::{GetScoresRequest, Score};
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::Code;
use rapport_testkit::asserts::{at_least, is_replayed, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder, Topology};
use stakeholders::{Consent, ConsentState, CreatePartyRequest, Party, Relationship};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::interactions::{change, recorded};
use super::messages::{after, at, by_number, by_party, contact, identifier, person, phone, record, role};
use super::ports::http;
use super::stage::{ACME, Positions, Stage, end, fresh, next};
use super::streaming::{Line, item};

/// How long health says so before calls are refused.
const NOTICE: Duration = Duration::from_secs(1);
/// Within this a process is to have ended: the notice, and the time that calls in flight may take.
const LIMIT: Duration = Duration::from_secs(5);

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_stop_surprises_nobody_and_loses_nothing(sandbox: SandboxBuilder) {
        stop_and_start_again(sandbox).await;
    }

    async fn without_tokens_everything_is_the_local_tenants(sandbox: SandboxBuilder) {
        let sandbox = sandbox.start().await;
        the_whole_works_without_a_credential(&sandbox).await;
        sandbox.stop().await;
    }
}

rapport_testkit::each_store! {
    async fn the_binary_with_everything_in_it_does_so_too(place: StorePlace) {
        stop_and_start_again(Sandbox::builder(rapport::modules).topology(Topology::Child).place(place)).await;
    }
}

async fn stop_and_start_again(sandbox: SandboxBuilder) {
    let mut stage = Stage::open(sandbox.setting("stop.grace", "4s").setting("stop.notice", "1s")).await;
    let before = History::make(&stage).await;
    let resumed = everybody_stops_in_order(&mut stage, &before).await;
    for service in stage.sandbox.services() {
        if stage.sandbox.topology() == Topology::Processes || service == "stakeholders" {
            stage.sandbox.restart(&service).await;
        }
    }
    before.is_all_there(&stage).await;
    streams_go_on_where_they_stopped(&stage, &before, resumed).await;
    stage.close().await;
}

/// What was written before the stop.
struct History {
    created: CreatePartyRequest,
    party: Party,
    tie: Relationship,
    consent: Consent,
    recorded: RecordInteractionRequest,
    interaction: Interaction,
    timeline: Vec<Interaction>,
    case: Case,
    score: Score,
}

/// A party that nobody has heard of: interactions may name it all the same.
const NOBODY_KNOWN: &str = "parties/018f0000-0000-7000-8000-00000000beef";
const WHEN: &str = "2026-01-05T10:00:00Z";

impl History {
    async fn make(stage: &Stage) -> History {
        let party = Party {
            contact_media: vec![phone("+12025550190")],
            identifiers: vec![identifier("crm", "R-1", stakeholders::IdentifierStrength::Unique)],
            roles: vec![role("customer")],
            ..person("Lasting Person")
        };
        let created = CreatePartyRequest { party: Some(party), request_id: fresh() };
        let party = stage.parties(ACME).create_party(created.clone()).await.expect("created").into_inner();
        let (other, seen) = stage.party_at(person("Other")).await;
        let tie = super::relationships::made(stage, super::relationships::tie("knows", &party, &other)).await;
        let consent = Consent {
            party: party.name.clone(),
            purpose: "marketing".into(),
            channel: "email".into(),
            state: ConsentState::Granted.into(),
            evidence: "said so".into(),
            ..Default::default()
        };
        let consent = stakeholders::RecordConsentRequest { consent: Some(consent), ..Default::default() };
        let consent = stage.privacy(ACME).record_consent(consent).await.expect("recorded").into_inner();
        // By name and, once interactions knows the number, by the number: what is sealed and what is only an index.
        let body =
            Interaction { body: "words that last".into(), ..contact("complaint", by_party(&party.name), at(WHEN)) };
        let recorded = RecordInteractionRequest { request_id: fresh(), ..record(body) };
        let interaction =
            stage.interactions(ACME).record_interaction(recorded.clone()).await.expect("recorded").into_inner();
        timeline(stage, &party.name, &seen).await;
        let by_call = record(contact("order", by_number("+12025550190"), after(at(WHEN), 60)));
        let answer = stage.interactions(ACME).record_interaction(by_call).await.expect("recorded");
        let seen = positions(answer.metadata());
        let case = Case {
            party: party.name.clone(),
            r#type: "complaint".into(),
            title: "a lasting case".into(),
            interactions: vec![interaction.name.clone()],
            ..Default::default()
        };
        let case = OpenCaseRequest { case: Some(case), ..Default::default() };
        let case = stage.cases(ACME).open_case(case).await.expect("opened").into_inner();
        let timeline = timeline(stage, &party.name, &Positions::new()).await;
        assert_eq!(timeline.len(), 2);
        let score = score(stage, &party.name, &seen).await;
        assert_eq!(score.evidence.expect("evidence").contribution_count, 2);
        History { created, party, tie, consent, recorded, interaction, timeline, case, score }
    }

    async fn is_all_there(&self, stage: &Stage) {
        let name = &self.party.name;
        let party = stage.parties(ACME).get_party(stakeholders::GetPartyRequest { name: name.clone() }).await;
        assert_eq!(party.expect("there").into_inner(), self.party);
        let ties = stakeholders::ListRelationshipsRequest { party: name.clone(), ..Default::default() };
        let ties = stage.relationships(ACME).list_relationships(ties).await.expect("listed").into_inner();
        assert_eq!(ties.relationships, std::slice::from_ref(&self.tie));
        let question = stakeholders::CheckConsentRequest {
            party: name.clone(),
            purpose: "marketing".into(),
            channel: "email".into(),
            ..Default::default()
        };
        let answer = stage.privacy(ACME).check_consent(question).await.expect("checked").into_inner();
        assert_eq!(answer.deciding_consent.as_ref(), Some(&self.consent));
        assert_eq!(timeline(stage, name, &Positions::new()).await, self.timeline);
        let case = stage.cases(ACME).get_case(GetCaseRequest { name: self.case.name.clone() }).await;
        assert_eq!(case.expect("there").into_inner(), self.case);
        assert_eq!(score(stage, name, &Positions::new()).await, self.score);
        // The number is still known, and so are the request ids.
        let resolve = stakeholders::ResolvePartyRequest {
            identifiers: vec![stakeholders::IdentifierQuery {
                scheme: "tel".into(),
                value: "+12025550190".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let found = stage.identity(ACME).resolve_party(resolve).await.expect("resolved").into_inner();
        assert_eq!(found.party.as_ref(), Some(&self.party));
        let again = stage.parties(ACME).create_party(self.created.clone()).await.expect("replayed");
        assert!(is_replayed(again.metadata()));
        assert_eq!(again.into_inner(), self.party);
        let again = stage.interactions(ACME).record_interaction(self.recorded.clone()).await.expect("replayed");
        assert!(is_replayed(again.metadata()));
        assert_eq!(again.into_inner(), self.interaction);
    }
}

async fn timeline(stage: &Stage, party: &str, seen: &Positions) -> Vec<Interaction> {
    let request = GetTimelineRequest { party: party.into(), ..Default::default() };
    stage.interactions(ACME).get_timeline(at_least(request, seen)).await.expect("read").into_inner().interactions
}

async fn score(stage: &Stage, party: &str, seen: &Positions) -> Score {
    let request = GetScoresRequest {
        party: party.into(),
        definition: "scoreDefinitions/relationship-health".into(),
        as_of: Some(after(at(WHEN), 60)),
        ..Default::default()
    };
    stage.scores(ACME).get_scores(at_least(request, seen)).await.expect("read").into_inner().scores.remove(0)
}

/// The last cursors of the streams that were open.
struct Cursors {
    parties: String,
    interactions: String,
    feed: String,
}

async fn everybody_stops_in_order(stage: &mut Stage, before: &History) -> Cursors {
    // Everything that can be open is open.
    let mut parties = stage
        .parties(ACME)
        .watch_parties(stakeholders::WatchPartiesRequest::default())
        .await
        .expect("a watch")
        .into_inner();
    let mut contacts = stage
        .interactions(ACME)
        .watch_interactions(WatchInteractionsRequest::default())
        .await
        .expect("a watch")
        .into_inner();
    let subscribe = SubscribeRequest { source: "interactions".into(), ..Default::default() };
    let mut feed = stage.feed("interactions", ACME).subscribe(subscribe).await.expect("subscribed").into_inner();
    let mut line = Line::open(stage).await;
    let mut health = HealthClient::new(stage.sandbox.channel("interactions"))
        .watch(HealthCheckRequest { service: "rapport.interactions.v1.InteractionService".into() })
        .await
        .expect("a watch")
        .into_inner();
    let mut cursors = Cursors {
        parties: next(&mut parties).await.cursor,
        interactions: next(&mut contacts).await.cursor,
        feed: next(&mut feed).await.cursor,
    };
    assert_eq!(next(&mut health).await.status(), ServingStatus::Serving);
    line.send(vec![item(1, NOBODY_KNOWN)], false).await;
    line.until(1).await;
    let (cursor, told) = change(&mut contacts).await;
    let watch_interactions_response::Change::Recorded(first) = told else { panic!("{told:?}") };
    cursors.interactions = cursor;
    loop {
        let batch = next(&mut feed).await;
        cursors.feed = batch.cursor;
        if batch.events.iter().any(|event| event.aggregate == first.name) {
            break;
        }
    }

    // While one stops, its readers look on.
    let admin = stage.sandbox.admin_address("interactions");
    let looking_on = tokio::spawn(async move {
        assert_eq!(next(&mut health).await.status(), ServingStatus::NotServing, "health says so first");
        let (code, _, body) = http(admin, "GET /readyz").await;
        assert_eq!((code, body.trim()), (503, "stopping"));
        assert_eq!(http(admin, "GET /livez").await.0, 200, "stopping is no reason to be killed");
        // Calls are still served while the notice lasts; and items of an open stream are.
        line.send(vec![item(2, NOBODY_KNOWN)], false).await;
        let answers = line.until(2).await;
        assert!(answers.iter().all(|answer| answer.errors.is_empty()));
        let mut last = next(&mut line.answers).await;
        while !last.draining {
            last = next(&mut line.answers).await;
        }
        assert_eq!(last.committed_through, 2, "all that was taken is durable");
        end(&mut line.answers).await.expect("the stream ends well");
        end(&mut contacts).await.expect("the watch ends well");
        end(&mut feed).await.expect("the feed ends well");
    });
    let started = Instant::now();
    let status = stage.sandbox.terminate("interactions").await;
    let took = started.elapsed();
    assert!(took < LIMIT, "with every stream open it took {took:?}");
    assert!(took >= NOTICE, "the notice was {took:?}");
    looking_on.await.expect("the readers saw what they should");
    let gone = stage
        .interactions(ACME)
        .get_interaction(GetInteractionRequest { name: before.interaction.name.clone(), version: 0 })
        .await;
    assert_eq!(gone.expect_err("stopped").code(), Code::Unavailable);
    match stage.sandbox.topology() {
        Topology::OneProcess => assert_eq!(status, None),
        Topology::Child | Topology::Processes => {
            assert!(status.is_some_and(|status| status.success()), "{status:?}: {}", stage.sandbox.log("interactions"));
        }
    }
    if stage.sandbox.topology() != Topology::Processes {
        end(&mut parties).await.expect("the watch ends well");
        return cursors;
    }
    // The others go on until they are asked to stop too.
    stage.party(person("Meanwhile")).await;
    cursors.parties = super::roles::change(&mut parties).await.cursor;
    for service in ["scoring", "stakeholders"] {
        let started = Instant::now();
        let status = stage.sandbox.terminate(service).await;
        assert!(status.is_some_and(|status| status.success()), "{service}: {status:?}: {}", stage.sandbox.log(service));
        assert!(started.elapsed() < LIMIT, "{service} took {:?}", started.elapsed());
    }
    end(&mut parties).await.expect("the watch ends well");
    cursors
}

async fn streams_go_on_where_they_stopped(stage: &Stage, before: &History, from: Cursors) {
    let request = WatchInteractionsRequest { cursor: from.interactions, ..Default::default() };
    let mut contacts = stage.interactions(ACME).watch_interactions(request).await.expect("a watch").into_inner();
    let watch_interactions_response::Change::Recorded(second) = change(&mut contacts).await.1 else {
        panic!("a record")
    };
    assert_eq!(second.participants[0].party, NOBODY_KNOWN, "the item of the last moment");
    let request = SubscribeRequest { source: "interactions".into(), cursor: from.feed, ..Default::default() };
    let mut feed = stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner();
    assert_eq!(next(&mut feed).await.events[0].aggregate, second.name);
    let request = stakeholders::WatchPartiesRequest { cursor: from.parties, ..Default::default() };
    let mut parties = stage.parties(ACME).watch_parties(request).await.expect("a watch").into_inner();
    let (news, seen) = stage.party_at(person("After")).await;
    assert_eq!(super::roles::change(&mut parties).await.party, news.name, "nothing twice and nothing left out");
    // And consumers too: what happens now reaches the others.
    timeline(stage, &news.name, &seen).await;
    let made = recorded(stage, contact("praise", by_number("+12025550190"), after(at(WHEN), 30))).await;
    assert_eq!(made.participants[0].party, before.party.name);
    let answer =
        stage.interactions(ACME).record_interaction(record(contact("order", by_party(&news.name), at(WHEN)))).await;
    let seen = positions(answer.expect("recorded").metadata());
    assert_eq!(score(stage, &before.party.name, &seen).await.evidence.expect("evidence").contribution_count, 3);
}

/// The embedded default, loopback and no token: one local tenant, whose caller may do everything, and services that find
/// each other all the same.
async fn the_whole_works_without_a_credential(sandbox: &Sandbox) {
    use interaction_service_client::InteractionServiceClient;
    use rapport_proto::scoring::v1::score_service_client::ScoreServiceClient;
    use stakeholders::party_service_client::PartyServiceClient;
    let mut parties = PartyServiceClient::new(sandbox.channel("stakeholders"));
    let mut interactions = InteractionServiceClient::new(sandbox.channel("interactions"));
    let early = record(contact("praise", by_number("+12025550191"), at(WHEN)));
    let early = interactions.record_interaction(early).await.expect("recorded").into_inner();
    let party = Party { contact_media: vec![phone("+12025550191")], ..person("Local") };
    let answer =
        parties.create_party(CreatePartyRequest { party: Some(party), ..Default::default() }).await.expect("created");
    let seen = positions(answer.metadata());
    let party = answer.into_inner().name;
    let request = at_least(GetTimelineRequest { party: party.clone(), ..Default::default() }, &seen);
    let answer = interactions.get_timeline(request).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "interactions follows stakeholders");
    let there: Vec<String> = answer.into_inner().interactions.into_iter().map(|one| one.name).collect();
    assert_eq!(there, [early.name]);
    let late = record(contact("order", by_number("+12025550191"), after(at(WHEN), 60)));
    let seen = positions(interactions.record_interaction(late).await.expect("recorded").metadata());
    let request = GetScoresRequest { party, as_of: Some(after(at(WHEN), 60)), ..Default::default() };
    let answer =
        ScoreServiceClient::new(sandbox.channel("scoring")).get_scores(at_least(request, &seen)).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "scoring follows interactions");
    assert_eq!(answer.into_inner().scores[0].evidence.expect("evidence").contribution_count, 2);
}
