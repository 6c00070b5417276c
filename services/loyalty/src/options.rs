//! What this service can be told.

mod advocacy;

use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

pub(crate) use advocacy::AdvocacyOptions;

/// How loyalty behaves: `[service.loyalty]`. The defaults are meant for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoyaltyOptions {
    /// How many seconds pass between two sweeps that book expiries and tiers that fell. 1 to 86400.
    pub(crate) sweep_seconds: u32,
    /// How advocates are invited.
    pub(crate) advocacy: AdvocacyOptions,
}

impl Default for LoyaltyOptions {
    fn default() -> LoyaltyOptions {
        LoyaltyOptions { sweep_seconds: 60, advocacy: AdvocacyOptions::default() }
    }
}

impl LoyaltyOptions {
    /// The options of a section, checked.
    ///
    /// # Errors
    /// A sentence that begins with the option's name and says what would be valid.
    pub(crate) fn read(section: &Section) -> Result<LoyaltyOptions, String> {
        read_section::<LoyaltyOptions>(section)?.validate()
    }

    fn validate(self) -> Result<LoyaltyOptions, String> {
        if !(1..=86_400).contains(&self.sweep_seconds) {
            return Err(format!("sweep_seconds is {}, it must be from 1 to 86400", self.sweep_seconds));
        }
        self.advocacy.rules()?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_server::Options;

    use super::*;

    #[test]
    fn what_is_documented_is_the_default() {
        let documented = &Options::defaults().unwrap().service["loyalty"];
        assert_eq!(LoyaltyOptions::read(documented).unwrap(), LoyaltyOptions::default());
        assert_eq!(documented, &Section::try_from(LoyaltyOptions::default()).unwrap());
    }

    #[test]
    fn bounds_are_kept() {
        let with = |sweep_seconds| LoyaltyOptions { sweep_seconds, ..LoyaltyOptions::default() }.validate();
        assert!(with(1).is_ok() && with(86_400).is_ok());
        assert!(with(0).unwrap_err().starts_with("sweep_seconds is 0"));
        assert!(with(86_401).is_err());
    }
}
