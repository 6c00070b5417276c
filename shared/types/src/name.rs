//! Resource names: `parties/{id}`, `parties/{id}/roles/{id}`. Each kind of resource has a type of its own, made by
//! [`resource_name!`](crate::resource_name), so that a case cannot be passed where a party is wanted.

use uuid::Uuid;

use crate::error::FieldError;
use crate::reason;

/// Reads the ids out of a name: its segments must alternate between the given collections and UUIDs in their one
/// canonical form (lower case, with hyphens), because names are compared as text.
///
/// # Errors
/// [`reason::REQUIRED`] if empty, else [`reason::MALFORMED_NAME`]. The text tells the form, not the value.
pub fn parse_ids<const N: usize>(text: &str, collections: [&str; N]) -> Result<[Uuid; N], FieldError> {
    if text.is_empty() {
        return Err(FieldError::required());
    }
    let malformed = || {
        let form: Vec<String> = collections.iter().map(|collection| format!("{collection}/{{id}}")).collect();
        FieldError::new(reason::MALFORMED_NAME, format!("must be a name of the form {}", form.join("/")))
    };
    let mut ids = [Uuid::nil(); N];
    let mut segments = text.split('/');
    for (collection, id) in collections.iter().zip(&mut ids) {
        if segments.next() != Some(*collection) {
            return Err(malformed());
        }
        *id = segments.next().and_then(canonical).ok_or_else(malformed)?;
    }
    if segments.next().is_some() { Err(malformed()) } else { Ok(ids) }
}

fn canonical(segment: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(segment).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut buffer) == segment).then_some(id)
}

/// Makes the type of a resource's name.
///
/// `resource_name!(pub PartyName, "parties", "party")` makes `parties/{id}` with `new(id)`, `parse(text)`, `uuid()`
/// and `Display`; the last word is the resource in a sentence.
///
/// `resource_name!(pub RoleName, PartyName, "parties", "roles")` makes `parties/{id}/roles/{id}` with
/// `new(parent, id)`, `parent()` and the same others; `uuid()` is the role's own id.
///
/// ```
/// rapport_types::resource_name!(pub PartyName, "parties", "party");
/// rapport_types::resource_name!(pub RoleName, PartyName, "parties", "roles");
///
/// let text = "parties/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1/roles/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f2";
/// let role = RoleName::parse(text).unwrap();
/// assert_eq!(role.to_string(), text);
/// assert_eq!(role.parent().to_string(), "parties/0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1");
/// assert!(PartyName::parse(text).is_err());
/// ```
#[macro_export]
macro_rules! resource_name {
    ($visibility:vis $name:ident, $collection:literal, $singular:literal) => {
        #[doc = concat!("The name of a ", $singular, ": `", $collection, "/{id}`.")]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::name::serde::Serialize, $crate::name::serde::Deserialize,
        )]
        #[serde(crate = "rapport_types::name::serde", transparent)]
        $visibility struct $name($crate::Uuid);

        // A plural here is the form of a nested name without its parent.
        const _: () = ::core::assert!(
            !::core::matches!($singular.as_bytes(), [.., b's']),
            "a nested name is written resource_name!(RoleName, PartyName, \"parties\", \"roles\")"
        );

        #[allow(dead_code)]
        impl $name {
            /// The first segment of the name.
            $visibility const COLLECTION: &'static str = $collection;
            /// What it names, for sentences.
            $visibility const SINGULAR: &'static str = $singular;

            /// The name of the resource with this id.
            $visibility const fn new(id: $crate::Uuid) -> Self {
                Self(id)
            }

            /// Reads a name.
            ///
            /// # Errors
            /// `REQUIRED` if empty, `MALFORMED_NAME` if it is not a name of this kind.
            $visibility fn parse(text: &str) -> ::core::result::Result<Self, $crate::FieldError> {
                $crate::name::parse_ids(text, [$collection]).map(|[id]| Self(id))
            }

            /// The resource's id.
            $visibility const fn uuid(&self) -> $crate::Uuid {
                self.0
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(f, ::core::concat!($collection, "/{}"), self.0)
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::FieldError;

            fn from_str(text: &str) -> ::core::result::Result<Self, $crate::FieldError> {
                Self::parse(text)
            }
        }
    };
    ($visibility:vis $name:ident, $parent:ident, $parents:literal, $collection:literal) => {
        #[doc = concat!("A name of the form `", $parents, "/{id}/", $collection, "/{id}`.")]
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::name::serde::Serialize, $crate::name::serde::Deserialize,
        )]
        #[serde(crate = "rapport_types::name::serde")]
        $visibility struct $name {
            parent: $parent,
            id: $crate::Uuid,
        }

        #[allow(dead_code)]
        impl $name {
            /// The last collection of the name.
            $visibility const COLLECTION: &'static str = $collection;

            /// The name of the resource with this id within its parent.
            $visibility const fn new(parent: $parent, id: $crate::Uuid) -> Self {
                Self { parent, id }
            }

            /// Reads a name.
            ///
            /// # Errors
            /// `REQUIRED` if empty, `MALFORMED_NAME` if it is not a name of this kind.
            $visibility fn parse(text: &str) -> ::core::result::Result<Self, $crate::FieldError> {
                $crate::name::parse_ids(text, [$parents, $collection])
                    .map(|[parent, id]| Self { parent: $parent::new(parent), id })
            }

            /// The name of the resource that this one belongs to.
            $visibility const fn parent(&self) -> $parent {
                self.parent
            }

            /// The resource's own id.
            $visibility const fn uuid(&self) -> $crate::Uuid {
                self.id
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(f, ::core::concat!("{}/", $collection, "/{}"), self.parent, self.id)
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::FieldError;

            fn from_str(text: &str) -> ::core::result::Result<Self, $crate::FieldError> {
                Self::parse(text)
            }
        }
    };
}

#[doc(hidden)]
pub use serde;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_name() {
        let id = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1";
        assert_eq!(parse_ids(&format!("parties/{id}"), ["parties"]).unwrap()[0].to_string(), id);
        for text in [
            id.to_owned(),
            format!("parties/{}", id.to_uppercase()),
            format!("parties/{}", id.replace('-', "")),
            format!("parties/{{{id}}}"),
            format!("parties/urn:uuid:{id}"),
            format!("/parties/{id}"),
            format!("parties/{id}/"),
            format!("parties/{id}/roles"),
            format!("Parties/{id}"),
            format!("cases/{id}"),
            "parties/".to_owned(),
            "parties/7".to_owned(),
        ] {
            let error = parse_ids(&text, ["parties"]).unwrap_err();
            assert_eq!(error.reason, reason::MALFORMED_NAME, "{text}");
            assert_eq!(error.description, "must be a name of the form parties/{id}");
        }
        assert_eq!(parse_ids("", ["parties"]).unwrap_err().reason, reason::REQUIRED);
        assert!(parse_ids(&format!("parties/{id}/roles/{id}"), ["parties", "roles"]).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(parties|roles|/|[0-9a-f-]{0,9}|\\PC){0,12}") {
            let _ = parse_ids(&text, ["parties", "roles"]);
        }

        #[test]
        fn names_go_round(a in any::<u128>(), b in any::<u128>()) {
            let ids = [Uuid::from_u128(a), Uuid::from_u128(b)];
            let text = format!("parties/{}/roles/{}", ids[0], ids[1]);
            prop_assert_eq!(parse_ids(&text, ["parties", "roles"]).unwrap(), ids);
        }
    }
}
