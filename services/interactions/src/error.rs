//! What can be wrong here and nowhere else.

use rapport_types::error::Error;
use rapport_types::reason;

use crate::domain::OutOfOrder;

/// An item of a stream whose number does not come after the one before it.
pub(crate) fn out_of_order(wrong: OutOfOrder) -> Error {
    Error::precondition(
        reason::STREAM_OUT_OF_ORDER,
        "an item's sequence is not greater than that of the item before it",
    )
    .with("sequence", wrong.sequence)
    .with("after", wrong.after)
}

/// Something is to be sealed for somebody whose data was erased: erased stays erased.
pub(crate) fn erased() -> Error {
    Error::precondition(reason::ERASED, "the personal data of somebody named in this request was erased")
}
