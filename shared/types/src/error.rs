//! The one error type of the suite, and the collector of field violations.
//!
//! An [`Error`] is a kind (which becomes the canonical gRPC code), a reason (which programs read), a message (which
//! people read) and metadata (every value of the message's sentence). The text never holds personal data, SQL or
//! paths: what the operator needs goes into `source`, which is logged and never sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::reason;

/// A cause that is logged and never sent.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What sort of failure it is. Each kind is one canonical gRPC code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The request is wrong whatever the state of the system: `INVALID_ARGUMENT`.
    Invalid,
    /// A place in a stream that is no longer kept: `OUT_OF_RANGE`.
    OutOfRange,
    /// No such resource for this caller: `NOT_FOUND`.
    NotFound,
    /// A unique value is taken: `ALREADY_EXISTS`.
    AlreadyExists,
    /// The state of the resource does not allow it: `FAILED_PRECONDITION`.
    Precondition,
    /// Somebody else was faster: `ABORTED`.
    Conflict,
    /// No valid credential: `UNAUTHENTICATED`.
    Unauthenticated,
    /// Not granted: `PERMISSION_DENIED`.
    Denied,
    /// A limit is reached: `RESOURCE_EXHAUSTED`.
    Exhausted,
    /// Something needed does not answer: `UNAVAILABLE`.
    Unavailable,
    /// Time is up: `DEADLINE_EXCEEDED`.
    Deadline,
    /// The caller left: `CANCELLED`.
    Cancelled,
    /// This contract has no such method: `UNIMPLEMENTED`.
    Unimplemented,
    /// Our bug: `INTERNAL`. Its text is masked on the wire.
    Internal,
}

impl Kind {
    /// The canonical gRPC code as it is written in documents and logs, for example `FAILED_PRECONDITION`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID_ARGUMENT",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Precondition => "FAILED_PRECONDITION",
            Self::Conflict => "ABORTED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Denied => "PERMISSION_DENIED",
            Self::Exhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Deadline => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// What a request is refused for by its own reason, when nothing else is wrong with it, rather than by
/// [`reason::INVALID_FIELDS`].
const OF_THEIR_OWN: &[&str] = &[
    reason::INVALID_REQUEST_ID,
    reason::INVALID_PAGE_TOKEN,
    reason::INVALID_FILTER,
    reason::INVALID_ORDER_BY,
    reason::INVALID_CURSOR,
];

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, for example `contact_media[2].value`.
    pub field: String,
    /// One of [`crate::reason`], for example [`reason::TOO_LONG`].
    pub reason: &'static str,
    /// What is wrong, without the value itself.
    pub description: String,
}

/// Why one value is not acceptable: what checked constructors return. It does not know its field's path; the
/// [`Collector`] adds that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// One of [`crate::reason`].
    pub reason: &'static str,
    /// What is wrong, without the value itself.
    pub description: String,
}

impl FieldError {
    /// An error with one of [`crate::reason`] and a text that does not repeat the value.
    pub fn new(reason: &'static str, description: impl Into<String>) -> Self {
        Self { reason, description: description.into() }
    }

    /// The field must be given.
    pub fn required() -> Self {
        Self::new(reason::REQUIRED, "must be given")
    }

    /// The same mistake as the only one of a request.
    pub fn at(self, field: impl Into<String>) -> Error {
        Error::invalid(vec![Violation { field: field.into(), reason: self.reason, description: self.description }])
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl std::error::Error for FieldError {}

/// A failed call.
#[derive(Clone, Debug)]
pub struct Error {
    /// The sort of failure, one canonical code.
    pub kind: Kind,
    /// One of [`crate::reason`].
    pub reason: &'static str,
    /// For people: lower-case, no full stop, no personal data, no SQL, no path.
    pub message: String,
    /// Every value of the message's sentence, for programs.
    pub metadata: BTreeMap<String, String>,
    /// The wrong fields, if the reason is [`reason::INVALID_FIELDS`] or one of a lone field's own.
    pub violations: Box<[Violation]>,
    /// How long to wait before the next try. Unset means that a retry is not advised, or needs no delay.
    pub retry_after: Option<Duration>,
    /// What caused it: logged, never sent.
    pub source: Option<Source>,
}

impl Error {
    /// An error of a kind, with one of [`crate::reason`] and a text for people.
    pub fn new(kind: Kind, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Box::default(),
            retry_after: None,
            source: None,
        }
    }

    /// Adds a value of the sentence to the metadata.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Says when a retry makes sense.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// There is no such resource for this caller.
    pub fn not_found(name: impl fmt::Display) -> Self {
        let name = name.to_string();
        Self::new(Kind::NotFound, reason::RESOURCE_NOT_FOUND, format!("{name} does not exist")).with("name", name)
    }

    /// Wrong fields, all that were found. The message tells the first and how many there are. A lone mistake in what a
    /// client acts upon (a page token, a cursor, a filter, an order, a request id) gives the error its own reason.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is invalid".to_owned(),
            [one] => format!("{}: {}", one.field, one.description),
            [first, ..] => {
                format!("{} fields are invalid, the first is {}: {}", violations.len(), first.field, first.description)
            }
        };
        let mut error = Self::new(Kind::Invalid, reason::INVALID_FIELDS, message).with("violations", violations.len());
        if let Some(first) = violations.first() {
            error = error.with("field", &first.field).with("field_reason", first.reason);
        }
        // Some mistakes are reasons of their own, for clients to act upon: start again without the token.
        if let [only] = violations.as_slice()
            && OF_THEIR_OWN.contains(&only.reason)
        {
            error.reason = only.reason;
        }
        error.violations = violations.into_boxed_slice();
        error
    }

    /// One wrong field.
    pub fn field(field: impl Into<String>, reason: &'static str, description: impl Into<String>) -> Self {
        FieldError::new(reason, description).at(field)
    }

    /// The resource changed since the caller read it.
    pub fn etag_mismatch(name: impl fmt::Display) -> Self {
        let name = name.to_string();
        Self::new(Kind::Conflict, reason::ETAG_MISMATCH, format!("{name} changed since it was read")).with("name", name)
    }

    /// A unique value is taken.
    pub fn already_exists(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::AlreadyExists, reason, message)
    }

    /// The state of the resource does not allow it.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Precondition, reason, message)
    }

    /// The database does not answer. For another cause, set `reason`.
    pub fn unavailable(message: impl Into<String>, retry: Duration) -> Self {
        Self::new(Kind::Unavailable, reason::STORE_UNAVAILABLE, message).retry(retry)
    }

    /// A limit is reached; the caller may come back after `retry`.
    pub fn exhausted(reason: &'static str, message: impl Into<String>, retry: Duration) -> Self {
        Self::new(Kind::Exhausted, reason, message).retry(retry)
    }

    /// Other writes to the same data kept winning.
    pub fn contention(retry: Duration) -> Self {
        Self::new(Kind::Conflict, reason::CONTENTION, "other writes to the same data kept winning").retry(retry)
    }

    /// Our fault. The cause is logged; the caller gets an error id.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::bug(source.to_string()).caused_by(source)
    }

    /// Our fault, described by a sentence for the log (the wire masks it).
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, reason::INTERNAL, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.code(), self.reason, self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// Gathers every violation of a request before it answers.
///
/// A collector for a nested message comes from [`Collector::at`] or [`Collector::index`]; it writes into the same
/// list, with its path put in front.
///
/// ```
/// use rapport_types::{Collector, PageSize, reason};
///
/// let fields = Collector::new();
/// let size = fields.check("page_size", PageSize::parse(-1));
/// fields.index("contact_media", 2).push("value", reason::REQUIRED, "must be given");
/// assert!(size.is_none());
/// let error = fields.finish().unwrap_err();
/// assert_eq!(error.violations[1].field, "contact_media[2].value");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Collector {
    path: String,
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    violations: Vec<Violation>,
    left_out: usize,
}

impl Collector {
    /// The most violations that one answer lists. They travel in HTTP/2 trailers, which clients bound at 8 KiB; the
    /// number of those left out is in the metadata.
    pub const MOST: usize = 25;

    /// A collector for the fields of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// The collector for the fields of the nested message `field`.
    #[must_use]
    pub fn at(&self, field: &str) -> Self {
        Self { path: self.join(field), found: Arc::clone(&self.found) }
    }

    /// The collector for the fields of element `index` of the repeated message `field`.
    #[must_use]
    pub fn index(&self, field: &str, index: usize) -> Self {
        self.at(&format!("{field}[{index}]"))
    }

    /// Takes the value, or notes why it is wrong. An empty `field` means the message of this collector itself.
    pub fn check<T>(&self, field: &str, value: Result<T, FieldError>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.push(field, error.reason, error.description);
                None
            }
        }
    }

    /// Takes the value, or notes that it is missing.
    pub fn required<T>(&self, field: &str, value: Option<T>) -> Option<T> {
        self.check(field, value.ok_or_else(FieldError::required))
    }

    /// Notes a violation.
    pub fn push(&self, field: &str, reason: &'static str, description: impl Into<String>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.violations.len() < Self::MOST {
            let violation = Violation { field: self.join(field), reason, description: description.into() };
            found.violations.push(violation);
        } else {
            found.left_out += 1;
        }
    }

    /// Whether nothing was noted so far, here or in any other collector of this request.
    pub fn is_empty(&self) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).violations.is_empty()
    }

    /// An error with everything that was noted, if anything was.
    pub fn finish(self) -> Result<(), Error> {
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        if found.violations.is_empty() {
            return Ok(());
        }
        let error = Error::invalid(found.violations);
        Err(if found.left_out == 0 { error } else { error.with("violations_left_out", found.left_out) })
    }

    fn join(&self, field: &str) -> String {
        match (self.path.as_str(), field) {
            ("", field) => field.to_owned(),
            (path, "") => path.to_owned(),
            (path, field) => format!("{path}.{field}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_collector_gathers_everything_with_paths() {
        let root = Collector::new();
        root.push("title", reason::REQUIRED, "must be given");
        let party = root.at("party");
        assert_eq!(party.check("kind", Ok::<_, FieldError>(3)), Some(3));
        let medium = party.index("contact_media", 2);
        assert_eq!(medium.check::<()>("value", Err(FieldError::new(reason::TOO_LONG, "too long"))), None);
        medium.push("", reason::DUPLICATE, "comes twice");
        assert_eq!(medium.required::<()>("kind", None), None);
        assert!(!root.is_empty());
        let error = root.finish().unwrap_err();
        let fields: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            ["title", "party.contact_media[2].value", "party.contact_media[2]", "party.contact_media[2].kind"]
        );
        assert_eq!(error.reason, reason::INVALID_FIELDS);
        assert_eq!(error.metadata["violations"], "4");
    }

    #[test]
    fn a_lone_mistake_may_be_the_reason_itself() {
        let token = Error::field("page_token", reason::INVALID_PAGE_TOKEN, "not a token of this list");
        assert_eq!(
            (token.reason, token.violations[0].reason),
            (reason::INVALID_PAGE_TOKEN, reason::INVALID_PAGE_TOKEN)
        );
        assert_eq!(Error::field("title", reason::REQUIRED, "must be given").reason, reason::INVALID_FIELDS);
        let both = Collector::new();
        both.push("title", reason::REQUIRED, "must be given");
        both.push("request_id", reason::INVALID_REQUEST_ID, "must be a UUID");
        assert_eq!(both.finish().unwrap_err().reason, reason::INVALID_FIELDS);
    }

    #[test]
    fn an_empty_collector_is_content() {
        assert!(Collector::new().finish().is_ok());
    }

    #[test]
    fn the_answer_stays_small() {
        let root = Collector::new();
        for index in 0..1000 {
            root.index("items", index).push("name", reason::REQUIRED, "must be given");
        }
        let error = root.finish().unwrap_err();
        assert_eq!(error.violations.len(), Collector::MOST);
        assert_eq!(error.metadata["violations_left_out"], "975");
    }

    #[test]
    fn errors_keep_their_cause_for_the_log_only() {
        let error = Error::internal(std::io::Error::other("disk on fire"));
        assert_eq!(error.kind, Kind::Internal);
        assert!(std::error::Error::source(&error).is_some());
        let error = Error::not_found("parties/1").with("tenant", 1);
        assert_eq!(error.to_string(), "NOT_FOUND RESOURCE_NOT_FOUND: parties/1 does not exist");
        assert_eq!(error.metadata.len(), 2);
        assert!(error.source.is_none());
    }
}
