//! The CDNOW sample as orders: 2,357 customers of 1997, as the demo ships it.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use rapport_proto::interactions::v1::*;
use rapport_proto::scoring::v1::ListClvModelsRequest;
use rapport_proto::types::v1::Money;
use rapport_testkit::asserts::{at_least, positions};

use super::messages::{at, by_party, contact};
use super::stage::{ACME, Positions, Stage};

const SAMPLE: &str = include_str!("../../../services/rapport/data/cdnow_sample_transactions.csv");

/// The end of the calibration period of the papers.
pub(crate) const END: &str = "1997-09-30";

/// The last moment of a day.
pub(crate) fn evening(day: &str) -> Timestamp {
    at(&format!("{day}T23:00:00Z"))
}

/// The party that a customer of the sample is: nobody has to make it known.
pub(crate) fn customer(number: u32) -> String {
    format!("parties/018f0000-0000-7000-8000-0000{number:08x}")
}

/// An order of a party, in dollars.
pub(crate) fn order(party: &str, day: &str, cents: i64) -> Interaction {
    with_amount("order", AmountKind::Order, party, day, cents)
}

/// A return by a party, in dollars.
pub(crate) fn sent_back(party: &str, day: &str, cents: i64) -> Interaction {
    with_amount("return", AmountKind::Return, party, day, cents)
}

fn with_amount(kind: &str, amount: AmountKind, party: &str, day: &str, cents: i64) -> Interaction {
    let nanos = i32::try_from(cents % 100).expect("cents") * 10_000_000;
    let money = Money { units: cents / 100, nanos, currency_code: "USD".into() };
    let amount = Amount { kind: amount.into(), money: Some(money) };
    Interaction { amount: Some(amount), ..contact(kind, by_party(party), at(&format!("{day}T12:00:00Z"))) }
}

/// Every order of the sample.
pub(crate) fn sample() -> Vec<Interaction> {
    let mut orders = Vec::new();
    for line in SAMPLE.lines().skip(1) {
        let mut cells = line.split(',');
        let mut cell = || cells.next().expect("cust,date,sales");
        let (number, day, sales) = (cell().parse().expect("a customer"), cell(), cell());
        let cents = (sales.parse::<f64>().expect("an amount") * 100.0).round();
        #[allow(clippy::cast_possible_truncation)]
        orders.push(order(&customer(number), day, cents as i64));
    }
    assert_eq!(orders.len(), 6919);
    orders
}

/// The orders of some of its customers: enough for a model, where it does not matter what the model says.
pub(crate) fn few() -> Vec<Interaction> {
    let mut orders = sample();
    orders.truncate(700);
    orders
}

/// Records interactions of acme in batches, waits until scoring knows them, and says where they are.
pub(crate) async fn import(stage: &Stage, interactions: Vec<Interaction>) -> Positions {
    let mut seen = BTreeMap::new();
    for batch in interactions.chunks(500) {
        let items = batch
            .iter()
            .map(|interaction| RecordItem { interaction: Some(interaction.clone()), ..Default::default() })
            .collect();
        let request = BatchRecordInteractionsRequest { items, ..Default::default() };
        let answer = stage.interactions(ACME).batch_record_interactions(request).await.expect("recorded");
        seen.extend(positions(answer.metadata()));
        for result in answer.into_inner().results {
            assert!(matches!(result.result, Some(record_result::Result::Receipt(_))), "{result:?}");
        }
    }
    // A busy machine takes longer over the whole sample than one call may wait.
    loop {
        let request = at_least(ListClvModelsRequest::default(), &seen);
        let answer = stage.values(ACME).list_clv_models(request).await.expect("listed");
        if answer.metadata().get("rapport-stale").is_none() {
            return seen;
        }
    }
}
