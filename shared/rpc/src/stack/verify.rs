use std::sync::Arc;

use http::{Request, Response};
use rapport_types::tenant::{Principal, TenantId};
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::authentication::Authentication;
use crate::call::unauthenticated;
use crate::header;
use crate::method::Requirement;

/// Finds out who calls. One answer for everything that is wrong with a credential, before anything else is looked at.
pub(super) struct Verify {
    authentication: Authentication,
}

impl Verify {
    pub(super) fn new(authentication: Authentication) -> Verify {
        Verify { authentication }
    }
}

impl Layer for Verify {
    const NAME: &'static str = "authentication";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let found = match &flow.inside {
            Some(inside) => Some(Arc::clone(&inside.principal)),
            None => self.authentication.principal(flow.request.headers()),
        };
        match found {
            Some(principal) if principal.service => match on_behalf(principal, &flow.request) {
                Some(principal) => flow.principal = Some(principal),
                None => return refuse(unauthenticated()),
            },
            Some(principal) => flow.principal = Some(principal),
            None if flow.method.is_some_and(|method| method.requirement == Requirement::Open) => {}
            None => return refuse(unauthenticated()),
        }
        next.run(flow).await
    }
}

/// A service acts for the tenant it names; nobody else may name one, so the header is not even read for others.
fn on_behalf(principal: Arc<Principal>, request: &Request<Body>) -> Option<Arc<Principal>> {
    let Some(value) = request.headers().get(header::TENANT) else {
        return Some(principal);
    };
    let tenant = TenantId::parse(value.to_str().ok()?).ok()?;
    if principal.tenant == tenant {
        return Some(principal);
    }
    Some(Arc::new(Principal { tenant, ..Principal::clone(&principal) }))
}
