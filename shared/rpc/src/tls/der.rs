//! The one thing of a certificate that is told and that no library in the tree tells: from when to when it holds.

use rapport_types::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, which version 1 leaves out.
const VERSION: u8 = 0xa0;

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub not_before: Timestamp,
    /// The last instant.
    pub not_after: Timestamp,
}

/// The validity of a certificate in DER, if it is one.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut rest = certificate;
    let mut rest = value(&mut rest, SEQUENCE)?;
    let mut signed = value(&mut rest, SEQUENCE)?;
    if signed.first() == Some(&VERSION) {
        value(&mut signed, VERSION)?;
    }
    // The serial number, the algorithm, the issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        value(&mut signed, tag)?;
    }
    let mut times = value(&mut signed, SEQUENCE)?;
    Some(Validity { not_before: time(&mut times)?, not_after: time(&mut times)? })
}

/// The value of the next element, which must have this tag.
fn value<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&found, after) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (&first, mut after) = after.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let (digits, behind) = after.split_at_checked(usize::from(first & 0x7f))?;
            after = behind;
            digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
        }
        _ => return None,
    };
    let (value, behind) = after.split_at_checked(length)?;
    *rest = behind;
    Some(value)
}

fn time(rest: &mut &[u8]) -> Option<Timestamp> {
    let tag = *rest.first()?;
    let text = std::str::from_utf8(value(rest, tag)?).ok()?;
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        // Two digits: 1950 to 2049.
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        (GENERALIZED_TIME, 14) => (digits[..4].to_owned(), &digits[4..]),
        _ => return None,
    };
    let text = format!("{year}-{}-{}T{}:{}:{}Z", &rest[..2], &rest[2..4], &rest[4..6], &rest[6..8], &rest[8..10]);
    Timestamp::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let found = validity(&certificate((1999, 12, 31), (2049, 2, 28))).unwrap();
        assert_eq!(found.not_before.to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(found.not_after.to_string(), "2049-02-28T00:00:00Z");
        let found = validity(&certificate((2050, 1, 2), (4096, 1, 1))).unwrap();
        assert_eq!(found.not_before.to_string(), "2050-01-02T00:00:00Z");
        assert_eq!(found.not_after.to_string(), "4096-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_cut_or_no_certificate_has_none() {
        let whole = certificate((2020, 1, 1), (2030, 1, 1));
        for length in 0..whole.len() {
            assert_eq!(validity(&whole[..length]), None, "{length}");
        }
        for junk in [b"".as_slice(), b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80\x00\x00", &[0x30; 300]] {
            assert_eq!(validity(junk), None, "{junk:?}");
        }
    }
}
