//! A party's interactions in order of their occurrence, as of a moment and as known at a moment.

use futures::{StreamExt as _, stream};
use prost_types::Timestamp;
use rapport_proto::interactions::v1::*;
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::interactions::recorded;
use super::messages::{DAY, after, at, by_party, contact, person};
use super::stage::{ACME, GLOBEX, Stage, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_timeline_is_ordered_paged_and_dated(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        newest_first_whatever_came_first(&stage).await;
        pages_stay_put_while_others_write(&stage).await;
        the_part_played_can_be_asked_for(&stage).await;
        long_texts_end_a_page_sooner(&stage).await;
        the_unknown_have_none(&stage).await;
        stage.close().await;
    }
}

async fn timeline(stage: &Stage, request: GetTimelineRequest) -> GetTimelineResponse {
    stage.interactions(ACME).get_timeline(request).await.expect("read").into_inner()
}

fn of(party: &str) -> GetTimelineRequest {
    GetTimelineRequest { party: party.into(), ..Default::default() }
}

fn names(interactions: &[Interaction]) -> Vec<&str> {
    interactions.iter().map(|one| one.name.as_str()).collect()
}

async fn newest_first_whatever_came_first(stage: &Stage) {
    let party = stage.party(person("Ordered")).await.name;
    let start = at("2026-01-01T00:00:00Z");
    // Recorded in another order than they occurred.
    let mut made: Vec<Interaction> = Vec::new();
    for day in [3, 0, 4, 1, 2] {
        made.push(recorded(stage, contact("call", by_party(&party), after(start, day * DAY))).await);
    }
    let by_day = [&made[2], &made[0], &made[4], &made[3], &made[1]];
    let found = timeline(stage, of(&party)).await;
    assert_eq!(found.interactions.iter().collect::<Vec<_>>(), by_day);
    assert_eq!(found.next_page_token, "");
    for (moment, count) in [(start, 1), (after(start, -1), 0), (after(start, 2 * DAY), 3), (after(start, 9 * DAY), 5)] {
        let as_of = timeline(stage, GetTimelineRequest { as_of: Some(moment), ..of(&party) }).await;
        assert_eq!(
            names(&as_of.interactions),
            by_day[5 - count..].iter().map(|one| one.name.as_str()).collect::<Vec<_>>()
        );
    }
    // As known when the third had just been recorded: it and the two before it.
    let known = |one: &Interaction| GetTimelineRequest { as_known_at: one.recorded_time, ..of(&party) };
    let then = timeline(stage, known(&made[2])).await;
    assert_eq!(names(&then.interactions), [&made[2], &made[0], &made[1]].map(|one| one.name.as_str()));
    let both = timeline(stage, GetTimelineRequest { as_of: Some(after(start, 3 * DAY)), ..known(&made[2]) }).await;
    assert_eq!(names(&both.interactions), [&made[0], &made[1]].map(|one| one.name.as_str()));
    let long_ago = Some(at("2020-01-01T00:00:00Z"));
    assert!(timeline(stage, GetTimelineRequest { as_known_at: long_ago, ..of(&party) }).await.interactions.is_empty());
}

async fn pages_stay_put_while_others_write(stage: &Stage) {
    let party = stage.party(person("Paged")).await.name;
    let start = at("2026-01-01T00:00:00Z");
    let mut made = Vec::new();
    // Three occurred at each moment: equal ones have an order too.
    for place in 0..12 {
        made.push(recorded(stage, contact("call", by_party(&party), after(start, place / 3 * DAY))).await.name);
    }
    let (mut found, mut page_token, mut late) = (Vec::new(), String::new(), None);
    loop {
        let page = timeline(stage, GetTimelineRequest { page_size: 5, page_token, ..of(&party) }).await;
        found.extend(page.interactions.into_iter().map(|one| one.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        if late.is_none() {
            recorded(stage, contact("call", by_party(&party), after(start, 9 * DAY))).await;
            late = Some(recorded(stage, contact("call", by_party(&party), after(start, -DAY))).await.name);
        }
        for other in [
            GetTimelineRequest { as_of: Some(after(start, 9 * DAY)), ..of(&party) },
            GetTimelineRequest { filter: r#"kind == "call""#.into(), ..of(&party) },
            of(&unknown("parties")),
        ] {
            let other = GetTimelineRequest { page_token: page_token.clone(), ..other };
            let answer = stage.interactions(ACME).get_timeline(other).await;
            assert_reason!(answer, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
        }
        let foreign = GetTimelineRequest { page_token: page_token.clone(), ..of(&party) };
        let foreign = stage.interactions(GLOBEX).get_timeline(foreign).await;
        assert_reason!(foreign, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    }
    assert_eq!(found.pop(), late, "one older than all comes last");
    let days: Vec<usize> =
        found.iter().map(|name| made.iter().position(|one| one == name).expect("one of them") / 3).collect();
    assert_eq!(days, [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 12, "each once");
}

async fn the_part_played_can_be_asked_for(stage: &Stage) {
    let (ana, bo) = (stage.party(person("Ana")).await.name, stage.party(person("Bo")).await.name);
    let start = at("2026-01-01T00:00:00Z");
    let with = |party: &str, role_type: &str, function: Function| Participant {
        role_type: role_type.into(),
        function: function.into(),
        ..by_party(party)
    };
    let bought = Interaction {
        participants: vec![with(&ana, "customer", Function::Initiator), with(&bo, "dealer", Function::Agent)],
        ..contact("order", by_party(&ana), start)
    };
    let sold = Interaction {
        participants: vec![with(&bo, "customer", Function::Initiator), with(&ana, "supplier", Function::Recipient)],
        ..contact("order", by_party(&ana), after(start, DAY))
    };
    // Twice in one interaction, and in it once.
    let both = Interaction {
        participants: vec![with(&ana, "customer", Function::Initiator), with(&ana, "customer", Function::Subject)],
        ..contact("complaint", by_party(&ana), after(start, 2 * DAY))
    };
    let (bought, sold, both) =
        (recorded(stage, bought).await, recorded(stage, sold).await, recorded(stage, both).await);
    for (party, filter, expected) in [
        (&ana, "", vec![&both, &sold, &bought]),
        (&bo, "", vec![&sold, &bought]),
        (&ana, r#"role_type == "customer""#, vec![&both, &bought]),
        (&bo, r#"role_type == "customer""#, vec![&sold]),
        (&ana, r#"party_function == "recipient""#, vec![&sold]),
        (&ana, r#"party_function in ["initiator", "subject"] && kind == "complaint""#, vec![&both]),
        (&bo, r#"party_function == "agent" && kind == "order""#, vec![&bought]),
        (&bo, r#"role_type == "supplier""#, vec![]),
    ] {
        let found = timeline(stage, GetTimelineRequest { filter: filter.into(), ..of(party) }).await;
        let expected: Vec<&str> = expected.into_iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names(&found.interactions), expected, "{filter}");
    }
    let wrong = GetTimelineRequest { filter: "mood == \"bad\"".into(), ..of(&ana) };
    assert_reason!(stage.interactions(ACME).get_timeline(wrong).await, Code::InvalidArgument, "INVALID_FILTER");
}

async fn long_texts_end_a_page_sooner(stage: &Stage) {
    let party = stage.party(person("Wordy")).await.name;
    // 80,000 bytes each: 54 of them are more than a reply may hold.
    let body = "𝄞".repeat(20_000);
    let start = at("2026-01-01T00:00:00Z");
    let letter = |place| Interaction { body: body.clone(), ..contact("letter", by_party(&party), after(start, place)) };
    stream::iter((0..54).map(letter)).map(|one| recorded(stage, one)).buffer_unordered(8).collect::<Vec<_>>().await;
    let (mut count, mut pages, mut page_token) = (0, 0, String::new());
    loop {
        let page = timeline(stage, GetTimelineRequest { page_size: 500, page_token, ..of(&party) }).await;
        assert!(page.interactions.iter().all(|one| one.body == body));
        count += page.interactions.len();
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(count, 54);
    assert!(pages > 1, "one page of 4.3 MB");
}

async fn the_unknown_have_none(stage: &Stage) {
    let party = stage.party(person("Quiet")).await.name;
    assert!(timeline(stage, of(&party)).await.interactions.is_empty(), "known, and nothing happened");
    let nobody = stage.interactions(ACME).get_timeline(of(&unknown("parties"))).await;
    assert_reason!(nobody, Code::NotFound, "RESOURCE_NOT_FOUND");
    let foreign = stage.interactions(GLOBEX).get_timeline(of(&party)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let wrong = GetTimelineRequest {
        page_size: -1,
        as_of: Some(Timestamp { seconds: 253_402_300_800, nanos: 0 }),
        as_known_at: Some(Timestamp { seconds: 0, nanos: -1 }),
        ..of("parties/7")
    };
    refused(
        stage.interactions(ACME).get_timeline(wrong).await,
        &[
            ("party", "MALFORMED_NAME"),
            ("page_size", "OUT_OF_RANGE"),
            ("as_of", "OUT_OF_RANGE"),
            ("as_known_at", "OUT_OF_RANGE"),
        ],
    );
}
