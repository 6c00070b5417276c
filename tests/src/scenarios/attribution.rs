//! Facts that came by an identifier alone: kept, attached when somebody claims it, in every service that holds them.

use futures::future::join_all;
use rapport_proto::events::v1::{Event, SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::watch_interactions_response::Change;
use rapport_proto::interactions::v1::*;
use rapport_proto::scoring::v1::{GetScoresRequest, Score};
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use stakeholders::{ClaimIdentifierRequest, ContactMedium, IdentifierStrength};
use tonic::Streaming;

use super::interactions::{change, recorded};
use super::messages::{after, at, by_number, by_party, contact, email, identifier, person, phone, record};
use super::stage::{ACME, GLOBEX, Positions, Stage, next};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn what_came_by_an_identifier_finds_its_party(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        a_claim_brings_what_came_before(&stage).await;
        every_way_to_hold_an_identifier_attaches(&stage).await;
        what_is_shared_or_withheld_stays_with_nobody(&stage).await;
        an_identifier_that_changes_hands_starts_anew(&stage).await;
        a_case_finds_its_party_too(&stage).await;
        claims_and_calls_may_cross(&stage).await;
        stage.close().await;
    }
}

async fn timeline(stage: &Stage, party: &str, seen: &Positions) -> Vec<Interaction> {
    let request = at_least(GetTimelineRequest { party: party.into(), ..Default::default() }, seen);
    let answer = stage.interactions(ACME).get_timeline(request).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    answer.into_inner().interactions
}

async fn claim(stage: &Stage, party: &str, scheme: &str, value: &str) -> Positions {
    let country_code = if value.starts_with('+') { "" } else { "US" }.to_owned();
    let identifier =
        stakeholders::PartyIdentifier { country_code, ..identifier(scheme, value, IdentifierStrength::Strong) };
    let request = ClaimIdentifierRequest { party: party.into(), identifier: Some(identifier), ..Default::default() };
    let answer = stage.identity(ACME).claim_identifier(request).await.expect("claimed");
    positions(answer.metadata())
}

async fn score(stage: &Stage, party: &str, as_of: prost_types::Timestamp, seen: &Positions) -> Score {
    let request = GetScoresRequest {
        party: party.into(),
        definition: "scoreDefinitions/relationship-health".into(),
        as_of: Some(as_of),
        ..Default::default()
    };
    let answer = stage.scores(ACME).get_scores(at_least(request, seen)).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    answer.into_inner().scores.remove(0)
}

/// The feed of attributions from now on.
async fn attributions(stage: &Stage) -> Streaming<SubscribeResponse> {
    let request = SubscribeRequest {
        source: "interactions".into(),
        types: vec!["rapport.interactions.v1.OriginAttributed".into()],
        start_at_end: true,
        ..Default::default()
    };
    stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner()
}

/// The next event of a feed, and the position from which on a service that has applied it knows of it.
async fn event(feed: &mut Streaming<SubscribeResponse>) -> (Event, Positions) {
    loop {
        if let Some(event) = next(feed).await.events.into_iter().next() {
            let seen = Positions::from([(event.source.clone(), event.position)]);
            return (event, seen);
        }
    }
}

fn attributed(event: &Event) -> OriginAttributed {
    let data = event.data.as_ref().expect("data");
    assert_eq!(data.type_url, "type.googleapis.com/rapport.interactions.v1.OriginAttributed");
    prost::Message::decode(data.value.as_slice()).expect("an attribution")
}

/// Who took part first, and how that is known.
fn first(interaction: &Interaction) -> (&str, Attribution, &str) {
    let who = &interaction.participants[0];
    (&who.party, who.attribution(), &who.origin)
}

async fn a_claim_brings_what_came_before(stage: &Stage) {
    let when = at("2026-01-05T10:00:00Z");
    let call = |number: &str, kind: &str, seconds| contact(kind, by_number(number), after(when, seconds));
    let early = [
        recorded(stage, call("+12025550180", "complaint", 0)).await,
        recorded(stage, call("+1 (202) 555-0180", "order", 60)).await,
        recorded(stage, call("tel:+1-202-555-0180", "praise", 120)).await,
    ];
    let origin = first(&early[0]).2.to_owned();
    for one in &early {
        assert_eq!(first(one), ("", Attribution::Unattributed, origin.as_str()), "one origin however it is written");
        assert_eq!(one.participants[0].identifier_used.as_ref().map(|used| used.scheme.as_str()), Some("tel"));
    }
    let (party, seen) = stage.party_at(person("Caller")).await;
    assert!(timeline(stage, &party.name, &seen).await.is_empty(), "nobody has claimed the number");
    let as_of = after(when, 120);
    let before = score(stage, &party.name, as_of, &Positions::new()).await;
    assert_eq!((before.value_micros, before.evidence.expect("evidence").contribution_count), (50_000_000, 0));

    let mut feed = attributions(stage).await;
    let mut watch = stage
        .interactions(ACME)
        .watch_interactions(WatchInteractionsRequest::default())
        .await
        .expect("a watch")
        .into_inner();
    next(&mut watch).await;
    let seen = claim(stage, &party.name, "tel", "(202) 555-0180").await;
    let there = timeline(stage, &party.name, &seen).await;
    assert_eq!(there.iter().map(|one| &one.name).collect::<Vec<_>>(), [&early[2].name, &early[1].name, &early[0].name]);
    for (found, was) in there.iter().zip(early.iter().rev()) {
        assert_eq!(first(found), (party.name.as_str(), Attribution::Resolved, origin.as_str()));
        let mut same = found.clone();
        same.participants[0].party.clear();
        same.participants[0].attribution = Attribution::Unattributed.into();
        assert_eq!(same, *was, "the fact itself never changed");
    }
    // What comes from now on is the party's at once, in the answer already.
    let request = record(call("+12025550180", "inquiry", 100));
    let answer = stage.interactions(ACME).record_interaction(request).await.expect("recorded");
    let recorded_at = positions(answer.metadata());
    assert_eq!(first(answer.get_ref()), (party.name.as_str(), Attribution::Resolved, origin.as_str()));

    // The feed says so, and whoever follows it knows.
    let (event, told_at) = event(&mut feed).await;
    let told = attributed(&event);
    assert_eq!((told.origin.as_str(), told.party.as_str()), (origin.as_str(), party.name.as_str()));
    assert_eq!(event.aggregate, format!("origins/{origin}"));
    let (_, shown) = change(&mut watch).await;
    assert_eq!(shown, Change::Attributed(OriginAttribution { origin, party: party.name.clone() }));
    let early_score = score(stage, &party.name, as_of, &told_at).await;
    assert!(early_score.evidence.expect("evidence").contribution_count >= 3, "the score moved by the claim alone");
    let moved = score(stage, &party.name, as_of, &recorded_at).await;
    assert_eq!(moved.evidence.expect("evidence").contribution_count, 4);
    // The same facts told of a party by name give the same bits.
    let (named, _) = stage.party_at(person("Named")).await;
    let mut last = Positions::new();
    for (kind, seconds) in [("complaint", 0), ("order", 60), ("praise", 120), ("inquiry", 100)] {
        let request = record(contact(kind, by_party(&named.name), after(when, seconds)));
        last = positions(stage.interactions(ACME).record_interaction(request).await.expect("recorded").metadata());
    }
    let by_name = score(stage, &named.name, as_of, &last).await;
    assert_eq!((by_name.value_micros, by_name.evidence), (moved.value_micros, moved.evidence));
    assert_ne!(moved.value_micros, 50_000_000);
    // Another tenant's callers with this number are not its.
    let theirs = record(call("+12025550180", "order", 0));
    let theirs = stage.interactions(GLOBEX).record_interaction(theirs).await.expect("recorded").into_inner();
    assert_eq!(first(&theirs).1, Attribution::Unattributed);
}

async fn every_way_to_hold_an_identifier_attaches(stage: &Stage) {
    let when = at("2026-01-05T10:00:00Z");
    let by = |scheme: &str, value: &str| {
        let used = Identifier { scheme: scheme.into(), value: value.into() };
        contact("call", Participant { identifier_used: Some(used), ..by_party("") }, when)
    };
    let mut made = Vec::new();
    for (scheme, value) in
        [("tel", "+12025550181"), ("email", "Held@Example.com"), ("crm", "K-9"), ("email", "added@example.com")]
    {
        made.push(recorded(stage, by(scheme, value)).await.name);
    }
    // With the party: a phone, an e-mail address, a customer number.
    let (party, seen) = stage
        .party_at(stakeholders::Party {
            contact_media: vec![phone("+1 202 555 0181"), email("held@example.com")],
            identifiers: vec![identifier("crm", "K-9", IdentifierStrength::Unique)],
            ..person("Holder")
        })
        .await;
    let mut there: Vec<String> = timeline(stage, &party.name, &seen).await.into_iter().map(|one| one.name).collect();
    there.sort();
    let mut expected = made[..3].to_vec();
    expected.sort();
    assert_eq!(there, expected);
    // Later, with an update.
    let media = [party.contact_media.clone(), vec![email("ADDED@example.com")]].concat();
    let changed = stakeholders::Party { name: party.name.clone(), contact_media: media, ..Default::default() };
    let paths = vec!["contact_media".to_owned()];
    let update = stakeholders::UpdatePartyRequest {
        party: Some(changed),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    let answer = stage.parties(ACME).update_party(update).await.expect("updated");
    let there = timeline(stage, &party.name, &positions(answer.metadata())).await;
    assert_eq!(there.len(), 4);
    assert!(there.iter().any(|one| one.name == made[3]));
    // And with a caller whom nobody knew but by the number.
    let unknown = recorded(stage, by("tel", "+12025550182")).await;
    let request = stakeholders::ResolvePartyRequest {
        identifiers: vec![stakeholders::IdentifierQuery {
            scheme: "tel".into(),
            value: "+12025550182".into(),
            ..Default::default()
        }],
        create_provisional: true,
        ..Default::default()
    };
    let answer = stage.identity(ACME).resolve_party(request).await.expect("resolved");
    let seen = positions(answer.metadata());
    let provisional = answer.into_inner().party.expect("a provisional party").name;
    let there = timeline(stage, &provisional, &seen).await;
    assert_eq!(there.iter().map(|one| &one.name).collect::<Vec<_>>(), [&unknown.name]);
}

async fn what_is_shared_or_withheld_stays_with_nobody(stage: &Stage) {
    let when = at("2026-01-05T10:00:00Z");
    let call = |number: &str| contact("call", by_number(number), when);
    recorded(stage, call("+12025550183")).await;
    let switchboard = ContactMedium { shared: true, ..phone("+12025550183") };
    let (desk, seen) = stage.party_at(stakeholders::Party { contact_media: vec![switchboard], ..person("Desk") }).await;
    assert!(timeline(stage, &desk.name, &seen).await.is_empty(), "a switchboard is nobody's");
    assert_eq!(first(&recorded(stage, call("+12025550183")).await).1, Attribution::Unattributed);

    recorded(stage, call("+12025550184")).await;
    let home = || stakeholders::Party { contact_media: vec![phone("+12025550184")], ..person("At Home") };
    // Both at once, so that neither is the only holder when the service looks: whom it belonged to first does not matter.
    let holders = join_all([stage.party_at(home()), stage.party_at(home())]).await;
    let seen: Positions = holders.iter().map(|(_, seen)| seen.clone()).max().expect("positions");
    timeline(stage, &holders[0].0.name, &seen).await;
    assert_eq!(first(&recorded(stage, call("+12025550184")).await).1, Attribution::Unattributed, "held by two");

    let withheld = [recorded(stage, call("anonymous")).await, recorded(stage, call("anonymous")).await];
    assert_eq!(first(&withheld[0]).1, Attribution::Unattributed);
    assert_ne!(first(&withheld[0]).2, first(&withheld[1]).2, "the next anonymous caller is somebody else");
}

async fn an_identifier_that_changes_hands_starts_anew(stage: &Stage) {
    let when = at("2026-01-05T10:00:00Z");
    let call = |seconds| contact("call", by_number("+12025550185"), after(when, seconds));
    let (old, _) = stage.party_at(person("Old Owner")).await;
    let before = recorded(stage, call(0)).await;
    let seen = claim(stage, &old.name, "tel", "+12025550185").await;
    assert_eq!(timeline(stage, &old.name, &seen).await.len(), 1);
    // Somebody else claims it as well: from now on nobody can say whose it is, but the past stays where it is.
    let (new, _) = stage.party_at(person("New Owner")).await;
    let seen = claim(stage, &new.name, "tel", "+12025550185").await;
    let there = timeline(stage, &old.name, &seen).await;
    assert_eq!(there.iter().map(|one| &one.name).collect::<Vec<_>>(), [&before.name]);
    assert!(timeline(stage, &new.name, &seen).await.is_empty());
    let later = recorded(stage, call(60)).await;
    assert_eq!(first(&later).1, Attribution::Unattributed);
    assert_ne!(first(&later).2, first(&before).2, "what comes by it now has another origin");
    assert_eq!(timeline(stage, &old.name, &seen).await.len(), 1);
}

async fn a_case_finds_its_party_too(stage: &Stage) {
    let case = Case {
        identifier_used: Some(Identifier { scheme: "tel".into(), value: "+12025550186".into() }),
        r#type: "complaint".into(),
        title: "the line is dead".into(),
        ..Default::default()
    };
    let request = OpenCaseRequest { case: Some(case), ..Default::default() };
    let opened = stage.cases(ACME).open_case(request).await.expect("opened").into_inner();
    assert_eq!(opened.party, "");
    let (party, _) = stage.party_at(person("Case Holder")).await;
    let seen = claim(stage, &party.name, "tel", "+12025550186").await;
    let request = at_least(ListCasesRequest { party: party.name.clone(), ..Default::default() }, &seen);
    let cases = stage.cases(ACME).list_cases(request).await.expect("listed").into_inner().cases;
    let [found] = cases.as_slice() else { panic!("{cases:?}") };
    assert_eq!(*found, Case { party: party.name.clone(), ..opened.clone() });
    let read = stage.cases(ACME).get_case(GetCaseRequest { name: opened.name }).await.expect("read").into_inner();
    assert_eq!(read.party, party.name);
}

async fn claims_and_calls_may_cross(stage: &Stage) {
    let (party, _) = stage.party_at(person("Crossing")).await;
    let when = at("2026-01-05T10:00:00Z");
    let calls = (0..40).map(|n| {
        let request = record(contact("order", by_number("+12025550187"), after(when, n)));
        let mut interactions = stage.interactions(ACME);
        async move { positions(interactions.record_interaction(request).await.expect("recorded").metadata()) }
    });
    let (recorded_at, claimed_at) = futures::join!(join_all(calls), claim(stage, &party.name, "tel", "+12025550187"));
    assert_eq!(timeline(stage, &party.name, &claimed_at).await.len(), 40, "whichever was first");
    // One more, recorded when the claim is surely applied: its position is behind the attribution's.
    let request = record(contact("order", by_number("+12025550187"), after(when, 40)));
    let last = positions(stage.interactions(ACME).record_interaction(request).await.expect("recorded").metadata());
    assert!(recorded_at.iter().all(|one| one < &last));
    let score = score(stage, &party.name, after(when, 40), &last).await;
    assert_eq!(score.evidence.expect("evidence").contribution_count, 41);
}
