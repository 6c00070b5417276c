//! What is checked on a filter's text before the parser gets it.
//!
//! The parser recurses with brackets, conditional expressions and calls on calls. This scan knows strings and
//! nothing else of the grammar; it bounds brackets and refuses the characters that no filter needs, so that what
//! reaches the parser is flat.

use crate::{Fault, MAX_BYTES, MAX_DEPTH};

/// The name that stands for `has` while parsing, of the same length so that offsets stay. The parser expands `has`
/// as a macro that takes only a member of a message (`has(a.b)`), while fields of a list are plain names.
pub(crate) const HAS: &str = "h_s";

/// Checks the text and returns the one for the parser, of the same length.
pub(crate) fn scan(text: &str) -> Result<String, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(MAX_BYTES, format!("a filter has at most {MAX_BYTES} bytes")));
    }
    let bytes = text.as_bytes();
    let mut plain = text.to_owned();
    let mut open = Vec::new();
    let mut last = b' ';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' | b'\'' => at = string(bytes, start, start)?,
            b'(' | b'[' => {
                open.push(byte);
                if open.len() > MAX_DEPTH {
                    return Err(Fault::new(start, format!("nested deeper than {MAX_DEPTH} levels")));
                }
            }
            b')' | b']' => {
                let expected = if byte == b')' { b'(' } else { b'[' };
                if open.pop() != Some(expected) {
                    return Err(Fault::new(start, "closes a bracket that is not open"));
                }
            }
            b'.' if matches!(last, b')' | b']' | b'"') => {
                return Err(Fault::new(start, "members are taken of fields only"));
            }
            b'.' | b',' | b'!' | b'=' | b'<' | b'>' | b'-' | b'&' | b'|' => {}
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                at += bytes
                    .get(at..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                    .count();
                match text.get(start..at).unwrap_or_default() {
                    "has" => plain.replace_range(start..at, HAS),
                    HAS => return Err(Fault::new(start, "unknown field")),
                    // A letter or two may introduce a raw string.
                    word if matches!(bytes.get(at), Some(b'"' | b'\'')) => {
                        if !word.eq_ignore_ascii_case("r") {
                            return Err(Fault::new(start, "only strings are compared, not bytes"));
                        }
                        at = string(bytes, at, start)?;
                    }
                    _ => {}
                }
            }
            b'0'..=b'9' => {}
            _ => {
                let character = text.get(start..).and_then(|rest| rest.chars().next()).unwrap_or('?');
                return Err(Fault::new(start, format!("{character:?} has no meaning in a filter")));
            }
        }
        last = if matches!(byte, b'\'') { b'"' } else { byte };
    }
    match open.is_empty() {
        true => Ok(plain),
        false => Err(Fault::new(text.len(), "a bracket is not closed")),
    }
}

/// The end of the string whose quote is at `quote` and whose first byte, prefix included, is at `start`.
fn string(bytes: &[u8], quote: usize, start: usize) -> Result<usize, Fault> {
    let raw = quote != start;
    let mark = bytes.get(quote).copied().unwrap_or(b'"');
    if bytes.get(quote + 1) == Some(&mark) && bytes.get(quote + 2) == Some(&mark) {
        return Err(Fault::new(start, "strings in three quotes are not understood here"));
    }
    let mut at = quote + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\n' | b'\r' => break,
            b'\\' if !raw => at += 1,
            _ if byte == mark => return Ok(at + 1),
            _ => {}
        }
        at += 1;
    }
    Err(Fault::new(start, "the string does not end"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn offset(text: &str) -> usize {
        scan(text).unwrap_err().offset
    }

    #[test]
    fn strings_hide_what_is_in_them() {
        for text in
            [r#"a == "((((?:{}""#, r#"a == "\"(" "#, r"a == '\\'", r#"a == r"\" "#, r#"a == "it's""#, "a == 'ü('"]
        {
            assert_eq!(scan(text).unwrap(), text);
        }
    }

    #[test]
    fn has_is_renamed_in_place() {
        assert_eq!(scan(r#"has(a) && b == "has(""#).unwrap(), r#"h_s(a) && b == "has(""#);
        assert_eq!(scan("hash").unwrap(), "hash");
        assert_eq!(offset("h_s(a)"), 0);
    }

    #[test]
    fn faults_and_their_places() {
        for (text, place) in [
            ("a ? b : c", 2),
            ("ü", 0),
            ("a + b", 2),
            ("(a", 2),
            ("a)", 1),
            ("(a]", 2),
            ("a == \"x", 5),
            ("a == \"x\n\"", 5),
            ("a == b'x'", 5),
            ("a().b", 3),
            ("a[0] .b", 5),
            ("'a'.b", 3),
            ("a == '''x'''", 5),
            ("a // comment", 2),
            ("a == `b`", 5),
            ("{}", 0),
            ("a\0", 1),
        ] {
            assert_eq!(offset(text), place, "{text:?}");
        }
    }

    #[test]
    fn bounds() {
        let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(scan(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(offset(&nested(MAX_DEPTH + 1)), MAX_DEPTH);
        assert!(scan(&"a".repeat(MAX_BYTES)).is_ok());
        assert_eq!(offset(&"a".repeat(MAX_BYTES + 1)), MAX_BYTES);
    }
}
