use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use rapport_types::error::{Error, Kind, Violation};
use rapport_types::reason;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};
use uuid::Uuid;

use crate::header;

/// The domain of every reason, as `ErrorInfo` wants it.
pub const DOMAIN: &str = "rapport";

/// How many field violations one answer lists: a header block is 8 KiB, and nobody reads more.
const VIOLATIONS_MAX: usize = 32;
/// Texts sent in an error are cut here, in characters: they travel in headers.
const TEXT_MAX: usize = 300;
/// How long a caller waits before it calls an unreachable service again, if nobody knows better.
const RETRY: Duration = Duration::from_secs(1);

/// A domain error as the caller sees it: `ErrorInfo` with the reason and every value of the sentence, `BadRequest` with
/// the field violations, `RetryInfo` where waiting helps.
///
/// A fault of ours (kind Internal) says nothing but "internal error" and an `error_id`, under which the log has the rest.
pub fn status(error: Error) -> Status {
    let code = code_of(error.kind);
    let mut metadata: HashMap<String, String> =
        error.metadata.iter().map(|(key, value)| (key.clone(), cut(value))).collect();
    let mut message = cut(&error.message);
    let mut error_id = None;
    if code == Code::Internal {
        let id = Uuid::new_v4().simple().to_string();
        tracing::error!(
            error_id = %id,
            reason = error.reason,
            metadata = ?error.metadata,
            cause = %causes(&error),
            "internal error: {}", error.message,
        );
        "internal error".clone_into(&mut message);
        metadata = HashMap::from([("error_id".to_owned(), id.clone())]);
        error_id = Some(id);
    } else if error.source.is_some() {
        tracing::warn!(reason = error.reason, cause = %causes(&error), "{}", error.message);
    }
    let mut details = ErrorDetails::with_error_info(error.reason, DOMAIN, metadata);
    if !error.violations.is_empty() {
        let violations: Vec<FieldViolation> = error.violations.iter().take(VIOLATIONS_MAX).map(violation).collect();
        details.set_bad_request(violations);
    }
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    let mut status = Status::with_error_details(code, message, details);
    if let Some(value) = error_id.and_then(|id| MetadataValue::try_from(id).ok()) {
        status.metadata_mut().insert(header::ERROR_ID, value);
    }
    status
}

/// The error another service answered with, for a caller that handles it or passes it on.
pub fn error_of(status: Status) -> Error {
    let kind = if cut_off(&status) { Kind::Unavailable } else { kind_of(status.code()) };
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let reason = info.and_then(|info| known(&info.reason)).unwrap_or_else(|| fallback(kind));
    // Without details nobody of ours spoke: what a proxy or the transport says is for the log, not for our callers.
    let message = match (kind, info) {
        (Kind::Unavailable, None) => "a service this one depends on does not answer".to_owned(),
        (Kind::Internal, None) => "the call failed without a reason".to_owned(),
        (Kind::Deadline, None) => "the call's time was up".to_owned(),
        _ => status.message().to_owned(),
    };
    let mut error = Error::new(kind, reason, message);
    if let Some(info) = info {
        error.metadata = info.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>();
    }
    if let Some(bad) = details.bad_request() {
        error.violations = bad
            .field_violations
            .iter()
            .map(|violation| Violation {
                field: violation.field.clone(),
                reason: known(&violation.reason).unwrap_or(reason::INVALID_FIELDS),
                description: violation.description.clone(),
            })
            .collect();
    }
    error.retry_after = details.retry_info().and_then(|info| info.retry_delay);
    if error.retry_after.is_none() && kind == Kind::Unavailable {
        error.retry_after = Some(RETRY);
    }
    if info.is_none() || matches!(status.code(), Code::Internal | Code::Unknown) {
        error.source = Some(Arc::new(status));
    }
    error
}

/// Whether the connection broke under a call. The transport says UNKNOWN then, as it cannot know what became of it; for
/// whoever can ask again it is a service that is away. Only what came about on this side has a source.
fn cut_off(status: &Status) -> bool {
    status.code() == Code::Unknown && status.details().is_empty() && std::error::Error::source(status).is_some()
}

/// What is wrong when a message of a *request* stream cannot be read: bytes that do not decode are the caller's fault,
/// though tonic reports some of them as INTERNAL.
pub fn received(status: Status) -> Error {
    if status.get_details_error_info().is_some() {
        return error_of(status);
    }
    match refusal(status.code(), status.message()) {
        Some(error) => error,
        None => error_of(status),
    }
}

/// The error for an answer that tonic gave itself, before or instead of a handler; `None` if it says enough.
pub(crate) fn refusal(code: Code, message: &str) -> Option<Error> {
    match code {
        Code::Ok => None,
        Code::OutOfRange | Code::ResourceExhausted => Some(Error::new(
            Kind::Exhausted,
            reason::MESSAGE_TOO_LARGE,
            "the message is larger than this method accepts",
        )),
        Code::Cancelled => Some(Error::new(Kind::Cancelled, reason::CANCELLED, "the caller left")),
        Code::InvalidArgument | Code::Internal | Code::Unknown | Code::DataLoss => Some(Error::new(
            Kind::Invalid,
            reason::UNDECODABLE_MESSAGE,
            "the bytes are not a message of this method's request type",
        )),
        // Asked for in an encoding (compression) we do not speak.
        Code::Unimplemented if !message.is_empty() => Some(Error::new(
            Kind::Invalid,
            reason::UNDECODABLE_MESSAGE,
            "the message is compressed in a way this server does not read",
        )),
        _ => None,
    }
}

/// No service of this process has the method.
pub(crate) fn unknown_method(path: &str) -> Error {
    Error::new(Kind::Unimplemented, reason::UNKNOWN_METHOD, "no service of this process has such a method")
        .with("method", path)
}

pub(crate) fn code_of(kind: Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::OutOfRange => Code::OutOfRange,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::Precondition => Code::FailedPrecondition,
        Kind::Conflict => Code::Aborted,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Denied => Code::PermissionDenied,
        Kind::Exhausted => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Cancelled => Code::Cancelled,
        Kind::Unimplemented => Code::Unimplemented,
        Kind::Internal => Code::Internal,
    }
}

fn kind_of(code: Code) -> Kind {
    match code {
        Code::InvalidArgument => Kind::Invalid,
        Code::OutOfRange => Kind::OutOfRange,
        Code::NotFound => Kind::NotFound,
        Code::AlreadyExists => Kind::AlreadyExists,
        Code::FailedPrecondition => Kind::Precondition,
        Code::Aborted => Kind::Conflict,
        Code::Unauthenticated => Kind::Unauthenticated,
        Code::PermissionDenied => Kind::Denied,
        Code::ResourceExhausted => Kind::Exhausted,
        Code::Unavailable => Kind::Unavailable,
        Code::DeadlineExceeded => Kind::Deadline,
        Code::Cancelled => Kind::Cancelled,
        Code::Unimplemented => Kind::Unimplemented,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Kind::Internal,
    }
}

/// The reason when the other side named none of ours.
fn fallback(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => reason::INVALID_FIELDS,
        Kind::OutOfRange => reason::OUT_OF_RANGE,
        Kind::NotFound => reason::RESOURCE_NOT_FOUND,
        Kind::AlreadyExists => reason::ALREADY_EXISTS,
        Kind::Precondition => reason::INVALID_TRANSITION,
        Kind::Conflict => reason::CONTENTION,
        Kind::Unauthenticated => reason::UNAUTHENTICATED,
        Kind::Denied => reason::PERMISSION_DENIED,
        Kind::Exhausted => reason::OVERLOADED,
        Kind::Unavailable => reason::PEER_UNAVAILABLE,
        Kind::Deadline => reason::DEADLINE_EXCEEDED,
        Kind::Cancelled => reason::CANCELLED,
        Kind::Unimplemented => reason::UNKNOWN_METHOD,
        Kind::Internal => reason::INTERNAL,
    }
}

fn known(name: &str) -> Option<&'static str> {
    reason::ALL.iter().copied().find(|reason| *reason == name)
}

fn violation(violation: &Violation) -> FieldViolation {
    FieldViolation {
        field: cut(&violation.field),
        description: cut(&violation.description),
        reason: violation.reason.to_owned(),
        localized_message: None,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_connection_that_breaks_is_a_service_that_is_away() {
        let broken = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "gone");
        assert_eq!(error_of(Status::from_error(Box::new(broken))).kind, Kind::Unavailable);
        assert_eq!(error_of(Status::unknown("somebody else said so")).kind, Kind::Internal);
    }

    #[test]
    fn an_error_survives_the_way_there_and_back() {
        let error = Error::new(Kind::Precondition, reason::INVALID_TRANSITION, "case is closed")
            .with("name", "cases/1")
            .with("state", "CLOSED");
        let back = error_of(status(error.clone()));
        assert_eq!(status(error.clone()).code(), Code::FailedPrecondition);
        assert_eq!(back.reason, error.reason);
        assert_eq!(back.message, error.message);
        assert_eq!(back.metadata, error.metadata);
    }

    #[test]
    fn violations_and_retry_survive() {
        let error = Error::invalid(vec![Violation {
            field: "contact_media[2].value".into(),
            reason: reason::TOO_LONG,
            description: "must not be longer than 200".into(),
        }]);
        let back = error_of(status(error));
        assert_eq!(back.violations.len(), 1);
        assert_eq!(back.violations[0].field, "contact_media[2].value");
        assert_eq!(back.violations[0].reason, reason::TOO_LONG);

        let mut error = Error::new(Kind::Exhausted, reason::QUEUE_FULL, "more writes wait than the queue holds");
        error.retry_after = Some(Duration::from_millis(250));
        assert_eq!(error_of(status(error)).retry_after, Some(Duration::from_millis(250)));
    }

    #[test]
    fn a_fault_of_ours_is_masked() {
        let error = Error::new(Kind::Internal, reason::INTERNAL, "select * from party failed").with("table", "party");
        let status = status(error);
        assert_eq!(status.message(), "internal error");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata.keys().collect::<Vec<_>>(), ["error_id"]);
        let id = status.metadata().get(header::ERROR_ID).unwrap().to_str().unwrap();
        assert_eq!(info.metadata["error_id"], id);
    }

    #[test]
    fn what_tonic_says_about_bad_bytes_is_the_callers_fault() {
        for code in [Code::Internal, Code::InvalidArgument, Code::Unknown] {
            assert_eq!(received(Status::new(code, "protocol error")).reason, reason::UNDECODABLE_MESSAGE);
        }
        assert_eq!(received(Status::out_of_range("too large")).reason, reason::MESSAGE_TOO_LARGE);
    }

    #[test]
    fn a_transport_failure_is_unavailable_and_keeps_its_cause() {
        let error = error_of(Status::unavailable("tcp connect error: 10.0.0.3:50051"));
        assert!(matches!(error.kind, Kind::Unavailable));
        assert!(!error.message.contains("10.0.0.3"));
        assert!(error.source.is_some());
        assert_eq!(error.retry_after, Some(RETRY));
    }

    #[test]
    fn long_texts_are_cut() {
        let error = Error::new(Kind::NotFound, reason::RESOURCE_NOT_FOUND, "ä".repeat(10_000));
        assert!(status(error).message().chars().count() <= TEXT_MAX + 1);
    }
}
