use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use http::Response;
use rapport_types::error::Error;
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::method::Requirement;

/// The next call may have become due while this one was refused: it is told to wait all the same.
const SOON: Duration = Duration::from_millis(1);

/// What a tenant may ask for in this process.
#[derive(Clone, Copy, Debug)]
pub struct QuotaOptions {
    /// Calls each second, streams counted when they are opened.
    pub requests_per_second: NonZeroU32,
    /// Calls at once after a rest.
    pub burst: NonZeroU32,
}

/// Keeps one tenant's flood from the others: what is over its quota is refused before any work is done for it.
/// Calls that services make for a tenant are not counted: the call that caused them was.
pub(super) struct Quota {
    limiter: Option<DefaultKeyedRateLimiter<TenantId>>,
    clock: DefaultClock,
}

impl Quota {
    pub(super) fn new(options: Option<QuotaOptions>) -> Quota {
        let limiter = options.map(|options| {
            let quota = governor::Quota::per_second(options.requests_per_second).allow_burst(options.burst);
            RateLimiter::keyed(quota)
        });
        Quota { limiter, clock: DefaultClock::default() }
    }
}

impl Layer for Quota {
    const NAME: &'static str = "quota";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let open = flow.method.is_some_and(|method| method.requirement == Requirement::Open);
        if let (Some(limiter), Some(principal), false) = (&self.limiter, &flow.principal, open)
            && !principal.service
            && let Err(not_until) = limiter.check_key(&principal.tenant)
        {
            let wait = not_until.wait_time_from(self.clock.now()).max(SOON);
            let text = "the tenant has used up its calls for the moment";
            return refuse(Error::exhausted(reason::TENANT_QUOTA, text, wait));
        }
        next.run(flow).await
    }
}
