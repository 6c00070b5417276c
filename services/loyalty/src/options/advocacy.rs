use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{InvitationRules, Pace, QuietHours, Slug, zone};

/// How advocates are invited: `[service.loyalty.advocacy]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdvocacyOptions {
    /// By what a promoter is invited: a channel that consents name.
    pub(crate) channel: String,
    /// The purpose whose consent that needs.
    pub(crate) purpose: String,
    /// What a promoter is asked for.
    pub(crate) ask: String,
    /// How many invitations a party gets within `frequency_days` at most. 1 to 100.
    pub(crate) frequency_cap: u32,
    /// 1 to 3650.
    pub(crate) frequency_days: u32,
    /// How many days an invitation can be answered. 1 to 3650.
    pub(crate) expiry_days: u32,
    /// From when on nobody is invited, on the party's clock: `21:00`. Empty, with `quiet_until`, for no quiet hours.
    pub(crate) quiet_from: String,
    /// Until when nobody is invited.
    pub(crate) quiet_until: String,
    /// The zone of parties whose own is not known and who are in no programme.
    pub(crate) time_zone: String,
    /// How many of a hundred parties are never invited, so that the effect can be measured. 0 to 100.
    pub(crate) hold_out_percent: u32,
    /// The types of cases that hold invitations back while they are open.
    pub(crate) complaint_types: Vec<String>,
    /// The kinds of interactions by which parties speak for the tenant.
    pub(crate) advocacy_kinds: Vec<String>,
    /// How many whole social units an acceptance gives. 0 to 1000000.
    pub(crate) social_units: u32,
    /// How many seconds pass between two looks at what is due. 1 to 3600.
    pub(crate) due_seconds: u32,
}

impl Default for AdvocacyOptions {
    fn default() -> AdvocacyOptions {
        AdvocacyOptions {
            channel: "email".to_owned(),
            purpose: "advocacy".to_owned(),
            ask: "review".to_owned(),
            frequency_cap: 1,
            frequency_days: 90,
            expiry_days: 30,
            quiet_from: String::new(),
            quiet_until: String::new(),
            time_zone: "UTC".to_owned(),
            hold_out_percent: 0,
            complaint_types: vec!["complaint".to_owned()],
            advocacy_kinds: vec!["review".to_owned(), "reference".to_owned(), "referral".to_owned()],
            social_units: 1,
            due_seconds: 1,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl AdvocacyOptions {
    /// The rules that these options make.
    ///
    /// # Errors
    /// A sentence that begins with the option's name and says what would be valid.
    pub(crate) fn rules(&self) -> Result<InvitationRules, String> {
        let within = |name: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(value)
            } else {
                Err(format!("advocacy.{name} is {value}, it must be from {least} to {most}"))
            }
        };
        let slug = |name: &str, value: &str| {
            Slug::parse(value).map_err(|wrong| format!("advocacy.{name} is \"{value}\", it {}", wrong.description))
        };
        let slugs = |name: &str, values: &[String]| -> Result<Vec<Slug>, String> {
            values.iter().map(|value| slug(name, value)).collect()
        };
        if zone(&self.time_zone).is_none() {
            let name = &self.time_zone;
            return Err(format!("advocacy.time_zone is \"{name}\", it must be a time zone such as Europe/Lisbon"));
        }
        let quiet = QuietHours::parse(&self.quiet_from, &self.quiet_until)
            .map_err(|wrong| format!("advocacy.quiet_from and quiet_until: {wrong}"))?;
        Ok(InvitationRules {
            channel: slug("channel", &self.channel)?,
            purpose: slug("purpose", &self.purpose)?,
            ask: slug("ask", &self.ask)?,
            pace: Pace {
                cap: within("frequency_cap", self.frequency_cap, 1, 100)? as usize,
                period: DAY * within("frequency_days", self.frequency_days, 1, 3_650)?,
                quiet,
            },
            lifetime: DAY * within("expiry_days", self.expiry_days, 1, 3_650)?,
            zone: self.time_zone.clone(),
            hold_out_percent: within("hold_out_percent", self.hold_out_percent, 0, 100)?,
            complaint_types: slugs("complaint_types", &self.complaint_types)?,
            advocacy_kinds: slugs("advocacy_kinds", &self.advocacy_kinds)?,
            social_units: i64::from(within("social_units", self.social_units, 0, 1_000_000)?),
            due_every: Duration::from_secs(within("due_seconds", self.due_seconds, 1, 3_600)?.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_defaults_make_rules() {
        assert_eq!(AdvocacyOptions::default().rules().unwrap(), InvitationRules::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |change: fn(&mut AdvocacyOptions)| {
            let mut options = AdvocacyOptions::default();
            change(&mut options);
            options.rules().unwrap_err()
        };
        assert!(wrong(|options| options.channel = "E-Mail".into()).starts_with("advocacy.channel is \"E-Mail\""));
        assert!(wrong(|options| options.frequency_cap = 0).starts_with("advocacy.frequency_cap is 0"));
        assert!(wrong(|options| options.frequency_days = 3_651).starts_with("advocacy.frequency_days"));
        assert!(wrong(|options| options.expiry_days = 0).starts_with("advocacy.expiry_days"));
        assert!(wrong(|options| options.quiet_from = "21:00".into()).starts_with("advocacy.quiet_from"));
        assert!(wrong(|options| options.time_zone = "Nowhere/Land".into()).starts_with("advocacy.time_zone"));
        assert!(wrong(|options| options.hold_out_percent = 101).starts_with("advocacy.hold_out_percent"));
        assert!(wrong(|options| options.complaint_types = vec![String::new()]).starts_with("advocacy.complaint_types"));
        assert!(wrong(|options| options.social_units = 1_000_001).starts_with("advocacy.social_units"));
        assert!(wrong(|options| options.due_seconds = 0).starts_with("advocacy.due_seconds"));
    }
}
