use jiff::tz::TimeZone;
use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::money::{Currency, Money};
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{ClvModel, ClvModelName, Day, DayKey, DaySum, Outlook, Spending, Worth, worth};
use crate::store;

/// How many of the newest models are looked at for one that speaks of a party's orders.
const NEWEST: usize = 50;

/// Reads models and what they say.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    store: Store,
    zone: TimeZone,
}

/// What is asked of a party.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    /// The party.
    pub(crate) party: Uuid,
    /// The model; none for the newest that fits.
    pub(crate) model: Option<Uuid>,
    /// How far to look ahead.
    pub(crate) outlook: Outlook,
    /// The moment; none for now.
    pub(crate) as_of: Option<Timestamp>,
}

/// What is known of a party's value.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The party that the one asked for stands for now.
    pub(crate) party: Uuid,
    /// The moment.
    pub(crate) as_of: Timestamp,
    /// The model; none if there is none.
    pub(crate) model: Option<ClvModel>,
    /// What the party did in the model's currency and role; without a model, in the currency it ordered in most often.
    pub(crate) history: Option<(Spending, Currency)>,
    /// What the model says of it.
    pub(crate) worth: Option<Worth>,
}

impl Values {
    pub(crate) fn new(store: Store, zone: TimeZone) -> Values {
        Values { store, zone }
    }

    /// The day it is now.
    pub(crate) fn today(&self) -> Day {
        Day::of(self.store.world().now(), &self.zone)
    }

    /// One model.
    ///
    /// # Errors
    /// NotFound; the store's.
    pub(crate) async fn model(&self, tenant: &TenantId, id: Uuid) -> Result<ClvModel, Error> {
        let found = store::clv_model_find(self.store.reader(), tenant, id).await.map_err(read_error)?;
        found.ok_or_else(|| Error::not_found(ClvModelName::new(id)))
    }

    /// Models, newest first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn models(
        &self,
        tenant: &TenantId,
        before: Option<i32>,
        limit: usize,
    ) -> Result<Vec<ClvModel>, Error> {
        store::clv_model_list(self.store.reader(), tenant, before, limit).await.map_err(read_error)
    }

    /// What is known of a party's value: its order history, the model, and what the one says of the other.
    ///
    /// # Errors
    /// NotFound for a model that does not exist; the store's.
    pub(crate) async fn answer(&self, tenant: &TenantId, asked: Question) -> Result<Answer, Error> {
        let db = self.store.reader();
        let as_of = asked.as_of.unwrap_or_else(|| self.store.world().now());
        let end = Day::of(as_of, &self.zone);
        let (party, origins) = store::alias_whose(db, tenant, asked.party).await.map_err(read_error)?;
        let days = store::order_day_list(db, tenant, &origins, end).await.map_err(read_error)?;
        let model = match asked.model {
            Some(id) => Some(self.model(tenant, id).await?),
            None => self.newest(tenant, &days).await?,
        };
        let history = match &model {
            Some(model) => {
                let counting = |key: &DayKey| model.fitted.speaks_of(key.currency, &key.role_type);
                of(&days, end, counting).map(|spending| (spending, model.fitted.currency))
            }
            None => mostly(&days)
                .and_then(|currency| of(&days, end, |key| key.currency == currency).map(|found| (found, currency))),
        };
        let worth = match (&model, &history) {
            (Some(model), Some((spending, _))) => {
                let (fitted, spending) = (model.fitted.clone(), spending.clone());
                // Some families sum thousands of terms.
                let computing = tokio::task::spawn_blocking(move || worth(&fitted, &spending, asked.outlook));
                let found = computing.await.map_err(Error::internal)?;
                Some(found.ok_or_else(|| Error::bug("a stored model has no parameters of its family"))?)
            }
            _ => None,
        };
        Ok(Answer { party, as_of, model, history, worth })
    }

    /// The newest model that speaks of some of these orders; where none does, the newest. Mostly that is the first one looked at.
    async fn newest(&self, tenant: &TenantId, days: &[(DayKey, DaySum)]) -> Result<Option<ClvModel>, Error> {
        let speaks = |model: &ClvModel| {
            days.iter().any(|(key, sum)| sum.orders > 0 && model.fitted.speaks_of(key.currency, &key.role_type))
        };
        let Some(first) = self.models(tenant, None, 1).await?.pop() else {
            return Ok(None);
        };
        if days.is_empty() || speaks(&first) {
            return Ok(Some(first));
        }
        let older = self.models(tenant, Some(first.version), NEWEST).await?;
        Ok(Some(older.into_iter().find(speaks).unwrap_or(first)))
    }
}

fn of(days: &[(DayKey, DaySum)], end: Day, counting: impl Fn(&DayKey) -> bool) -> Option<Spending> {
    let days = days.iter().filter(|(key, _)| counting(key)).map(|(key, sum)| (key.day, *sum));
    Spending::of(days, end)
}

/// The currency with the most orders; the first by its code among equals.
fn mostly(days: &[(DayKey, DaySum)]) -> Option<Currency> {
    let mut counts: std::collections::BTreeMap<&str, (i64, Currency)> = std::collections::BTreeMap::new();
    for (key, sum) in days {
        counts.entry(key.currency.code()).or_insert((0, key.currency)).0 += sum.orders;
    }
    counts.into_values().rev().max_by_key(|(orders, _)| *orders).map(|(_, currency)| currency)
}

impl Answer {
    /// Everything that was spent, less returns.
    pub(crate) fn total(&self) -> Option<Money> {
        let (spending, currency) = self.history.as_ref()?;
        Money::from_total(spending.total(), *currency)
    }

    /// What a repeat purchase came to on the mean.
    pub(crate) fn mean_repeat(&self) -> Option<Money> {
        let (spending, currency) = self.history.as_ref()?;
        match spending.repeats() {
            0 => None,
            repeats => Money::from_total(spending.repeat_total() / i128::from(repeats), *currency),
        }
    }
}
