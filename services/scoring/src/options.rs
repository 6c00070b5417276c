//! What this service can be told.

use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

/// How scoring behaves: `[service.scoring]`. The defaults are meant for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScoringOptions {
    /// How many rows of a party's log one answer reads at most: an explanation, or a score as of the past. 1 to 1000000.
    pub(crate) log_limit: u32,
}

impl Default for ScoringOptions {
    fn default() -> ScoringOptions {
        ScoringOptions { log_limit: 100_000 }
    }
}

impl ScoringOptions {
    /// The options of a section, checked.
    ///
    /// # Errors
    /// A sentence that begins with the option's name and says what would be valid.
    pub(crate) fn read(section: &Section) -> Result<ScoringOptions, String> {
        read_section::<ScoringOptions>(section)?.validate()
    }

    fn validate(self) -> Result<ScoringOptions, String> {
        if (1..=1_000_000).contains(&self.log_limit) {
            Ok(self)
        } else {
            Err(format!("log_limit is {}, it must be from 1 to 1000000", self.log_limit))
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
        let documented = &Options::defaults().unwrap().service["scoring"];
        assert_eq!(ScoringOptions::read(documented).unwrap(), ScoringOptions::default());
        assert_eq!(documented, &Section::try_from(ScoringOptions::default()).unwrap());
    }

    #[test]
    fn bounds_are_kept() {
        let with = |log_limit| ScoringOptions { log_limit }.validate();
        assert!(with(1).is_ok() && with(1_000_000).is_ok());
        assert!(with(0).unwrap_err().starts_with("log_limit is 0"));
        assert!(with(1_000_001).is_err());
    }
}
