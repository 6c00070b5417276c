use http::Response;
use tonic::Code;
use tonic::body::Body;

use super::{Flow, Layer, Next, code_of};
use crate::header;

/// One line per call at debug level, and one at error level for each fault of ours. No personal data: method, code,
/// time, tenant and the caller's own name.
pub(super) struct AccessLog;

impl Layer for AccessLog {
    const NAME: &'static str = "access log";

    async fn call<'a, N: Next>(&'a self, flow: &'a mut Flow, next: &'a N) -> Response<Body> {
        let response = next.run(&mut *flow).await;
        let code = code_of(&response);
        if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
            let error_id = response.headers().get(header::ERROR_ID).and_then(|value| value.to_str().ok()).unwrap_or("");
            tracing::error!(
                target: "rapport::access",
                method = flow.path(),
                request_id = request_id(flow),
                error_id,
                code = code as i32,
                "call failed by a fault of the server"
            );
        } else if tracing::enabled!(target: "rapport::access", tracing::Level::DEBUG) {
            let principal = flow.principal.as_deref();
            tracing::debug!(
                target: "rapport::access",
                method = flow.path(),
                request_id = request_id(flow),
                code = code as i32,
                micros = flow.started.elapsed().as_micros() as u64,
                tenant = principal.map(|who| who.tenant.to_string()).unwrap_or_default(),
                principal = principal.map(|who| who.name.as_str()).unwrap_or_default(),
                inside = flow.inside.is_some(),
                "call"
            );
        }
        response
    }
}

fn request_id(flow: &Flow) -> &str {
    flow.request_id.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("")
}
