use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rapport_types::tenant::{Principal, TenantId};

use crate::authentication::SERVICE_ROLE;
use crate::transport::{Local, Transport};

/// Finds the other services: in this process, at a configured address, or not at all.
#[derive(Clone, Debug)]
pub struct Peers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    principal: Arc<Principal>,
    local: Local,
    hosted: BTreeSet<String>,
    network: BTreeMap<String, Transport>,
}

impl Peers {
    /// The peers of the service `caller`, which calls as `services/{caller}`. `hosted` are the services of this
    /// process, `network` the transports to others, with their tokens.
    pub fn new(
        caller: &str,
        local: Local,
        hosted: impl IntoIterator<Item = String>,
        network: BTreeMap<String, Transport>,
    ) -> Peers {
        let principal = Arc::new(Principal {
            tenant: TenantId::local(),
            name: format!("services/{caller}"),
            roles: vec![SERVICE_ROLE.to_owned()],
            service: true,
        });
        Peers { inner: Arc::new(Inner { principal, local, hosted: hosted.into_iter().collect(), network }) }
    }

    /// The way to a service. In process it carries the caller's service principal and skips admission. A service that
    /// is nowhere answers UNAVAILABLE.
    pub fn transport(&self, service: &str) -> Transport {
        if self.inner.hosted.contains(service) {
            return Transport::local(self.inner.local.clone()).with_service(Arc::clone(&self.inner.principal));
        }
        match self.inner.network.get(service) {
            Some(transport) => transport.clone(),
            None => Transport::nowhere(service),
        }
    }

    /// Whether the service runs in this process or has an address.
    pub fn knows(&self, service: &str) -> bool {
        self.inner.hosted.contains(service) || self.inner.network.contains_key(service)
    }
}
