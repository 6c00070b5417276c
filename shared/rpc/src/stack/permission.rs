use http::Response;
use tonic::body::Body;

use super::{Flow, Layer, Next, refuse};
use crate::access::{Access, denied};
use crate::method::Requirement;

/// Lets a caller reach only the methods that its roles grant. Denied is the default.
pub(super) struct Permission {
    access: Access,
}

impl Permission {
    pub(super) fn new(access: Access) -> Permission {
        Permission { access }
    }
}

impl Layer for Permission {
    const NAME: &'static str = "permission";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        // A method nobody knows has nothing behind it to protect: the handler says so.
        if let Some(method) = flow.method
            && let Requirement::Permission(permission) = method.requirement
        {
            let allowed = flow.principal.as_ref().is_some_and(|who| self.access.allows(&who.roles, method.index));
            if !allowed {
                return refuse(denied(permission));
            }
        }
        next.run(flow).await
    }
}
