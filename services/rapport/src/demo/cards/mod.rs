//! The report as cards.

mod aftermath;
mod context;
mod numbers;

use super::calendar::{day_of, readable};
use super::card::{Card, Cell, Tone, column, number, prose};
use super::report::{Explained, Happened, Loaded, Model, Neighbour, Opened, Report, Resolved, Timeline};
pub use aftermath::aftermath;
pub use context::context;
use numbers::{change, exact, gauge, grouped, grouped_i64, money, points};

/// How many interactions of a timeline are shown.
const TIMELINE_ROWS: usize = 8;

/// Roles whose holders are heard by many.
const LOUD: [&str; 3] = ["media", "community", "government"];

/// What was loaded.
#[must_use]
pub fn loaded(loaded: &Loaded) -> Card {
    let card = Card::new("The shop's memory")
        .pair("purchases", format!("{} of {} customers", grouped(loaded.purchases), grouped(loaded.customers)))
        .pair(
            "from, to",
            format!("{} to {} (dates moved by {} days)", loaded.days.0, loaded.days.1, grouped_i64(loaded.shift_days)),
        );
    if loaded.found_complete() {
        return card.text(Cell::new("Everything was here already; nothing was recorded twice.", Tone::Dim));
    }
    card.pair(
        "recorded now",
        format!(
            "{} parties, {} interactions, {} ties, {} consents, {} members",
            grouped(loaded.new_parties),
            grouped(loaded.new_interactions),
            loaded.new_ties,
            loaded.new_consents,
            loaded.new_members
        ),
    )
}

/// Who is calling.
#[must_use]
pub fn resolved(resolved: &Resolved, name: &str) -> Card {
    let mut card = Card::new("A call comes in")
        .pair("number", format!("{} (read in {})", resolved.dialled, resolved.country))
        .pair("understood as", &resolved.understood)
        .pair(
            "answer",
            Cell::new(format!("{}: {name}, {:.0} % sure", resolved.outcome, resolved.confidence * 100.0), Tone::Strong),
        );
    for reason in &resolved.reasons {
        card = card.pair("because", reason);
    }
    card
}

/// The model of how customers order.
#[must_use]
pub fn model(model: Option<&Model>) -> Card {
    let card = Card::new("What the history says");
    let Some(model) = model else {
        return card.text("Too few came back for a model of how customers order.");
    };
    let list = |parameters: &[(String, f64)]| -> String {
        parameters.iter().map(|(name, value)| format!("{name} {value:.4}")).collect::<Vec<_>>().join("  ")
    };
    let tried: Vec<String> = model.tried.iter().map(|(family, ll)| format!("{family} {ll:.1}")).collect();
    let card = card
        .pair("model", Cell::new(format!("{}: {}", model.family, list(&model.parameters)), Tone::Strong))
        .pair(
            "fitted on",
            format!(
                "{} customers until {}, {} came back",
                grouped_i64(model.customers),
                model.until,
                grouped_i64(model.repeaters)
            ),
        )
        .pair("log-likelihood", format!("{:.2} (tried: {})", model.log_likelihood, tried.join(", ")))
        .pair("still a customer?", format!("by {}", model.alive_family));
    if model.spend.is_empty() {
        card.pair("spend", "the mean of all: too few for a model")
    } else {
        card.pair("spend", format!("Gamma-Gamma: {}", list(&model.spend)))
    }
}

/// Who is near.
#[must_use]
pub fn neighbours(neighbours: &[Neighbour]) -> Card {
    let card = Card::new("Who is near");
    if neighbours.is_empty() {
        return card.text("Nobody we know of.");
    }
    let rows = neighbours
        .iter()
        .map(|neighbour| {
            let loud = neighbour.roles.iter().any(|role| LOUD.contains(&role.as_str()));
            vec![
                neighbour.depth.to_string().into(),
                Cell::new(&neighbour.display_name, if loud { Tone::Strong } else { Tone::Normal }),
                neighbour.roles.join(", ").into(),
                neighbour.via.as_str().into(),
                neighbour.health_micros.map_or_else(|| Cell::new("-", Tone::Dim), |micros| points(micros).into()),
            ]
        })
        .collect();
    card.table(&[number("steps"), prose("who"), prose("role"), prose("how"), number("health")], rows)
}

/// What has happened.
#[must_use]
pub fn timeline(timeline: &Timeline) -> Card {
    let orders = timeline.count("order");
    let mut card = Card::new("Timeline").pair(
        "interactions",
        format!("{} in all, {orders} of them orders worth {}", timeline.rows.len(), money(timeline.spent())),
    );
    if let Some(first) = timeline.rows.last() {
        card = card.pair("known since", day_of(first.at).to_string());
    }
    let shown = timeline.rows.iter().take(TIMELINE_ROWS).map(happened).collect();
    let card = card
        .table(&[column("day"), column("what"), prose("way"), prose("about"), number("amount"), number("felt")], shown);
    match timeline.rows.len().saturating_sub(TIMELINE_ROWS) {
        0 => card,
        more => card.text(Cell::new(format!("and {more} earlier ones"), Tone::Dim)),
    }
}

fn happened(row: &Happened) -> Vec<Cell> {
    let felt = row.valence.map_or_else(
        || Cell::new("", Tone::Normal),
        |value| Cell::new(format!("{value:+.1}"), if value < 0.0 { Tone::Bad } else { Tone::Good }),
    );
    vec![
        day_of(row.at).to_string().into(),
        row.kind.as_str().into(),
        row.way.as_str().into(),
        row.subject.as_str().into(),
        row.cents.map(money).unwrap_or_default().into(),
        felt,
    ]
}

/// A score and why.
#[must_use]
pub fn health(title: &str, explained: &Explained) -> Card {
    let mut rows: Vec<Vec<Cell>> = explained
        .parts
        .iter()
        .map(|part| {
            let tone = if part.effect_micros < 0 { Tone::Bad } else { Tone::Normal };
            vec![part.reason.as_str().into(), part.facts.to_string().into(), Cell::new(exact(part.effect_micros), tone)]
        })
        .collect();
    let sum: i64 = explained.parts.iter().map(|part| part.effect_micros).sum();
    rows.push(vec![
        Cell::new("sum of all lines, exactly the score", Tone::Strong),
        explained.facts.to_string().into(),
        Cell::new(exact(sum), Tone::Strong),
    ]);
    Card::new(title)
        .pair(
            &explained.title,
            Cell::new(
                format!("{} of 100  {}", points(explained.value_micros), gauge(explained.value_micros)),
                Tone::Strong,
            ),
        )
        .pair("as of", format!("{} UTC, from {} facts", readable(explained.as_of), explained.facts))
        .table(&[prose("because"), number("facts"), number("points")], rows)
}

/// The complaint and its case.
#[must_use]
pub fn complaint(subject: &str, interaction: &str, case: &Opened, replayed: bool) -> Card {
    let card = Card::new("The complaint")
        .pair("said", subject)
        .pair("recorded as", Cell::new(interaction, Tone::Dim))
        .pair("case", Cell::new(&case.title, Tone::Strong))
        .pair("", Cell::new(&case.case, Tone::Dim))
        .pair("stands", format!("{}, priority {}", case.status, case.priority))
        .pair("open cases", case.open.to_string());
    if replayed {
        return card.text(Cell::new("This call was played before; nothing was recorded twice.", Tone::Dim));
    }
    card
}

/// What came of it.
#[must_use]
pub fn outcome(report: &Report) -> Card {
    let (before, after) = (report.health_before.value_micros, report.health_after.value_micros);
    let tone = if after < before { Tone::Bad } else { Tone::Good };
    let card = Card::new("What the call did")
        .pair("health", Cell::new(format!("{} -> {} ({})", points(before), points(after), change(before, after)), tone))
        .pair("timeline", format!("{} -> {} interactions", report.before.rows.len(), report.after.rows.len()));
    let hear: Vec<String> = report
        .neighbours
        .iter()
        .filter(|n| n.roles.iter().any(|role| LOUD.contains(&role.as_str())))
        .map(|n| {
            let steps = if n.depth == 1 { "one step".to_owned() } else { format!("{} steps", n.depth) };
            format!("{} ({}, {steps})", n.display_name, n.roles.join(", "))
        })
        .collect();
    if hear.is_empty() {
        card.pair("may hear of it", "nobody with an audience is near")
    } else {
        card.pair("may hear of it", hear.join("; "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A report whose every text is longer than any line.
    fn wordy() -> Report {
        let long = |n: usize| "wörd ".repeat(n) + &"x".repeat(n);
        Report {
            resolved: Resolved {
                dialled: long(20),
                understood: long(20),
                outcome: long(20),
                reasons: vec![long(40)],
                ..Default::default()
            },
            model: Some(Model {
                family: long(20),
                parameters: vec![(long(9), f64::MAX), ("r".into(), f64::NAN)],
                log_likelihood: f64::MIN,
                tried: vec![(long(9), f64::MIN)],
                ..Default::default()
            }),
            context_after: context::wordy(),
            aftermath: aftermath::wordy(),
            neighbours: vec![Neighbour {
                display_name: long(30),
                roles: vec![long(20), "media".into()],
                via: long(30),
                health_micros: Some(i64::MIN),
                ..Default::default()
            }],
            before: Timeline {
                rows: vec![
                    Happened {
                        kind: long(20),
                        way: long(20),
                        subject: long(60),
                        cents: Some(i64::MAX),
                        valence: Some(-1.0),
                        ..Default::default()
                    };
                    9
                ],
            },
            health_before: Explained {
                title: long(20),
                value_micros: i64::MAX,
                parts: vec![crate::demo::report::Part {
                    reason: long(60),
                    effect_micros: i64::MIN,
                    ..Default::default()
                }],
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn no_card_is_wider_than_eighty_columns() {
        use unicode_width::UnicodeWidthStr;
        for report in [Report::default(), wordy()] {
            let all = [
                loaded(&report.loaded),
                resolved(&report.resolved, &report.context_after.display_name),
                model(report.model.as_ref()),
                context("The agent sees", &report.context_after),
                aftermath(&report.aftermath),
                neighbours(&report.neighbours),
                timeline(&report.before),
                health("Relationship health", &report.health_before),
                complaint("said", &report.complaint, &report.case, true),
                outcome(&report),
            ];
            for card in all {
                for boxes in [true, false] {
                    let style = crate::demo::card::Style { boxes, color: false };
                    for line in card.render(style) {
                        assert!(line.width() <= 80, "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_explanation_shows_its_exact_sum() {
        let explained = Explained {
            title: "Relationship health".into(),
            value_micros: 3,
            facts: 2,
            parts: vec![
                crate::demo::report::Part { effect_micros: 5, ..Default::default() },
                crate::demo::report::Part { effect_micros: -2, ..Default::default() },
            ],
            ..Default::default()
        };
        let text = health("t", &explained).render(crate::demo::card::Style::default()).join("\n");
        assert!(text.contains("0.000003") && text.contains("-0.000002"), "{text}");
    }
}
