//! What came of the complaint.

use crate::demo::card::{Card, Cell, Tone, column, number};
use crate::demo::report::Aftermath;

/// The case solved, the survey answered, and what followed by itself.
#[must_use]
pub fn aftermath(after: &Aftermath) -> Card {
    let (score, lower, upper, answers) = after.survey;
    let invited = if after.gate.is_empty() { Tone::Good } else { Tone::Bad };
    let card = Card::new("What came of it")
        .pair("case", &after.case)
        .pair("asked", format!("0 to 10, would you recommend us? {}: a {}", after.score, after.category))
        .pair("NPS", format!("{score:.0} ({lower:.0} to {upper:.0}, 95 % sure), answers: {answers}"))
        .pair("invitation", Cell::new(invitation(after), invited));
    if after.earned.is_empty() {
        return card.pair("earned", "nothing");
    }
    let rows = after
        .earned
        .iter()
        .map(|earned| {
            vec![
                earned.unit.as_str().into(),
                format!("{:+}", earned.amount).into(),
                earned.previous.to_string().into(),
                earned.new.to_string().into(),
            ]
        })
        .collect();
    card.heading("Earned by it").table(&[column("unit"), number("earned"), number("before"), number("after")], rows)
}

fn invitation(after: &Aftermath) -> String {
    if after.gate.is_empty() {
        format!("to speak for us: {}", after.state)
    } else {
        format!("none, {}: {}", after.state, after.gate)
    }
}

/// An aftermath whose every text is longer than any line.
#[cfg(test)]
pub(super) fn wordy() -> Aftermath {
    use crate::demo::report::Earned;
    let long = |n: usize| "wörd ".repeat(n) + &"x".repeat(n);
    Aftermath {
        case: long(20),
        category: long(60),
        score: i32::MIN,
        survey: (f64::MAX, f64::MIN, f64::NAN, i64::MAX),
        state: long(60),
        gate: long(20),
        earned: vec![Earned { unit: long(30), amount: i64::MIN, previous: i64::MAX, new: i64::MIN }],
        ..Default::default()
    }
}
