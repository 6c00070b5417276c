//! Short names of the contract: `GetAgentContext` for `rapport.interactions.v1.DeskService/GetAgentContext`.

use crate::failure::Failure;

/// How alike a name must be to be worth a suggestion.
const ALIKE: f64 = 0.75;
/// The most names a message lists.
const LISTED: usize = 8;

/// The one of `names` that is meant: the whole name, or an end of it that begins where a part begins. Case counts only where
/// it tells two apart.
///
/// # Errors
/// None or several: with those that come into question.
pub(crate) fn find<'a>(what: &str, query: &str, names: &'a [String]) -> Result<&'a str, Failure> {
    let query = query.strip_prefix('/').unwrap_or(query);
    // Some tools write Service.Method.
    let slashed = query.rsplit_once('.').map(|(head, tail)| format!("{head}/{tail}"));
    let queries: Vec<&str> = std::iter::once(query).chain(slashed.as_deref()).collect();
    for same in [exact, ends, ends_anyhow] {
        let mut found: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| queries.iter().any(|query| same(name, query))).collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                return Err(Failure::lines(
                    2,
                    format!("\"{query}\" is the name of {} {what}s; say which:", several.len()),
                    several.iter().map(|name| (*name).to_owned()),
                ));
            }
        }
    }
    let near = nearest(query, names);
    let told = format!("there is no {what} \"{query}\"");
    Err(match near.is_empty() {
        true => Failure::lines(2, format!("{told}; `rapport describe` lists what there is"), std::iter::empty()),
        false => Failure::lines(2, format!("{told}; there is:"), near.into_iter()),
    })
}

fn exact(name: &str, query: &str) -> bool {
    name == query
}

fn ends(name: &str, query: &str) -> bool {
    name.strip_suffix(query).is_some_and(|head| head.ends_with(['.', '/']))
}

fn ends_anyhow(name: &str, query: &str) -> bool {
    ends(&name.to_ascii_lowercase(), &query.to_ascii_lowercase())
}

/// The names most like `query`, the likest first.
fn nearest(query: &str, names: &[String]) -> Vec<String> {
    let last = |name: &str| name.rsplit(['.', '/']).next().unwrap_or(name).to_ascii_lowercase();
    let wanted = last(query);
    let mut ranked: Vec<(f64, &String)> = names
        .iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &last(name)), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    ranked.into_iter().take(LISTED).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn names() -> Vec<String> {
        ["a.v1.DeskService/GetCall", "a.v1.DeskService/Watch", "b.v1.ScoreService/Watch", "b.v1.Score", "a.v1.score"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn short_names_are_taken_when_they_are_one() {
        let names = names();
        for query in [
            "a.v1.DeskService/GetCall",
            "/a.v1.DeskService/GetCall",
            "DeskService/GetCall",
            "GetCall",
            "getcall",
            "a.v1.DeskService.GetCall",
            "DeskService.GetCall",
        ] {
            assert_eq!(find("method", query, &names).unwrap(), "a.v1.DeskService/GetCall", "{query}");
        }
        assert_eq!(find("name", "Score", &names).unwrap(), "b.v1.Score", "case tells two apart");
    }

    #[test]
    fn several_and_none_are_told_with_what_there_is() {
        let names = names();
        let several = find("method", "Watch", &names).unwrap_err();
        assert_eq!(several.code, 2);
        assert!(
            several.message.contains("a.v1.DeskService/Watch") && several.message.contains("b.v1.ScoreService/Watch")
        );
        let none = find("method", "GetCal", &names).unwrap_err().message;
        assert!(none.contains("there is:\n  a.v1.DeskService/GetCall"), "{none}");
        assert!(find("method", "zzz", &names).unwrap_err().message.contains("rapport describe"));
        // A part of a word is no name.
        assert!(find("method", "Call", &names).is_err());
    }
}
