//! What this service can be told.

use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

use crate::domain::Slug;

/// The most purposes.
const MAX_PURPOSES: usize = 16;

/// How interactions are taken in: `[service.interactions]`. The defaults are meant for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct InteractionOptions {
    /// A stream is read on while fewer of its items than this are under way: with full messages, two of them. Several
    /// streams of a tenant then fit into what the store lets one tenant queue. 1 to 100000.
    pub(crate) stream_window: usize,
    /// The purposes whose consents an agent sees, in this order: slugs, at most 16.
    pub(crate) consent_purposes: Vec<String>,
    /// The type of the case that follows up an inbound call which nobody took: a slug; empty when none is opened.
    pub(crate) missed_call_case: String,
    /// How many seconds pass between two looks at which commitments fell due. 1 to 3600.
    pub(crate) due_seconds: u32,
}

impl Default for InteractionOptions {
    fn default() -> InteractionOptions {
        let consent_purposes = ["service", "marketing", "survey", "reference"].map(str::to_owned).to_vec();
        let missed_call_case = "callback".to_owned();
        InteractionOptions { stream_window: 1_000, consent_purposes, missed_call_case, due_seconds: 1 }
    }
}

impl InteractionOptions {
    /// The options of a section, checked.
    ///
    /// # Errors
    /// A sentence that begins with the option's name and says what would be valid.
    pub(crate) fn read(section: &Section) -> Result<InteractionOptions, String> {
        read_section::<InteractionOptions>(section)?.validate()
    }

    /// The type of the case that follows up a missed call, if any does.
    pub(crate) fn missed_call_case(&self) -> Option<Slug> {
        // Checked when it was read.
        Slug::parse_optional(&self.missed_call_case).ok().flatten()
    }

    fn validate(self) -> Result<InteractionOptions, String> {
        if !(1..=100_000).contains(&self.stream_window) {
            return Err(format!("stream_window is {}, it must be from 1 to 100000", self.stream_window));
        }
        if !(1..=3_600).contains(&self.due_seconds) {
            return Err(format!("due_seconds is {}, it must be from 1 to 3600", self.due_seconds));
        }
        if self.consent_purposes.len() > MAX_PURPOSES {
            return Err(format!("consent_purposes are {}, at most {MAX_PURPOSES}", self.consent_purposes.len()));
        }
        if Slug::parse_optional(&self.missed_call_case).is_err() {
            let given = &self.missed_call_case;
            return Err(format!("missed_call_case is {given:?}: a slug, or nothing, is valid"));
        }
        match self.consent_purposes.iter().find(|purpose| Slug::parse(purpose).is_err()) {
            Some(wrong) => {
                Err(format!("consent_purposes hold {wrong:?}: lower-case letters, digits, - and _ are valid"))
            }
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_server::Options;

    use super::*;

    #[test]
    fn what_is_documented_is_the_default() {
        let documented = &Options::defaults().unwrap().service["interactions"];
        assert_eq!(InteractionOptions::read(documented).unwrap(), InteractionOptions::default());
        assert_eq!(documented, &Section::try_from(InteractionOptions::default()).unwrap());
    }

    #[test]
    fn bounds_are_kept() {
        let with = |stream_window| InteractionOptions { stream_window, ..InteractionOptions::default() }.validate();
        assert!(with(1).is_ok() && with(100_000).is_ok());
        assert!(with(0).unwrap_err().starts_with("stream_window is 0"));
        assert!(with(100_001).is_err());
        let every = |due_seconds| InteractionOptions { due_seconds, ..InteractionOptions::default() }.validate();
        assert!(every(1).is_ok() && every(3_600).is_ok());
        assert!(every(0).unwrap_err().starts_with("due_seconds is 0"));
        assert!(every(3_601).is_err());
        let of = |consent_purposes| InteractionOptions { consent_purposes, ..InteractionOptions::default() }.validate();
        assert!(of(Vec::new()).is_ok());
        assert!(of(vec!["No Slug".to_owned()]).unwrap_err().starts_with("consent_purposes hold"));
        let missed =
            |kind: &str| InteractionOptions { missed_call_case: kind.to_owned(), ..InteractionOptions::default() };
        assert_eq!(missed("").validate().unwrap().missed_call_case(), None);
        assert_eq!(missed("call.back").validate().unwrap().missed_call_case().unwrap().as_str(), "call.back");
        assert!(missed("Call back").validate().unwrap_err().starts_with("missed_call_case is"));
        assert!(of(vec!["a".to_owned(); 17]).unwrap_err().starts_with("consent_purposes are 17"));
    }
}
