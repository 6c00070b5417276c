#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::interaction_service_server::InteractionService;
use rapport_proto::interactions::v1::survey_service_server::SurveyService;
use rapport_proto::interactions::v1::survey_stats::Figures;
use rapport_server::Context;
use rapport_store::Sql;
use rapport_testkit::asserts::{position, violated_fields};
use rapport_testkit::place::StorePlace;
use rapport_testkit::{Code, assert_reason, each_store};
use rapport_types::{Uuid, reason};

use super::{Interactions, Surveys};
use crate::fixture::{context, party, request, request_id};
use crate::options::InteractionOptions;

struct House {
    cx: Context,
    api: Surveys,
    interactions: Interactions,
}

impl House {
    async fn open(place: &StorePlace) -> House {
        let cx = context(place).await;
        let interactions = Interactions::new(cx.clone(), InteractionOptions::default());
        House { api: Surveys::new(cx.clone()), interactions, cx }
    }

    async fn survey(&self, measure: proto::SurveyMeasure) -> proto::Survey {
        let survey = proto::Survey {
            measure: measure.into(),
            question: "How did we do?".to_owned(),
            language_code: "en".to_owned(),
            purpose: "after-complaint".to_owned(),
            ..proto::Survey::default()
        };
        let message = proto::CreateSurveyRequest { survey: Some(survey), request_id: String::new() };
        self.api.create_survey(request("acme", message)).await.unwrap().into_inner()
    }

    async fn answer(
        &self,
        survey: &str,
        response: proto::SurveyResponse,
    ) -> Result<proto::SurveyResponse, tonic::Status> {
        let message = proto::RecordSurveyResponseRequest {
            survey: survey.to_owned(),
            response: Some(response),
            request_id: String::new(),
        };
        self.api.record_survey_response(request("acme", message)).await.map(tonic::Response::into_inner)
    }

    async fn stats(&self, message: proto::GetSurveyStatsRequest) -> proto::SurveyStats {
        self.api.get_survey_stats(request("acme", message)).await.unwrap().into_inner()
    }

    async fn interaction(&self, name: &str) -> proto::Interaction {
        let message = proto::GetInteractionRequest { name: name.to_owned(), version: 0 };
        self.interactions.get_interaction(request("acme", message)).await.unwrap().into_inner()
    }
}

fn response(score: i32, seconds: i64) -> proto::SurveyResponse {
    proto::SurveyResponse {
        party: party(1),
        role_type: "customer".to_owned(),
        score: Some(score),
        comment: "Maria saved my day".to_owned(),
        channel: Some(proto::Channel { medium: proto::Medium::Web.into(), online: None }),
        occurred_time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 }),
        ..proto::SurveyResponse::default()
    }
}

fn of(survey: &proto::Survey) -> proto::GetSurveyStatsRequest {
    proto::GetSurveyStatsRequest { survey: survey.name.clone(), ..proto::GetSurveyStatsRequest::default() }
}

each_store! {
    async fn an_answer_is_an_interaction_too(place: StorePlace) {
        let house = House::open(&place).await;
        let survey = house.survey(proto::SurveyMeasure::Nps).await;
        let before = *house.cx.store.position().borrow();
        let message = proto::RecordSurveyResponseRequest {
            survey: survey.name.clone(),
            response: Some(response(9, 0)),
            request_id: request_id(1),
        };
        let reply = house.api.record_survey_response(request("acme", message.clone())).await.unwrap();
        assert_eq!(position(reply.metadata(), "interactions"), before + 2, "both events, one write");
        let told = reply.into_inner();
        assert_eq!((told.score, told.category()), (Some(9), proto::SurveyCategory::Promoter));
        assert_eq!(told.comment, "Maria saved my day");
        let again = house.api.record_survey_response(request("acme", message)).await.unwrap();
        assert_eq!(again.metadata().get("rapport-replayed").unwrap(), "true");
        assert_eq!(again.into_inner(), told);
        let name = proto::GetSurveyResponseRequest { name: told.name.clone() };
        assert_eq!(house.api.get_survey_response(request("acme", name.clone())).await.unwrap().into_inner(), told);
        assert_reason!(
            house.api.get_survey_response(request("other", name)).await, Code::NotFound, reason::RESOURCE_NOT_FOUND
        );

        let contact = house.interaction(&told.interaction).await;
        assert_eq!((contact.kind.as_str(), contact.survey_response.as_str()), ("survey-response", told.name.as_str()));
        assert_eq!((contact.topics.as_slice(), contact.body.as_str()), (&["after-complaint".to_owned()][..], "Maria saved my day"));
        let valence = contact.valence.unwrap();
        assert_eq!((valence.value, valence.method()), (0.5, proto::ValenceMethod::Stated));
        assert_eq!((contact.direction(), contact.effort), (proto::Direction::Inbound, None));
        assert_eq!((contact.occurred_time, contact.recorded_time), (told.occurred_time, told.recorded_time));

        // It is put right by being taken back, not by being changed.
        let amend = proto::AmendInteractionRequest {
            interaction: Some(proto::Interaction { name: told.interaction.clone(), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["valence".to_owned()] }),
            reason: "corrected".to_owned(),
            ..Default::default()
        };
        let amended = house.interactions.amend_interaction(request("acme", amend)).await;
        assert_reason!(amended, Code::FailedPrecondition, reason::INVALID_TRANSITION);
        house.cx.store.close().await;
    }

    async fn nothing_personal_is_readable_in_the_tables(place: StorePlace) {
        let house = House::open(&place).await;
        let survey = house.survey(proto::SurveyMeasure::Ces).await;
        let by_mail = proto::SurveyResponse {
            party: String::new(),
            identifier_used: Some(proto::Identifier { scheme: "email".to_owned(), value: "noa@example.com".to_owned() }),
            ..response(2, 0)
        };
        let told = house.answer(&survey.name, by_mail).await.unwrap();
        assert_eq!(told.attribution(), proto::Attribution::Unattributed);
        assert_eq!(told.identifier_used.as_ref().unwrap().value, "noa@example.com");
        assert_eq!(house.interaction(&told.interaction).await.effort, Some(6), "hard work");
        let db = house.cx.store.reader();
        for (table, columns) in [
            ("interaction", &["detail", "sealed"][..]),
            ("outbox", &["payload"]),
        ] {
            for column in columns {
                for row in Sql::new(db, &format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL")).all(db).await.unwrap() {
                    let bytes: Vec<u8> = row.try_get_by_index(0).unwrap();
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(!text.contains("noa@") && !text.contains("Maria"), "{table}.{column}");
                }
            }
        }
        house.cx.store.close().await;
    }

    async fn statistics_count_what_is_asked_for(place: StorePlace) {
        let house = House::open(&place).await;
        let survey = house.survey(proto::SurveyMeasure::Nps).await;
        let none = house.stats(of(&survey)).await;
        assert_eq!((none.responses, &none.figures, none.counts.len(), none.confidence_level), (0, &None, 0, 0.95));

        let mut told = Vec::new();
        for (second, (score, role_type)) in
            [(10, "customer"), (9, "customer"), (8, "dealer"), (7, "dealer"), (3, "customer"), (0, "dealer"), (10, "")]
                .into_iter()
                .enumerate()
        {
            let second = i64::try_from(second).unwrap();
            let one = proto::SurveyResponse { role_type: role_type.to_owned(), ..response(score, second) };
            told.push(house.answer(&survey.name, one).await.unwrap());
        }
        // Another survey's answers are its own.
        let other = house.survey(proto::SurveyMeasure::Nps).await;
        house.answer(&other.name, response(0, 0)).await.unwrap();
        let groups = |stats: &proto::SurveyStats| match &stats.figures {
            Some(Figures::Nps(nps)) => (nps.promoters, nps.passives, nps.detractors),
            None => (0, 0, 0),
            other => panic!("{other:?}"),
        };
        let all = house.stats(of(&survey)).await;
        assert_eq!((all.responses, groups(&all)), (7, (3, 2, 2)));
        let counts: Vec<(i32, i64)> = all.counts.iter().map(|one| (one.score, one.responses)).collect();
        assert_eq!(counts, [(0, 1), (3, 1), (7, 1), (8, 1), (9, 1), (10, 2)]);
        let Some(Figures::Nps(nps)) = &all.figures else { panic!() };
        assert!((nps.score - 100.0 / 7.0).abs() < 1e-12);
        assert_eq!(nps.intervals.iter().map(|one| one.method()).collect::<Vec<_>>(), [proto::IntervalMethod::AdjustedWald]);

        let at = |second: i64| Some(prost_types::Timestamp { seconds: 1_700_000_000 + second, nanos: 0 });
        for (asked, expected) in [
            (proto::GetSurveyStatsRequest { start_time: at(2), ..of(&survey) }, (1, 2, 2)),
            (proto::GetSurveyStatsRequest { end_time: at(2), ..of(&survey) }, (2, 0, 0)),
            (proto::GetSurveyStatsRequest { start_time: at(1), end_time: at(5), ..of(&survey) }, (1, 2, 1)),
            (proto::GetSurveyStatsRequest { as_of: at(2), ..of(&survey) }, (2, 1, 0)),
            (proto::GetSurveyStatsRequest { role_type: "dealer".to_owned(), ..of(&survey) }, (0, 2, 1)),
            (proto::GetSurveyStatsRequest { as_known_at: told[3].recorded_time, ..of(&survey) }, (2, 2, 0)),
            (proto::GetSurveyStatsRequest { start_time: at(100), ..of(&survey) }, (0, 0, 0)),
        ] {
            assert_eq!(groups(&house.stats(asked.clone()).await), expected, "{asked:?}");
        }

        // Taken back, an answer no longer counts; what was known before still does.
        let retract = proto::RetractInteractionRequest {
            name: told[0].interaction.clone(),
            reason: "entered-twice".to_owned(),
            ..Default::default()
        };
        let gone = house.interactions.retract_interaction(request("acme", retract)).await.unwrap().into_inner();
        assert_eq!(groups(&house.stats(of(&survey)).await), (2, 2, 2));
        let before = proto::GetSurveyStatsRequest { as_known_at: told[6].recorded_time, ..of(&survey) };
        assert_eq!(groups(&house.stats(before).await), (3, 2, 2));
        let name = proto::GetSurveyResponseRequest { name: told[0].name.clone() };
        let seen = house.api.get_survey_response(request("acme", name)).await.unwrap().into_inner();
        assert_eq!(seen.retracted_time, gone.retracted_time);
        assert!(seen.retracted_time.is_some());
        house.cx.store.close().await;
    }

    async fn lists_are_newest_first_and_by_party(place: StorePlace) {
        let house = House::open(&place).await;
        let (one, two) = (house.survey(proto::SurveyMeasure::Csat).await, house.survey(proto::SurveyMeasure::Ces).await);
        let listed = |page_size, page_token| {
            let message = proto::ListSurveysRequest { page_size, page_token };
            async { house.api.list_surveys(request("acme", message)).await.unwrap().into_inner() }
        };
        let page = listed(1, String::new()).await;
        assert_eq!(page.surveys, std::slice::from_ref(&two));
        assert_eq!(listed(1, page.next_page_token).await.surveys, std::slice::from_ref(&one));
        let got = house.api.get_survey(request("acme", proto::GetSurveyRequest { name: one.name.clone() })).await;
        assert_eq!(got.unwrap().into_inner(), one);

        let mut names = Vec::new();
        for (survey, seconds) in [(&one, 1), (&one, 3), (&two, 2)] {
            names.push(house.answer(&survey.name, response(4, seconds)).await.unwrap().name);
        }
        let theirs = proto::SurveyResponse { party: party(2), ..response(1, 4) };
        names.push(house.answer(&one.name, theirs).await.unwrap().name);
        let list = |message: proto::ListSurveyResponsesRequest| async {
            let page = house.api.list_survey_responses(request("acme", message)).await.unwrap().into_inner();
            page.responses.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        let by = |survey: &str, party: &str| proto::ListSurveyResponsesRequest {
            survey: survey.to_owned(), party: party.to_owned(), ..Default::default()
        };
        let order = |places: &[usize]| places.iter().map(|place| names[*place].clone()).collect::<Vec<_>>();
        assert_eq!(list(by(&one.name, "")).await, order(&[3, 1, 0]));
        assert_eq!(list(by("", &party(1))).await, order(&[1, 2, 0]));
        assert_eq!(list(by(&one.name, &party(1))).await, order(&[1, 0]));
        assert_eq!(list(by("", &party(3))).await, order(&[]));
        let unknown = by(&format!("surveys/{}", Uuid::from_u128(5)), "");
        let unknown = house.api.list_survey_responses(request("acme", unknown)).await;
        assert_reason!(unknown, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        house.cx.store.close().await;
    }

    async fn what_is_wrong_is_told_and_leaves_nothing(place: StorePlace) {
        let house = House::open(&place).await;
        let status = house.api.create_survey(request("acme", proto::CreateSurveyRequest::default())).await.unwrap_err();
        assert_eq!(violated_fields(&status), ["survey"]);
        let wrong = proto::Survey {
            measure: 9, language_code: "x".to_owned(), purpose: "A B".to_owned(), ..Default::default()
        };
        let wrong = proto::CreateSurveyRequest { survey: Some(wrong), request_id: "7".to_owned() };
        let status = house.api.create_survey(request("acme", wrong)).await.unwrap_err();
        let fields = ["request_id", "survey.language_code", "survey.measure", "survey.purpose", "survey.question"];
        assert_eq!(violated_fields(&status), fields);

        let survey = house.survey(proto::SurveyMeasure::Csat).await;
        let before = *house.cx.store.position().borrow();
        let empty = house.answer("parties/7", proto::SurveyResponse::default()).await.unwrap_err();
        let fields = ["response.channel", "response.occurred_time", "response.party", "response.score", "survey"];
        assert_eq!(violated_fields(&empty), fields);
        for score in [0, 6, -1, i32::MAX] {
            let status = house.answer(&survey.name, response(score, 0)).await.unwrap_err();
            assert_eq!((status.code(), violated_fields(&status)), (Code::InvalidArgument, vec!["response.score".to_owned()]));
        }
        let nobody = Uuid::from_u128(5);
        for answer in [
            house.answer(&format!("surveys/{nobody}"), response(3, 0)).await,
            house.answer(&survey.name, proto::SurveyResponse { case: format!("cases/{nobody}"), ..response(3, 0) }).await,
            house
                .answer(&survey.name, proto::SurveyResponse { about: format!("interactions/{nobody}"), ..response(3, 0) })
                .await,
        ] {
            assert_reason!(answer, Code::NotFound, reason::RESOURCE_NOT_FOUND);
        }
        assert_eq!(*house.cx.store.position().borrow(), before, "no event");
        assert_eq!(house.stats(of(&survey)).await.responses, 0);

        let asked = proto::GetSurveyStatsRequest {
            start_time: Some(prost_types::Timestamp { seconds: 10, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 10, nanos: 0 }),
            role_type: "A B".to_owned(),
            confidence_level: Some(95.0),
            ..of(&survey)
        };
        let status = house.api.get_survey_stats(request("acme", asked)).await.unwrap_err();
        assert_eq!(violated_fields(&status), ["confidence_level", "end_time", "role_type"]);
        let nothing = house.api.list_survey_responses(request("acme", Default::default())).await.unwrap_err();
        assert_eq!(violated_fields(&nothing), ["survey"]);
        house.cx.store.close().await;
    }
}
