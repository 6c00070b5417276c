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
}

impl Default for InteractionOptions {
    fn default() -> InteractionOptions {
        let consent_purposes = ["service", "marketing", "survey", "reference"].map(str::to_owned).to_vec();
        InteractionOptions { stream_window: 1_000, consent_purposes }
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

    fn validate(self) -> Result<InteractionOptions, String> {
        if !(1..=100_000).contains(&self.stream_window) {
            return Err(format!("stream_window is {}, it must be from 1 to 100000", self.stream_window));
        }
        if self.consent_purposes.len() > MAX_PURPOSES {
            return Err(format!("consent_purposes are {}, at most {MAX_PURPOSES}", self.consent_purposes.len()));
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
        let of = |consent_purposes| InteractionOptions { consent_purposes, ..InteractionOptions::default() }.validate();
        assert!(of(Vec::new()).is_ok());
        assert!(of(vec!["No Slug".to_owned()]).unwrap_err().starts_with("consent_purposes hold"));
        assert!(of(vec!["a".to_owned(); 17]).unwrap_err().starts_with("consent_purposes are 17"));
    }
}
