use rapport_types::error::FieldError;
use rapport_types::money::Money;
use rapport_types::{Timestamp, Uuid, reason};

use super::code::coded;
use rapport_types::Slug;

coded! {
    /// What sets a rule off, without its word.
    TriggerKind {
        /// An interaction.
        Interaction = 1,
        /// A survey's response.
        SurveyResponse = 2,
        /// A call that names the rule.
        Manual = 3,
    }
}

coded! {
    /// What happens to a fraction of a minor unit.
    Rounding {
        /// Left out.
        Down = 1,
        /// Made whole.
        Up = 2,
        /// A half or more is made whole.
        HalfUp = 3,
        /// More than a half is made whole; a half goes to the even neighbour.
        HalfEven = 4,
    }
}

/// What sets a rule off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// An interaction of this kind.
    Interaction(Slug),
    /// A survey's response of this category; of any, when none.
    Survey(Option<Slug>),
    /// Nothing but a call that names the rule.
    Manual,
}

impl Trigger {
    /// Which kind it is.
    pub(crate) fn kind(&self) -> TriggerKind {
        match self {
            Trigger::Interaction(_) => TriggerKind::Interaction,
            Trigger::Survey(_) => TriggerKind::SurveyResponse,
            Trigger::Manual => TriggerKind::Manual,
        }
    }

    /// Its word; empty for none.
    pub(crate) fn word(&self) -> &str {
        match self {
            Trigger::Interaction(word) | Trigger::Survey(Some(word)) => word.as_str(),
            Trigger::Survey(None) | Trigger::Manual => "",
        }
    }

    /// Whether something that happened sets off a rule with this trigger. `happened` has its own word.
    pub(crate) fn is_set_off_by(&self, happened: &Trigger) -> bool {
        match (self, happened) {
            (Trigger::Interaction(rule), Trigger::Interaction(kind)) => rule == kind,
            (Trigger::Survey(None), Trigger::Survey(_)) => true,
            (Trigger::Survey(rule), Trigger::Survey(category)) => rule == category,
            _ => false,
        }
    }
}

/// How much a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Award {
    /// The same each time.
    Fixed(i64),
    /// So many units for each amount of money.
    PerAmount { units: i64, amount: Money, rounding: Rounding },
}

/// Why a rule gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// It wants to know what was paid.
    NoMoney,
    /// It counts in another currency.
    OtherCurrency,
    /// What was paid is too little for one minor unit, or less than nothing.
    TooLittle,
    /// More than a balance can hold.
    TooMuch,
}

/// A rule by which units are earned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) id: Uuid,
    pub(crate) program: Uuid,
    pub(crate) unit_type: Uuid,
    pub(crate) display_name: String,
    pub(crate) trigger: Trigger,
    pub(crate) award: Award,
    /// The most that one event can earn; 0 for no such limit.
    pub(crate) max_units: i64,
    pub(crate) recorded_at: Timestamp,
}

impl Rule {
    /// Money that a rule may count by: more than nothing.
    pub(crate) fn amount(money: Money) -> Result<Money, FieldError> {
        if money.is_negative() || money.is_zero() {
            return Err(FieldError::new(reason::OUT_OF_RANGE, "must be more than nothing"));
        }
        Ok(money)
    }

    /// How many minor units an event earns: 1 or more.
    pub(crate) fn earns(&self, money: Option<Money>) -> Result<i64, Nothing> {
        let units = match self.award {
            Award::Fixed(units) => units,
            Award::PerAmount { units, amount, rounding } => {
                let money = money.ok_or(Nothing::NoMoney)?;
                if money.currency() != amount.currency() {
                    return Err(Nothing::OtherCurrency);
                }
                if money.is_negative() {
                    return Err(Nothing::TooLittle);
                }
                // Below 2^93 times 2^63 may not fit.
                let product = money.total().checked_mul(i128::from(units)).ok_or(Nothing::TooMuch)?;
                i64::try_from(divide(product, amount.total(), rounding)).map_err(|_| Nothing::TooMuch)?
            }
        };
        let units = if self.max_units > 0 { units.min(self.max_units) } else { units };
        if units > 0 { Ok(units) } else { Err(Nothing::TooLittle) }
    }
}

/// `value / by`, both not negative and `by` more than 0.
fn divide(value: i128, by: i128, rounding: Rounding) -> i128 {
    let (whole, rest) = (value / by, value % by);
    // rest < by, so that by - rest does not overflow.
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest > 0,
        Rounding::HalfUp => rest >= by - rest,
        Rounding::HalfEven => rest > by - rest || (rest == by - rest && whole % 2 != 0),
    };
    whole + i128::from(up)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn money(units: i64, nanos: i32) -> Money {
        Money::parse(units, nanos, "EUR").unwrap()
    }

    fn rule(award: Award, max_units: i64) -> Rule {
        Rule {
            id: Uuid::from_u128(1),
            program: Uuid::from_u128(2),
            unit_type: Uuid::from_u128(3),
            display_name: "a rule".into(),
            trigger: Trigger::Manual,
            award,
            max_units,
            recorded_at: Timestamp::EPOCH,
        }
    }

    fn per(units: i64, amount: Money, rounding: Rounding) -> Rule {
        rule(Award::PerAmount { units, amount, rounding }, 0)
    }

    #[test]
    fn a_fraction_goes_where_the_rule_says() {
        for (paid, down, up, half_up, half_even) in [
            ((1, 0), 0, 1, 1, 0),
            ((3, 0), 1, 2, 2, 2),
            ((2, 0), 1, 1, 1, 1),
            ((5, 0), 2, 3, 3, 2),
            ((0, 1), 0, 1, 0, 0),
        ] {
            let paid = Some(money(paid.0, paid.1));
            for (rounding, units) in [
                (Rounding::Down, down),
                (Rounding::Up, up),
                (Rounding::HalfUp, half_up),
                (Rounding::HalfEven, half_even),
            ] {
                let earned = per(1, money(2, 0), rounding).earns(paid);
                assert_eq!(earned.unwrap_or(0), units, "{paid:?} {rounding:?}");
            }
        }
    }

    #[test]
    fn what_earns_nothing_says_why() {
        let rule_in_eur = per(1, money(1, 0), Rounding::Down);
        assert_eq!(rule_in_eur.earns(None), Err(Nothing::NoMoney));
        let dollars = Money::parse(5, 0, "USD").unwrap();
        assert_eq!(rule_in_eur.earns(Some(dollars)), Err(Nothing::OtherCurrency));
        assert_eq!(rule_in_eur.earns(Some(money(-5, 0))), Err(Nothing::TooLittle));
        assert_eq!(rule_in_eur.earns(Some(money(0, 999_999_999))), Err(Nothing::TooLittle));
        assert_eq!(per(i64::MAX, money(0, 1), Rounding::Down).earns(Some(money(i64::MAX, 0))), Err(Nothing::TooMuch));
        assert_eq!(rule(Award::Fixed(7), 0).earns(None), Ok(7));
        assert_eq!(rule(Award::Fixed(7), 5).earns(None), Ok(5));
        assert!(Rule::amount(money(0, 0)).is_err() && Rule::amount(money(0, 1)).is_ok());
    }

    #[test]
    fn triggers_fit_what_happened() {
        let word = |text| Slug::parse(text).unwrap();
        let order = Trigger::Interaction(word("order"));
        assert!(order.is_set_off_by(&Trigger::Interaction(word("order"))));
        assert!(!order.is_set_off_by(&Trigger::Interaction(word("complaint"))));
        assert!(!order.is_set_off_by(&Trigger::Survey(Some(word("promoter")))));
        assert!(Trigger::Survey(None).is_set_off_by(&Trigger::Survey(Some(word("promoter")))));
        assert!(!Trigger::Survey(Some(word("promoter"))).is_set_off_by(&Trigger::Survey(Some(word("passive")))));
        assert!(!Trigger::Manual.is_set_off_by(&Trigger::Manual));
    }

    proptest! {
        #[test]
        fn rounding_is_next_to_the_quotient(value in 0i128..1 << 100, by in 1i128..1 << 90) {
            let down = divide(value, by, Rounding::Down);
            prop_assert!(down * by <= value && value - down * by < by);
            let exact = value % by == 0;
            prop_assert_eq!(divide(value, by, Rounding::Up), down + i128::from(!exact));
            for rounding in [Rounding::HalfUp, Rounding::HalfEven] {
                let near = divide(value, by, rounding);
                prop_assert!((near * by - value).abs() * 2 <= by);
            }
        }
    }
}
