//! Ways to reach a party.

use rapport_identity::{normalize, role_mailbox};
use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text, key};
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::identifier::Scheme;
use super::period::Period;
use super::sparse::is_default;

/// The most media that one party may have.
pub const LIMIT: usize = 50;
/// The most characters of a medium.
pub const MAX_VALUE: usize = 500;

/// The sort of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediumKind {
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Email,
    /// A postal address.
    Postal,
    /// A handle on a social network.
    Social,
    /// A page on the web.
    Web,
}

/// Whether a medium was found to reach the party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Nobody tried.
    #[default]
    Unverified,
    /// It did.
    Verified,
    /// It did not.
    Failed,
}

impl Verification {
    /// The word that stands in the store.
    pub fn word(self) -> &'static str {
        match self {
            Verification::Unverified => "unverified",
            Verification::Verified => "verified",
            Verification::Failed => "failed",
        }
    }

    /// The verification for a word of the store.
    pub fn from_word(word: &str) -> Option<Verification> {
        [Verification::Unverified, Verification::Verified, Verification::Failed]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// The parts of a postal address, each within the limits of the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PostalAddress {
    /// Street, number, floor.
    #[serde(skip_serializing_if = "is_default")]
    pub lines: Vec<String>,
    /// City, town or village.
    #[serde(skip_serializing_if = "is_default")]
    pub locality: String,
    /// State or province.
    #[serde(skip_serializing_if = "is_default")]
    pub region: String,
    /// Postal code.
    #[serde(skip_serializing_if = "is_default")]
    pub postal_code: String,
    /// Country, ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "is_default")]
    pub country_code: String,
}

impl PostalAddress {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == PostalAddress::default()
    }

    /// The address on one line.
    pub fn line(&self) -> String {
        let parts = self.lines.iter().chain([&self.postal_code, &self.locality, &self.region, &self.country_code]);
        parts.filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// A way to reach a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Its sort.
    pub kind: MediumKind,
    /// As it was given.
    pub value: String,
    /// As it is compared.
    pub normalized: String,
    /// What the party calls it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label: String,
    /// The network of a social medium.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: String,
    /// The country whose numbering plan read it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub country_code: String,
    /// The parts of a postal address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub postal: PostalAddress,
    /// Many people answer here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared: bool,
    /// Preferred among those of its kind.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preferred: bool,
    /// Whether it reaches the party.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verification: Verification,
    /// When that was last tried.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verified_at: Option<Timestamp>,
    /// When it holds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub validity: Period,
}

/// What the form of a medium depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediumContext<'a> {
    /// The network of a social medium.
    pub network: &'a str,
    /// The country whose plan reads national numbers.
    pub country: &'a str,
}

impl Medium {
    /// A medium of which only kind and value are known.
    ///
    /// # Errors
    /// Why the value cannot be read.
    pub fn parse(kind: MediumKind, value: &str, context: MediumContext<'_>) -> Result<Medium, FieldError> {
        let limits = Limits { min: 1, max: MAX_VALUE };
        let text = match kind {
            MediumKind::Postal => Text::parse_lines(value.trim(), limits)?,
            _ => Text::parse(value.trim(), limits)?,
        };
        let value = text.as_str();
        let normalized = match scheme(kind, context.network) {
            Some(scheme) => normalize(scheme.as_str(), value, context.country)?,
            None => key(value).split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let shared = kind == MediumKind::Email && role_mailbox(&normalized);
        Ok(Medium {
            kind,
            value: value.to_owned(),
            normalized,
            label: String::new(),
            network: context.network.to_owned(),
            country_code: context.country.to_owned(),
            postal: PostalAddress::default(),
            shared,
            preferred: false,
            verification: Verification::Unverified,
            verified_at: None,
            validity: Period::ALWAYS,
        })
    }

    /// The scheme under which the medium is found, if parties are found by media of its kind.
    pub fn scheme(&self) -> Option<Scheme> {
        scheme(self.kind, &self.network)
    }
}

fn scheme(kind: MediumKind, network: &str) -> Option<Scheme> {
    match kind {
        MediumKind::Phone => Some(Scheme::tel()),
        MediumKind::Email => Some(Scheme::email()),
        MediumKind::Social => Some(Scheme::social(network)),
        MediumKind::Web => Some(Scheme::web()),
        MediumKind::Postal => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn media_are_found_under_the_scheme_of_their_kind() {
        let context = MediumContext { network: "mastodon", country: "BR" };
        for (kind, value, scheme, normalized) in [
            (MediumKind::Phone, "(11) 98765-4321", Some("tel"), "+5511987654321"),
            (MediumKind::Email, "Ana@Example.com", Some("email"), "ana@example.com"),
            (MediumKind::Social, "@Ana", Some("social.mastodon"), "ana"),
            (MediumKind::Web, "http://Example.com/", Some("web"), "example.com"),
            (MediumKind::Postal, "Rua  Um, 1\nSão Paulo", None, "rua um, 1 são paulo"),
        ] {
            let medium = Medium::parse(kind, value, context).unwrap();
            assert_eq!(medium.normalized, normalized);
            assert_eq!(medium.scheme().as_ref().map(Scheme::as_str), scheme);
            assert_eq!(medium.value, value);
        }
        assert!(Medium::parse(MediumKind::Email, "info@example.com", context).unwrap().shared);
        assert!(Medium::parse(MediumKind::Phone, "anonymous", context).is_err());
    }
}
