use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use super::deadline::far;
use super::{Flow, Next, refuse};
use crate::access::Access;
use crate::call::Call;
use crate::encoded::Encoded;
use crate::front::Unspoken;
use crate::method::Methods;
use crate::services::{Dispatch, Services};
use crate::status::{refusal, unknown_method};

/// Hands the call to the generated server of its method.
pub(super) struct Handler {
    by_method: Vec<Option<Dispatch>>,
    access: Access,
}

impl Handler {
    pub(super) fn new(methods: &Methods, services: &Services, access: Access) -> Handler {
        Handler { by_method: methods.all().iter().map(|method| services.get(method.service)).collect(), access }
    }
}

impl Next for Handler {
    async fn run<'a>(&'a self, flow: &'a mut Flow) -> Response<Body> {
        let Some(method) = flow.method else {
            return refuse(unknown_method(flow.request.uri().path()));
        };
        let Some(dispatch) = self.by_method.get(method.index).and_then(Option::as_ref) else {
            return refuse(unknown_method(method.path));
        };
        let mut request = std::mem::take(&mut flow.request);
        if let Some(Unspoken(error)) = request.extensions_mut().remove::<Unspoken>() {
            return refuse(error);
        }
        if let Some(principal) = flow.principal.clone() {
            let deadline = flow.deadline.unwrap_or_else(|| far(flow.started));
            let mut call = Call::new(principal, self.access.clone(), deadline, method.path);
            call.traceparent.clone_from(&flow.traceparent);
            request.extensions_mut().insert(call);
        }
        match dispatch(request).await {
            Ok(response) => explained(Encoded::in_place(response)),
            Err(never) => match never {},
        }
    }

    fn names(&self, names: &mut Vec<&'static str>) {
        names.push("handler");
    }
}

/// Errors that a generated server gave itself (bytes that do not decode, a message too large) have no details and some
/// have a code that blames us: they are said in our words. Errors of handlers always have details.
fn explained(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let Some(value) = headers.get(Status::GRPC_STATUS) else {
        return response;
    };
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let code = Code::from_bytes(value.as_bytes());
    let message = headers.get(Status::GRPC_MESSAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match refusal(code, message) {
        Some(error) => refuse(error),
        None => response,
    }
}
