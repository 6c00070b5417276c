//! Surveys: answers that are contacts too, who gave them, and what they say.

use futures::future::join_all;
use rapport_proto::events::v1::SubscribeRequest;
use rapport_proto::interactions::v1::survey_stats::Figures;
use rapport_proto::interactions::v1::*;
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::stakeholders::v1::{ClaimIdentifierRequest, IdentifierStrength};
use rapport_testkit::asserts::{at_least, is_replayed, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::{Response, Status};

use super::interactions::recorded;
use super::messages::{after, at, by_party, contact, identifier, person};
use super::stage::{ACME, GLOBEX, Positions, READER, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn answers_are_contacts_and_figures_are_honest(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        an_answer_is_seen_wherever_contacts_are(&stage).await;
        both_events_come_in_one_commit(&stage).await;
        an_answer_finds_its_party(&stage).await;
        figures_say_how_sure_they_are(&stage).await;
        an_answer_can_be_taken_back(&stage).await;
        everything_wrong_is_told_at_once(&stage).await;
        pages_hold(&stage).await;
        stage.close().await;
    }
}

async fn survey(stage: &Stage, measure: SurveyMeasure) -> String {
    let survey = Survey {
        measure: measure.into(),
        question: "How likely is it that you would recommend us?".into(),
        language_code: "en".into(),
        purpose: "after-complaint".into(),
        ..Default::default()
    };
    let request = CreateSurveyRequest { survey: Some(survey), request_id: fresh() };
    stage.surveys(ACME).create_survey(request).await.expect("created").into_inner().name
}

fn by(party: &str, score: i32) -> SurveyResponse {
    SurveyResponse {
        party: party.into(),
        score: Some(score),
        channel: Some(Channel { medium: Medium::Web.into(), online: None }),
        occurred_time: Some(at("2026-01-05T10:00:00Z")),
        ..Default::default()
    }
}

async fn answer(stage: &Stage, survey: &str, response: SurveyResponse) -> Result<Response<SurveyResponse>, Status> {
    let request = RecordSurveyResponseRequest { survey: survey.into(), response: Some(response), ..Default::default() };
    stage.surveys(ACME).record_survey_response(request).await
}

async fn stats(stage: &Stage, request: GetSurveyStatsRequest) -> SurveyStats {
    stage.surveys(ACME).get_survey_stats(request).await.expect("figures").into_inner()
}

fn of(survey: &str) -> GetSurveyStatsRequest {
    GetSurveyStatsRequest { survey: survey.into(), ..Default::default() }
}

async fn timeline(stage: &Stage, party: &str, seen: &Positions) -> Vec<Interaction> {
    let request = at_least(GetTimelineRequest { party: party.into(), ..Default::default() }, seen);
    let reply = stage.interactions(ACME).get_timeline(request).await.expect("read");
    assert!(reply.metadata().get("rapport-stale").is_none(), "{:?}", reply.metadata());
    reply.into_inner().interactions
}

async fn health(stage: &Stage, party: &str, seen: &Positions) -> i64 {
    let as_of = Some(after(at("2026-01-05T10:00:00Z"), 60));
    let request = GetScoresRequest { party: party.into(), as_of, ..Default::default() };
    let reply = stage.scores(ACME).get_scores(at_least(request, seen)).await.expect("read");
    assert!(reply.metadata().get("rapport-stale").is_none(), "{:?}", reply.metadata());
    let scores = reply.into_inner().scores;
    let health = scores.iter().find(|one| one.definition == "scoreDefinitions/relationship-health");
    health.expect("a score of health").value_micros
}

async fn an_answer_is_seen_wherever_contacts_are(stage: &Stage) {
    let (party, seen) = stage.party_at(person("Promoter")).await;
    let asked = survey(stage, SurveyMeasure::Nps).await;
    let complaint = recorded(stage, contact("complaint", by_party(&party.name), at("2026-01-04T10:00:00Z"))).await;
    let case = Case {
        party: party.name.clone(),
        r#type: "complaint".into(),
        title: "late".into(),
        interactions: vec![complaint.name.clone()],
        ..Default::default()
    };
    let opened =
        stage.cases(ACME).open_case(OpenCaseRequest { case: Some(case), ..Default::default() }).await.expect("opened");
    let seen: Positions = seen.into_iter().chain(positions(opened.metadata())).collect();
    let case = opened.into_inner();
    let before = health(stage, &party.name, &seen).await;

    let wanted = SurveyResponse {
        role_type: "customer".into(),
        comment: "Maria saved my day".into(),
        case: case.name.clone(),
        about: complaint.name.clone(),
        ..by(&party.name, 9)
    };
    let request =
        RecordSurveyResponseRequest { survey: asked.clone(), response: Some(wanted.clone()), request_id: fresh() };
    let reply = stage.surveys(ACME).record_survey_response(request.clone()).await.expect("recorded");
    let seen = positions(reply.metadata());
    let made = reply.into_inner();
    let expected = SurveyResponse {
        name: made.name.clone(),
        interaction: made.interaction.clone(),
        origin: made.origin.clone(),
        recorded_time: made.recorded_time,
        attribution: Attribution::Named.into(),
        category: SurveyCategory::Promoter.into(),
        channel: Some(Channel { medium: Medium::Web.into(), online: Some(true) }),
        ..wanted
    };
    assert_eq!(made, expected);
    assert!(made.name.starts_with(&format!("{asked}/responses/")));
    let again = stage.surveys(ACME).record_survey_response(request).await.expect("answered again");
    assert!(is_replayed(again.metadata()));
    assert_eq!(again.into_inner(), made);
    let read = stage.surveys(READER).get_survey_response(GetSurveyResponseRequest { name: made.name.clone() }).await;
    assert_eq!(read.expect("there").into_inner(), made);

    let lived = timeline(stage, &party.name, &seen).await;
    assert_eq!(lived.len(), 2);
    let contact = &lived[0];
    assert_eq!((&contact.name, &contact.survey_response), (&made.interaction, &made.name));
    assert_eq!((contact.kind.as_str(), contact.body.as_str()), ("survey-response", "Maria saved my day"));
    assert_eq!(contact.valence.map(|one| (one.value, one.method())), Some((0.5, ValenceMethod::Stated)));
    let after_all = health(stage, &party.name, &seen).await;
    assert!(after_all > before, "a promoter is no less healthy: {before} {after_all}");
}

async fn both_events_come_in_one_commit(stage: &Stage) {
    let party = stage.party(person("Told")).await.name;
    let asked = survey(stage, SurveyMeasure::Csat).await;
    let request = SubscribeRequest { source: "interactions".into(), start_at_end: true, ..Default::default() };
    let mut feed = stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner();
    let wanted = SurveyResponse { comment: "not for others".into(), role_type: "dealer".into(), ..by(&party, 2) };
    let made = answer(stage, &asked, wanted).await.expect("recorded").into_inner();
    let mut events = Vec::new();
    while events.len() < 2 {
        events.extend(next(&mut feed).await.events);
    }
    let [contact, told] = &events[..] else { panic!("{events:?}") };
    assert_eq!(told.position, contact.position + 1);
    for (event, aggregate) in [(contact, &made.interaction), (told, &made.name)] {
        assert_eq!(&event.aggregate, aggregate);
        let bytes = &event.data.as_ref().expect("data").value;
        assert!(!bytes.windows(5).any(|part| part == b"other"), "no words of a person in events");
    }
    let data = told.data.as_ref().expect("data");
    assert_eq!(data.type_url, "type.googleapis.com/rapport.interactions.v1.SurveyResponseRecorded");
    let told: SurveyResponseRecorded = prost::Message::decode(data.value.as_slice()).expect("a response");
    let expected = SurveyResponseRecorded {
        response: made.name,
        survey: asked,
        measure: SurveyMeasure::Csat.into(),
        score: 2,
        category: SurveyCategory::NotSatisfied.into(),
        origin: made.origin,
        party,
        role_type: "dealer".into(),
        case: String::new(),
        interaction: made.interaction,
        occurred_time: made.occurred_time,
        recorded_time: made.recorded_time,
        about: String::new(),
    };
    assert_eq!(told, expected);
}

async fn an_answer_finds_its_party(stage: &Stage) {
    let asked = survey(stage, SurveyMeasure::Nps).await;
    let number = "+12025550191";
    let used = Identifier { scheme: "tel".into(), value: number.into() };
    let made = answer(stage, &asked, SurveyResponse { identifier_used: Some(used.clone()), ..by("", 10) }).await;
    let made = made.expect("kept, whoever it is").into_inner();
    assert_eq!((made.party.as_str(), made.attribution()), ("", Attribution::Unattributed));
    assert_eq!(made.identifier_used, Some(used.clone()));
    let party = stage.party(person("Caller")).await.name;
    let claim = ClaimIdentifierRequest {
        party: party.clone(),
        identifier: Some(identifier("phone", number, IdentifierStrength::Strong)),
        ..Default::default()
    };
    let seen = positions(stage.identity(ACME).claim_identifier(claim).await.expect("claimed").metadata());
    let request = at_least(GetSurveyResponseRequest { name: made.name.clone() }, &seen);
    let found = stage.surveys(ACME).get_survey_response(request).await.expect("there").into_inner();
    assert_eq!((&found.party, found.attribution(), &found.origin), (&party, Attribution::Resolved, &made.origin));
    let request = ListSurveyResponsesRequest { party: party.clone(), ..Default::default() };
    let listed =
        stage.surveys(ACME).list_survey_responses(at_least(request, &seen)).await.expect("listed").into_inner();
    assert_eq!(listed.responses, [found]);
    assert_eq!(timeline(stage, &party, &seen).await[0].name, made.interaction);
    // What comes by it from now on is the party's at once.
    let next =
        answer(stage, &asked, SurveyResponse { identifier_used: Some(used), ..by("", 0) }).await.expect("recorded");
    assert_eq!(next.into_inner().party, party);
}

async fn figures_say_how_sure_they_are(stage: &Stage) {
    let party = stage.party(person("Asked")).await.name;
    let nps = survey(stage, SurveyMeasure::Nps).await;
    let none = stats(stage, of(&nps)).await;
    assert_eq!((none.responses, none.figures, none.confidence_level), (0, None, 0.95), "nobody answered");

    let put = async |survey: &str, scores: &[i32]| {
        let answers = scores.iter().map(|score| answer(stage, survey, by(&party, *score)));
        for answer in join_all(answers).await {
            answer.expect("recorded");
        }
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    // One promoter and one detractor, as in the reference.
    put(&nps, &[10, 0]).await;
    let few = stats(stage, of(&nps)).await;
    let Some(Figures::Nps(figures)) = few.figures else { panic!("{few:?}") };
    close(figures.score, 0.0);
    close(figures.variance, 1.0);
    close(figures.standard_error, 70.710_678_118_654_76);
    let [adjusted] = &figures.intervals[..] else { panic!("no Wald with two answers: {figures:?}") };
    assert_eq!(adjusted.method(), IntervalMethod::AdjustedWald);
    close(adjusted.lower, -73.335_137_205_651_8);
    close(adjusted.upper, 73.335_137_205_651_8);
    // From thirty answers on, both.
    put(&nps, &[[9; 14], [7; 14]].concat()).await;
    let many = stats(stage, of(&nps)).await;
    let Some(Figures::Nps(figures)) = many.figures else { panic!("{many:?}") };
    assert_eq!((many.responses, figures.promoters, figures.passives, figures.detractors), (30, 15, 14, 1));
    close(figures.score, 1_400.0 / 30.0);
    assert_eq!(
        figures.intervals.iter().map(Interval::method).collect::<Vec<_>>(),
        [IntervalMethod::AdjustedWald, IntervalMethod::Wald]
    );
    assert!(figures.intervals.iter().all(|one| one.lower < figures.score && figures.score < one.upper));
    let surer = stats(stage, GetSurveyStatsRequest { confidence_level: Some(0.99), ..of(&nps) }).await;
    let Some(Figures::Nps(surer)) = surer.figures else { panic!("{surer:?}") };
    assert!(surer.intervals[0].lower < figures.intervals[0].lower && surer.score == figures.score);

    let csat = survey(stage, SurveyMeasure::Csat).await;
    put(&csat, &[5, 4, 3, 5, 2, 4, 4, 1, 5, 5]).await;
    let found = stats(stage, of(&csat)).await;
    let Some(Figures::Csat(figures)) = found.figures else { panic!("{found:?}") };
    assert_eq!((figures.satisfied, figures.intervals[0].method()), (7, IntervalMethod::Wilson));
    close(figures.score, 70.0);
    close(figures.intervals[0].lower, 39.677_814_746_114_535);
    close(figures.intervals[0].upper, 89.220_873_259_369_9);

    let ces = survey(stage, SurveyMeasure::Ces).await;
    put(&ces, &[7, 6, 5, 4, 2, 6, 7]).await;
    let found = stats(stage, of(&ces)).await;
    let Some(Figures::Ces(figures)) = found.figures else { panic!("{found:?}") };
    close(figures.score, 500.0 / 7.0);
    close(figures.mean, 37.0 / 7.0);
    assert_eq!(figures.easy, 5);
    assert_reason!(stage.surveys(GLOBEX).get_survey_stats(of(&ces)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn an_answer_can_be_taken_back(stage: &Stage) {
    let (party, seen) = stage.party_at(person("Regretful")).await;
    let asked = survey(stage, SurveyMeasure::Nps).await;
    let before = health(stage, &party.name, &seen).await;
    let reply = answer(stage, &asked, by(&party.name, 0)).await.expect("recorded");
    let unhappy = health(stage, &party.name, &positions(reply.metadata())).await;
    assert!(unhappy < before, "{before} {unhappy}");
    let made = reply.into_inner();
    let amend = AmendInteractionRequest {
        interaction: Some(Interaction { name: made.interaction.clone(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["valence".into()] }),
        reason: "corrected".into(),
        ..Default::default()
    };
    let amended = stage.interactions(ACME).amend_interaction(amend).await;
    assert_reason!(amended, Code::FailedPrecondition, "INVALID_TRANSITION");
    let retract = RetractInteractionRequest {
        name: made.interaction.clone(),
        reason: "wrong-party".into(),
        ..Default::default()
    };
    let gone = stage.interactions(ACME).retract_interaction(retract).await.expect("retracted");
    let seen = positions(gone.metadata());
    let gone = gone.into_inner();
    assert_eq!(stats(stage, of(&asked)).await.responses, 0);
    let then = GetSurveyStatsRequest { as_known_at: made.recorded_time, ..of(&asked) };
    assert_eq!(stats(stage, then).await.responses, 1, "as it was known then");
    let list = async |include_retracted: bool| {
        let request = ListSurveyResponsesRequest { survey: asked.clone(), include_retracted, ..Default::default() };
        stage.surveys(ACME).list_survey_responses(request).await.expect("listed").into_inner().responses
    };
    assert!(list(false).await.is_empty());
    assert_eq!(list(true).await, [SurveyResponse { retracted_time: gone.retracted_time, ..made }]);
    assert_eq!(health(stage, &party.name, &seen).await, before, "to the last digit");
}

async fn everything_wrong_is_told_at_once(stage: &Stage) {
    let party = stage.party(person("Wrong")).await.name;
    let mut surveys = stage.surveys(ACME);
    let wrong = Survey { language_code: "not a language".into(), purpose: "A B".into(), ..Default::default() };
    refused(
        surveys.create_survey(CreateSurveyRequest { survey: Some(wrong), request_id: "7".into() }).await,
        &[
            ("request_id", "INVALID_REQUEST_ID"),
            ("survey.measure", "REQUIRED"),
            ("survey.question", "REQUIRED"),
            ("survey.language_code", "MALFORMED"),
            ("survey.purpose", "MALFORMED"),
        ],
    );
    refused(
        answer(stage, "surveys/7", SurveyResponse { case: "cases/7".into(), about: "x".into(), ..Default::default() })
            .await,
        &[
            ("survey", "MALFORMED_NAME"),
            ("response.party", "REQUIRED"),
            ("response.score", "REQUIRED"),
            ("response.channel", "REQUIRED"),
            ("response.case", "MALFORMED_NAME"),
            ("response.about", "MALFORMED_NAME"),
            ("response.occurred_time", "REQUIRED"),
        ],
    );
    for (measure, low, high) in [(SurveyMeasure::Nps, 0, 10), (SurveyMeasure::Csat, 1, 5), (SurveyMeasure::Ces, 1, 7)] {
        let asked = survey(stage, measure).await;
        for score in [low - 1, high + 1, i32::MIN] {
            refused(answer(stage, &asked, by(&party, score)).await, &[("response.score", "OUT_OF_RANGE")]);
        }
        for score in [low, high] {
            answer(stage, &asked, by(&party, score)).await.expect("on the scale");
        }
        assert_eq!(stats(stage, of(&asked)).await.responses, 2);
        for response in [
            SurveyResponse { case: unknown("cases"), ..by(&party, low) },
            SurveyResponse { about: unknown("interactions"), ..by(&party, low) },
        ] {
            assert_reason!(answer(stage, &asked, response).await, Code::NotFound, "RESOURCE_NOT_FOUND");
        }
    }
    assert_reason!(answer(stage, &unknown("surveys"), by(&party, 1)).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let wrong = GetSurveyStatsRequest {
        start_time: Some(at("2026-01-02T00:00:00Z")),
        end_time: Some(at("2026-01-01T00:00:00Z")),
        confidence_level: Some(f64::NAN),
        ..of("surveys/7")
    };
    refused(
        surveys.get_survey_stats(wrong).await,
        &[("survey", "MALFORMED_NAME"), ("end_time", "END_BEFORE_START"), ("confidence_level", "NOT_FINITE")],
    );
    refused(
        surveys.list_survey_responses(ListSurveyResponsesRequest { page_size: -1, ..Default::default() }).await,
        &[("survey", "REQUIRED"), ("page_size", "OUT_OF_RANGE")],
    );
    refused(
        surveys.get_survey_response(GetSurveyResponseRequest { name: unknown("surveys") }).await,
        &[("name", "MALFORMED_NAME")],
    );
}

async fn pages_hold(stage: &Stage) {
    let party = stage.party(person("Paged")).await.name;
    let asked = survey(stage, SurveyMeasure::Nps).await;
    let mut made = Vec::new();
    for place in 0..5 {
        let one = SurveyResponse { occurred_time: Some(after(at("2026-01-05T10:00:00Z"), place / 2)), ..by(&party, 7) };
        made.push(answer(stage, &asked, one).await.expect("recorded").into_inner().name);
    }
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListSurveyResponsesRequest { survey: asked.clone(), page_size: 2, page_token, ..Default::default() };
        let page = stage.surveys(ACME).list_survey_responses(request).await.expect("listed").into_inner();
        found.extend(page.responses.into_iter().map(|one| one.name));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        // Newer ones that come in between are on no later page.
        let newer = SurveyResponse { occurred_time: Some(at("2026-02-01T00:00:00Z")), ..by(&party, 7) };
        answer(stage, &asked, newer).await.expect("recorded");
    }
    made.reverse();
    assert_eq!(found, made);
    let request = ListSurveysRequest { page_size: 1, ..Default::default() };
    let page = stage.surveys(ACME).list_surveys(request).await.expect("listed").into_inner();
    assert_eq!(page.surveys[0].name, asked, "the newest first");
    assert!(!page.next_page_token.is_empty());
    let got =
        stage.surveys(ACME).get_survey(GetSurveyRequest { name: asked.clone() }).await.expect("there").into_inner();
    assert_eq!(got, page.surveys[0]);
    let junk = ListSurveysRequest { page_token: "junk".into(), ..Default::default() };
    assert_reason!(stage.surveys(ACME).list_surveys(junk).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
}
