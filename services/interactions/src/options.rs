//! What this service can be told.

use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

/// How interactions are taken in: `[service.interactions]`. The defaults are meant for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct InteractionOptions {
    /// A stream is read on while fewer of its items than this are under way: with full messages, two of them. Several
    /// streams of a tenant then fit into what the store lets one tenant queue. 1 to 100000.
    pub(crate) stream_window: usize,
}

impl Default for InteractionOptions {
    fn default() -> InteractionOptions {
        InteractionOptions { stream_window: 1_000 }
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
        if (1..=100_000).contains(&self.stream_window) {
            Ok(self)
        } else {
            Err(format!("stream_window is {}, it must be from 1 to 100000", self.stream_window))
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
        let with = |stream_window| InteractionOptions { stream_window }.validate();
        assert!(with(1).is_ok() && with(100_000).is_ok());
        assert!(with(0).unwrap_err().starts_with("stream_window is 0"));
        assert!(with(100_001).is_err());
    }
}
