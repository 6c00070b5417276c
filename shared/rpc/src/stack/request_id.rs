use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue, Response};
use tonic::body::Body;
use uuid::Uuid;

use super::{Flow, Layer, Next};
use crate::header;

const NAME: HeaderName = HeaderName::from_static(header::REQUEST_ID);
const LONGEST: usize = 64;

/// Gives every call a name under which logs and callers can speak of it.
pub(super) struct RequestId {
    /// Tells processes apart; the counter tells their calls apart, which costs less than a random number per call.
    process: u32,
    next: AtomicU64,
}

impl RequestId {
    pub(super) fn new() -> RequestId {
        RequestId { process: Uuid::new_v4().as_fields().0, next: AtomicU64::new(0) }
    }

    fn make(&self) -> Option<HeaderValue> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:08x}-{number:x}", self.process)).ok()
    }
}

impl Layer for RequestId {
    const NAME: &'static str = "request id";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        // What the caller sends goes into logs, so only plain text is taken over.
        let given = flow.request.headers().get(&NAME).filter(|value| is_plain(value)).cloned();
        flow.request_id = given.or_else(|| self.make());
        let mut response = next.run(&mut *flow).await;
        if let Some(id) = &flow.request_id {
            response.headers_mut().insert(NAME, id.clone());
        }
        response
    }
}

fn is_plain(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=LONGEST).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
