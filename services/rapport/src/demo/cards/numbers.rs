//! Numbers as people read them.

/// A score in points with one decimal, rounded down: `61.4`.
pub(super) fn points(micros: i64) -> String {
    let tenths = micros.div_euclid(100_000);
    let sign = if tenths < 0 { "-" } else { "" };
    format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10)
}

/// The difference between two scores as [`points`] shows them, with a sign.
pub(super) fn change(before: i64, after: i64) -> String {
    let tenths = after.div_euclid(100_000) - before.div_euclid(100_000);
    let sign = if tenths < 0 { '-' } else { '+' };
    format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10)
}

/// Points to the last digit.
pub(super) fn exact(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let abs = micros.unsigned_abs();
    format!("{sign}{}.{:06}", abs / 1_000_000, abs % 1_000_000)
}

/// Twenty marks for a hundred points.
pub(super) fn gauge(micros: i64) -> String {
    let full = usize::try_from((micros / 5_000_000).clamp(0, 20)).unwrap_or(0);
    format!("[{}{}]", "#".repeat(full), ".".repeat(20 - full))
}

/// Cents as dollars: `1,234.50 USD`.
pub(super) fn money(cents: i64) -> String {
    format!("{}.{:02} USD", grouped_i64(cents / 100), cents % 100)
}

pub(super) fn grouped(n: usize) -> String {
    grouped_i64(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A number with commas between groups of three digits.
pub(super) fn grouped_i64(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if n < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(points(61_499_999), "61.4");
        assert_eq!(exact(-1_500_000), "-1.500000");
        assert_eq!(exact(-1), "-0.000001");
        assert_eq!(change(67_041_112, 61_551_059), "-5.5", "as 67.0 -> 61.5 says");
        assert_eq!(change(50_000_000, 50_000_000), "+0.0");
        assert_eq!(grouped(6_919), "6,919");
        assert_eq!(grouped(100), "100");
        assert_eq!(money(123_450), "1,234.50 USD");
        assert_eq!(gauge(50_000_000), "[##########..........]");
    }
}
