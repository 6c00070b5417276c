//! Exact money: whole units and billionths of a currency, never a float.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::money::currency::Currency;

mod currency;

use crate::error::FieldError;
use crate::reason;

const NANOS: i128 = 1_000_000_000;

/// An amount of money: `units` + `nanos` / 10^9 of a currency. Both parts have the same sign.
///
/// Arithmetic is exact and checked. Amounts of different currencies do not mix: adding and comparing them gives
/// `None`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Money {
    units: i64,
    nanos: i32,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct Parts {
    units: i64,
    nanos: i32,
    currency: Currency,
}

impl TryFrom<Parts> for Money {
    type Error = FieldError;

    fn try_from(parts: Parts) -> Result<Self, FieldError> {
        Self::new(parts.units, parts.nanos, parts.currency)
    }
}

impl From<Money> for Parts {
    fn from(money: Money) -> Self {
        Self { units: money.units, nanos: money.nanos, currency: money.currency }
    }
}

impl Money {
    /// An amount from its parts.
    ///
    /// # Errors
    /// [`reason::OUT_OF_RANGE`] for nanos beyond ±999,999,999, [`reason::SIGN_MISMATCH`] if the signs differ.
    pub fn new(units: i64, nanos: i32, currency: Currency) -> Result<Self, FieldError> {
        if !(-999_999_999..=999_999_999).contains(&nanos) {
            return Err(FieldError::new(reason::OUT_OF_RANGE, "nanos must be within -999999999 and 999999999"));
        }
        if (units > 0 && nanos < 0) || (units < 0 && nanos > 0) {
            return Err(FieldError::new(reason::SIGN_MISMATCH, "units and nanos must have the same sign"));
        }
        Ok(Self { units, nanos, currency })
    }

    /// An amount from its parts and the code of its currency.
    ///
    /// # Errors
    /// As [`Money::new`] and [`Currency::parse`].
    pub fn parse(units: i64, nanos: i32, currency_code: &str) -> Result<Self, FieldError> {
        Self::new(units, nanos, Currency::parse(currency_code)?)
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self { units: 0, nanos: 0, currency }
    }

    /// An amount in the currency's minor unit: cents for EUR, yen for JPY.
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        let scale = 10_i64.pow(currency.digits());
        let per_minor = 10_i32.pow(9 - currency.digits());
        let nanos = i32::try_from(minor % scale).unwrap_or(0) * per_minor;
        Self { units: minor / scale, nanos, currency }
    }

    /// The amount in the currency's minor unit. `None` if it has a fraction of one, or does not fit.
    pub fn to_minor(self) -> Option<i64> {
        let per_minor = 10_i128.pow(9 - self.currency.digits());
        let total = self.total();
        if total % per_minor == 0 { i64::try_from(total / per_minor).ok() } else { None }
    }

    /// Whole units, with the sign of the amount.
    pub const fn units(self) -> i64 {
        self.units
    }

    /// Billionths of a unit, with the sign of the amount.
    pub const fn nanos(self) -> i32 {
        self.nanos
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.units == 0 && self.nanos == 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.units < 0 || self.nanos < 0
    }

    /// The amount in billionths of a unit.
    pub fn total(self) -> i128 {
        i128::from(self.units) * NANOS + i128::from(self.nanos)
    }

    /// An amount from billionths of a unit. `None` if it does not fit.
    pub fn from_total(total: i128, currency: Currency) -> Option<Self> {
        let units = i64::try_from(total / NANOS).ok()?;
        let nanos = i32::try_from(total % NANOS).ok()?;
        Some(Self { units, nanos, currency })
    }

    /// The sum. `None` for another currency, or if it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.same(other).and_then(|()| Self::from_total(self.total() + other.total(), self.currency))
    }

    /// The difference. `None` for another currency, or if it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.same(other).and_then(|()| Self::from_total(self.total() - other.total(), self.currency))
    }

    /// A multiple. `None` if it does not fit.
    pub fn checked_mul(self, factor: i64) -> Option<Self> {
        // Below 2^93 times 2^63 would not fit i128 in general, hence checked.
        self.total().checked_mul(i128::from(factor)).and_then(|total| Self::from_total(total, self.currency))
    }

    /// The same amount with the other sign. `None` if it does not fit.
    pub fn checked_neg(self) -> Option<Self> {
        Self::from_total(-self.total(), self.currency)
    }

    /// The sum of several amounts; nothing in `currency` if there are none. `None` for another currency among them,
    /// or if it does not fit.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    fn same(self, other: Self) -> Option<()> {
        (self.currency == other.currency).then_some(())
    }
}

impl PartialOrd for Money {
    /// Amounts of different currencies have no order.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.same(*other).map(|()| self.total().cmp(&other.total()))
    }
}

impl fmt::Display for Money {
    /// With at least the currency's minor digits: `-12.30 EUR`, `5 JPY`, `0.125 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        write!(f, "{sign}{}", self.units.unsigned_abs())?;
        let digits = format!("{:09}", self.nanos.unsigned_abs());
        let least = self.currency.digits() as usize;
        let wanted = digits.trim_end_matches('0').len().max(least);
        if let Some(fraction) = digits.get(..wanted).filter(|fraction| !fraction.is_empty()) {
            write!(f, ".{fraction}")?;
        }
        write!(f, " {}", self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn eur(units: i64, nanos: i32) -> Money {
        Money::new(units, nanos, currency("EUR")).unwrap()
    }

    #[test]
    fn parts_are_checked() {
        assert_eq!(Money::parse(1, -1, "EUR").unwrap_err().reason, reason::SIGN_MISMATCH);
        assert_eq!(Money::parse(-1, 1, "EUR").unwrap_err().reason, reason::SIGN_MISMATCH);
        assert_eq!(Money::parse(0, 1_000_000_000, "EUR").unwrap_err().reason, reason::OUT_OF_RANGE);
        assert_eq!(Money::parse(0, i32::MIN, "EUR").unwrap_err().reason, reason::OUT_OF_RANGE);
        assert_eq!(Money::parse(1, 0, "EURO").unwrap_err().reason, reason::UNKNOWN_CURRENCY);
        assert!(Money::parse(i64::MIN, -999_999_999, "EUR").is_ok());
    }

    #[test]
    fn texts() {
        for (units, nanos, code, text) in [
            (12, 340_000_000, "EUR", "12.34 EUR"),
            (-12, -300_000_000, "EUR", "-12.30 EUR"),
            (0, -5_000_000, "EUR", "-0.005 EUR"),
            (5, 0, "JPY", "5 JPY"),
            (5, 500_000_000, "JPY", "5.5 JPY"),
            (1, 0, "BHD", "1.000 BHD"),
            (i64::MIN, 0, "USD", "-9223372036854775808.00 USD"),
        ] {
            assert_eq!(Money::parse(units, nanos, code).unwrap().to_string(), text);
        }
    }

    #[test]
    fn minor_units() {
        assert_eq!(Money::from_minor(-1234, currency("EUR")), eur(-12, -340_000_000));
        assert_eq!(Money::from_minor(7, currency("JPY")).units(), 7);
        assert_eq!(eur(0, 1).to_minor(), None);
        assert_eq!(eur(i64::MAX, 0).to_minor(), None);
    }

    #[test]
    fn currencies_do_not_mix() {
        let usd = Money::from_minor(100, currency("USD"));
        assert_eq!(eur(1, 0).checked_add(usd), None);
        assert_eq!(eur(1, 0).checked_sub(usd), None);
        assert_eq!(eur(1, 0).partial_cmp(&usd), None);
        assert_eq!(Money::sum(currency("EUR"), [eur(1, 0), usd]), None);
    }

    #[test]
    fn overflow_is_no_amount() {
        let most = eur(i64::MAX, 999_999_999);
        let least = eur(i64::MIN, -999_999_999);
        assert_eq!(most.checked_add(eur(0, 1)), None);
        assert_eq!(least.checked_sub(eur(0, 1)), None);
        assert_eq!(least.checked_neg(), None);
        assert_eq!(least.checked_mul(i64::MIN), None);
        assert_eq!(most.checked_mul(1), Some(most));
    }

    #[test]
    fn serde_refuses_what_new_refuses() {
        let text = serde_json::to_string(&eur(1, 5)).unwrap();
        assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), eur(1, 5));
        assert!(serde_json::from_str::<Money>(r#"{"units":1,"nanos":-5,"currency":"EUR"}"#).is_err());
    }

    fn amounts() -> impl Strategy<Value = Money> {
        let range = i128::from(i64::MAX) * NANOS;
        prop_oneof![-range..=range, -3 * NANOS..=3 * NANOS]
            .prop_map(|total| Money::from_total(total, currency("EUR")).unwrap())
    }

    proptest! {
        #[test]
        fn parts_always_agree(a in amounts()) {
            prop_assert_eq!(Money::new(a.units(), a.nanos(), a.currency()).unwrap(), a);
            prop_assert_eq!(Money::from_total(a.total(), a.currency()).unwrap(), a);
        }

        #[test]
        fn addition_is_exact(a in amounts(), b in amounts(), c in amounts()) {
            prop_assert_eq!(a.checked_add(b), b.checked_add(a));
            if let Some(sum) = a.checked_add(b) {
                prop_assert_eq!(sum.checked_sub(b), Some(a));
                prop_assert_eq!(sum.total(), a.total() + b.total());
                if let (Some(left), Some(right)) = (sum.checked_add(c), b.checked_add(c)) {
                    prop_assert_eq!(Some(left), a.checked_add(right));
                }
            }
            prop_assert_eq!(a.partial_cmp(&b), Some(a.total().cmp(&b.total())));
        }

        #[test]
        fn multiples_are_sums(a in amounts(), n in 0_i64..20) {
            let sum = Money::sum(a.currency(), std::iter::repeat_n(a, usize::try_from(n).unwrap()));
            prop_assert_eq!(a.checked_mul(n), sum);
        }

        #[test]
        fn minor_goes_round(minor in any::<i64>(), code in "EUR|JPY|BHD|CLF") {
            let money = Money::from_minor(minor, currency(&code));
            prop_assert_eq!(money.to_minor(), Some(minor));
            prop_assert!(Money::new(money.units(), money.nanos(), money.currency()).is_ok());
        }
    }
}
