use rapport_store::StoreError;
use rapport_types::error::{Error, Kind};
use rapport_types::reason;

/// What can go wrong in scoring itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScoringError {
    /// The definition does not exist: NotFound, `RESOURCE_NOT_FOUND`, metadata `name`.
    NoSuchDefinition(String),
    /// An origin has more contributions within one era than its sums can hold (2^32 of weight 1): Precondition,
    /// `TOO_MANY_CHILDREN`.
    TooManyContributions,
    /// The orders of one origin on one day come to more than a sum can hold (9.2 * 10^18 units): Precondition,
    /// `TOO_MANY_CHILDREN`. The event is parked.
    TooMuchMoney,
    /// The answer would have to read more of the log than options allow: Exhausted, `BUDGET_EXCEEDED`, metadata `limit`.
    LogTooLong(u32),
    /// The tenant has more relationships than options allow an answer to read: Exhausted, `BUDGET_EXCEEDED`, metadata `limit`.
    NetworkTooLarge(u32),
    /// An event of a feed holds a value that its contract excludes: Invalid, `INVALID_FIELDS`. The event is
    /// parked.
    MalformedEvent(&'static str),
}

impl From<ScoringError> for Error {
    fn from(error: ScoringError) -> Error {
        match error {
            ScoringError::NoSuchDefinition(name) => Error::not_found(name),
            ScoringError::TooManyContributions => Error::new(
                Kind::Precondition,
                reason::TOO_MANY_CHILDREN,
                "the party has more contributions than its sums can hold",
            ),
            ScoringError::TooMuchMoney => Error::new(
                Kind::Precondition,
                reason::TOO_MANY_CHILDREN,
                "the orders of one day come to more than a sum can hold",
            ),
            ScoringError::LogTooLong(limit) => Error::new(
                Kind::Exhausted,
                reason::BUDGET_EXCEEDED,
                format!("the party has more than {limit} contributions, which is more than an answer may read"),
            )
            .with("limit", limit),
            ScoringError::NetworkTooLarge(limit) => Error::new(
                Kind::Exhausted,
                reason::BUDGET_EXCEEDED,
                format!("there are more than {limit} relationships, which is more than an answer may read"),
            )
            .with("limit", limit),
            ScoringError::MalformedEvent(field) => {
                Error::field(field, reason::MALFORMED, "must be what the contract of the event says")
            }
        }
    }
}

impl From<ScoringError> for StoreError {
    fn from(error: ScoringError) -> StoreError {
        StoreError::Domain(error.into())
    }
}
