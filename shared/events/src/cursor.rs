use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rapport_types::error::FieldError;
use rapport_types::reason;

/// A place in one feed: everything up to and including `position` is behind the reader.
///
/// On the wire it is an opaque text ([`Display`](fmt::Display) and [`FromStr`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The incarnation of the store that numbered the positions.
    pub epoch: String,
    /// The last position that was read; 0 is before the first event.
    pub position: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}@{}", self.position, self.epoch)))
    }
}

impl FromStr for Cursor {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Cursor, FieldError> {
        let parse = || {
            let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (position, epoch) = plain.split_once('@')?;
            let position = position.parse().ok().filter(|position| *position >= 0)?;
            (!epoch.is_empty()).then(|| Cursor { epoch: epoch.to_owned(), position })
        };
        parse().ok_or_else(|| {
            FieldError::new(reason::INVALID_CURSOR, "must be a cursor that an earlier reply of this feed gave")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_junk_is_refused() {
        let cursor = Cursor { epoch: "0198-abc".to_owned(), position: 42 };
        assert_eq!(cursor.to_string().parse::<Cursor>().ok(), Some(cursor));
        for junk in ["", "42", "NDI", "LTFAeA", "QHg", "MUA", "not base64!"] {
            assert!(junk.parse::<Cursor>().is_err(), "{junk} was accepted");
        }
    }
}
