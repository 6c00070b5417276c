//! How much of a list a caller gets at once.

use crate::error::FieldError;
use crate::reason;

/// The number of elements on a page, between 1 and 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageSize(u16);

impl PageSize {
    /// What 0 means.
    pub const DEFAULT: Self = Self(50);
    /// What everything greater means.
    pub const MAX: Self = Self(500);

    /// Reads `page_size`: 0 means 50, more than 500 means 500.
    ///
    /// # Errors
    /// [`reason::OUT_OF_RANGE`] if negative.
    pub fn parse(size: i32) -> Result<Self, FieldError> {
        match u16::try_from(size) {
            Ok(0) => Ok(Self::DEFAULT),
            Ok(size) => Ok(Self(size).min(Self::MAX)),
            Err(_) if size < 0 => Err(FieldError::new(reason::OUT_OF_RANGE, "must not be negative")),
            Err(_) => Ok(Self::MAX),
        }
    }

    /// The number of elements.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One more than the page: reading that many rows tells whether there is a next page.
    pub fn probe(self) -> usize {
        self.get() + 1
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn sizes() {
        for (given, got) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(PageSize::parse(given).unwrap().get(), got);
        }
        assert_eq!(PageSize::parse(-1).unwrap_err().reason, reason::OUT_OF_RANGE);
        assert!(PageSize::parse(i32::MIN).is_err());
    }
}
