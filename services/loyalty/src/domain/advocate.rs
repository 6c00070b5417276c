use std::time::Duration;

use jiff::tz::TimeZone;
use rapport_types::Uuid;

use super::MemberName;
use super::gate::{Consent, Pace};
use super::quiet::zone;
use rapport_types::Slug;

/// How this deployment invites advocates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvitationRules {
    /// By what a promoter is invited.
    pub(crate) channel: Slug,
    /// The purpose whose consent that needs.
    pub(crate) purpose: Slug,
    /// What a promoter is asked for.
    pub(crate) ask: Slug,
    /// How often, and when.
    pub(crate) pace: Pace,
    /// How long an invitation can be answered.
    pub(crate) lifetime: Duration,
    /// The zone of those whose own is not known.
    pub(crate) zone: String,
    /// The size of the hold-out group.
    pub(crate) hold_out_percent: u32,
    /// Types of cases that hold invitations back.
    pub(crate) complaint_types: Vec<Slug>,
    /// Kinds of interactions by which parties speak for the tenant.
    pub(crate) advocacy_kinds: Vec<Slug>,
    /// Whole social units for an acceptance.
    pub(crate) social_units: i64,
    /// How often the worker looks.
    pub(crate) due_every: Duration,
}

impl Default for InvitationRules {
    fn default() -> InvitationRules {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        InvitationRules {
            channel: Slug::own("email"),
            purpose: Slug::own("advocacy"),
            ask: Slug::own("review"),
            pace: Pace { cap: 1, period: DAY * 90, quiet: None },
            lifetime: DAY * 30,
            zone: "UTC".to_owned(),
            hold_out_percent: 0,
            complaint_types: vec![Slug::own("complaint")],
            advocacy_kinds: vec![Slug::own("review"), Slug::own("reference"), Slug::own("referral")],
            social_units: 1,
            due_every: Duration::from_secs(1),
        }
    }
}

/// One who may be invited, and what is known of them from elsewhere at this moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Advocate {
    /// The id under which they were named, for ever.
    pub(crate) origin: Uuid,
    /// Who that is now.
    pub(crate) party: Option<Uuid>,
    /// Their membership.
    pub(crate) member: Option<MemberName>,
    /// What they say about being addressed; nothing where stakeholders knows nobody.
    pub(crate) consent: Option<Consent>,
    /// Where their clock is.
    pub(crate) zone: LocalZone,
    /// Whether they are in the hold-out group.
    pub(crate) held_out: bool,
}

/// A time zone with its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LocalZone {
    /// The name.
    pub(crate) name: String,
    /// What the name stands for.
    pub(crate) rules: TimeZone,
}

impl LocalZone {
    /// The first of these names that the database of zones lists.
    pub(crate) fn first<'a>(names: impl IntoIterator<Item = &'a str>) -> LocalZone {
        let found = names.into_iter().find_map(|name| Some(LocalZone { name: name.to_owned(), rules: zone(name)? }));
        found.unwrap_or_else(|| LocalZone { name: "UTC".to_owned(), rules: TimeZone::UTC })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_zone_that_exists_is_taken() {
        assert_eq!(LocalZone::first(["", "Nowhere/Land", "Asia/Tokyo", "UTC"]).name, "Asia/Tokyo");
        assert_eq!(LocalZone::first([""]).name, "UTC");
    }
}
