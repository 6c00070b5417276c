//! What was fitted, for people and for programs.

use std::fmt::Write;

use jiff::civil::Date;
use rapport_scoring_models::clv::{Fit, GammaGamma, Limit, Reach, SpendFit};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// From here frequency and spend are too much alike for a model that takes them for independent.
const CORRELATED: f64 = 0.3;

/// Everything there is to say.
pub(super) struct Report {
    pub(super) until: Date,
    pub(super) rows: u64,
    pub(super) later: u64,
    pub(super) customers: u64,
    pub(super) distinct: usize,
    pub(super) repeats: u64,
    /// Whether the model was chosen here.
    pub(super) auto: bool,
    pub(super) fits: Vec<Fit>,
    pub(super) chosen: usize,
    pub(super) errors: Option<Vec<f64>>,
    /// None without a column of amounts.
    pub(super) spending: Option<Spending>,
}

/// What can be said of spend.
pub(super) enum Spending {
    /// The model of it.
    Fitted {
        fit: SpendFit,
        errors: Option<[f64; 3]>,
        /// How many bought again and spent nothing: they are left out.
        without: u64,
    },
    /// There is none to model.
    Unfit { why: String },
}

impl Report {
    fn fit(&self) -> &Fit {
        &self.fits[self.chosen]
    }

    /// What whoever uses the parameters should know.
    fn notes(&self) -> Vec<String> {
        let fit = self.fit();
        let mut notes: Vec<String> = fit.limits.iter().map(ToString::to_string).collect();
        if !fit.converged {
            notes.push("the fit ended before nothing was left to gain".to_owned());
        }
        if !fit.model.kind().has_death() {
            notes.push("the NBD knows no leaving: everybody counts as alive".to_owned());
        }
        match &self.spending {
            Some(Spending::Fitted { fit, without, .. }) => {
                notes.extend(fit.limits.iter().map(|limit| format!("gamma-gamma: {limit}")));
                if fit.model.population_mean().is_none() {
                    notes.push("gamma-gamma: q is not above 1, so there is no finite mean spend".to_owned());
                }
                if let Some(correlation) = fit.correlation.filter(|correlation| correlation.abs() > CORRELATED) {
                    notes.push(format!(
                        "gamma-gamma: frequency and mean spend correlate by {correlation:.3}; the model takes them for \
                         independent"
                    ));
                }
                if *without > 0 {
                    notes.push(format!("gamma-gamma: {without} customers who spent nothing on repeats are left out"));
                }
            }
            Some(Spending::Unfit { why }) => notes.push(format!("gamma-gamma: {why}")),
            None => {}
        }
        notes
    }

    /// Lines for people: a name and a value each.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let fit = self.fit();
        line(&mut out, "model", fit.model.kind().name());
        line(&mut out, "until", &self.until.to_string());
        line(&mut out, "rows", &self.rows.to_string());
        line(&mut out, "rows_after_until", &format!("{} (left out)", self.later));
        line(&mut out, "customers", &self.customers.to_string());
        line(&mut out, "distinct_histories", &self.distinct.to_string());
        line(&mut out, "repeat_purchases", &self.repeats.to_string());
        parameters(&mut out, fit.model.kind().parameters(), fit.model.parameters(), self.errors.as_deref());
        line(&mut out, "log_likelihood", &format!("{:.6}", fit.log_likelihood));
        line(&mut out, "aic", &format!("{:.4}", fit.aic()));
        line(&mut out, "bic", &format!("{:.4}", fit.bic()));
        if let Some(Spending::Fitted { fit, errors, .. }) = &self.spending {
            out.push('\n');
            line(&mut out, "spend_model", "gamma-gamma");
            line(&mut out, "spend_customers", &fit.customers.to_string());
            let errors = errors.as_ref().map(<[f64; 3]>::as_slice);
            parameters(&mut out, &GammaGamma::PARAMETERS, &fit.model.parameters(), errors);
            line(&mut out, "spend_log_likelihood", &format!("{:.6}", fit.log_likelihood));
            if let Some(mean) = fit.model.population_mean() {
                line(&mut out, "mean_spend", &short(mean));
            }
            if let Some(correlation) = fit.correlation {
                line(&mut out, "spend_correlation", &format!("{correlation:.6}"));
            }
        }
        if self.auto {
            let _ = writeln!(out, "\n{:<12}{:>18}{:>18}{:>18}", "compared", "log likelihood", "AIC", "BIC");
            for (n, fit) in self.fits.iter().enumerate() {
                let chosen = if n == self.chosen { "  least AIC" } else { "" };
                let _ = writeln!(
                    out,
                    "{:<12}{:>18.4}{:>18.4}{:>18.4}{chosen}",
                    fit.model.kind().name(),
                    fit.log_likelihood,
                    fit.aic(),
                    fit.bic()
                );
            }
        }
        for note in self.notes() {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    /// One object for programs.
    pub(super) fn json(&self) -> Result<String, Failure> {
        let mut object = model(self.fit(), self.errors.as_deref());
        for (key, value) in [
            ("until", json!(self.until.to_string())),
            ("rows", json!(self.rows)),
            ("rows_after_until", json!(self.later)),
            ("customers", json!(self.customers)),
            ("distinct_histories", json!(self.distinct)),
            ("repeat_purchases", json!(self.repeats)),
            ("notes", json!(self.notes())),
            ("spend", self.spend()),
        ] {
            object.insert(key.to_owned(), value);
        }
        if self.auto {
            let fits: Vec<Value> = self
                .fits
                .iter()
                .map(|fit| {
                    let mut object = model(fit, None);
                    object.remove("standard_errors");
                    Value::Object(object)
                })
                .collect();
            object.insert("compared".to_owned(), json!({ "criterion": "aic", "models": fits }));
        }
        serde_json::to_string_pretty(&object)
            .map(|text| text + "\n")
            .map_err(|error| Failure::failed(format!("cannot write the fit as JSON: {error}")))
    }

    fn spend(&self) -> Value {
        let Some(Spending::Fitted { fit, errors, without }) = &self.spending else { return Value::Null };
        let errors = errors.as_ref().map(<[f64; 3]>::as_slice);
        json!({
            "model": "gamma-gamma",
            "parameters": by_name(&GammaGamma::PARAMETERS, &fit.model.parameters()),
            "standard_errors": errors.map(|errors| by_name(&GammaGamma::PARAMETERS, errors)),
            "log_likelihood": fit.log_likelihood,
            "customers": fit.customers,
            "customers_without_spend": without,
            "mean_spend": fit.model.population_mean(),
            "correlation": fit.correlation,
            "converged": fit.converged,
            "limits": limits(&fit.limits),
        })
    }
}

fn model(fit: &Fit, errors: Option<&[f64]>) -> Map<String, Value> {
    let names = fit.model.kind().parameters();
    let mut object = Map::new();
    for (key, value) in [
        ("model", json!(fit.model.kind().name())),
        ("parameters", by_name(names, fit.model.parameters())),
        ("log_likelihood", json!(fit.log_likelihood)),
        ("aic", json!(fit.aic())),
        ("bic", json!(fit.bic())),
        ("converged", json!(fit.converged)),
        ("limits", limits(&fit.limits)),
    ] {
        object.insert(key.to_owned(), value);
    }
    object.insert("standard_errors".to_owned(), errors.map_or(Value::Null, |errors| by_name(names, errors)));
    object
}

fn by_name(names: &[&str], values: &[f64]) -> Value {
    names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>().into()
}

fn limits(limits: &[Limit]) -> Value {
    let reach = |limit: &Limit| match limit.reach {
        Reach::Upper => "upper",
        Reach::Lower => "lower",
        Reach::Flat => "flat",
    };
    limits
        .iter()
        .map(|limit| json!({ "parameter": limit.parameter, "value": limit.value, "reach": reach(limit) }))
        .collect()
}

fn line(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "{name:<22}{value}");
}

fn parameters(out: &mut String, names: &[&str], values: &[f64], errors: Option<&[f64]>) {
    for (n, (name, value)) in names.iter().zip(values).enumerate() {
        let error = errors.and_then(|errors| errors.get(n));
        let error = error.map(|error| format!("  (standard error {})", short(*error))).unwrap_or_default();
        line(out, name, &format!("{}{error}", short(*value)));
    }
}

/// Enough digits, whatever the size.
fn short(value: f64) -> String {
    if (1e-3..1e6).contains(&value) { format!("{value:.6}") } else { format!("{value:.6e}") }
}
