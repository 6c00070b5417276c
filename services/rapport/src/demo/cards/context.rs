//! What the agent's screen shows.

use super::numbers::{money, points};
use crate::demo::calendar::day_of;
use crate::demo::card::{Card, Cell, Tone, column, number, prose};
use crate::demo::report::{Context, Felt, Membership};

/// How many interactions are shown.
const LAST: usize = 3;

/// One answer of the desk.
#[must_use]
pub fn context(title: &str, context: &Context) -> Card {
    let roles: Vec<String> = context
        .roles
        .iter()
        .map(|(role, scope)| if scope.is_empty() { role.clone() } else { format!("{role} ({scope})") })
        .collect();
    let mut card = Card::new(format!("{title}: {}", context.display_name))
        .pair("party", Cell::new(&context.party, Tone::Dim))
        .pair("who", format!("{}; {}; {}", context.standing, context.place, roles.join(", ")));
    for warning in &context.warnings {
        card = card.pair("careful", Cell::new(warning, Tone::Bad));
    }
    for felt in &context.scores {
        card = score(card, felt);
    }
    card = value(card, context);
    for member in &context.members {
        card = membership(card, member);
    }
    for (n, row) in context.last.iter().take(LAST).enumerate() {
        let felt = row.valence.map(|value| format!(", felt {value:+.1}")).unwrap_or_default();
        let about = if row.subject.is_empty() { String::new() } else { format!(": {}", row.subject) };
        let label = if n == 0 { "last" } else { "" };
        card = card.pair(label, format!("{} {}{about}{felt}", day_of(row.at), row.kind));
    }
    card = if context.cases.is_empty() { card.pair("open cases", "none") } else { card };
    for (n, (case, status)) in context.cases.iter().enumerate() {
        card = card.pair(if n == 0 { "open cases" } else { "" }, format!("{case} ({status})"));
    }
    for (n, promise) in context.promises.iter().enumerate() {
        let whose = if promise.ours { "we promised" } else { "they promised" };
        let tone = if promise.late && promise.ours { Tone::Bad } else { Tone::Normal };
        let until = format!(
            "{whose}: {}, {} {}",
            promise.what,
            if promise.late { "was due on" } else { "due on" },
            day_of(promise.due)
        );
        card = card.pair(if n == 0 { "promises" } else { "" }, Cell::new(until, tone));
    }
    let mays: Vec<String> = context
        .consents
        .iter()
        .map(|consent| {
            let answer = if consent.allowed { "yes" } else { "no" };
            format!("{} {answer} ({})", consent.purpose, consent.reason)
        })
        .collect();
    let channel = context.consents.first().map(|consent| consent.channel.clone()).unwrap_or_default();
    card = card.pair(&format!("may we, by {channel}"), mays.join(", "));
    let card = near(card, context)
        .pair("next", Cell::new(format!("{}: {}", context.action.0, context.action.1), Tone::Strong));
    context.not_fresh.iter().fold(card, |card, (section, state, reason)| {
        card.pair(section, Cell::new(format!("{state}: {reason}"), Tone::Dim))
    })
}

fn score(card: Card, felt: &Felt) -> Card {
    let name = felt.definition.rsplit('/').next().unwrap_or_default().replace('-', " ");
    let value = if felt.facts == 0 { "nothing known yet".to_owned() } else { points(felt.value_micros) };
    let change = felt.change_micros.map(|change| {
        let sign = if change < 0 { "" } else { "+" };
        format!(", {sign}{} in a month", points(change))
    });
    let why = felt.reasons.first().map(|reason| format!("; {reason}")).unwrap_or_default();
    card.pair(&name, format!("{value}{}{why}", change.unwrap_or_default()))
}

fn value(card: Card, context: &Context) -> Card {
    let Some(alive) = context.alive else {
        return card.pair("value", "no orders, or no model yet");
    };
    let orders = context.expected_purchases.unwrap_or_default();
    let worth = context.lifetime_cents.map(|cents| format!(" worth {} today", money(cents))).unwrap_or_default();
    card.pair(
        "value",
        format!(
            "{:.1} % still a customer; {orders:.2} orders expected in {} days{worth}",
            alive * 100.0,
            context.horizon_days
        ),
    )
}

fn membership(card: Card, member: &Membership) -> Card {
    let tier = if member.tier.is_empty() { "no tier" } else { &member.tier };
    let next = member.next.as_ref().map(|(tier, units)| format!(", {units} credits to {tier}")).unwrap_or_default();
    let held: Vec<String> = member.balances.iter().map(|(unit, amount)| format!("{amount} {unit}")).collect();
    let card = card.pair("loyalty", format!("{tier}{next}; {}", held.join(", ")));
    member
        .expiries
        .iter()
        .fold(card, |card, (unit, amount, at)| card.pair("", format!("{amount} {unit} expire on {}", day_of(*at))))
}

fn near(card: Card, context: &Context) -> Card {
    if context.unhappy.is_empty() {
        return card.pair("near", "nobody unhappy");
    }
    let rows = context
        .unhappy
        .iter()
        .map(|unhappy| {
            vec![
                Cell::new(&unhappy.display_name, Tone::Strong),
                unhappy.label.as_str().into(),
                unhappy.health_micros.map_or_else(|| Cell::new("-", Tone::Dim), |micros| points(micros).into()),
                unhappy.reason.as_str().into(),
            ]
        })
        .collect();
    card.heading("Unhappy nearby").table(&[prose("who"), column("how"), number("health"), prose("why")], rows)
}

/// A context whose every text is longer than any line.
#[cfg(test)]
pub(super) fn wordy() -> Context {
    use crate::demo::report::{Happened, Permission, Promise, Unhappy};
    let long = |n: usize| "wörd ".repeat(n) + &"x".repeat(n);
    Context {
        party: long(30),
        display_name: long(60),
        standing: long(20),
        roles: vec![(long(20), long(20))],
        last: vec![Happened {
            kind: long(20),
            subject: long(60),
            at: i64::MIN,
            valence: Some(-1.0),
            ..Default::default()
        }],
        cases: vec![(long(60), long(9))],
        promises: vec![Promise { what: long(60), ours: true, due: i64::MAX, late: true }],
        scores: vec![Felt {
            definition: long(60),
            value_micros: i64::MAX,
            facts: 1,
            reasons: vec![long(60)],
            ..Default::default()
        }],
        alive: Some(f64::NAN),
        expected_purchases: Some(f64::MAX),
        lifetime_cents: Some(i64::MAX),
        members: vec![Membership {
            tier: long(20),
            next: Some((long(20), i64::MAX)),
            balances: vec![(long(20), i64::MIN)],
            expiries: vec![(long(20), i64::MAX, i64::MAX)],
        }],
        consents: vec![Permission { purpose: long(20), channel: long(20), reason: long(20), ..Default::default() }],
        unhappy: vec![Unhappy {
            display_name: long(30),
            label: long(30),
            reason: long(30),
            health_micros: Some(i64::MIN),
        }],
        warnings: vec![long(60)],
        action: (long(20), long(60)),
        not_fresh: vec![(long(20), long(20), long(60))],
        ..Default::default()
    }
}
