//! The names of the headers (gRPC metadata) that carry what is not in a message, and how positions are written there.

use http::HeaderMap;
use rapport_types::error::Error;
use rapport_types::reason;

/// How many positions one call may ask for.
const MOST: usize = 8;

/// Names a request in logs: taken from the caller when it is short and plain, made here otherwise; always echoed.
pub const REQUEST_ID: &str = "x-request-id";
/// The W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The caller's remaining time, as gRPC defines it.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The credential: `Bearer TOKEN`.
pub const AUTHORIZATION: &str = "authorization";
/// The tenant on whose behalf a service principal calls; ignored from anybody else.
pub const TENANT: &str = "rapport-tenant";
/// In the reply to a write: `service@position`, the place of its events in the service's feed.
pub const POSITION: &str = "rapport-position";
/// In the reply to a write: `true` if the answer is that of an earlier request with the same request_id.
pub const REPLAYED: &str = "rapport-replayed";
/// In a request: `service@position`, what the answer must know of at least. Several are separated by commas.
pub const AT_LEAST: &str = "rapport-at-least";
/// In a reply: `service@position`, the newest position known when `rapport-at-least` was not reached in time.
pub const STALE: &str = "rapport-stale";
/// In an INTERNAL error: the number under which the fault is in the server's log.
pub const ERROR_ID: &str = "rapport-error-id";

/// The positions that a caller wants an answer to know of at least, by service.
///
/// # Errors
/// Invalid: what is not `service@position`, or more than 8 of them.
pub fn positions(headers: &HeaderMap) -> Result<Vec<(String, i64)>, Error> {
    let bad = || {
        Error::field(
            AT_LEAST,
            reason::MALFORMED,
            "must be service@position as a reply gave it, several separated by commas",
        )
    };
    let mut wanted = Vec::new();
    for value in headers.get_all(AT_LEAST) {
        for item in value.to_str().map_err(|_| bad())?.split(',') {
            let (service, position) = item.trim().split_once('@').ok_or_else(bad)?;
            let position: i64 = position.parse().map_err(|_| bad())?;
            if service.is_empty() || position < 0 || wanted.len() == MOST {
                return Err(bad());
            }
            wanted.push((service.to_owned(), position));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Result<Vec<(String, i64)>, Error> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AT_LEAST, HeaderValue::from_static(value));
        }
        positions(&headers)
    }

    #[test]
    fn positions_are_read_and_junk_is_refused() {
        assert_eq!(of(&["stakeholders@7, interactions@9"]).unwrap().len(), 2);
        assert_eq!(of(&["stakeholders@7", "interactions@9"]).unwrap()[1], ("interactions".to_owned(), 9));
        for junk in ["", "stakeholders", "@7", "a@-1", "a@x", "a@1,,b@2", "a@99999999999999999999"] {
            assert_eq!(of(&[junk]).unwrap_err().violations[0].field, AT_LEAST, "{junk}");
        }
        assert!(of(&["a@1,a@1,a@1,a@1,a@1,a@1,a@1,a@1,a@1"]).is_err());
    }
}
