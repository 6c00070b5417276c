//! The arguments that a dial plan gives: `Stasis(rapport,outbound,country=BR)`, `AGI(agi://host/ring,country=BR)`.

use crate::number::restricted;

/// What a dial plan says of a call besides what Asterisk says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// We called them.
    pub(crate) outbound: bool,
    /// The other side's number, where it is not what Asterisk says.
    pub(crate) number: Option<String>,
    /// The country whose plan reads numbers.
    pub(crate) country: Option<String>,
    /// Our own number.
    pub(crate) dialled: Option<String>,
    /// Who of ours takes the call.
    pub(crate) agent: Option<String>,
    /// Which leg of the call.
    pub(crate) leg: Option<String>,
    /// The number must not be used.
    pub(crate) restricted: bool,
    /// Whether somebody spoke.
    pub(crate) answered: Option<bool>,
}

/// What may be said, for messages.
const KNOWN: &str = "inbound, outbound, number=, country=, dialled=, agent=, leg=, pres=, answered=yes and answered=no";

impl Words {
    /// Reads arguments. A word that is not known changes nothing, as a call must pass; what is wrong with it is returned.
    pub(crate) fn read<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (Words, Vec<String>) {
        let mut words = Words::default();
        let mut problems = Vec::new();
        for argument in arguments {
            let argument = argument.trim();
            let (key, value) =
                argument.split_once('=').map_or((argument, None), |(key, value)| (key, Some(value.trim())));
            let given = value.filter(|value| !value.is_empty()).map(str::to_owned);
            match (key, value) {
                ("", None) => {}
                ("inbound", None) => words.outbound = false,
                ("outbound", None) => words.outbound = true,
                ("number", Some(_)) => words.number = given,
                ("country", Some(_)) => words.country = given,
                ("dialled", Some(_)) => words.dialled = given,
                ("agent", Some(_)) => words.agent = given,
                ("leg", Some(_)) => words.leg = given,
                ("pres", Some(value)) => words.restricted = restricted(value),
                ("answered", Some("yes")) => words.answered = Some(true),
                ("answered", Some("no")) => words.answered = Some(false),
                _ => {
                    problems.push(format!("there is no argument \"{}\": there are {KNOWN}", argument.escape_default()))
                }
            }
        }
        (words, problems)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn arguments_are_read_and_mistakes_named() {
        let (words, problems) =
            Words::read(["outbound", " country=BR", "agent=", "number=+12025550201", "pres=prohib", "answered=no", ""]);
        assert!(problems.is_empty(), "{problems:?}");
        assert!(words.outbound && words.restricted && words.agent.is_none());
        assert_eq!((words.country.as_deref(), words.number.as_deref()), (Some("BR"), Some("+12025550201")));
        assert_eq!(words.answered, Some(false));
        let (words, problems) = Words::read(["contry=BR", "answered=maybe", "outbound=yes"]);
        assert_eq!(words, Words::default());
        assert_eq!(problems.len(), 3);
        assert!(problems[0].starts_with("there is no argument \"contry=BR\": there are inbound, outbound, number="));
    }
}
