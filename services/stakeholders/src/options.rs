//! What this service can be told.

use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

use crate::domain::country;

/// How parties are read: `[service.stakeholders]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StakeholderOptions {
    /// The country whose numbering plan reads phone numbers in national form when neither the request nor the party
    /// says one: ISO 3166-1 alpha-2. Empty means that such numbers are refused.
    pub default_country: String,
}

impl StakeholderOptions {
    /// The options of a section, checked.
    ///
    /// # Errors
    /// A sentence that begins with the option's name and says what would be valid.
    pub fn read(section: &Section) -> Result<StakeholderOptions, String> {
        read_section::<StakeholderOptions>(section)?.validate()
    }

    fn validate(mut self) -> Result<StakeholderOptions, String> {
        self.default_country = country::parse(&self.default_country)
            .map_err(|wrong| format!("default_country is \"{}\", it {}", self.default_country, wrong.description))?;
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
        let documented = &Options::defaults().unwrap().service["stakeholders"];
        assert_eq!(StakeholderOptions::read(documented).unwrap(), StakeholderOptions::default());
        assert_eq!(documented, &Section::try_from(StakeholderOptions::default()).unwrap());
    }

    #[test]
    fn a_country_is_raised_and_has_to_exist() {
        let with = |code: &str| StakeholderOptions { default_country: code.to_owned() }.validate();
        assert_eq!(with("br").unwrap().default_country, "BR");
        assert!(with("XX").unwrap_err().starts_with("default_country is \"XX\", it must be a country code"));
    }
}
