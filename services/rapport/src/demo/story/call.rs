//! The call: it rings, the agent sees who it is, it ends as a complaint with a case.

use std::time::Duration;

use rapport_proto::interactions::v1 as ix;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_types::error::Error;

use super::context;
use crate::demo::clients::Clients;
use crate::demo::load::Setting;
use crate::demo::people::request_id;
use crate::demo::report::{Context, Opened, Resolved};
use crate::demo::trouble::Trouble;
use crate::demo::{wire, words};
use crate::patience::Patience;

const MINUTE: i64 = 60_000_000;
/// How long before now it rang, in microseconds.
pub(super) const AGO: i64 = 30 * MINUTE;
/// How long it took, in microseconds.
pub(super) const LENGTH: i64 = 4 * MINUTE;
/// How long the desk may take, in milliseconds: a debug build on a busy machine is slow, a call centre's is not.
const BUDGET: i32 = 5_000;
/// When an agent looks again at a screen that does not know the caller yet.
const AGAIN: Duration = Duration::from_millis(200);
/// What the caller says.
pub(super) const SAID: &str = "Second order in a row with broken discs, nobody wrote back";

/// Tells that a call rings, as telephony software would; one that was told before is answered as it became.
pub(super) async fn begin(clients: &Clients, setting: &Setting, now: i64) -> Result<ix::Call, Trouble> {
    let phone = &setting.phone;
    let request = ix::BeginCallRequest {
        call: Some(ix::Call {
            call_id: format!("{}/call", setting.system),
            leg: "1".to_owned(),
            direction: ix::Direction::Inbound.into(),
            identifier_used: Some(ix::Identifier { scheme: "tel".to_owned(), value: phone.national.clone() }),
            country_code: phone.country.to_owned(),
            medium: ix::Medium::Phone.into(),
            agent: "Mara Whitlock".to_owned(),
            started_time: Some(wire::time(now - AGO)),
            provenance: wire::provenance(&setting.system, "call"),
            ..Default::default()
        }),
        budget_ms: BUDGET,
        request_id: String::new(),
    };
    // Without a request id of its own: call id and leg say that it is the same call, whenever it is told again.
    clients.write("BeginCall", request, async |r| clients.desk().begin_call(r).await).await
}

/// What the agent's screen shows for a call, and how its number became a party. While stakeholders is away the number may be
/// nobody's yet, and is marked so: the screen is looked at again then.
pub(super) async fn context(
    clients: &Clients,
    setting: &Setting,
    call: &ix::Call,
) -> Result<(Resolved, Context), Trouble> {
    const METHOD: &str = "GetAgentContext";
    let request = ix::GetAgentContextRequest {
        about: Some(About::Call(call.name.clone())),
        budget_ms: BUDGET,
        ..Default::default()
    };
    let mut patience = Patience::new();
    let (answer, caller, resolution) = loop {
        let answer = clients.read(METHOD, request.clone(), async |r| clients.desk().get_agent_context(r).await).await?;
        let mut caller = answer.caller.clone().unwrap_or_default();
        let resolution = caller.resolution.take().unwrap_or_default();
        let status = caller.status.clone().unwrap_or_default();
        if !resolution.party.is_empty() || status.state() == ix::SectionState::Fresh {
            break (answer, caller, resolution);
        }
        let unsure = Error::unavailable(format!("the caller is not known yet: {}", status.reason), AGAIN);
        patience.bear(unsure).await.map_err(Trouble::refused(METHOD))?;
    };
    let outcome = words::outcome(resolution.r#match());
    if resolution.party.is_empty() {
        return Err(Trouble::Answer {
            method: METHOD,
            what: format!("{outcome} for the caller's number, with {} candidates", resolution.candidates.len()),
        });
    }
    let candidate = resolution.candidates.iter().find(|candidate| candidate.party == resolution.party);
    let resolved = Resolved {
        dialled: setting.phone.national.clone(),
        country: setting.phone.country.to_owned(),
        understood: caller.identifier.map(|identifier| identifier.value).unwrap_or_default(),
        outcome,
        confidence: candidate.map_or(0.0, |candidate| candidate.confidence),
        reasons: candidate.map(|candidate| candidate.reasons.clone()).unwrap_or_default(),
        party: resolution.party,
    };
    Ok((resolved, context::told(&answer, &setting.program)))
}

/// Ends the call: one complaint and one case, both or neither.
pub(super) async fn end(
    clients: &Clients,
    setting: &Setting,
    call: &ix::Call,
    name: &str,
    ended: i64,
) -> Result<ix::Call, Trouble> {
    let request = ix::EndCallRequest {
        call: Some(ix::Call { call_id: call.call_id.clone(), leg: call.leg.clone(), ..Default::default() }),
        disposition: ix::CallDisposition::Complaint.into(),
        subject_line: SAID.to_owned(),
        wrap_up:
            "The last two orders came with broken discs. The e-mail about the first one was never answered. Wants \
                  a replacement this week, otherwise the money back."
                .to_owned(),
        valence: Some(ix::Valence { value: -0.9, method: ix::ValenceMethod::Stated.into(), confidence: None }),
        effort: Some(6),
        topics: vec!["quality".to_owned(), "service".to_owned()],
        ended_time: Some(wire::time(ended)),
        role_type: "customer".to_owned(),
        open_case: Some(ix::CallCase {
            r#type: "complaint".to_owned(),
            title: format!("Broken discs twice: replacement for {name}"),
            priority: ix::CasePriority::High.into(),
            ..Default::default()
        }),
        request_id: request_id(&["call/end", &setting.system, &call.name]).to_string(),
        ..Default::default()
    };
    clients.write("EndCall", request, async |r| clients.desk().end_call(r).await).await
}

/// The case of the call, taken on.
pub(super) async fn case(clients: &Clients, setting: &Setting, call: &ix::Call, ended: i64) -> Result<Opened, Trouble> {
    let mut case = find(clients, &call.case).await?;
    if case.status() == ix::CaseStatus::New {
        let note = "replacement promised for this week";
        case = transition(clients, setting, &case, ix::CaseStatus::InProgress, note, ended).await?;
    }
    let request = ix::ListCasesRequest { party: case.party.clone(), page_size: super::PAGE, ..Default::default() };
    let all = clients.read("ListCases", request, async |r| clients.cases().list_cases(r).await).await?;
    let closed = |case: &&ix::Case| matches!(case.status(), ix::CaseStatus::Resolved | ix::CaseStatus::Closed);
    Ok(Opened {
        status: words::status(case.status()),
        priority: words::priority(case.priority()),
        open: all.cases.len() - all.cases.iter().filter(closed).count(),
        case: case.name,
        title: case.title,
        interactions: case.interactions,
    })
}

/// One case.
pub(super) async fn find(clients: &Clients, name: &str) -> Result<ix::Case, Trouble> {
    let request = ix::GetCaseRequest { name: name.to_owned() };
    clients.read("GetCase", request, async |r| clients.cases().get_case(r).await).await
}

/// Moves a case on.
pub(super) async fn transition(
    clients: &Clients,
    setting: &Setting,
    case: &ix::Case,
    status: ix::CaseStatus,
    note: &str,
    at: i64,
) -> Result<ix::Case, Trouble> {
    let request = ix::TransitionCaseRequest {
        name: case.name.clone(),
        status: status.into(),
        note: note.to_owned(),
        occurred_time: Some(wire::time(at)),
        etag: case.etag.clone(),
        request_id: request_id(&["case", &setting.system, &case.name, status.as_str_name()]).to_string(),
        ..Default::default()
    };
    clients.write("TransitionCase", request, async |r| clients.cases().transition_case(r).await).await
}
