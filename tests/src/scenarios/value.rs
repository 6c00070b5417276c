//! What parties are worth: models fitted on the tenant's own orders reach the published figures, and every fact counts as it
//! stands today.

use prost_types::{Duration, FieldMask};
use rapport_proto::events::v1::{SubscribeRequest, SubscribeResponse};
use rapport_proto::interactions::v1::*;
use rapport_proto::operations::v1::{Operation, OperationState, WaitOperationRequest};
use rapport_proto::scoring::v1::*;
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_proto::types::v1::Money;
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};
use tonic::Streaming;

use super::messages::{by_number, identifier, person, record};
use super::purchases::{END, customer, evening, import, order, sample, sent_back};
use super::stage::{ACME, GLOBEX, Positions, Stage, fresh, next, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn models_fit_the_tenants_own_orders_as_published(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        nothing_is_known_at_first(&stage).await;
        let seen = import(&stage, sample()).await;
        the_published_fits_come_out(&stage, &seen).await;
        the_published_expectation_comes_out(&stage).await;
        another_history_has_another_value(&stage).await;
        what_is_put_right_or_taken_back_counts_as_it_stands(&stage).await;
        orders_by_an_identifier_find_their_party(&stage).await;
        others_see_nothing_of_it(&stage).await;
        stage.close().await;
    }
}

/// Fits a model on what is in place at these positions and waits for it.
pub(crate) async fn fit(stage: &Stage, token: &str, request: FitClvModelRequest, seen: &Positions) -> Operation {
    let begun = stage.values(token).fit_clv_model(at_least(request, seen)).await.expect("begun");
    assert!(positions(begun.metadata()).contains_key("scoring"), "a write tells its position");
    let begun = begun.into_inner();
    assert_eq!(begun.method, "rapport.scoring.v1.ValueService.FitClvModel");
    ended(stage, token, &begun.name).await
}

/// The operation once it has ended.
pub(super) async fn ended(stage: &Stage, token: &str, name: &str) -> Operation {
    for _ in 0..20 {
        let request = WaitOperationRequest { name: name.into(), timeout: None };
        let operation = stage.operations(token).wait_operation(request).await.expect("waited").into_inner();
        if operation.end_time.is_some() {
            return operation;
        }
    }
    panic!("{name} does not end");
}

async fn model(stage: &Stage, name: &str) -> ClvModel {
    let request = GetClvModelRequest { name: name.into() };
    stage.values(ACME).get_clv_model(request).await.expect("there").into_inner()
}

fn of(family: ClvModelFamily) -> FitClvModelRequest {
    FitClvModelRequest { family: family.into(), observation_end: END.into(), ..Default::default() }
}

/// What the newest model says of a party at the end of observation, 39 weeks ahead.
fn asking(party: &str) -> GetClvRequest {
    GetClvRequest {
        party: party.into(),
        horizon: Some(Duration { seconds: 39 * 7 * 86_400, nanos: 0 }),
        as_of: Some(evening(END)),
        ..Default::default()
    }
}

async fn clv(stage: &Stage, party: &str, seen: &Positions) -> Clv {
    let answer = stage.values(ACME).get_clv(at_least(asking(party), seen)).await.expect("read");
    assert!(answer.metadata().get("rapport-stale").is_none(), "{:?}", answer.metadata());
    answer.into_inner()
}

/// Positions of a write of acme to interactions.
async fn told(stage: &Stage, interaction: Interaction) -> (Interaction, Positions) {
    let answer = stage.interactions(ACME).record_interaction(record(interaction)).await.expect("recorded");
    let seen = positions(answer.metadata());
    (answer.into_inner(), seen)
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{found} is not {expected}");
}

fn cents(money: Option<&Money>) -> i64 {
    let money = money.expect("an amount");
    assert_eq!(money.currency_code, "USD");
    money.units * 100 + i64::from(money.nanos) / 10_000_000
}

async fn nothing_is_known_at_first(stage: &Stage) {
    let nobody = clv(stage, &unknown("parties"), &Positions::new()).await;
    assert_eq!((nobody.status(), nobody.model.as_str()), (ClvStatus::NoModel, ""));
    assert_eq!((nobody.p_alive, nobody.clv.as_ref()), (None, None));
    let failed = fit(stage, ACME, FitClvModelRequest::default(), &Positions::new()).await;
    let error = failed.error.as_ref().expect("why");
    assert_eq!(failed.state(), OperationState::Failed);
    assert_eq!((error.code.as_str(), error.reason.as_str()), ("FAILED_PRECONDITION", "NOT_ENOUGH_DATA"));
    assert_eq!((failed.result.as_str(), failed.principal.as_str()), ("", "users/ana"));

    let wrong = FitClvModelRequest { observation_end: "9999-01-01".into(), family: 77, ..Default::default() };
    refused(
        stage.values(ACME).fit_clv_model(wrong).await,
        &[("family", "UNKNOWN_ENUM_VALUE"), ("observation_end", "IN_FUTURE")],
    );
    let junk = GetClvRequest { party: "parties/7".into(), discount_rate: Some(-1.0), ..Default::default() };
    refused(stage.values(ACME).get_clv(junk).await, &[("discount_rate", "OUT_OF_RANGE"), ("party", "MALFORMED_NAME")]);
    let missing = GetClvRequest { model: unknown("clvModels"), ..asking(&unknown("parties")) };
    assert_reason!(stage.values(ACME).get_clv(missing).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn the_published_fits_come_out(stage: &Stage, seen: &Positions) {
    // Fader, Hardie & Lee 2005; Batislam et al. 2007; Fader & Hardie 2005; Fader & Hardie 2013.
    let mut names = Vec::new();
    for (family, likelihood) in [
        (ClvModelFamily::Nbd, -9763.657615),
        (ClvModelFamily::ParetoNbd, -9594.976179),
        (ClvModelFamily::MbgNbd, -9582.135716),
        (ClvModelFamily::BgNbd, -9582.429207),
    ] {
        let done = fit(stage, ACME, of(family), seen).await;
        assert_eq!(done.state(), OperationState::Succeeded, "{done:?}");
        let fitted = model(stage, &done.result).await;
        assert_eq!((fitted.family(), fitted.customer_count, fitted.repeat_customer_count), (family, 2357, 946));
        assert!(fitted.log_likelihood >= likelihood - 1e-3, "{family:?}: {}", fitted.log_likelihood);
        assert!(fitted.log_likelihood <= likelihood + 1e-2, "{family:?}: {}", fitted.log_likelihood);
        assert_eq!((fitted.currency_code.as_str(), fitted.observation_end.as_str()), ("USD", END));
        assert_eq!((fitted.operation.as_str(), fitted.name.as_str()), (done.name.as_str(), done.result.as_str()));
        let spend = fitted.spend.as_ref().expect("a spend model");
        assert_eq!((spend.customer_count, spend.parameters.len()), (946, 3));
        assert!(spend.log_likelihood >= -4055.917695 - 1e-3, "{}", spend.log_likelihood);
        // A screen doubts those who bought once.
        let doubting = if family == ClvModelFamily::ParetoNbd { family } else { ClvModelFamily::MbgNbd };
        assert_eq!(fitted.alive_family(), doubting);
        if family == ClvModelFamily::BgNbd {
            for (parameter, published) in fitted.parameters.iter().zip([0.242595, 4.413602, 0.792922, 2.425907]) {
                close(parameter.value, published, 2e-3);
            }
        }
        names.push((fitted.name, fitted.version));
    }
    assert_eq!(names.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // One request id, one fit.
    let request =
        FitClvModelRequest { request_id: fresh(), display_name: "the likeliest".into(), ..of(ClvModelFamily::Auto) };
    let chosen = fit(stage, ACME, request.clone(), seen).await;
    let again = stage.values(ACME).fit_clv_model(request).await.expect("answered").into_inner();
    assert_eq!(again.name, chosen.name);
    let chosen = model(stage, &chosen.result).await;
    assert_eq!((chosen.family(), chosen.display_name.as_str()), (ClvModelFamily::MbgNbd, "the likeliest"));
    assert_eq!((chosen.version, chosen.candidates.len()), (5, 4));

    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListClvModelsRequest { page_size: 2, page_token };
        let page = stage.values(ACME).list_clv_models(request).await.expect("listed").into_inner();
        listed.extend(page.clv_models.into_iter().map(|model| model.version));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, [5, 4, 3, 2, 1]);
}

async fn the_published_expectation_comes_out(stage: &Stage) {
    let models = stage.values(ACME).list_clv_models(ListClvModelsRequest::default()).await.expect("listed");
    let models = models.into_inner().clv_models;
    let bg = models.iter().find(|model| model.family() == ClvModelFamily::BgNbd).expect("fitted").name.clone();
    let request = GetClvRequest { model: bg.clone(), ..asking(&customer(1)) };
    let found = stage.values(ACME).get_clv(request).await.expect("read").into_inner();
    let history = found.history.as_ref().expect("a history");
    assert_eq!((history.repeat_purchases, history.order_count), (2, 3));
    assert_eq!((history.first_purchase.as_str(), history.last_purchase.as_str()), ("1997-01-01", "1997-08-02"));
    close(history.recency_weeks, 30.43, 1e-3);
    close(history.observed_weeks, 38.86, 1e-3);
    assert_eq!((found.status(), found.model_version, found.model.as_str()), (ClvStatus::Estimated, 4, bg.as_str()));
    // E[Y(39) | x = 2, t_x = 30.43, T = 38.86]; Gamma-Gamma's expected spend of the first customer.
    close(found.expected_purchases.expect("estimated"), 1.226_028, 2e-3);
    assert_eq!(cents(history.mean_repeat_spend.as_ref()), 2234);
    close(cents(found.expected_spend.as_ref()) as f64, 2465.0, 5e-3);
    let (purchases, spend, value) = (
        found.expected_purchases.expect("estimated"),
        cents(found.expected_spend.as_ref()) as f64,
        cents(found.clv.as_ref()) as f64,
    );
    assert!(value < purchases * spend && value > 0.9 * purchases * spend, "discounted a little: {value}");
    // Undiscounted it is the product.
    let request = GetClvRequest { model: bg, discount_rate: Some(0.0), ..asking(&customer(1)) };
    let plain = stage.values(ACME).get_clv(request).await.expect("read").into_inner();
    close(cents(plain.clv.as_ref()) as f64, purchases * spend, 1e-2);
}

async fn another_history_has_another_value(stage: &Stage) {
    let nothing = Positions::new();
    // Of two who bought three times, the one who came later is the likelier to come again.
    let (one, other) = (clv(stage, &customer(1), &nothing).await, clv(stage, &customer(2), &nothing).await);
    assert_eq!((one.status(), one.model_version), (ClvStatus::Estimated, 5), "the newest model");
    assert_ne!(one.history, other.history);
    assert_ne!((one.p_alive, one.clv.as_ref()), (other.p_alive, other.clv.as_ref()));
    for found in [&one, &other] {
        let alive = found.p_alive.expect("estimated");
        assert!((0.0..1.0).contains(&alive), "{alive}");
    }
    // As time goes by without an order, less is to be expected.
    let later = GetClvRequest { as_of: Some(evening("1999-09-30")), ..asking(&customer(1)) };
    let later = stage.values(ACME).get_clv(later).await.expect("read").into_inner();
    assert!(later.p_alive < one.p_alive && cents(later.clv.as_ref()) < cents(one.clv.as_ref()));
    // And before the first order there is nothing to say.
    let before = GetClvRequest { as_of: Some(evening("1996-12-31")), ..asking(&customer(1)) };
    let before = stage.values(ACME).get_clv(before).await.expect("read").into_inner();
    assert_eq!((before.status(), before.p_alive, before.clv), (ClvStatus::NoOrders, None, None));
    assert_eq!(before.history, Some(PurchaseHistory::default()));
}

async fn what_is_put_right_or_taken_back_counts_as_it_stands(stage: &Stage) {
    let party = customer(3);
    let nothing = Positions::new();
    let before = clv(stage, &party, &nothing).await;
    let total = |found: &Clv| cents(found.history.as_ref().expect("a history").total_spend.as_ref());

    let (more, seen) = told(stage, order(&party, "1997-09-20", 10_000)).await;
    let with = clv(stage, &party, &seen).await;
    assert_eq!(total(&with), total(&before) + 10_000);
    assert_ne!(with.clv, before.clv);
    assert!(with.p_alive > before.p_alive, "who came back is likelier to live");

    let amended = AmendInteractionRequest {
        interaction: Some(Interaction { name: more.name.clone(), ..order(&party, "1997-09-20", 5_000) }),
        update_mask: Some(FieldMask { paths: vec!["amount".into()] }),
        reason: "corrected".into(),
        ..Default::default()
    };
    let answer = stage.interactions(ACME).amend_interaction(amended).await.expect("amended");
    let corrected = clv(stage, &party, &positions(answer.metadata())).await;
    assert_eq!(total(&corrected), total(&before) + 5_000);
    assert_eq!(corrected.p_alive, with.p_alive, "the day is the same");

    let (_, seen) = told(stage, sent_back(&party, "1997-09-25", 2_000)).await;
    let less = clv(stage, &party, &seen).await;
    assert_eq!(total(&less), total(&before) + 3_000);
    assert_eq!(less.p_alive, with.p_alive, "a return is no purchase");

    for name in [more.name, told_last(stage, &party).await] {
        let request = RetractInteractionRequest { name, reason: "entered-twice".into(), ..Default::default() };
        stage.interactions(ACME).retract_interaction(request).await.expect("retracted");
    }
    let (_, seen) = told(stage, order(&customer(9_999), "1997-01-01", 1)).await;
    let restored = clv(stage, &party, &seen).await;
    assert_eq!(restored, before, "to the last bit");
}

/// The party's return, which is its newest interaction.
async fn told_last(stage: &Stage, party: &str) -> String {
    let request = GetTimelineRequest { party: party.into(), ..Default::default() };
    let timeline = stage.interactions(ACME).get_timeline(request).await.expect("read").into_inner();
    let returns = timeline.interactions.into_iter().find(|one| one.kind == "return");
    returns.expect("the return").name
}

async fn attributions(stage: &Stage) -> Streaming<SubscribeResponse> {
    let request = SubscribeRequest {
        source: "interactions".into(),
        types: vec!["rapport.interactions.v1.OriginAttributed".into()],
        start_at_end: true,
        ..Default::default()
    };
    stage.feed("interactions", ACME).subscribe(request).await.expect("subscribed").into_inner()
}

async fn orders_by_an_identifier_find_their_party(stage: &Stage) {
    let (party, _) = stage.party_at(person("Orders By Phone")).await;
    let mut by_phone = order(&party.name, "1997-03-01", 2_000);
    by_phone.participants = vec![by_number("+12025550119")];
    told(stage, by_phone).await;
    let (_, seen) = told(stage, order(&party.name, "1997-06-01", 4_000)).await;
    let before = clv(stage, &party.name, &seen).await;
    assert_eq!(before.history.as_ref().expect("a history").repeat_purchases, 0);
    let mut feed = attributions(stage).await;
    let number = identifier("tel", "+12025550119", stakeholders::IdentifierStrength::Strong);
    let claim = stakeholders::ClaimIdentifierRequest {
        party: party.name.clone(),
        identifier: Some(number),
        ..Default::default()
    };
    stage.identity(ACME).claim_identifier(claim).await.expect("claimed");
    let seen = loop {
        if let Some(event) = next(&mut feed).await.events.first() {
            break Positions::from([("interactions".to_owned(), event.position)]);
        }
    };
    let after = clv(stage, &party.name, &seen).await;
    let history = after.history.as_ref().expect("a history");
    assert_eq!((history.repeat_purchases, history.first_purchase.as_str()), (1, "1997-03-01"));
    assert_eq!((cents(history.total_spend.as_ref()), cents(history.mean_repeat_spend.as_ref())), (6_000, 4_000));
    assert_ne!(after.clv, before.clv);
}

async fn others_see_nothing_of_it(stage: &Stage) {
    let models = stage.values(ACME).list_clv_models(ListClvModelsRequest::default()).await.expect("listed");
    let name = models.into_inner().clv_models.remove(0).name;
    let mut foreign = stage.values(GLOBEX);
    let request = GetClvModelRequest { name: name.clone() };
    assert_reason!(foreign.get_clv_model(request).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let request = GetClvRequest { model: name, ..asking(&customer(1)) };
    assert_reason!(foreign.get_clv(request).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let listed = foreign.list_clv_models(ListClvModelsRequest::default()).await.expect("listed").into_inner();
    assert_eq!(listed, ListClvModelsResponse::default());
    let nothing = foreign.get_clv(asking(&customer(1))).await.expect("read").into_inner();
    assert_eq!((nothing.status(), nothing.history), (ClvStatus::NoModel, Some(PurchaseHistory::default())));
}
