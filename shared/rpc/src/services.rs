use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tower::Service;

pub(crate) type Dispatch = Arc<dyn Fn(Request<Body>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// The generated servers of a process. The stack sends a call to the server of its method without searching: a
/// generated server's own future is used as it is, with no router and no box between.
#[derive(Clone, Default)]
pub struct Services {
    all: Vec<(&'static str, Dispatch)>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Services {
    /// Adds a generated server. Wrap it with [`sized!`](crate::sized) or [`bulk!`](crate::bulk) first.
    pub fn add_service<S>(&mut self, service: S) -> &mut Services
    where
        S: Service<
                Request<Body>,
                Response = Response<Body>,
                Error = Infallible,
                Future = BoxFuture<Response<Body>, Infallible>,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        // Generated servers are always ready, and a clone of one is a clone of an Arc.
        self.all.push((S::NAME, Arc::new(move |request| service.clone().call(request))));
        self
    }

    /// The full names of the services, in the order they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|(name, _)| *name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Dispatch> {
        self.all.iter().find(|(known, _)| *known == name).map(|(_, dispatch)| Arc::clone(dispatch))
    }
}
