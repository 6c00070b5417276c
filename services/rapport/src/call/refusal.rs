//! A refusal of the server, for eyes and for scripts.

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::failure::Failure;

/// The exit codes, as `--help` documents them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server failed, or the answer could not be written
  2  the command line or the JSON is not valid; nothing was sent
  3  INVALID_ARGUMENT, OUT_OF_RANGE
  4  NOT_FOUND
  5  UNAUTHENTICATED, PERMISSION_DENIED
  6  FAILED_PRECONDITION, ABORTED, ALREADY_EXISTS
  7  UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED: the same call may succeed later";

/// The exit code for a refusal.
pub(crate) fn exit_code(code: Code) -> u8 {
    match code {
        Code::InvalidArgument | Code::OutOfRange => 3,
        Code::NotFound => 4,
        Code::Unauthenticated | Code::PermissionDenied => 5,
        Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => 6,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => 7,
        _ => 1,
    }
}

/// The code's name as the contract writes it: `INVALID_ARGUMENT`.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The refusal as lines: code and message, reason and domain, metadata, each violation, when to try again.
pub(crate) fn failure(status: &Status, address: &str) -> Failure {
    let details = status.get_error_details();
    let mut lines = Vec::new();
    if let Some(info) = details.error_info() {
        lines.push(format!("reason: {} (domain {})", info.reason, info.domain));
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        lines.extend(metadata.into_iter().map(|(key, value)| format!("metadata: {key} = {value}")));
    }
    for violation in details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default() {
        let reason = if violation.reason.is_empty() { String::new() } else { format!(" ({})", violation.reason) };
        lines.push(format!("field: {}: {}{reason}", violation.field, violation.description));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        lines.push(format!("retry after: {delay:?}"));
    }
    let mut message = status.message().to_owned();
    // What the transport says has its cause below it: connection refused.
    if details.error_info().is_none() && status.source().is_some() {
        lines.push(format!("address: {address}"));
        let mut cause = status.source();
        while let Some(error) = cause {
            if error.source().is_none() {
                message = format!("{message}: {error}");
            }
            cause = error.source();
        }
    }
    let code = match status.code() {
        // The connection broke under the call; the transport cannot know what became of it.
        Code::Unknown if details.error_info().is_none() && status.source().is_some() => Code::Unavailable,
        code => code,
    };
    Failure::lines(exit_code(code), format!("{}: {message}", code_name(code)), lines.into_iter())
}
