use std::time::{Duration, Instant};

use http::{HeaderValue, Response};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::header;

/// Gives every unary call an end: the caller's `grpc-timeout`, within bounds. A stream has the one its caller names and
/// none otherwise.
pub(super) struct Deadline {
    default: Duration,
    max: Duration,
}

impl Deadline {
    pub(super) fn new(default: Duration, max: Duration) -> Deadline {
        Deadline { default, max }
    }
}

impl Layer for Deadline {
    const NAME: &'static str = "deadline";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let wanted = match flow.request.headers().get(header::GRPC_TIMEOUT).map(parse) {
            Some(None) => {
                return refuse(Error::field(
                    header::GRPC_TIMEOUT,
                    reason::MALFORMED,
                    "must be at most eight digits and one of H, M, S, m, u, n",
                ));
            }
            Some(wanted) => wanted,
            None => None,
        };
        let streaming = flow.is_stream();
        let limit = if streaming { wanted } else { Some(wanted.unwrap_or(self.default).min(self.max)) };
        let Some(deadline) = limit.and_then(|limit| flow.started.checked_add(limit)) else {
            return next.run(flow).await;
        };
        flow.deadline = Some(deadline);
        match tokio::time::timeout_at(deadline.into(), next.run(flow)).await {
            Ok(response) => response,
            Err(_) => refuse(passed()),
        }
    }
}

pub(super) fn passed() -> Error {
    Error::new(Kind::Deadline, reason::DEADLINE_EXCEEDED, "the call's time was up before it was done")
}

/// How long a call without a deadline counts as lasting.
pub(super) fn far(from: Instant) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    from.checked_add(YEAR).unwrap_or(from)
}

/// The gRPC form: at most eight digits and a unit.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_read_as_grpc_writes_it() {
        let of = |text: &'static str| parse(&HeaderValue::from_static(text));
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(of("1u"), Some(Duration::from_micros(1)));
        for bad in ["", "m", "10", "-1S", "123456789S", "1.5S", "1s"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
