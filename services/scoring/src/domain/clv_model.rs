//! A fitted model of how parties order, what it was asked for and what is to be known of it.

use std::fmt;

use rapport_scoring_models::clv::{GammaGamma, Kind, Model};
use rapport_types::money::{Currency, Money};
use rapport_types::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use super::Day;

/// A family of models, by its name in the literature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Family(pub(crate) Kind);

impl TryFrom<String> for Family {
    type Error = String;

    fn try_from(name: String) -> Result<Family, String> {
        Kind::named(&name).map(Family).ok_or_else(|| format!("there is no family {name}"))
    }
}

impl From<Family> for String {
    fn from(family: Family) -> String {
        family.0.name().to_owned()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// What is to be fitted: kept with the operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FitOrder {
    /// The family; none for the likeliest.
    pub(crate) family: Option<Family>,
    /// The last day of observation.
    pub(crate) end: Day,
    /// Orders in this currency; none for the one that most parties ordered in.
    pub(crate) currency: Option<Currency>,
    /// Orders of those who acted in this role; none for all.
    pub(crate) role_type: Option<String>,
    /// For people.
    pub(crate) display_name: String,
}

/// Parameters of a family and how likely they make what was observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fitted {
    /// The family.
    pub(crate) family: Family,
    /// Its parameters, in the order of the literature.
    pub(crate) parameters: Vec<f64>,
    /// The log-likelihood.
    pub(crate) log_likelihood: f64,
    /// Whether a maximum was found.
    pub(crate) converged: bool,
}

impl Fitted {
    /// The model to compute with; `None` for parameters that are none, which a stored row does not have.
    pub(crate) fn model(&self) -> Option<Model> {
        Model::new(self.family.0, &self.parameters).ok()
    }
}

/// How much parties spend on a purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpendFitted {
    /// p, q and v; none if the mean of all has to do.
    pub(crate) parameters: Option<[f64; 3]>,
    /// The log-likelihood.
    pub(crate) log_likelihood: f64,
    /// Of how many parties.
    pub(crate) customers: u64,
    /// Of spend and number of purchases.
    pub(crate) correlation: f64,
    /// The mean of all.
    pub(crate) mean: Money,
}

impl SpendFitted {
    /// The model to compute with.
    pub(crate) fn model(&self) -> Option<GammaGamma> {
        let [p, q, v] = self.parameters?;
        GammaGamma::new(p, q, v).ok()
    }
}

/// What is to be known before relying on a model. The codes are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Warning {
    /// A parameter ran into its cap.
    Ridge,
    /// Spend goes with the number of purchases.
    SpendCorrelated,
    /// There is no spend model.
    NoSpendModel,
    /// Fewer than [`Warning::FEW`] customers ordered twice.
    FewCustomers,
}

impl Warning {
    /// How many customers with a second purchase are few.
    pub(crate) const FEW: u64 = 100;
    /// From where on a correlation is one.
    pub(crate) const CORRELATED: f64 = 0.3;

    /// The number sent.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Warning::Ridge => 1,
            Warning::SpendCorrelated => 2,
            Warning::NoSpendModel => 3,
            Warning::FewCustomers => 4,
        }
    }
}

/// What came out of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FittedModel {
    /// For people.
    pub(crate) display_name: String,
    /// How often parties order.
    pub(crate) purchases: Fitted,
    /// Whether they still do.
    pub(crate) alive: Fitted,
    /// How much they spend.
    pub(crate) spend: SpendFitted,
    /// In which currency.
    pub(crate) currency: Currency,
    /// In which role; none for all.
    pub(crate) role_type: Option<String>,
    /// The last day of observation.
    pub(crate) end: Day,
    /// How many ordered.
    pub(crate) customers: u64,
    /// How many of them twice.
    pub(crate) repeaters: u64,
    /// What is to be known.
    pub(crate) warnings: Vec<Warning>,
    /// All that was fitted, the one kept first.
    pub(crate) candidates: Vec<Fitted>,
}

/// A model of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClvModel {
    /// Its id.
    pub(crate) id: Uuid,
    /// Which of the tenant's models: 1, 2, 3 and so on.
    pub(crate) version: i32,
    /// The operation that fitted it.
    pub(crate) operation: Uuid,
    /// When.
    pub(crate) created_at: Timestamp,
    /// What came out.
    pub(crate) fitted: FittedModel,
}

impl FittedModel {
    /// Whether the model speaks of orders in a currency and role.
    pub(crate) fn speaks_of(&self, currency: Currency, role_type: &str) -> bool {
        self.currency == currency && self.role_type.as_deref().is_none_or(|wanted| wanted == role_type)
    }
}
