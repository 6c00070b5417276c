use rapport_types::error::FieldError;
use rapport_types::money::Money;
use rapport_types::reason;

use super::coded;

coded! {
    /// Which way money moved.
    AmountKind {
        /// Something was ordered.
        Order = 1 "order",
        /// Something was returned and is to be paid back.
        Return = 2 "return",
    }
}

/// Money that moved by an interaction; never below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Which way it moved.
    pub(crate) kind: AmountKind,
    /// How much.
    pub(crate) money: Money,
}

impl Amount {
    /// Refuses money below zero: the kind says the direction.
    pub(crate) fn money(money: Money) -> Result<Money, FieldError> {
        if money.is_negative() {
            return Err(FieldError {
                reason: reason::OUT_OF_RANGE,
                description: "must be zero or more: the kind says which way the money moved".to_owned(),
            });
        }
        Ok(money)
    }
}
