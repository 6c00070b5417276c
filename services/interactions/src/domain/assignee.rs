use rapport_types::error::FieldError;
use rapport_types::{Uuid, reason};
use serde::{Deserialize, Serialize};

use super::{PartyName, Slug, coded};

/// The most characters of a principal's name.
const MAX_USER: usize = 200;

coded! {
    /// A sort of assignee.
    AssigneeKind {
        /// A team.
        Team = 1 "team",
        /// A user.
        User = 2 "user",
        /// A partner.
        Partner = 3 "partner",
    }
}

/// Who is to see to something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Assignee {
    /// A team, by its slug.
    Team(String),
    /// A user, by the name of its principal.
    User(String),
    /// A partner.
    Partner(Uuid),
}

impl Assignee {
    /// A checked team.
    pub(crate) fn team(text: &str) -> Result<Assignee, FieldError> {
        Slug::parse(text).map(|slug| Assignee::Team(slug.to_string()))
    }

    /// A checked user. What a token says is taken, and nothing that reads as a person's name: it is kept in the clear.
    pub(crate) fn user(text: &str) -> Result<Assignee, FieldError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        match text.len() {
            0 => Err(FieldError::required()),
            length if length > MAX_USER => {
                Err(FieldError::new(reason::TOO_LONG, format!("must have at most {MAX_USER} characters")))
            }
            _ if text.bytes().all(allowed) => Ok(Assignee::User(text.to_owned())),
            _ => Err(FieldError::new(
                reason::MALFORMED,
                "must be the name of a principal: letters, digits and . _ - / : @ +",
            )),
        }
    }

    /// A checked partner.
    pub(crate) fn partner(text: &str) -> Result<Assignee, FieldError> {
        PartyName::parse(text).map(|party| Assignee::Partner(party.uuid()))
    }

    /// What sort it is.
    pub(crate) fn kind(&self) -> AssigneeKind {
        match self {
            Assignee::Team(_) => AssigneeKind::Team,
            Assignee::User(_) => AssigneeKind::User,
            Assignee::Partner(_) => AssigneeKind::Partner,
        }
    }

    /// Who of its kind it is, as it is kept and filtered by.
    pub(crate) fn text(&self) -> String {
        match self {
            Assignee::Team(text) | Assignee::User(text) => text.clone(),
            Assignee::Partner(party) => PartyName::new(*party).to_string(),
        }
    }

    /// One that was kept; none of a kind that this version does not know.
    pub(crate) fn stored(kind: i16, text: String) -> Option<Assignee> {
        match AssigneeKind::from_code(i64::from(kind))? {
            AssigneeKind::Team => Some(Assignee::Team(text)),
            AssigneeKind::User => Some(Assignee::User(text)),
            AssigneeKind::Partner => Assignee::partner(&text).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_said() {
        let partner = PartyName::new(Uuid::from_u128(7)).to_string();
        for one in [
            Assignee::team("service-desk").unwrap(),
            Assignee::user("users/ana").unwrap(),
            Assignee::user("ana@acme.example").unwrap(),
            Assignee::partner(&partner).unwrap(),
        ] {
            assert_eq!(Assignee::stored(one.kind().code(), one.text()), Some(one));
        }
        assert_eq!(Assignee::stored(9, "x".to_owned()), None);
    }

    #[test]
    fn a_user_is_a_principal_and_no_persons_name() {
        for (text, wrong) in [
            ("", reason::REQUIRED),
            ("Ana Silva", reason::MALFORMED),
            ("users/an\u{e4}", reason::MALFORMED),
            (&"u".repeat(201), reason::TOO_LONG),
        ] {
            assert_eq!(Assignee::user(text).unwrap_err().reason, wrong, "{text}");
        }
        assert!(Assignee::user(&"u".repeat(200)).is_ok());
        assert!(Assignee::team("Service Desk").is_err());
        assert!(Assignee::partner("parties/7").is_err());
    }
}
