//! Etags: opaque texts that say which version of a resource a caller saw.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;

/// Which version of a resource a caller saw. Opaque on the wire: callers compare it and send it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// The etag of a version.
    pub fn of(version: i64) -> Self {
        Self(URL_SAFE_NO_PAD.encode(version.to_be_bytes()))
    }

    /// The etag a caller sent. `None` if it sent none, which means that any version will do.
    pub fn given(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether it is the etag of this version. Junk matches no version.
    pub fn matches(&self, version: i64) -> bool {
        *self == Self::of(version)
    }

    /// Holds what a caller sent against the version found.
    ///
    /// # Errors
    /// [`Error::etag_mismatch`] if it sent an etag of another version.
    pub fn check(text: &str, version: i64, name: impl fmt::Display) -> Result<(), Error> {
        match Self::given(text) {
            Some(etag) if !etag.matches(version) => Err(Error::etag_mismatch(name)),
            _ => Ok(()),
        }
    }

    /// The text for the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Etag> for String {
    fn from(etag: Etag) -> Self {
        etag.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::reason;

    #[test]
    fn etags_match_their_version_only() {
        for version in [0, 1, 2, i64::MAX] {
            assert!(Etag::of(version).matches(version));
            assert!(!Etag::of(version).matches(version - 1));
        }
        assert_eq!(Etag::given(""), None);
        assert!(Etag::check("", 5, "parties/1").is_ok());
        assert!(Etag::check(Etag::of(5).as_str(), 5, "parties/1").is_ok());
        assert_eq!(Etag::check("junk", 5, "parties/1").unwrap_err().reason, reason::ETAG_MISMATCH);
    }
}
