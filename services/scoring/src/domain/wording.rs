//! What an explanation line says to people. No personal data: kinds are slugs, the rest is of our own.

use rapport_scoring_models::decayed::Share;
use rapport_types::Timestamp;

use super::{Direction, Entry, Measure};

/// The prior's line.
pub(crate) fn prior_reason() -> String {
    "what is assumed of a party before anything is known".to_owned()
}

/// The line of all contributions without one of their own.
pub(crate) fn others_reason(count: i64) -> String {
    format!("{count} more {}, none of greater effect", if count == 1 { "contribution" } else { "contributions" })
}

/// A contribution's line.
pub(crate) fn reason(measure: Measure, entry: &Entry, as_of: Timestamp) -> String {
    let side = match entry.direction {
        Direction::Inbound | Direction::Mutual => "",
        Direction::Outbound => " from us",
        Direction::ThirdParty => " about us elsewhere",
    };
    if measure == Measure::Intensity {
        return format!("{}{side}, {}", entry.kind, age(entry.occurred_at, as_of));
    }
    let basis = if entry.from_valence { "as judged" } else { "as assumed of this kind" };
    format!("{}{side}, {}: {}, {basis}", entry.kind, age(entry.occurred_at, as_of), mood(entry.satisfaction))
}

fn mood(satisfaction: Share) -> &'static str {
    match satisfaction.micros() {
        0..200_000 => "very dissatisfied",
        200_000..450_000 => "dissatisfied",
        450_000..=550_000 => "neutral",
        550_001..=800_000 => "satisfied",
        _ => "very satisfied",
    }
}

fn age(occurred_at: Timestamp, as_of: Timestamp) -> String {
    const HOUR: i64 = 3_600_000_000;
    let hours = as_of.as_micros().saturating_sub(occurred_at.as_micros()) / HOUR;
    let (number, unit) = match hours {
        ..1 => return "just now".to_owned(),
        1..24 => (hours, "hour"),
        24..1_440 => (hours / 24, "day"),
        1_440..17_532 => ((hours * 12 + 4_383) / 8_766, "month"),
        _ => (hours / 8_766, "year"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_words() {
        let day = 86_400_000_000;
        let words = |micros: i64| age(Timestamp::from_micros(0), Timestamp::from_micros(micros));
        assert_eq!(words(0), "just now");
        assert_eq!(words(day / 24), "1 hour ago");
        assert_eq!(words(day), "1 day ago");
        assert_eq!(words(59 * day), "59 days ago");
        assert_eq!(words(60 * day), "2 months ago");
        assert_eq!(words(400 * day), "13 months ago");
        assert_eq!(words(731 * day), "2 years ago");
    }

    #[test]
    fn counts_in_words() {
        assert_eq!(others_reason(1), "1 more contribution, none of greater effect");
        assert_eq!(others_reason(2), "2 more contributions, none of greater effect");
    }
}
