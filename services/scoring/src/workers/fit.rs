use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use rapport_server::{Job, Task};
use rapport_store::{Effect, Store, read_error};
use rapport_types::error::{Error, Kind};
use rapport_types::money::Currency;
use rapport_types::{Uuid, reason};

use crate::commands::{FIT, KeepClvModel};
use crate::domain::{Day, DayKey, DaySum, FitOrder, FittedModel, NoModel, Population, Spending};
use crate::store::order_day_scan;

/// Rows of one read.
const PAGE: u32 = 10_000;

/// Fits models: reads the order history, folds it by party, and computes on a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct FitJob {
    store: Store,
}

/// The days of each party, by currency.
type Histories = BTreeMap<Currency, BTreeMap<Uuid, Vec<(Day, DaySum)>>>;

impl FitJob {
    pub(crate) fn new(store: Store) -> FitJob {
        FitJob { store }
    }

    /// What every party ordered until the end of observation.
    async fn read(&self, task: &Task, order: &FitOrder) -> Result<Histories, Error> {
        let (mut histories, mut after): (Histories, Option<DayKey>) = (Histories::new(), None);
        let mut parties: BTreeSet<Uuid> = BTreeSet::new();
        loop {
            task.progress(parties.len() as u64, 0, "reading orders");
            let rows = order_day_scan(self.store.reader(), &task.operation.tenant, after.as_ref(), PAGE)
                .await
                .map_err(read_error)?;
            let more = rows.len() == PAGE as usize;
            for (key, sum, party) in rows {
                let wanted = key.day <= order.end
                    && order.currency.is_none_or(|wanted| wanted == key.currency)
                    && order.role_type.as_ref().is_none_or(|wanted| *wanted == key.role_type);
                if wanted {
                    let party = party.unwrap_or(key.origin);
                    parties.insert(party);
                    histories.entry(key.currency).or_default().entry(party).or_default().push((key.day, sum));
                }
                after = Some(key);
            }
            if !more {
                return Ok(histories);
            }
        }
    }
}

#[async_trait]
impl Job for FitJob {
    fn method(&self) -> &'static str {
        FIT
    }

    async fn work(&self, task: &Task) -> Result<Arc<dyn Effect>, Error> {
        let order: FitOrder = serde_json::from_slice(&task.input).map_err(Error::internal)?;
        let histories = self.read(task, &order).await?;
        let steps = task.clone();
        let fitting = tokio::task::spawn_blocking(move || {
            fit(histories, &order, |done, total, note| {
                steps.progress(done, total, note);
                !steps.cancel.is_cancelled()
            })
        });
        let fitted = match fitting.await {
            Ok(fitted) => fitted.map_err(|why| refusal(&why))?,
            Err(panic) => return Err(Error::internal(panic)),
        };
        Ok(Arc::new(KeepClvModel { id: self.store.world().next_id(), fitted }))
    }
}

fn fit(histories: Histories, order: &FitOrder, go_on: impl Fn(u64, u64, &str) -> bool) -> Result<FittedModel, NoModel> {
    // The currency that most parties ordered in; the first by its code among equals.
    let chosen = histories.into_iter().rev().max_by_key(|(_, parties)| parties.len());
    let Some((currency, parties)) = chosen else {
        return Err(NoModel::NotEnough("nobody ordered anything until the end of observation".to_owned()));
    };
    let mut population = Population::default();
    for days in parties.into_values() {
        if let Some(spending) = Spending::of(days, order.end) {
            population.add(&spending);
        }
    }
    population.fit(order, currency, go_on)
}

fn refusal(why: &NoModel) -> Error {
    match why {
        NoModel::NotEnough(message) => Error::new(Kind::Precondition, reason::NOT_ENOUGH_DATA, message.clone()),
        // Nobody waits for the answer.
        NoModel::Stopped => Error::new(Kind::Cancelled, reason::CANCELLED, "the fit was stopped"),
    }
}
