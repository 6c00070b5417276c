//! Between the messages of values and domain values.

use std::time::Duration;

use rapport_proto::scoring::v1 as proto;
use rapport_rpc::wire;
use rapport_scoring_models::clv::{GammaGamma, Kind};
use rapport_types::error::{Collector, Error, FieldError};
use rapport_types::money::{Currency, Money};
use rapport_types::text::{Limits, Text};
use rapport_types::{Slug, reason};

use crate::domain::{ClvModel, ClvModelName, Day, Family, FitOrder, Fitted, Outlook, PartyName, SpendFitted, Spending};
use crate::queries::{Answer, Question};

const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;
/// What is looked ahead if nothing is said: 52 weeks.
const AHEAD: Duration = Duration::from_secs(52 * 7 * 86_400);
const LEAST_AHEAD: Duration = Duration::from_secs(86_400);
const MOST_AHEAD: Duration = Duration::from_secs(3653 * 86_400);
/// The discount rate if nothing is said.
const RATE: f64 = 0.1;

/// A request of GetClv, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    horizon: Duration,
}

/// # Errors
/// Every wrong field.
pub(crate) fn fit_order(request: &proto::FitClvModelRequest, today: Day) -> Result<FitOrder, Error> {
    let fields = Collector::new();
    fields.check("request_id", wire::request_id(&request.request_id));
    let family = fields.check("family", family(request.family));
    let end = fields.check("observation_end", end(&request.observation_end, today));
    let currency = match request.currency_code.as_str() {
        "" => None,
        code => fields.check("currency_code", Currency::parse(code)),
    };
    let role_type = match request.role_type.as_str() {
        "" => None,
        text => fields.check("role_type", Slug::parse(text).map(String::from)),
    };
    let limits = Limits { min: 0, max: 200 };
    let display_name = fields.check("display_name", Text::parse(&request.display_name, limits));
    fields.finish()?;
    let (Some(family), Some(end), Some(display_name)) = (family, end, display_name) else {
        return Err(Error::bug("a request was refused without a reason"));
    };
    Ok(FitOrder { family, end, currency, role_type, display_name: display_name.into_string() })
}

fn family(value: i32) -> Result<Option<Family>, FieldError> {
    Ok(match wire::any_value::<proto::ClvModelFamily>(value)? {
        proto::ClvModelFamily::Unspecified | proto::ClvModelFamily::Auto => None,
        proto::ClvModelFamily::Nbd => Some(Family(Kind::Nbd)),
        proto::ClvModelFamily::BgNbd => Some(Family(Kind::BgNbd)),
        proto::ClvModelFamily::MbgNbd => Some(Family(Kind::MbgNbd)),
        proto::ClvModelFamily::ParetoNbd => Some(Family(Kind::ParetoNbd)),
    })
}

fn end(text: &str, today: Day) -> Result<Day, FieldError> {
    match text {
        "" => Ok(today),
        text => match Day::parse(text)? {
            day if day > today => Err(FieldError::new(reason::IN_FUTURE, "must not be after today")),
            day => Ok(day),
        },
    }
}

/// # Errors
/// Every wrong field.
pub(crate) fn question(request: &proto::GetClvRequest) -> Result<Asked, Error> {
    let fields = Collector::new();
    let party = fields.check("party", PartyName::parse(&request.party));
    let model = match request.model.as_str() {
        "" => None,
        name => fields.check("model", ClvModelName::parse(name)),
    };
    let horizon = match &request.horizon {
        None => Some(AHEAD),
        Some(span) => fields.check("horizon", horizon(span)),
    };
    let rate = fields.check("discount_rate", rate(request.discount_rate.unwrap_or(RATE)));
    let as_of = request.as_of.as_ref().and_then(|time| fields.check("as_of", wire::timestamp(time)));
    fields.finish()?;
    let (Some(party), Some(horizon), Some(rate)) = (party, horizon, rate) else {
        return Err(Error::bug("a request was refused without a reason"));
    };
    let outlook = Outlook { weeks: horizon.as_secs_f64() / WEEK, rate };
    let question = Question { party: party.uuid(), model: model.map(|name| name.uuid()), outlook, as_of };
    Ok(Asked { question, horizon })
}

fn horizon(span: &prost_types::Duration) -> Result<Duration, FieldError> {
    let wrong = || FieldError::new(reason::OUT_OF_RANGE, "must be from one day to ten years");
    let span = wire::duration(span).map_err(|_| wrong())?;
    if (LEAST_AHEAD..=MOST_AHEAD).contains(&span) { Ok(span) } else { Err(wrong()) }
}

fn rate(rate: f64) -> Result<f64, FieldError> {
    let rate = wire::finite(rate)?;
    if (0.0..=10.0).contains(&rate) {
        Ok(rate)
    } else {
        Err(FieldError::new(reason::OUT_OF_RANGE, "must be from 0 to 10, where 0.1 is ten per cent a year"))
    }
}

/// The family for the wire.
fn to_family(family: Family) -> i32 {
    let family = match family.0 {
        Kind::Nbd => proto::ClvModelFamily::Nbd,
        Kind::BgNbd => proto::ClvModelFamily::BgNbd,
        Kind::MbgNbd => proto::ClvModelFamily::MbgNbd,
        Kind::ParetoNbd => proto::ClvModelFamily::ParetoNbd,
    };
    family.into()
}

fn to_parameters(names: &[&str], values: &[f64]) -> Vec<proto::ModelParameter> {
    let named = names.iter().zip(values);
    named.map(|(name, value)| proto::ModelParameter { name: (*name).to_owned(), value: *value }).collect()
}

fn to_fitted(fitted: &Fitted) -> Vec<proto::ModelParameter> {
    to_parameters(fitted.family.0.parameters(), &fitted.parameters)
}

fn to_spend(spend: &SpendFitted) -> proto::SpendModel {
    proto::SpendModel {
        parameters: to_parameters(&GammaGamma::PARAMETERS, spend.parameters.as_ref().map_or(&[], |found| found)),
        log_likelihood: spend.log_likelihood,
        customer_count: count(spend.customers),
        correlation: spend.correlation,
        mean_spend: Some(wire::to_money(spend.mean)),
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A model for the wire.
pub(crate) fn to_model(service: &str, model: &ClvModel) -> proto::ClvModel {
    let fitted = &model.fitted;
    proto::ClvModel {
        name: ClvModelName::new(model.id).to_string(),
        version: model.version,
        display_name: fitted.display_name.clone(),
        family: to_family(fitted.purchases.family),
        parameters: to_fitted(&fitted.purchases),
        log_likelihood: fitted.purchases.log_likelihood,
        alive_family: to_family(fitted.alive.family),
        alive_parameters: to_fitted(&fitted.alive),
        spend: Some(to_spend(&fitted.spend)),
        currency_code: fitted.currency.to_string(),
        role_type: fitted.role_type.clone().unwrap_or_default(),
        observation_end: fitted.end.to_string(),
        customer_count: count(fitted.customers),
        repeat_customer_count: count(fitted.repeaters),
        warnings: fitted.warnings.iter().map(|warning| warning.code()).collect(),
        operation: format!("services/{service}/operations/{}", model.operation),
        create_time: Some(wire::to_timestamp(model.created_at)),
        candidates: fitted
            .candidates
            .iter()
            .map(|one| proto::ClvCandidate {
                family: to_family(one.family),
                log_likelihood: one.log_likelihood,
                converged: one.converged,
            })
            .collect(),
    }
}

/// What is known of a party's value, for the wire.
pub(crate) fn to_clv(answer: &Answer, asked: &Asked) -> proto::Clv {
    let status = match (&answer.model, &answer.worth) {
        (None, _) => proto::ClvStatus::NoModel,
        (Some(_), None) => proto::ClvStatus::NoOrders,
        (Some(_), Some(_)) => proto::ClvStatus::Estimated,
    };
    proto::Clv {
        party: PartyName::new(answer.party).to_string(),
        status: status.into(),
        model: answer.model.as_ref().map(|model| ClvModelName::new(model.id).to_string()).unwrap_or_default(),
        model_version: answer.model.as_ref().map_or(0, |model| model.version),
        as_of: Some(wire::to_timestamp(answer.as_of)),
        history: Some(to_history(answer)),
        p_alive: answer.worth.map(|worth| worth.alive),
        expected_purchases: answer.worth.map(|worth| worth.purchases),
        expected_spend: answer.worth.map(|worth| wire::to_money(worth.spend)),
        clv: answer.worth.map(|worth| wire::to_money(worth.value)),
        horizon: Some(wire::to_duration(asked.horizon)),
        discount_rate: asked.question.outlook.rate,
        spend_modelled: answer.worth.is_some_and(|worth| worth.modelled),
    }
}

fn to_history(answer: &Answer) -> proto::PurchaseHistory {
    let Some((spending, _)) = &answer.history else {
        return proto::PurchaseHistory::default();
    };
    let to_money = |money: Option<Money>| money.map(wire::to_money);
    let Spending { orders, end, .. } = spending;
    proto::PurchaseHistory {
        repeat_purchases: spending.repeats().into(),
        recency_weeks: f64::from(spending.last().number() - spending.first().number()) / 7.0,
        observed_weeks: f64::from(end.number() - spending.first().number()) / 7.0,
        first_purchase: spending.first().to_string(),
        last_purchase: spending.last().to_string(),
        order_count: *orders,
        total_spend: to_money(answer.total()),
        mean_repeat_spend: to_money(answer.mean_repeat()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let today = Day::parse("2026-01-05").unwrap();
        let request = proto::FitClvModelRequest {
            family: 99,
            observation_end: "2026-01-06".into(),
            currency_code: "EURO".into(),
            role_type: "Dealer".into(),
            display_name: "x".repeat(201),
            request_id: "7".into(),
        };
        let error = fit_order(&request, today).unwrap_err();
        let found: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason)).collect();
        assert_eq!(
            found,
            [
                ("request_id", reason::INVALID_REQUEST_ID),
                ("family", reason::UNKNOWN_ENUM_VALUE),
                ("observation_end", reason::IN_FUTURE),
                ("currency_code", reason::UNKNOWN_CURRENCY),
                ("role_type", reason::MALFORMED),
                ("display_name", reason::TOO_LONG),
            ]
        );
        let order = fit_order(&proto::FitClvModelRequest::default(), today).unwrap();
        assert_eq!((order.family, order.end, order.currency), (None, today, None));

        let request = proto::GetClvRequest {
            party: "parties/7".into(),
            model: "clvModels/7".into(),
            horizon: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
            discount_rate: Some(f64::NAN),
            as_of: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        };
        let error = question(&request).unwrap_err();
        let found: Vec<_> = error.violations.iter().map(|one| (one.field.as_str(), one.reason)).collect();
        assert_eq!(
            found,
            [
                ("party", reason::MALFORMED_NAME),
                ("model", reason::MALFORMED_NAME),
                ("horizon", reason::OUT_OF_RANGE),
                ("discount_rate", reason::NOT_FINITE),
                ("as_of", reason::OUT_OF_RANGE),
            ]
        );
    }
}
