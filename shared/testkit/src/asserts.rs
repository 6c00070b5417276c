//! Asserts on replies.

use std::collections::BTreeMap;

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// Asserts that a call failed with a code and a reason, and gives the status.
///
/// `assert_reason!(client.get_party(request).await, Code::NotFound, "RESOURCE_NOT_FOUND")`
#[macro_export]
macro_rules! assert_reason {
    ($result:expr, $code:expr, $reason:expr $(,)?) => {
        match $result {
            Ok(reply) => panic!("expected {:?} {}, got {:?}", $code, $reason, reply),
            Err(status) => {
                let status: $crate::asserts::TonicStatus = status.into();
                let reason = $crate::asserts::reason(&status);
                assert!(
                    status.code() == $code && reason.as_deref() == Some($reason),
                    "expected {:?} {}, got {:?} {:?}: {} {:?}",
                    $code,
                    $reason,
                    status.code(),
                    reason,
                    status.message(),
                    $crate::asserts::violations(&status),
                );
                status
            }
        }
    };
}

pub use tonic::Status as TonicStatus;

/// The reason in a status's details.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The metadata in a status's details.
pub fn error_metadata(status: &Status) -> BTreeMap<String, String> {
    status.get_details_error_info().map(|info| info.metadata.into_iter().collect()).unwrap_or_default()
}

/// The field violations in a status's details: path and description.
pub fn violations(status: &Status) -> Vec<(String, String)> {
    status
        .get_details_bad_request()
        .map(|bad| bad.field_violations.into_iter().map(|found| (found.field, found.description)).collect())
        .unwrap_or_default()
}

/// The paths of the fields that a status complains of, sorted.
pub fn violated_fields(status: &Status) -> Vec<String> {
    let mut fields: Vec<String> = violations(status).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    fields
}

/// The positions in the metadata of a reply (`rapport-position: stakeholders@12`).
pub fn positions(metadata: &MetadataMap) -> BTreeMap<String, i64> {
    metadata
        .get_all("rapport-position")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|place| {
            let (service, position) = place.trim().split_once('@')?;
            Some((service.to_owned(), position.parse().ok()?))
        })
        .collect()
}

/// The position of one service in the metadata of a reply.
///
/// # Panics
/// If the reply carries none.
pub fn position(metadata: &MetadataMap, service: &str) -> i64 {
    *positions(metadata).get(service).unwrap_or_else(|| panic!("no position of {service} in {metadata:?}"))
}

/// Whether the reply is that of an earlier call with the same request_id.
pub fn is_replayed(metadata: &MetadataMap) -> bool {
    metadata.get("rapport-replayed").is_some_and(|value| value == "true")
}

/// A request whose answer must know of these positions (`rapport-at-least`).
pub fn at_least<T>(message: T, positions: &BTreeMap<String, i64>) -> Request<T> {
    let mut request = Request::new(message);
    let places: Vec<String> = positions.iter().map(|(service, position)| format!("{service}@{position}")).collect();
    if !places.is_empty() {
        request.metadata_mut().insert("rapport-at-least", places.join(",").parse().expect("plain text"));
    }
    request
}

/// A request that carries a token.
pub fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a plain token"));
    request
}

/// Puts a token on every call of a client: `PartyServiceClient::with_interceptor(channel, Bearer::new("token"))`.
#[derive(Clone, Debug)]
pub struct Bearer(tonic::metadata::AsciiMetadataValue);

impl Bearer {
    /// The token as it stands in the configuration.
    pub fn new(token: &str) -> Bearer {
        Bearer(format!("Bearer {token}").parse().expect("a plain token"))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_and_asked_for() {
        let mut metadata = MetadataMap::new();
        metadata.insert("rapport-position", "stakeholders@12, interactions@7".parse().unwrap());
        let found = positions(&metadata);
        assert_eq!(found["stakeholders"], 12);
        assert_eq!(position(&metadata, "interactions"), 7);
        let request = at_least((), &found);
        assert_eq!(request.metadata().get("rapport-at-least").unwrap(), "interactions@7,stakeholders@12");
        assert_eq!(with_token((), "t0").metadata().get("authorization").unwrap(), "Bearer t0");
    }
}
