//! The client of `DeskService`: asks who calls within a hard budget, and tells of calls.

use std::time::Duration;

use rapport_proto::interactions::v1::desk_service_client::DeskServiceClient;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::interactions::v1::{
    AgentContext, BeginCallRequest, Call, EndCallRequest, GetAgentContextRequest, Identifier, Medium,
};
use rapport_rpc::tls::ClientTls;
use rapport_rpc::{Transport, error_of};
use rapport_types::error::{Error, Kind};
use tokio::time::{Instant, timeout_at};
use tonic::Request;

/// How long telling Rapport of a call may take when nobody waits for it.
const TELLING: Duration = Duration::from_secs(5);
/// What Rapport takes as a budget, in milliseconds.
const LEAST_BUDGET: u64 = 10;
const MOST_BUDGET: u64 = 5_000;

/// What Rapport said within the budget.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The call as Rapport keeps it; none when Rapport did not say in time that it does.
    pub(crate) call: Option<Call>,
    /// What an agent should know; none when that did not come in time.
    pub(crate) context: Option<AgentContext>,
}

/// Rapport's desk.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    client: DeskServiceClient<Transport>,
}

impl Desk {
    /// The desk behind an address, with the token that says for which tenant, over TLS if there is one. It connects when it is first asked.
    ///
    /// # Errors
    /// The address is no URL.
    pub(crate) fn new(
        address: &str,
        token: &str,
        tls: Option<&ClientTls>,
    ) -> Result<Desk, Box<dyn std::error::Error + Send + Sync>> {
        let transport = match tls {
            Some(tls) => Transport::secured(address, tls)?,
            None => Transport::network(address)?,
        };
        let transport = if token.is_empty() { transport } else { transport.with_token(token) };
        Ok(Desk { client: DeskServiceClient::new(transport) })
    }

    /// Tells that a call rings and asks, side by side, what should be known of who calls. Returns by `until`, whatever
    /// Rapport does.
    pub(crate) async fn ring(&self, call: &Call, until: Instant) -> Said {
        let begin = async {
            let request = BeginCallRequest { call: Some(call.clone()), budget_ms: budget(until), ..Default::default() };
            timeout_at(until, self.begun(request, left(until))).await.ok()?.inspect_err(log).ok()
        };
        let (call, context) = futures::join!(begin, self.context(call.identifier_used.clone(), until));
        Said { call, context }
    }

    /// Asks what should be known of who has an identifier; without one it was withheld. Returns by `until`.
    pub(crate) async fn context(&self, identifier: Option<Identifier>, until: Instant) -> Option<AgentContext> {
        let withheld = || Identifier { scheme: rapport_identity::scheme::TEL.to_owned(), value: String::new() };
        let request = GetAgentContextRequest {
            about: Some(About::Identifier(identifier.unwrap_or_else(withheld))),
            medium: Medium::Phone.into(),
            budget_ms: budget(until),
            ..Default::default()
        };
        let mut client = self.client.clone();
        let answer = timeout_at(until, client.get_agent_context(timed(request, left(until)))).await.ok()?;
        answer.map(tonic::Response::into_inner).map_err(error_of).inspect_err(log).ok()
    }

    /// Tells that a call has begun, when nobody waits for the answer.
    ///
    /// # Errors
    /// Why Rapport did not take it.
    pub(crate) async fn begin(&self, call: &Call) -> Result<Call, Error> {
        self.begun(BeginCallRequest { call: Some(call.clone()), ..Default::default() }, TELLING).await
    }

    async fn begun(&self, mut request: BeginCallRequest, limit: Duration) -> Result<Call, Error> {
        let until = Instant::now() + limit;
        loop {
            let mut client = self.client.clone();
            let answer = timeout_at(until, client.begin_call(timed(request.clone(), left(until)))).await;
            match answer.map_err(|_| late())?.map_err(error_of) {
                Err(error) if request.call.as_mut().is_some_and(|call| lighten(call, &error)) => {}
                answer => return answer.map(tonic::Response::into_inner),
            }
        }
    }

    /// Tells that a call has ended.
    ///
    /// # Errors
    /// Why Rapport did not take it.
    pub(crate) async fn end(&self, request: &EndCallRequest) -> Result<Call, Error> {
        let until = Instant::now() + TELLING;
        let mut request = request.clone();
        loop {
            let mut client = self.client.clone();
            let answer = timeout_at(until, client.end_call(timed(request.clone(), left(until)))).await;
            match answer.map_err(|_| late())?.map_err(error_of) {
                Err(error) if lighten_end(&mut request, &error) => {}
                answer => return answer.map(tonic::Response::into_inner),
            }
        }
    }
}

fn timed<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// The budget that Rapport itself is given: a tenth stays for the way there and back.
fn budget(until: Instant) -> i32 {
    let millis = u64::try_from(left(until).as_millis()).unwrap_or(MOST_BUDGET) * 9 / 10;
    i32::try_from(millis.clamp(LEAST_BUDGET, MOST_BUDGET)).unwrap_or(0)
}

fn late() -> Error {
    Error::new(Kind::Deadline, rapport_types::reason::DEADLINE_EXCEEDED, "Rapport did not answer in time")
}

fn log(error: &Error) {
    tracing::warn!(
        code = error.kind.code(),
        reason = error.reason,
        "a call passes without an answer: {}",
        error.message
    );
}

/// Leaves out what Rapport refuses of a call, so that the rest of it is recorded. Whether anything was left out.
fn lighten(call: &mut Call, error: &Error) -> bool {
    let before = call.clone();
    for violation in &error.violations {
        let field = violation.field.as_str();
        let Some(field) = field.strip_prefix("call.") else { continue };
        tracing::warn!(field, "Rapport does not take this of a call, it is left out: {}", violation.description);
        match field.split('.').next().unwrap_or_default() {
            "identifier_used" => call.identifier_used = None,
            "dialled_number" => call.dialled_number.clear(),
            "agent" => call.agent.clear(),
            "started_time" => call.started_time = None,
            "provenance" => call.provenance = None,
            _ => {}
        }
    }
    *call != before
}

fn lighten_end(request: &mut EndCallRequest, error: &Error) -> bool {
    let before = request.clone();
    if let Some(call) = &mut request.call {
        lighten(call, error);
    }
    for violation in &error.violations {
        match violation.field.as_str() {
            "ended_time" => request.ended_time = None,
            "subject_line" => request.subject_line.clear(),
            "wrap_up" => request.wrap_up.clear(),
            _ => {}
        }
    }
    *request != before
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_types::error::Violation;
    use rapport_types::reason;

    use super::*;

    fn refused(fields: &[&str]) -> Error {
        let mut error = Error::new(Kind::Invalid, reason::INVALID_FIELDS, "no");
        error.violations = fields
            .iter()
            .map(|field| Violation {
                field: (*field).to_owned(),
                reason: reason::MALFORMED,
                description: "is wrong".to_owned(),
            })
            .collect();
        error
    }

    #[test]
    fn what_rapport_does_not_take_is_left_out_once() {
        let call = Call { call_id: "1".into(), agent: "ana".into(), dialled_number: "1".into(), ..Call::default() };
        let mut request = EndCallRequest {
            call: Some(call),
            ended_time: Some(rapport_rpc::wire::to_timestamp(rapport_types::Timestamp::EPOCH)),
            wrap_up: "w".into(),
            ..Default::default()
        };
        let error = refused(&["call.agent", "ended_time", "call.call_id"]);
        assert!(lighten_end(&mut request, &error));
        let call = request.call.as_ref().unwrap();
        assert_eq!((call.agent.as_str(), call.dialled_number.as_str(), call.call_id.as_str()), ("", "1", "1"));
        assert!(request.ended_time.is_none() && request.wrap_up == "w");
        assert!(!lighten_end(&mut request, &error), "what is left is refused for good");
    }

    #[tokio::test(start_paused = true)]
    async fn rapports_budget_is_within_ours_and_within_what_it_takes() {
        let of = |millis| budget(Instant::now() + Duration::from_millis(millis));
        assert_eq!([of(0), of(5), of(300), of(60_000)], [10, 10, 270, 5_000]);
    }
}
