//! What can be wrong here and nowhere else.

use rapport_store::StoreError;
use rapport_types::error::Error;
use rapport_types::{Uuid, reason};

use crate::domain::{MemberName, Nothing, ProgramName, Refused, TransactionName};

/// The programme is not in force.
pub(crate) fn not_published(program: Uuid) -> Error {
    let name = ProgramName::new(program);
    Error::precondition(reason::PROGRAM_NOT_PUBLISHED, format!("{name} is not published")).with("program", name)
}

/// The programme lacks something.
pub(crate) fn incomplete(program: Uuid, lacks: &'static str) -> Error {
    let name = ProgramName::new(program);
    Error::precondition(reason::PROGRAM_INCOMPLETE, format!("{name} lacks {lacks}"))
        .with("program", name)
        .with("lacks", lacks)
}

/// A programme has as many parts as it may.
pub(crate) fn too_many(what: &'static str, most: usize) -> Error {
    Error::precondition(reason::TOO_MANY_CHILDREN, format!("a programme has at most {most} {what}")).with("most", most)
}

/// The party is a member already.
pub(crate) fn enrolled(member: MemberName) -> Error {
    Error::already_exists(reason::ALREADY_EXISTS, format!("the party is a member of the programme: {member}"))
        .with("name", member)
}

/// The number belongs to another member.
pub(crate) fn number_taken() -> Error {
    Error::already_exists(reason::ALREADY_EXISTS, "another member of the programme has this number")
        .with("field", "member.number")
}

/// It was earned before.
pub(crate) fn earned_before(transaction: Uuid) -> Error {
    let name = TransactionName::new(transaction);
    Error::already_exists(reason::ALREADY_EXISTS, format!("by this rule and source it was earned before: {name}"))
        .with("name", name)
}

/// The ledger refuses a posting.
pub(crate) fn refused(refused: Refused, wanted: i64) -> Error {
    match refused {
        Refused::Insufficient { available } => Error::precondition(
            reason::INSUFFICIENT_UNITS,
            format!("{wanted} units are to be taken and {available} are available"),
        )
        .with("wanted", wanted)
        .with("available", available),
        Refused::TooLarge => Error::precondition(reason::BALANCE_TOO_LARGE, "the balance would be too large"),
    }
}

/// A rule gives nothing for what it was asked for.
pub(crate) fn nothing(why: Nothing) -> Error {
    match why {
        Nothing::NoMoney => Error::field("money", reason::REQUIRED, "must be given for a rule that counts money"),
        Nothing::OtherCurrency => {
            Error::field("money.currency_code", reason::CONFLICTING_FIELDS, "must be the currency of the rule")
        }
        Nothing::TooLittle => Error::field("money", reason::OUT_OF_RANGE, "must earn at least one minor unit"),
        Nothing::TooMuch => Error::field("money", reason::OUT_OF_RANGE, "must earn no more than a balance can hold"),
    }
}

/// An event of another service holds a value that its contract excludes: Invalid, `INVALID_FIELDS`. The event is parked.
pub(crate) fn malformed_event(field: &'static str) -> Error {
    Error::field(field, reason::MALFORMED, "must be what the contract of the event says")
}

/// A failure of the store within a decision.
pub(crate) fn decided(error: StoreError) -> Error {
    match error {
        StoreError::Domain(error) => error,
        other => Error::internal(other),
    }
}
