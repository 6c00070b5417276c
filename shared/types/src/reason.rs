//! Every reason an error can carry: the stable, machine-readable half of an error.
//!
//! The same names are the values of `rapport.error.v1.Reason`, whose comments document each with its code, an
//! example and what the caller does; a test in `rapport-proto` holds both lists equal. To add one, write it there
//! and here.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $($(#[$doc])* pub const $name: &str = stringify!($name);)+

        /// All reasons, in the order of the contract.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

reasons! {
    /// One or more fields of the request are wrong; every one found is listed as a field violation with its own
    /// reason.
    INVALID_FIELDS,
    /// The bytes are not a message of the method's request type.
    UNDECODABLE_MESSAGE,
    /// The HTTP request is not a call: another method than POST, or a content type that is none of JSON, gRPC and
    /// gRPC-Web.
    WRONG_CONTENT_TYPE,
    /// No service of this process has such a method.
    UNKNOWN_METHOD,
    /// The service named in the request is not hosted by this process.
    SERVICE_NOT_HOSTED,
    /// The request_id is not a UUID.
    INVALID_REQUEST_ID,
    /// The request_id was used before for another request body.
    REQUEST_ID_REUSED,
    /// The message is larger than the server accepts.
    MESSAGE_TOO_LARGE,
    /// The field must be given.
    REQUIRED,
    /// The text has fewer characters than the least.
    TOO_SHORT,
    /// The text or bytes are longer than the limit in the field's comment.
    TOO_LONG,
    /// The repeated field holds more elements than the limit in its comment.
    TOO_MANY,
    /// The value does not have the form the field's comment describes.
    MALFORMED,
    /// The value is not a resource name of the kind this field wants.
    MALFORMED_NAME,
    /// The number or time lies outside the allowed range.
    OUT_OF_RANGE,
    /// The number is NaN or infinite.
    NOT_FINITE,
    /// The enum has no such value in this version of the contract.
    UNKNOWN_ENUM_VALUE,
    /// The text holds NUL or another control character.
    CONTROL_CHARACTER,
    /// The text holds a character that turns the direction of writing, which names must not.
    BIDI_CONTROL,
    /// The path names no field of the message.
    UNKNOWN_FIELD,
    /// The field is set by the server and may not be written.
    OUTPUT_ONLY_FIELD,
    /// The field cannot change after the resource was created.
    IMMUTABLE_FIELD,
    /// The time lies further in the future than clocks may differ (24 hours).
    IN_FUTURE,
    /// The list holds the same element twice.
    DUPLICATE,
    /// Fields that exclude each other are set together.
    CONFLICTING_FIELDS,
    /// A period ends before it starts.
    END_BEFORE_START,
    /// The code is not a currency of ISO 4217.
    UNKNOWN_CURRENCY,
    /// The code is not a region known to the numbering plan.
    UNKNOWN_COUNTRY,
    /// Units and nanos of an amount have different signs.
    SIGN_MISMATCH,
    /// The type (of a role, a relationship, a topic) is not known to this tenant.
    UNKNOWN_TYPE,
    /// The page token was not made by this server for this tenant, method, filter and order.
    INVALID_PAGE_TOKEN,
    /// The filter is not an expression this list can answer; metadata holds the byte offset.
    INVALID_FILTER,
    /// The order names a field this list cannot be sorted by.
    INVALID_ORDER_BY,
    /// The feed cursor was not made by this source.
    INVALID_CURSOR,
    /// Events after the cursor are no longer kept, or the source was restored from an older copy.
    CURSOR_EXPIRED,
    /// The answer would take more work than the request's budget allows.
    BUDGET_EXCEEDED,
    /// There is no such resource for this caller; one of another tenant counts as none.
    RESOURCE_NOT_FOUND,
    /// The resource changed since the caller read it.
    ETAG_MISMATCH,
    /// Other writes to the same data kept winning; nothing was changed.
    CONTENTION,
    /// The resource is in a state from which this step is not possible.
    INVALID_TRANSITION,
    /// Another party holds this identifier; metadata names it if the caller may read it.
    IDENTIFIER_TAKEN,
    /// A resource with the same unique value exists.
    ALREADY_EXISTS,
    /// The role has an end already.
    ROLE_ALREADY_ENDED,
    /// The party holds this role already for the same scope and time.
    ROLE_ALREADY_HELD,
    /// The role type does not fit the kind of party or the other side.
    ROLE_NOT_ALLOWED,
    /// The relationship has an end already.
    RELATIONSHIP_ALREADY_ENDED,
    /// The same two parties have a current relationship of this type.
    RELATIONSHIP_ALREADY_EXISTS,
    /// Both ends of the relationship are the same party.
    SELF_RELATIONSHIP,
    /// The relationship type does not fit the kinds of the two parties.
    RELATIONSHIP_NOT_ALLOWED,
    /// The identifier is shared or withheld, so it cannot name one party.
    IDENTIFIER_SHARED,
    /// The resource holds as many parts as it may.
    TOO_MANY_CHILDREN,
    /// An item of a stream carries a sequence that was not to come next.
    STREAM_OUT_OF_ORDER,
    /// The call carries no valid credential; the text is the same whatever is wrong with it.
    UNAUTHENTICATED,
    /// None of the caller's roles grants this method; metadata names the permission.
    PERMISSION_DENIED,
    /// The server works on as many requests as it may.
    OVERLOADED,
    /// More writes wait than the queue holds.
    QUEUE_FULL,
    /// The database does not answer.
    STORE_UNAVAILABLE,
    /// The database has no space left; reads still work.
    STORE_FULL,
    /// A service this one depends on does not answer; metadata names it.
    PEER_UNAVAILABLE,
    /// The server is stopping and takes no new work.
    SHUTTING_DOWN,
    /// The call's time was up before it was done; a write may still happen.
    DEADLINE_EXCEEDED,
    /// The caller left; a write may still happen.
    CANCELLED,
    /// The personal data asked for was erased and cannot be read again.
    ERASED,
    /// A fault of the server; metadata holds an error_id that is in its log.
    INTERNAL,
    /// There are too few facts for what is asked.
    NOT_ENOUGH_DATA,
    /// Fewer units are available than are to be taken.
    INSUFFICIENT_UNITS,
    /// A balance would become larger than a balance can be.
    BALANCE_TOO_LARGE,
    /// The programme is not in force.
    PROGRAM_NOT_PUBLISHED,
    /// The programme lacks something that it needs to be in force; metadata says what.
    PROGRAM_INCOMPLETE,
    /// The method cannot be called in JSON: it takes a stream of messages, or belongs to gRPC itself.
    NEEDS_GRPC,
    /// The tenant makes more calls than its quota allows, or has as many streams open as it may.
    TENANT_QUOTA,
    /// The request came without TLS to a port that speaks nothing else.
    NEEDS_TLS,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let set: std::collections::BTreeSet<_> = ALL.iter().collect();
        assert_eq!(set.len(), ALL.len());
        assert_eq!(REQUEST_ID_REUSED, "REQUEST_ID_REUSED");
    }
}
