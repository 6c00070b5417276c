/// An enum that is stored as a small number and sent as the same number.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        pub(crate) enum $name { $($(#[$vdoc])* $variant,)+ }

        #[allow(dead_code)]
        impl $name {
            /// The number that is stored and sent.
            pub(crate) const fn code(self) -> i16 {
                match self { $($name::$variant => $code,)+ }
            }

            /// The value with this code; `None` for 0 (not said) and for what this version does not know.
            pub(crate) const fn from_code(code: i64) -> Option<$name> {
                match code { $($code => Some($name::$variant),)+ _ => None }
            }

            /// The value from a request, where 0 means that it was not said.
            pub(crate) fn parse(code: i32) -> Result<$name, rapport_types::FieldError> {
                $name::from_code(i64::from(code)).ok_or_else(|| crate::domain::code::unknown(code))
            }
        }
    };
}
pub(crate) use coded;

/// What is wrong with an enum's number.
pub(super) fn unknown(code: i32) -> rapport_types::FieldError {
    use rapport_types::{FieldError, reason};
    if code == 0 {
        FieldError::required()
    } else {
        FieldError::new(reason::UNKNOWN_ENUM_VALUE, "is no value of this enum in this version")
    }
}
