//! What to try when the story is told: commands that work as they stand.

use super::report::Report;

/// Commands for a server on `address`, each line at most 80 columns wide.
#[must_use]
pub fn commands(address: &str, report: &Report) -> Vec<String> {
    let party = &report.resolved.party;
    let mut lines = vec!["What to try next (rapport is this very program):".to_owned(), String::new()];
    let mut call = |about: &str, fields: &[String], method: &str| {
        lines.push(format!("  # {about}"));
        lines.push(format!("  rapport call --address {address} {method} '{{"));
        for (n, field) in fields.iter().enumerate() {
            let comma = if n + 1 < fields.len() { "," } else { "" };
            lines.extend(format!("    {field}{comma}").lines().map(str::to_owned));
        }
        lines.push("  }'".to_owned());
        lines.push(String::new());
    };
    call(
        "who is calling?",
        &[format!(
            "\"identifiers\": [\n      {{\"scheme\": \"tel\", \"value\": \"{}\", \"countryCode\": \"{}\"}}\n    ]",
            report.resolved.dialled, report.resolved.country
        )],
        "IdentityService/ResolveParty",
    );
    call("what should the agent know now?", &[format!(r#""party": "{party}""#)], "DeskService/GetAgentContext");
    call(
        "why does the relationship stand where it stands?",
        &[format!(r#""party": "{party}""#), format!(r#""definition": "{}""#, report.definition)],
        "ScoreService/ExplainScore",
    );
    call(
        "who would hear of it, three steps out?",
        &[format!(r#""party": "{party}""#), r#""depth": 3"#.to_owned()],
        "RelationshipService/GetNeighborhood",
    );
    call(
        "is she still a customer, and what is that worth in three years?",
        &[format!(r#""party": "{party}""#), r#""horizon": "94608000s""#.to_owned()],
        "ValueService/GetClv",
    );
    call(
        "which of all interactions were bad?",
        &[r#""filter": "valence < 0.0""#.to_owned()],
        "InteractionService/ListInteractions",
    );
    lines.push("  # what else is there?".to_owned());
    lines.push("  rapport describe".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_fit_eighty_columns_and_name_the_caller() {
        let mut report = Report::default();
        report.resolved.party = "parties/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1".into();
        report.resolved.dialled = "(207) 555-0139".into();
        report.resolved.country = "US".into();
        report.definition = "scoreDefinitions/relationship-health".into();
        let lines = commands("127.0.0.1:50051", &report);
        for line in &lines {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(lines.iter().any(|line| line.contains(&report.resolved.party)));
    }
}
