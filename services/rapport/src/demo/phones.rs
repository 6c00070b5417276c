//! Phone numbers that can never reach anybody: only ranges that numbering authorities keep free for fiction.
//!
//! North America: 555-0100 to 555-0199 of any area code (ATIS-0300115). United Kingdom: the ranges Ofcom sets aside for
//! drama, such as 020 7946 0000 to 0999. They are laid end to end, so that number n is always the same and no two are
//! equal.

/// Area codes in use in the United States; each has one hundred numbers for fiction.
const US_AREAS: [u16; 60] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234,
    239, 240, 248, 251, 252, 253, 254, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318,
    319, 320, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414,
];

/// Ofcom's ranges for drama that hold one thousand numbers: national digits before the last three.
const GB_PREFIXES: [(&str, &str); 6] =
    [("20", "79460"), ("113", "4960"), ("114", "4960"), ("121", "4960"), ("131", "4960"), ("161", "4960")];

const US_EACH: usize = 100;
const GB_EACH: usize = 1_000;

/// How many numbers there are.
pub const CAPACITY: usize = US_AREAS.len() * US_EACH + GB_PREFIXES.len() * GB_EACH;

/// The numbers at the end of the list kept for the cast, so that no customer of the data gets one of them.
const CAST: usize = 500;

/// A number for fiction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone {
    /// ISO 3166 country, the hint with which the national form can be read.
    pub country: &'static str,
    /// `+12025550143`.
    pub e164: String,
    /// As people of that country write it: `(202) 555-0143`.
    pub national: String,
}

/// The number of the data's customer `n` (counted from 0); None when the ranges are used up, and then the customer
/// simply has no phone.
#[must_use]
pub fn of_customer(n: usize) -> Option<Phone> {
    (n < CAPACITY - CAST).then(|| number(n)).flatten()
}

/// The number of the cast's member `n`, from the London range at the list's end.
#[must_use]
pub fn of_cast(n: usize) -> Option<Phone> {
    (n < CAST).then(|| number(CAPACITY - 1 - n)).flatten()
}

fn number(n: usize) -> Option<Phone> {
    let us = US_AREAS.len() * US_EACH;
    if n < us {
        // Neighbouring customers live apart: areas turn fastest.
        let area = US_AREAS[n % US_AREAS.len()];
        let line = 100 + n / US_AREAS.len();
        return Some(Phone {
            country: "US",
            e164: format!("+1{area}5550{line}"),
            national: format!("({area}) 555-0{line}"),
        });
    }
    let n = n - us;
    // London comes last, where the cast is.
    let (area, local) = GB_PREFIXES.iter().rev().nth(n / GB_EACH)?;
    let line = n % GB_EACH;
    let subscriber = format!("{local}{line:03}");
    let (head, tail) = subscriber.split_at(subscriber.len() - 4);
    Some(Phone { country: "GB", e164: format!("+44{area}{subscriber}"), national: format!("0{area} {head} {tail}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_unique_and_reserved_for_fiction() {
        let all: Vec<Phone> =
            (0..CAPACITY - CAST).filter_map(of_customer).chain((0..CAST).filter_map(of_cast)).collect();
        assert_eq!(all.len(), CAPACITY);
        assert_eq!(all.iter().map(|p| &p.e164).collect::<HashSet<_>>().len(), CAPACITY);
        assert_eq!(all.iter().map(|p| &p.national).collect::<HashSet<_>>().len(), CAPACITY);
        for phone in &all {
            let digits = phone.e164.trim_start_matches('+');
            match phone.country {
                "US" => {
                    assert_eq!(digits.len(), 11);
                    assert_eq!(&digits[4..9], "55501", "{}", phone.e164);
                }
                "GB" => assert!(
                    ["79460", "4960"].iter().any(|range| digits.contains(range)) && digits.len() == 12,
                    "{}",
                    phone.e164
                ),
                other => panic!("no range of {other} is known"),
            }
        }
    }

    #[test]
    fn national_and_e164_are_the_same_number() {
        let phone = of_customer(0).unwrap();
        assert_eq!((phone.national.as_str(), phone.e164.as_str()), ("(201) 555-0100", "+12015550100"));
        let phone = of_cast(0).unwrap();
        assert_eq!((phone.national.as_str(), phone.e164.as_str()), ("020 7946 0999", "+442079460999"));
        for n in [0, 1, 59, 60, 2_356, 5_999, 6_000, 10_999] {
            let phone = of_customer(n).unwrap();
            let national: String = phone.national.chars().filter(char::is_ascii_digit).collect();
            let national = national.trim_start_matches('0');
            assert!(phone.e164.ends_with(national), "{phone:?}");
        }
        assert_eq!(of_customer(CAPACITY), None);
        assert_eq!(of_cast(CAST), None);
    }
}
