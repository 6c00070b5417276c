use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Response};
use rapport_events::{Cursors, Freshness};
use rapport_types::error::Error;
use rapport_types::reason;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::header;
use crate::metrics::Metrics;

/// How many positions one call may ask for.
const MOST: usize = 8;

/// Lets a caller read its own write across services: `rapport-at-least: service@position` waits until the called
/// service has applied that much of the other's feed. If the deadline comes near first, the call is answered all the
/// same and says how far it knows (`rapport-stale`).
pub(super) struct AtLeast {
    cursors: HashMap<String, Cursors>,
    metrics: Arc<Metrics>,
}

impl AtLeast {
    pub(super) fn new(cursors: HashMap<String, Cursors>, metrics: &Arc<Metrics>) -> AtLeast {
        AtLeast { cursors, metrics: Arc::clone(metrics) }
    }
}

impl Layer for AtLeast {
    const NAME: &'static str = "at-least";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        if !flow.request.headers().contains_key(header::AT_LEAST) {
            return next.run(flow).await;
        }
        let wanted = match parse(flow.request.headers()) {
            Ok(wanted) => wanted,
            Err(error) => return refuse(error),
        };
        let mut stale = Vec::new();
        if let Some(module) = flow.method.map(|method| method.module)
            && let Some(cursors) = self.cursors.get(module)
        {
            let until = wait_until(flow);
            for (source, position) in wanted {
                // A service sees its own rows at once.
                if source == module {
                    continue;
                }
                if let Freshness::Behind { position } = cursors.wait(&source, position, until).await {
                    stale.push(format!("{source}@{position}"));
                }
            }
        }
        let mut response = next.run(flow).await;
        if !stale.is_empty() {
            self.metrics.count_stale();
            if let Ok(value) = HeaderValue::try_from(stale.join(",")) {
                response.headers_mut().insert(header::STALE, value);
            }
        }
        response
    }
}

/// A fifth of the time that is left stays for the answer itself.
fn wait_until(flow: &Flow) -> Instant {
    let now = Instant::now();
    let left = flow.deadline.map_or(Duration::from_secs(10), |deadline| deadline.saturating_duration_since(now));
    now + left.mul_f64(0.8)
}

fn parse(headers: &HeaderMap) -> Result<Vec<(String, i64)>, Error> {
    let bad = || {
        Error::field(
            header::AT_LEAST,
            reason::MALFORMED,
            "must be service@position as a reply gave it, several separated by commas",
        )
    };
    let mut wanted = Vec::new();
    for value in headers.get_all(header::AT_LEAST) {
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
    use super::*;

    fn of(values: &[&'static str]) -> Result<Vec<(String, i64)>, Error> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AT_LEAST, HeaderValue::from_static(value));
        }
        parse(&headers)
    }

    #[test]
    fn positions_are_read_and_junk_is_refused() {
        assert_eq!(of(&["stakeholders@7, interactions@9"]).unwrap().len(), 2);
        assert_eq!(of(&["stakeholders@7", "interactions@9"]).unwrap()[1], ("interactions".to_owned(), 9));
        for junk in ["", "stakeholders", "@7", "a@-1", "a@x", "a@1,,b@2", "a@99999999999999999999"] {
            assert_eq!(of(&[junk]).unwrap_err().violations[0].field, header::AT_LEAST, "{junk}");
        }
        assert!(of(&["a@1,a@1,a@1,a@1,a@1,a@1,a@1,a@1,a@1"]).is_err());
    }
}
