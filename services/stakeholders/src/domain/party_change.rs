//! Changes of a party: what an update may do, and what follows from it.

use rapport_types::error::Error;
use rapport_types::reason;

use super::attributes::{self, Attributes};
use super::medium::Medium;
use super::name::{self, Name};
use super::party::{Cessation, CessationKind, Lifecycle, Party, PartyKind};
use super::provenance::Provenance;

/// What an update does to one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The name to show; empty follows the names again.
    DisplayName(String),
    /// All names.
    Names(Vec<Name>),
    /// All contact media.
    Media(Vec<Medium>),
    /// All attributes.
    Attributes(Attributes),
    /// One attribute; `None` removes it.
    Attribute(String, Option<serde_json::Value>),
    /// The language.
    Language(String),
    /// The country.
    Country(String),
    /// The time zone.
    TimeZone(String),
    /// The end of the party, or that it has not ended after all.
    Cessation(Option<Cessation>),
    /// Where the record came from.
    Provenance(Provenance),
    /// How well it is known, or that it is set apart.
    Lifecycle(Lifecycle),
}

impl Change {
    /// The path of the field, as in an update mask.
    pub fn path(&self) -> String {
        match self {
            Change::DisplayName(_) => "display_name".into(),
            Change::Names(_) => "names".into(),
            Change::Media(_) => "contact_media".into(),
            Change::Attributes(_) => "attributes".into(),
            Change::Attribute(key, _) => format!("attributes.{key}"),
            Change::Language(_) => "language_code".into(),
            Change::Country(_) => "country_code".into(),
            Change::TimeZone(_) => "time_zone".into(),
            Change::Cessation(_) => "cessation".into(),
            Change::Provenance(_) => "provenance".into(),
            Change::Lifecycle(_) => "lifecycle".into(),
        }
    }
}

impl Party {
    /// Makes the changes and tells the paths of those that changed something. What follows from names is settled before
    /// the lifecycle is, whatever the order of the changes.
    ///
    /// # Errors
    /// Precondition `INVALID_TRANSITION` for a lifecycle that cannot follow; Invalid when nothing would be left to
    /// know the party by, when attributes grow beyond their bounds, when a cessation does not fit the kind, or when a
    /// party is restricted, or no longer so, without a reason.
    pub fn change(&mut self, changes: &[Change]) -> Result<Vec<String>, Error> {
        let mut next = self.clone();
        let followed = self.profile.display_name == name::shown(&self.profile.names).unwrap_or_default();
        let mut paths = Vec::new();
        for change in changes {
            let before = next.clone();
            next.apply(change)?;
            if next != before {
                paths.push(change.path());
            }
        }
        let given = changes.iter().any(|change| matches!(change, Change::DisplayName(name) if !name.is_empty()));
        if !given && (followed || next.profile.display_name.is_empty()) {
            next.profile.display_name = name::shown(&next.profile.names).unwrap_or_default().to_owned();
        }
        if next.profile.display_name.is_empty() && next.profile.media.is_empty() && next.identifiers.is_empty() {
            return Err(Error::field(
                "party.display_name",
                reason::REQUIRED,
                "must be given, or names, contact_media or an identifier",
            ));
        }
        next.settle(changes)?;
        // Both may have followed from another path, or have come back to what they were.
        for (path, changed) in [
            ("display_name", next.profile.display_name != self.profile.display_name),
            ("lifecycle", next.lifecycle != self.lifecycle),
        ] {
            paths.retain(|known| known != path);
            if changed {
                paths.push(path.to_owned());
            }
        }
        *self = next;
        Ok(paths)
    }

    fn apply(&mut self, change: &Change) -> Result<(), Error> {
        let profile = &mut self.profile;
        match change {
            Change::DisplayName(value) => profile.display_name.clone_from(value),
            Change::Names(value) => profile.names.clone_from(value),
            Change::Media(value) => profile.media.clone_from(value),
            Change::Attributes(value) => profile.attributes.clone_from(value),
            Change::Attribute(key, Some(value)) => {
                profile.attributes.insert(key.clone(), value.clone());
                attributes::check(profile.attributes.clone()).map_err(|error| error.at("party.attributes"))?;
            }
            Change::Attribute(key, None) => {
                profile.attributes.remove(key);
            }
            Change::Language(value) => profile.language_code.clone_from(value),
            Change::Country(value) => profile.country_code.clone_from(value),
            Change::TimeZone(value) => profile.time_zone.clone_from(value),
            Change::Cessation(value) => {
                if let Some(cessation) = value {
                    fits(cessation.kind, self.kind)?;
                }
                profile.cessation = *value;
            }
            Change::Provenance(value) => profile.provenance.clone_from(value),
            Change::Lifecycle(_) => {}
        }
        Ok(())
    }

    /// Whether a party is provisional follows from its name; callers move between identified and curated, and set it
    /// apart. Who is set apart stays so, whatever becomes of the name.
    fn settle(&mut self, changes: &[Change]) -> Result<(), Error> {
        let named = !self.profile.display_name.is_empty();
        match self.lifecycle {
            Lifecycle::Restricted => {}
            _ if !named => self.lifecycle = Lifecycle::Provisional,
            Lifecycle::Provisional => self.lifecycle = Lifecycle::Identified,
            Lifecycle::Identified | Lifecycle::Curated => {}
        }
        for change in changes {
            let Change::Lifecycle(to) = *change else { continue };
            let from = self.lifecycle;
            let follows = match to {
                Lifecycle::Provisional => !named,
                Lifecycle::Identified | Lifecycle::Curated => named,
                Lifecycle::Restricted => !self.ceased(),
            };
            if from != to && !follows {
                return Err(Error::precondition(
                    reason::INVALID_TRANSITION,
                    format!("a party that is {} cannot become {}", from.word(), to.word()),
                )
                .with("name", self.name())
                .with("from", from.word())
                .with("to", to.word()));
            }
            if from != to && (from == Lifecycle::Restricted || to == Lifecycle::Restricted) {
                reasoned(changes)?;
            }
            self.lifecycle = to;
        }
        Ok(())
    }
}

/// Whoever sets a party apart, or ends that, says why.
fn reasoned(changes: &[Change]) -> Result<(), Error> {
    let said = |change: &Change| matches!(change, Change::Provenance(provenance) if !provenance.reason.is_empty());
    if changes.iter().any(said) {
        return Ok(());
    }
    let description = "must say why a party is restricted, or no longer so, with provenance in the mask";
    Err(Error::field("party.provenance.reason", reason::REQUIRED, description))
}

/// Whether a party of the kind can cease so: people die, all others close.
///
/// # Errors
/// Invalid with the field `party.cessation.kind`.
pub fn fits(cessation: CessationKind, kind: PartyKind) -> Result<(), Error> {
    let right = (cessation == CessationKind::Deceased) == (kind == PartyKind::Individual);
    if right {
        return Ok(());
    }
    Err(Error::field(
        "party.cessation.kind",
        reason::MALFORMED,
        "must be DECEASED for individuals and CLOSED for all others",
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::error::Kind;
    use rapport_types::time::Timestamp;

    use super::*;
    use crate::domain::medium::{MediumContext, MediumKind};
    use crate::domain::name::NameUsage;
    use crate::domain::party::tests::draft;

    fn names(full: &str) -> Vec<Name> {
        vec![Name::assemble(full.into(), String::new(), String::new(), NameUsage::Legal, String::new()).unwrap()]
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    #[test]
    fn who_has_no_name_is_provisional() {
        let mut party = draft("").record(NOW).unwrap();
        assert_eq!(party.lifecycle, Lifecycle::Provisional);
        let paths = party.change(&[Change::Names(names("Ana Lima"))]).unwrap();
        assert_eq!(paths, ["names", "display_name", "lifecycle"]);
        assert_eq!((party.profile.display_name.as_str(), party.lifecycle), ("Ana Lima", Lifecycle::Identified));
    }

    #[test]
    fn the_shown_name_follows_the_names_until_somebody_sets_it() {
        let mut start = draft("");
        start.profile.names = names("Ana Lima");
        let mut party = start.record(NOW).unwrap();
        party.change(&[Change::Names(names("Ana Reis"))]).unwrap();
        assert_eq!(party.profile.display_name, "Ana Reis");
        party.change(&[Change::DisplayName("Nana".into())]).unwrap();
        assert_eq!(party.change(&[Change::Names(names("Ana Lima"))]).unwrap(), ["names"]);
        assert_eq!(party.profile.display_name, "Nana");
        assert_eq!(party.change(&[Change::DisplayName(String::new())]).unwrap(), ["display_name"]);
        assert_eq!(party.profile.display_name, "Ana Lima");
        assert!(party.change(&[Change::Names(names("Ana Lima"))]).unwrap().is_empty());
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut party = draft("Ana").record(NOW).unwrap();
        let before = party.clone();
        let closed = Cessation { kind: CessationKind::Closed, occurred_at: None };
        let error = party.change(&[Change::Language("pt".into()), Change::Cessation(Some(closed))]).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert_eq!(party, before);
        assert!(party.change(&[Change::DisplayName(String::new())]).is_err());
        assert_eq!(party, before);
    }

    #[test]
    fn lifecycles_move_where_they_can() {
        let mut party = draft("Ana").record(NOW).unwrap();
        party.change(&[Change::Lifecycle(Lifecycle::Curated)]).unwrap();
        assert_eq!(party.lifecycle, Lifecycle::Curated);
        let error = party.change(&[Change::Lifecycle(Lifecycle::Provisional)]).unwrap_err();
        assert_eq!(error.reason, reason::INVALID_TRANSITION);
        let mut unknown = draft("").record(NOW).unwrap();
        let named = [Change::Lifecycle(Lifecycle::Curated), Change::DisplayName("Ana".into())];
        assert_eq!(unknown.change(&named).unwrap(), ["display_name", "lifecycle"]);
        assert_eq!(unknown.lifecycle, Lifecycle::Curated);
    }

    fn step(to: Lifecycle, why: &str) -> Vec<Change> {
        let provenance = Provenance { reason: why.to_owned(), ..Provenance::default() };
        vec![Change::Lifecycle(to), Change::Provenance(provenance)]
    }

    #[test]
    fn who_is_restricted_stays_so_until_somebody_says_why_not() {
        use Lifecycle::{Curated, Identified, Provisional, Restricted};
        let mut party = draft("Ana").record(NOW).unwrap();
        for silent in [vec![Change::Lifecycle(Restricted)], step(Restricted, "")] {
            let error = party.change(&silent).unwrap_err();
            assert_eq!((error.kind, party.lifecycle), (Kind::Invalid, Identified));
        }
        assert_eq!(party.change(&step(Restricted, "asked for it")).unwrap(), ["provenance", "lifecycle"]);
        party.change(&[Change::DisplayName("Bea".into())]).unwrap();
        assert_eq!(party.lifecycle, Restricted);
        assert_eq!(party.change(&step(Provisional, "wrong")).unwrap_err().reason, reason::INVALID_TRANSITION);
        assert!(party.change(&[Change::Lifecycle(Curated)]).is_err());
        party.change(&step(Curated, "withdrew it")).unwrap();
        assert_eq!(party.lifecycle, Curated);
        // The dead need no protection of this sort; who dies while restricted stays so.
        let died = Change::Cessation(Some(Cessation { kind: CessationKind::Deceased, occurred_at: None }));
        let mut dead = party.clone();
        dead.change(std::slice::from_ref(&died)).unwrap();
        assert_eq!(dead.change(&step(Restricted, "late")).unwrap_err().reason, reason::INVALID_TRANSITION);
        party.change(&step(Restricted, "again")).unwrap();
        party.change(&[died]).unwrap();
        assert_eq!(party.lifecycle, Restricted);
        // Nobody knows its name: it goes back to what it was.
        let mut start = draft("");
        let reached = Medium::parse(MediumKind::Email, "who@example.com", MediumContext::default()).unwrap();
        start.profile.media = vec![reached];
        let mut unknown = start.record(NOW).unwrap();
        unknown.change(&step(Restricted, "asked for it")).unwrap();
        assert_eq!(unknown.change(&step(Identified, "over")).unwrap_err().reason, reason::INVALID_TRANSITION);
        unknown.change(&step(Provisional, "over")).unwrap();
        assert_eq!(unknown.lifecycle, Provisional);
    }
}
