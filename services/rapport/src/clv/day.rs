//! Days as files and flags have them.

use jiff::civil::Date;

/// What a day looks like, for messages.
pub(super) const VALID: &str = "a day as YYYY-MM-DD or YYYYMMDD, such as 1997-09-30";

/// The day that a text means, if it does.
pub(super) fn read(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let digits: Vec<u8> = match bytes.len() {
        8 => bytes.to_vec(),
        10 if bytes[4] == b'-' && bytes[7] == b'-' => [&bytes[..4], &bytes[5..7], &bytes[8..]].concat(),
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = |part: &[u8]| part.iter().fold(0i16, |value, digit| value * 10 + i16::from(digit - b'0'));
    let (month, day) = (i8::try_from(value(&digits[4..6])).ok()?, i8::try_from(value(&digits[6..])).ok()?);
    Date::new(value(&digits[..4]), month, day).ok()
}

/// The same for a flag.
pub(super) fn parsed(text: &str) -> Result<Date, String> {
    read(text.trim()).ok_or_else(|| format!("valid is {VALID}"))
}

/// The day's number.
pub(super) fn number(date: Date) -> i64 {
    // From 1600 on the calendar repeats every 400 years, so day numbers need no table of years.
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day = (153 * month + 2) / 5 + i64::from(date.day()) - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use jiff::ToSpan;

    use super::*;

    #[test]
    fn both_ways_of_writing_a_day() {
        let day = Date::new(1997, 9, 30).unwrap();
        assert_eq!(read("1997-09-30"), Some(day));
        assert_eq!(read("19970930"), Some(day));
        for bad in [
            "1997-9-30",
            "1997/09/30",
            "30.09.1997",
            "1997-02-29",
            "1997-13-01",
            "",
            "199709301",
            "1997-0930",
            "+9970930",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(parsed("yesterday").unwrap_err().contains("YYYY-MM-DD"));
    }

    #[test]
    fn numbers_count_days() {
        let mut day = Date::new(1899, 12, 31).unwrap();
        let first = number(day);
        for n in 0..80_000 {
            assert_eq!(number(day) - first, n, "{day}");
            day += 1.day();
        }
    }
}
