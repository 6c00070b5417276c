//! Personal data that cannot slip into a log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value about a person. It prints as `[pii]`; whoever needs the value says so with [`Pii::expose`].
///
/// It serializes as the value itself, because sealed columns hold it: serialize it into nothing else.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks a value as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, to be stored, matched or shown to who may see it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Another value about the same person.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Pii<U> {
        Pii(f(self.0))
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pii]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pii]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_print() {
        let name = Pii::new("Ana");
        assert_eq!(format!("{name} {name:?} {:?}", Some(name)), "[pii] [pii] Some([pii])");
        assert_eq!(name.map(str::len).into_inner(), 3);
        assert_eq!(*name.expose(), "Ana");
    }
}
