use rapport_types::error::FieldError;
use rapport_types::text::{Limits, Text};

/// One line of text.
pub(super) fn line(text: &str, min: usize, max: usize) -> Result<String, FieldError> {
    Text::parse(text, Limits { min, max }).map(Text::into_string)
}

/// Text of several lines.
pub(super) fn block(text: &str, min: usize, max: usize) -> Result<String, FieldError> {
    Text::parse_lines(text, Limits { min, max }).map(Text::into_string)
}
