//! The headers that Asterisk sends when it connects: `agi_network: yes` and so on, then an empty line.

use std::collections::HashMap;

use crate::number::restricted;
use crate::words::Words;

/// The most headers that are read.
pub(super) const MOST_HEADERS: usize = 256;

/// What Asterisk says of a call.
#[derive(Debug, Default)]
pub(super) struct Head {
    values: HashMap<String, String>,
    lines: usize,
}

/// What a dial plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// The call rings: who is it?
    Ring,
    /// The call has ended.
    Hangup,
}

impl Head {
    /// Reads one line; `false` at the empty line that ends the headers.
    ///
    /// # Errors
    /// What is wrong with the line, with its number.
    pub(super) fn line(&mut self, line: &str) -> Result<bool, String> {
        if line.is_empty() {
            return Ok(false);
        }
        self.lines += 1;
        if self.lines > MOST_HEADERS {
            return Err(format!("there are more than {MOST_HEADERS} headers"));
        }
        let shown = || line.chars().take(60).collect::<String>().escape_default().to_string();
        match line.split_once(':') {
            Some((name, value)) if name.starts_with("agi_") && !name.contains(char::is_whitespace) => {
                self.values.insert(name.to_owned(), value.trim().to_owned());
                Ok(true)
            }
            _ => Err(format!(
                "line {} is no header of AGI, such as agi_uniqueid: 1700000000.1; it is \"{}\"",
                self.lines,
                shown()
            )),
        }
    }

    /// How many headers there were.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// A header; nothing where Asterisk does not know (it says `unknown` then).
    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map(String::as_str).filter(|value| *value != "unknown").unwrap_or_default()
    }

    /// What the call is called.
    ///
    /// # Errors
    /// There is no `agi_uniqueid`.
    pub(super) fn id(&self) -> Result<&str, String> {
        match self.value("agi_uniqueid") {
            "" => Err("there is no agi_uniqueid among the headers".to_owned()),
            id => Ok(id),
        }
    }

    /// What the dial plan asks for, by the path of its URL.
    ///
    /// # Errors
    /// There is no such script.
    pub(super) fn script(&self) -> Result<Script, String> {
        let path = self.value("agi_network_script").trim_matches('/');
        match path.split('?').next().unwrap_or_default() {
            "" | "ring" => Ok(Script::Ring),
            "hangup" => Ok(Script::Hangup),
            other => Err(format!(
                "there is no script \"{}\": there are ring and hangup",
                other.chars().take(60).collect::<String>().escape_default()
            )),
        }
    }

    /// The arguments, and what is wrong with them.
    pub(super) fn words(&self) -> (Words, Vec<String>) {
        let arguments = (1..=MOST_HEADERS).map_while(|number| self.values.get(&format!("agi_arg_{number}")));
        let (mut words, problems) = Words::read(arguments.map(String::as_str));
        words.restricted |= restricted(self.value("agi_callingpres"));
        (words, problems)
    }

    /// The number of the caller, and the number that was called.
    pub(super) fn numbers(&self) -> (&str, &str) {
        let dialled = self.value("agi_dnid");
        (self.value("agi_callerid"), if dialled.is_empty() { self.value("agi_extension") } else { dialled })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn head(lines: &str) -> Head {
        let mut head = Head::default();
        for line in lines.lines() {
            assert!(head.line(line).unwrap());
        }
        assert!(!head.line("").unwrap());
        head
    }

    #[test]
    fn headers_are_read() {
        let head = head(
            "agi_network: yes\nagi_network_script: hangup?x=1\nagi_request: agi://127.0.0.1/hangup\nagi_uniqueid: 1.2\n\
             agi_callerid: 12025550201\nagi_callingpres: 35\nagi_dnid: unknown\nagi_extension: 100\nagi_accountcode: \n\
             agi_arg_1: country=US\nagi_arg_2: outbound\nagi_arg_4: agent=x",
        );
        assert_eq!((head.id(), head.script()), (Ok("1.2"), Ok(Script::Hangup)));
        assert_eq!(head.numbers(), ("12025550201", "100"));
        let (words, problems) = head.words();
        assert!(words.outbound && words.restricted && problems.is_empty());
        assert_eq!((words.country.as_deref(), words.agent), (Some("US"), None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let mut head = Head::default();
        head.line("agi_network: yes").unwrap();
        let error = head.line("GET / HTTP/1.1").unwrap_err();
        assert!(
            error.starts_with("line 2 is no header of AGI") && error.ends_with("it is \"GET / HTTP/1.1\""),
            "{error}"
        );
        assert!(head.line("agi_x y: 1").is_err() && head.line("agi_x").is_err());
        assert_eq!(head.id().unwrap_err(), "there is no agi_uniqueid among the headers");
        let mut head = Head::default();
        head.line("agi_network_script: rign").unwrap();
        assert_eq!(head.script().unwrap_err(), "there is no script \"rign\": there are ring and hangup");
        let mut head = Head::default();
        let many = (0..=MOST_HEADERS).find_map(|number| head.line(&format!("agi_{number}: x")).err());
        assert_eq!(many.unwrap(), "there are more than 256 headers");
    }
}
