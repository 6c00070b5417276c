use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use rapport_store::{Committed, Scope};
use rapport_types::error::{Error, Kind};
use rapport_types::reason;
use rapport_types::tenant::{Principal, TenantId};
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::access::{Access, denied};
use crate::{header, status, wire};

/// What a generated handler returns.
pub type Reply<T> = Result<Response<T>, Status>;

/// Who calls, for which tenant and until when: made by the stack after authentication, never by the caller.
#[derive(Clone, Debug)]
pub struct Call {
    /// The verified caller. For a service that acts for a tenant, the tenant is that one.
    pub principal: Arc<Principal>,
    /// When the caller stops waiting. Streams without a `grpc-timeout` have one far in the future.
    pub deadline: Instant,
    /// The W3C trace context, if the caller sent one or traces are on.
    pub traceparent: Option<String>,
    /// The method's path, for example `/rapport.stakeholders.v1.PartyService/GetParty`.
    pub method: &'static str,
    access: Access,
}

impl Call {
    /// A call of `principal`, whose roles grant what `access` says, without a trace. The stack makes it for every
    /// request; a test may make its own.
    pub fn new(principal: Arc<Principal>, access: Access, deadline: Instant, method: &'static str) -> Call {
        Call { principal, deadline, traceparent: None, method, access }
    }

    /// The call a request belongs to.
    ///
    /// # Errors
    /// Unauthenticated if the request did not pass the stack: a handler is never reachable without it.
    pub fn of<T>(request: &Request<T>) -> Result<Call, Error> {
        request.extensions().get::<Call>().cloned().ok_or_else(unauthenticated)
    }

    /// The tenant whose data the call sees and changes.
    pub fn tenant(&self) -> &TenantId {
        &self.principal.tenant
    }

    /// Whether the caller's roles grant a permission such as `stakeholders.parties.write`: for a request that does
    /// more than its method's own permission covers. Services of the suite may do everything.
    pub fn allows(&self, permission: &str) -> bool {
        self.access.grants(&self.principal.roles, permission)
    }

    /// Refuses a caller whose roles do not grant a permission, as the stack does for the method's own.
    ///
    /// # Errors
    /// Denied `PERMISSION_DENIED`, with the permission in the metadata.
    pub fn require(&self, permission: &str) -> Result<(), Error> {
        if self.allows(permission) { Ok(()) } else { Err(denied(permission)) }
    }

    /// How long the caller still waits.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(tokio::time::Instant::now().into_std())
    }

    /// What the store needs to know of a write: who asks, and how a repeated request is recognised.
    /// `method` is the name under which repeats are remembered; [`Call::method`] will do.
    ///
    /// # Errors
    /// Invalid if `request_id` is neither empty nor a UUID.
    pub fn scope<M: Message>(&self, method: &'static str, request_id: &str, body: &M) -> Result<Scope, Error> {
        let request_id = wire::request_id(request_id).map_err(|wrong| {
            // Said as the error's own reason too: clients watch for it.
            let mut error = wrong.at("request_id");
            error.reason = reason::INVALID_REQUEST_ID;
            error
        })?;
        // Nobody asks for the fingerprint of a request that cannot be repeated.
        let fingerprint = match request_id {
            Some(_) => Sha256::digest(body.encode_to_vec()).into(),
            None => [0; 32],
        };
        Ok(Scope {
            tenant: self.principal.tenant.clone(),
            principal: self.principal.name.clone(),
            method,
            request_id,
            fingerprint,
            traceparent: self.traceparent.clone(),
        })
    }

    /// A request to another service on behalf of this call: same tenant, same trace, the time that is left.
    pub fn request<T>(&self, message: T) -> Request<T> {
        outgoing(self.tenant(), self.remaining(), self.traceparent.as_deref(), message)
    }
}

/// A request that a service makes for `tenant` on its own account, for example in a consumer. The callee stops working
/// on it after `timeout`.
pub fn outgoing<T>(tenant: &TenantId, timeout: Duration, traceparent: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    let metadata = request.metadata_mut();
    if let Ok(value) = MetadataValue::try_from(tenant.to_string()) {
        metadata.insert(header::TENANT, value);
    }
    if let Some(value) = traceparent.and_then(|text| MetadataValue::try_from(text).ok()) {
        metadata.insert(header::TRACEPARENT, value);
    }
    request
}

/// Runs a handler with its call and maps its error, once for all handlers:
/// `handle(request, |call, request| async move { … }).await`.
///
/// # Errors
/// The handler's error as a status.
pub async fn handle<Q, P, F, Fut>(request: Request<Q>, handler: F) -> Reply<P>
where
    F: FnOnce(Call, Q) -> Fut,
    Fut: Future<Output = Result<Response<P>, Error>>,
{
    let (_, mut extensions, message) = request.into_parts();
    let call = extensions.remove::<Call>().ok_or_else(|| status(unauthenticated()))?;
    handler(call, message).await.map_err(status)
}

/// The answer to a write: its reply, where its events are in the service's feed (`rapport-position`), and whether it is
/// that of an earlier request (`rapport-replayed`).
pub fn written<T, P>(service: &str, committed: Committed<T>, into: impl FnOnce(T) -> P) -> Response<P> {
    let mut response = Response::new(into(committed.reply));
    let metadata = response.metadata_mut();
    if let Ok(value) = MetadataValue::try_from(format!("{service}@{}", committed.position)) {
        metadata.insert(header::POSITION, value);
    }
    if committed.replayed {
        metadata.insert(header::REPLAYED, MetadataValue::from_static("true"));
    }
    response
}

/// The one answer to every missing, wrong or expired credential.
pub(crate) fn unauthenticated() -> Error {
    Error::new(Kind::Unauthenticated, reason::UNAUTHENTICATED, "the call carries no valid credential")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::Pattern;
    use crate::method::Methods;

    fn call_of(role: &str, custom: &BTreeMap<String, Vec<Pattern>>) -> Call {
        let principal = Principal {
            tenant: TenantId::parse("acme").unwrap(),
            name: "users/ana".into(),
            roles: vec![role.into()],
            service: false,
        };
        let access = Access::new(&Methods::of_contract().unwrap(), custom);
        let deadline = Instant::now() + Duration::from_secs(5);
        Call::new(Arc::new(principal), access, deadline, "/rapport.events.v1.EventService/Subscribe")
    }

    fn call() -> Call {
        let mut call = call_of("agent", &BTreeMap::new());
        call.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        call
    }

    #[test]
    fn a_handler_may_ask_for_more_than_the_methods_permission() {
        let custom = BTreeMap::from([("desk".to_owned(), vec!["stakeholders.parties.*".parse().unwrap()])]);
        for (role, read, write) in [
            ("admin", true, true),
            ("service", true, true),
            ("agent", true, true),
            ("reader", true, false),
            ("desk", true, true),
            ("nobody", false, false),
        ] {
            let call = call_of(role, &custom);
            assert_eq!(call.allows("stakeholders.parties.read"), read, "{role}");
            assert_eq!(call.require("stakeholders.parties.write").is_ok(), write, "{role}");
        }
        let error = call_of("reader", &custom).require("stakeholders.parties.write").unwrap_err();
        assert_eq!((error.kind, error.reason), (Kind::Denied, reason::PERMISSION_DENIED));
        assert_eq!(error.message, "none of the caller's roles grants stakeholders.parties.write");
        assert_eq!(error.metadata["permission"], "stakeholders.parties.write");
    }

    #[test]
    fn the_fingerprint_tells_bodies_apart_and_the_request_id_is_checked() {
        let id = "0198c2de-5a5e-7cc1-bd40-8de0c1c1a9f1";
        let one = call().scope("m", id, &"one".to_owned()).unwrap();
        let two = call().scope("m", id, &"two".to_owned()).unwrap();
        assert_ne!(one.fingerprint, two.fingerprint);
        assert_eq!(one.fingerprint, call().scope("m", id, &"one".to_owned()).unwrap().fingerprint);
        assert_eq!(one.principal, "users/ana");
        assert_eq!(call().scope("m", "", &"one".to_owned()).unwrap().request_id, None);
        let error = call().scope("m", "junk", &"one".to_owned()).unwrap_err();
        assert_eq!(error.violations[0].field, "request_id");
    }

    #[test]
    fn a_request_to_a_peer_carries_tenant_time_and_trace() {
        let request = call().request(());
        assert_eq!(request.metadata().get(header::TENANT).unwrap(), "acme");
        assert!(request.metadata().get(header::GRPC_TIMEOUT).is_some());
        assert!(request.metadata().get(header::TRACEPARENT).is_some());
    }

    #[tokio::test]
    async fn a_handler_is_not_reachable_without_the_stack() {
        let reply: Reply<()> = handle(Request::new(()), |_, ()| async { Ok(Response::new(())) }).await;
        assert_eq!(reply.unwrap_err().code(), tonic::Code::Unauthenticated);
    }

    #[test]
    fn a_write_says_where_its_events_are() {
        let response = written("scoring", Committed { reply: 1, position: 7, replayed: true }, |n| n + 1);
        assert_eq!(response.metadata().get(header::POSITION).unwrap(), "scoring@7");
        assert_eq!(response.metadata().get(header::REPLAYED).unwrap(), "true");
        assert_eq!(response.into_inner(), 2);
    }
}
