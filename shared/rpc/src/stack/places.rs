use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::RETRY;

/// The places for streams. A stream may stay open for ever, so unlike a call it is no matter of time until its place is
/// free: a tenant that may take all of them could keep everybody else out.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    limit: usize,
    /// How many one tenant may hold.
    share: usize,
    held: Mutex<HashMap<TenantId, usize>>,
}

/// The place of one stream, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    tenant: TenantId,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// As many as `limit`, of which one tenant may hold `share`; 0 is half.
    pub(super) fn new(limit: usize, share: usize) -> Arc<Places> {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let share = if share == 0 { (limit / 2).max(1) } else { share };
        Arc::new(Places { all: Arc::new(Semaphore::new(limit)), limit, share, held: Mutex::default() })
    }

    /// The places of all tenants, and how many there are.
    pub(super) fn all(&self) -> (Arc<Semaphore>, usize) {
        (Arc::clone(&self.all), self.limit)
    }

    /// A place for a stream of this tenant.
    pub(super) fn take(self: &Arc<Self>, tenant: &TenantId) -> Result<Place, Error> {
        let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() else {
            let text = "as many streams are open as this process serves at once";
            return Err(Error::new(Kind::Exhausted, reason::OVERLOADED, text).retry(RETRY));
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = held.entry(tenant.clone()).or_default();
        if *of_tenant >= self.share {
            let text = "the tenant has as many streams open as it may";
            return Err(Error::exhausted(reason::TENANT_QUOTA, text, RETRY));
        }
        *of_tenant += 1;
        Ok(Place { places: Arc::clone(self), tenant: tenant.clone(), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = held.get_mut(&self.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn nobody_takes_all_and_nothing_is_kept_of_who_left() {
        let places = Places::new(5, 0);
        let (acme, globex) = (TenantId::parse("acme").unwrap(), TenantId::parse("globex").unwrap());
        let held: Vec<Place> = (0..2).map(|_| places.take(&acme).unwrap()).collect();
        assert_eq!(places.take(&acme).unwrap_err().reason, reason::TENANT_QUOTA);
        assert_eq!(places.all.available_permits(), 3, "who is refused holds nothing");
        let others: Vec<Place> = (0..2).map(|_| places.take(&globex).unwrap()).collect();
        let last = places.take(&TenantId::local()).unwrap();
        assert_eq!(places.take(&TenantId::parse("late").unwrap()).unwrap_err().reason, reason::OVERLOADED);
        drop(held);
        places.take(&acme).unwrap();
        drop((others, last));
        assert!(places.held.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), 5);
    }

    #[test]
    fn a_share_is_half_unless_it_is_said() {
        for (limit, share, expected) in [(1, 0, 1), (1024, 0, 512), (10, 7, 7), (10, 99, 99)] {
            assert_eq!(Places::new(limit, share).share, expected, "{limit} {share}");
        }
    }
}
