//! `rapport clv`: customer lifetime value from a file of purchases, with no server.

mod day;
mod report;
mod table;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use rapport::csv_table::shortened;
use rapport_scoring_models::clv::{Customer, Histories, Kind, Spends, fit, fit_all, fit_spend};

use crate::failure::Failure;
use report::{Report, Spending};
use table::Table;

/// What `rapport clv` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Clv {
    /// Fits models of customer lifetime value to purchases and prints their parameters.
    Fit(Fit),
}

/// `rapport clv fit`.
#[derive(Debug, Args)]
pub(crate) struct Fit {
    /// Purchases: a CSV whose first line names the columns cust, date and, if wanted, sales.
    #[arg(long, value_name = "FILE.csv")]
    transactions: PathBuf,
    /// The last day of observation; later purchases are left out.
    #[arg(long, value_name = "DATE", value_parser = day::parsed)]
    until: Date,
    /// The model; auto fits all and takes the one of least AIC.
    #[arg(long, value_name = "MODEL", default_value = "auto", value_parser = ["nbd", "bg-nbd", "mbg-nbd", "pareto-nbd", "auto"])]
    model: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Fits and prints.
pub(crate) fn run(command: &Clv) -> Result<(), Failure> {
    let Clv::Fit(arguments) = command;
    let path = arguments.transactions.display();
    let content = std::fs::read(&arguments.transactions)
        .map_err(|error| Failure::invalid(format!("cannot read {path}: {error}")))?;
    let table = Table::parse(&path.to_string(), &content, arguments.until).map_err(Failure::invalid)?;
    let report = fitted(&path.to_string(), arguments, &table)?;
    let text = if arguments.json { report.json()? } else { report.text() };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::output(&error))
}

fn fitted(path: &str, arguments: &Fit, table: &Table) -> Result<Report, Failure> {
    let end = day::number(arguments.until);
    let mut customers = Vec::with_capacity(table.customers.len());
    for (key, purchases) in &table.customers {
        let customer = Customer::of_purchases(purchases.iter().copied(), end)
            .map_err(|error| Failure::invalid(format!("{path}: customer {}: {error}", shortened(key))))?;
        customers.extend(customer);
    }
    let histories: Histories = customers.iter().map(|customer| customer.history).collect();
    let unfit = |error| Failure::invalid(format!("{path}: {error}"));
    let (fits, chosen) = match Kind::named(&arguments.model) {
        Some(kind) => (vec![fit(kind, &histories).map_err(unfit)?], 0),
        None => {
            let choice = fit_all(&histories).map_err(unfit)?;
            let best = choice.best().model.kind();
            let chosen = choice.fits.iter().position(|fit| fit.model.kind() == best).unwrap_or_default();
            (choice.fits, chosen)
        }
    };
    let spending = table.has_sales.then(|| {
        let spends: Spends = customers.iter().filter_map(|customer| customer.spend).collect();
        let repeated = customers.iter().filter(|customer| customer.history.repeats() > 0).count();
        let without = (repeated as u64).saturating_sub(spends.customers());
        match fit_spend(&spends) {
            Ok(fit) => Spending::Fitted { errors: fit.standard_errors(&spends), fit, without },
            Err(error) => Spending::Unfit { why: error.to_string() },
        }
    });
    let errors = fits[chosen].standard_errors(&histories);
    Ok(Report {
        until: arguments.until,
        rows: table.rows,
        later: table.later,
        customers: histories.customers(),
        distinct: histories.distinct(),
        repeats: histories.repeats(),
        auto: Kind::named(&arguments.model).is_none(),
        fits,
        chosen,
        errors,
        spending,
    })
}
