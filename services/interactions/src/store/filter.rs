use std::sync::LazyLock;

use rapport_expr::{Bind, Fields, Lowered};
use rapport_store::Sql;
use rapport_store::sea_orm::Value;
use rapport_types::error::Error;

use crate::domain::{AssigneeKind, CasePriority, CaseStatus, CommitmentState, Direction, Function, Medium, Side};

/// A condition over the rows of one list.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Text, and the value that follows it.
    parts: Vec<(String, Option<Value>)>,
}

impl Filter {
    /// The condition that always holds.
    pub(crate) fn all() -> Filter {
        Filter { parts: Vec::new() }
    }

    fn of(lowered: Lowered) -> Filter {
        let mut binds = lowered.binds.into_iter();
        let mut texts = lowered.sql.split('$');
        let mut parts = vec![(texts.next().unwrap_or_default().to_owned(), None)];
        for text in texts {
            // What stands behind a dollar is the number of the next value: the lowering numbers them in order.
            if let Some(part) = parts.last_mut() {
                part.1 = binds.next().map(value);
            }
            parts.push((text.trim_start_matches(|digit: char| digit.is_ascii_digit()).to_owned(), None));
        }
        Filter { parts }
    }

    /// Whether it always holds.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Appends the condition to a statement, `joint` before it; nothing when it always holds.
    pub(crate) fn append(&self, mut sql: Sql, joint: &str) -> Sql {
        if self.is_empty() {
            return sql;
        }
        sql = sql.text(joint);
        for (text, value) in &self.parts {
            sql = sql.text(text);
            if let Some(value) = value {
                sql = sql.bind(value.clone());
            }
        }
        sql
    }
}

fn value(bind: Bind) -> Value {
    match bind {
        Bind::Text(text) => text.into(),
        Bind::Int(number) => number.into(),
        Bind::Bool(truth) => truth.into(),
        Bind::Uuid(id) => id.into(),
        Bind::Time(micros) => micros.into(),
    }
}

/// Words and numbers of an enum, as the field table wants them.
macro_rules! words {
    ($name:ident) => {{
        const WORDS: [(&str, i64); $name::ALL.len()] = {
            let mut words = [("", 0); $name::ALL.len()];
            let mut at = 0;
            while at < words.len() {
                words[at] = ($name::ALL[at].2, $name::ALL[at].1 as i64);
                at += 1;
            }
            words
        };
        &WORDS
    }};
}

fn interaction_fields() -> Fields {
    Fields::new()
        .text("kind", "i.kind")
        .enumeration("medium", "i.medium", words!(Medium))
        .bool("online", "i.online")
        .enumeration("direction", "i.direction", words!(Direction))
        .number("valence", "i.valence")
        .int("effort", "i.effort")
        .time("occurred_time", "i.occurred_at")
        .time("recorded_time", "i.recorded_at")
}

static INTERACTION: LazyLock<Fields> = LazyLock::new(interaction_fields);
static TIMELINE: LazyLock<Fields> = LazyLock::new(|| {
    interaction_fields().text("role_type", "p.role_type").enumeration("party_function", "p.function", words!(Function))
});
static CASE: LazyLock<Fields> = LazyLock::new(|| {
    Fields::new()
        .enumeration("status", "c.status", words!(CaseStatus))
        .text("type", "c.kind")
        .enumeration("priority", "c.priority", words!(CasePriority))
        .text("role_type", "c.role_type")
        .int("reopen_count", "c.reopen_count")
        .time("opened_time", "c.opened_at")
        .time("updated_time", "c.updated_at")
        .enumeration("assignee_kind", "c.assignee_kind", words!(AssigneeKind))
        .text("team", "(CASE c.assignee_kind WHEN 1 THEN c.assignee END)")
        .text("user", "(CASE c.assignee_kind WHEN 2 THEN c.assignee END)")
});
static COMMITMENT: LazyLock<Fields> = LazyLock::new(|| {
    Fields::new()
        .enumeration("state", "c.state", words!(CommitmentState))
        .enumeration("side", "c.side", words!(Side))
        .enumeration("owner_kind", "c.owner_kind", words!(AssigneeKind))
        .text("owner", "c.owner")
        .text("role_type", "c.role_type")
        .time("due_time", "c.due_at")
        .time("made_time", "c.made_at")
});

fn lower(fields: &Fields, filter: &str) -> Result<Filter, Error> {
    if filter.trim().is_empty() {
        return Ok(Filter::all());
    }
    fields.lower(filter, 1).map(Filter::of)
}

/// A filter of ListInteractions; the interaction is `i`.
pub(crate) fn interaction_filter(filter: &str) -> Result<Filter, Error> {
    lower(&INTERACTION, filter)
}

/// A filter of GetTimeline; the interaction is `i`, the party's part in it `p`.
pub(crate) fn timeline_filter(filter: &str) -> Result<Filter, Error> {
    lower(&TIMELINE, filter)
}

/// A filter of ListCases; the case is `c`.
pub(crate) fn case_filter(filter: &str) -> Result<Filter, Error> {
    lower(&CASE, filter)
}

/// A filter of ListCommitments; the commitment is `c`.
pub(crate) fn commitment_filter(filter: &str) -> Result<Filter, Error> {
    lower(&COMMITMENT, filter)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn values_stand_where_their_numbers_stood() {
        let filter = interaction_filter(r#"kind == "order" && (valence < -0.5 || !(medium in ["phone", "email"]))"#);
        let filter = filter.unwrap();
        let texts: Vec<&str> = filter.parts.iter().map(|(text, _)| text.as_str()).collect();
        assert!(texts.iter().all(|text| !text.contains('$')), "{texts:?}");
        let values: Vec<&Value> = filter.parts.iter().filter_map(|(_, value)| value.as_ref()).collect();
        assert_eq!(values.len(), 4);
        assert_eq!(values[0], &Value::from("order"));
        assert_eq!(values[2], &Value::from(1i64));
    }

    #[test]
    fn every_documented_field_is_there_and_no_other() {
        for good in [
            "",
            "  ",
            "online",
            "effort >= 3",
            "has(valence)",
            r#"direction == "third_party""#,
            r#"occurred_time > timestamp("2026-01-01T00:00:00Z")"#,
            r#"recorded_time < timestamp("2026-01-01T00:00:00Z")"#,
        ] {
            interaction_filter(good).unwrap();
            timeline_filter(good).unwrap();
        }
        timeline_filter(r#"role_type == "supplier" && party_function != "observer""#).unwrap();
        interaction_filter(r#"role_type == "supplier""#).unwrap_err();
        interaction_filter(r#"body == "x""#).unwrap_err();
        case_filter(r#"status in ["new", "waiting"] && priority == "urgent" && type == "complaint""#).unwrap();
        case_filter(r#"status == "WAITING""#).unwrap_err();
        case_filter(r#"!has(assignee_kind) || assignee_kind == "team" && team == "desk" || user in ["users/ana"]"#)
            .unwrap();
        case_filter(r#"assignee == "users/ana""#).unwrap_err();
        commitment_filter(r#"state == "open" && side == "ours" && due_time < timestamp("2026-01-01T00:00:00Z")"#)
            .unwrap();
        commitment_filter(r#"made_time < timestamp("2026-01-01T00:00:00Z") && owner_kind == "user""#).unwrap();
        commitment_filter(r#"owner == "users/ana" && role_type == "dealer""#).unwrap();
        for bad in [r#"promise == "x""#, r#"state == "late""#, "late"] {
            commitment_filter(bad).unwrap_err();
        }
    }
}
