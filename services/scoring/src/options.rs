//! What this service can be told.

use jiff::tz::TimeZone;
use rapport_server::{Section, read_section};
use serde::{Deserialize, Serialize};

/// How scoring behaves: `[service.scoring]`. The defaults are meant for production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScoringOptions {
    /// How many rows of a party's log one answer reads at most: an explanation, or a score as of the past. 1 to 1000000.
    pub(crate) log_limit: u32,
    /// How many relationships of a tenant influence is computed over at most, ended ones included. 1 to 10000000.
    pub(crate) relationship_limit: u32,
    /// The zone in which the days of orders begin and end, a name of the IANA time zone database. Orders that are known keep
    /// their day when it changes.
    pub(crate) time_zone: String,
}

impl Default for ScoringOptions {
    fn default() -> ScoringOptions {
        ScoringOptions { log_limit: 100_000, relationship_limit: 1_000_000, time_zone: "UTC".to_owned() }
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
        if !(1..=1_000_000).contains(&self.log_limit) {
            return Err(format!("log_limit is {}, it must be from 1 to 1000000", self.log_limit));
        }
        if !(1..=10_000_000).contains(&self.relationship_limit) {
            return Err(format!("relationship_limit is {}, it must be from 1 to 10000000", self.relationship_limit));
        }
        if TimeZone::get(&self.time_zone).is_err() {
            return Err(format!("time_zone is \"{}\", it must be a zone such as Europe/Lisbon", self.time_zone));
        }
        Ok(self)
    }

    /// The zone of the days.
    pub(crate) fn zone(&self) -> TimeZone {
        // Validated before; were it not there, days would be those of UTC.
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
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
        let with = |log_limit| ScoringOptions { log_limit, ..ScoringOptions::default() }.validate();
        assert!(with(1).is_ok() && with(1_000_000).is_ok());
        assert!(with(0).unwrap_err().starts_with("log_limit is 0"));
        assert!(with(1_000_001).is_err());
        let with = |relationship_limit| ScoringOptions { relationship_limit, ..ScoringOptions::default() }.validate();
        assert!(with(1).is_ok() && with(10_000_000).is_ok() && with(10_000_001).is_err());
        assert!(with(0).unwrap_err().starts_with("relationship_limit is 0"));
        let zone = |name: &str| ScoringOptions { time_zone: name.to_owned(), ..ScoringOptions::default() }.validate();
        assert!(zone("Europe/Lisbon").is_ok());
        assert!(zone("Lisboa").unwrap_err().starts_with("time_zone is \"Lisboa\""));
    }
}
