use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use http::Response;
use rapport_types::error::Error;
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use tonic::body::Body;

use super::places::Places;
use super::{Flow, Layer, Next, refuse};
use crate::method::Requirement;
use crate::metrics::Metrics;

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

/// Keeps one tenant's flood from the others: what is over its quota is refused before any work is done for it, and of the
/// places for streams it gets its share. What services ask for is not counted: the call that caused it was, and a service
/// that cannot hear another because clients took all places would leave everybody with old facts.
pub(super) struct Quota {
    limiter: Option<DefaultKeyedRateLimiter<TenantId>>,
    clock: DefaultClock,
    places: Arc<Places>,
    metrics: Arc<Metrics>,
}

impl Quota {
    /// `streams` may be open at once, `share` of them by one tenant; 0 is half.
    pub(super) fn new(options: Option<QuotaOptions>, streams: usize, share: usize, metrics: &Arc<Metrics>) -> Quota {
        let limiter = options.map(|options| {
            let quota = governor::Quota::per_second(options.requests_per_second).allow_burst(options.burst);
            RateLimiter::keyed(quota)
        });
        let places = Places::new(streams, share);
        let (all, limit) = places.all();
        metrics.watch_streams(all, limit);
        Quota { limiter, clock: DefaultClock::default(), places, metrics: Arc::clone(metrics) }
    }

    fn over(&self, tenant: &TenantId) -> Option<Error> {
        let not_until = self.limiter.as_ref()?.check_key(tenant).err()?;
        let wait = not_until.wait_time_from(self.clock.now()).max(SOON);
        Some(Error::exhausted(reason::TENANT_QUOTA, "the tenant has used up its calls for the moment", wait))
    }
}

impl Layer for Quota {
    const NAME: &'static str = "quota";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let open = flow.method.is_some_and(|method| method.requirement == Requirement::Open);
        let Some(principal) = flow.principal.as_ref().filter(|principal| !open && !principal.service) else {
            return next.run(flow).await;
        };
        if let Some(error) = self.over(&principal.tenant) {
            return refuse(error);
        }
        if flow.is_stream() && !flow.inside.as_ref().is_some_and(|inside| inside.admitted) {
            match self.places.take(&principal.tenant) {
                // Held until the stream ends, which is after this layer returns.
                Ok(place) => flow.place = Some(place),
                Err(error) => {
                    self.metrics.count_shed();
                    return refuse(error);
                }
            }
        }
        next.run(flow).await
    }
}
