//! What comes of the complaint: it is solved, the customer is asked, and what she says does the rest by itself.

use rapport_proto::interactions::v1 as ix;
use rapport_proto::interactions::v1::survey_stats::Figures;
use rapport_proto::loyalty::v1 as ly;

use super::{PAGE, call, is};
use crate::demo::clients::Clients;
use crate::demo::load::Setting;
use crate::demo::people::request_id;
use crate::demo::program;
use crate::demo::report::{Aftermath, Earned};
use crate::demo::trouble::Trouble;
use crate::demo::{wire, words};

const MINUTE: i64 = 60_000_000;
/// How long after the call the case is solved, in microseconds.
const SOLVED: i64 = 16 * MINUTE;
/// How long after the call she answers, in microseconds.
const ANSWERED: i64 = 21 * MINUTE;
/// What she answers.
const SCORE: i32 = 9;
/// What the survey is for, and found again by.
const PURPOSE: &str = "after-complaint";
/// The record key of the answer.
const ANSWER: &str = "call/answer";

/// Solves the case, records the answer to the survey, and reads what the services made of it.
pub(super) async fn play(
    clients: &Clients,
    setting: &Setting,
    party: &str,
    call: &ix::Call,
    ended: i64,
) -> Result<Aftermath, Trouble> {
    let mut case = call::find(clients, &call.case).await?;
    if !matches!(case.status(), ix::CaseStatus::Resolved | ix::CaseStatus::Closed) {
        let note = "replacement arrived, unbroken";
        case = call::transition(clients, setting, &case, ix::CaseStatus::Resolved, note, ended + SOLVED).await?;
    }
    let survey = survey(clients, setting).await?;
    let response = response(clients, setting, &survey, party, call, ended + ANSWERED).await?;
    let invitation = respond(clients, setting, invitation(clients, party, &response.name).await?).await?;
    let earned = earned(clients, setting, party, &response, &invitation).await?;
    Ok(Aftermath {
        case: words::status(case.status()),
        score: response.score(),
        category: words::category(response.category()),
        survey: figures(clients, &survey).await?,
        state: words::invitation(invitation.state()),
        gate: match invitation.gate() {
            ly::InvitationGate::Unspecified => String::new(),
            gate => words::gate(gate),
        },
        invitation: invitation.name,
        response: response.name,
        earned,
    })
}

/// Finds the survey, or creates it.
async fn survey(clients: &Clients, setting: &Setting) -> Result<String, Trouble> {
    let request = ix::ListSurveysRequest { page_size: PAGE, ..Default::default() };
    let there = clients.read("ListSurveys", request, async |r| clients.surveys().list_surveys(r).await).await?;
    if let Some(survey) = there.surveys.into_iter().find(|survey| survey.purpose == PURPOSE) {
        return Ok(survey.name);
    }
    let request = ix::CreateSurveyRequest {
        survey: Some(ix::Survey {
            measure: ix::SurveyMeasure::Nps.into(),
            question: "After how we handled your complaint: how likely are you to recommend us, from 0 to 10?"
                .to_owned(),
            language_code: "en".to_owned(),
            purpose: PURPOSE.to_owned(),
            ..Default::default()
        }),
        request_id: request_id(&["survey", &setting.system]).to_string(),
    };
    Ok(clients.write("CreateSurvey", request, async |r| clients.surveys().create_survey(r).await).await?.name)
}

/// Finds her answer, or records it.
async fn response(
    clients: &Clients,
    setting: &Setting,
    survey: &str,
    party: &str,
    call: &ix::Call,
    at: i64,
) -> Result<ix::SurveyResponse, Trouble> {
    let request = ix::ListSurveyResponsesRequest {
        survey: survey.to_owned(),
        party: party.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let there = clients
        .read("ListSurveyResponses", request, async |r| clients.surveys().list_survey_responses(r).await)
        .await?;
    if let Some(found) = there.responses.into_iter().find(|found| is(found.provenance.as_ref(), setting, ANSWER)) {
        return Ok(found);
    }
    let request = ix::RecordSurveyResponseRequest {
        survey: survey.to_owned(),
        response: Some(ix::SurveyResponse {
            party: party.to_owned(),
            role_type: "customer".to_owned(),
            score: Some(SCORE),
            comment: "That is how it should be: one call, and somebody who knew my orders.".to_owned(),
            channel: Some(ix::Channel { medium: ix::Medium::Email.into(), online: None }),
            case: call.case.clone(),
            about: call.interaction.clone(),
            occurred_time: Some(wire::time(at)),
            provenance: wire::provenance(&setting.system, ANSWER),
            ..Default::default()
        }),
        request_id: request_id(&[ANSWER, &setting.system, &call.name]).to_string(),
    };
    clients.write("RecordSurveyResponse", request, async |r| clients.surveys().record_survey_response(r).await).await
}

/// The survey's score with its interval and the number of answers.
async fn figures(clients: &Clients, survey: &str) -> Result<(f64, f64, f64, i64), Trouble> {
    let request = ix::GetSurveyStatsRequest { survey: survey.to_owned(), ..Default::default() };
    let stats = clients.read("GetSurveyStats", request, async |r| clients.surveys().get_survey_stats(r).await).await?;
    let Some(Figures::Nps(nps)) = stats.figures else {
        return Ok((0.0, 0.0, 0.0, stats.responses));
    };
    let (lower, upper) = nps.intervals.first().map_or((0.0, 0.0), |interval| (interval.lower, interval.upper));
    Ok((nps.score, lower, upper, stats.responses))
}

/// What loyalty made of the answer: an invitation, or the reason for none.
async fn invitation(clients: &Clients, party: &str, response: &str) -> Result<ly::Invitation, Trouble> {
    let request = ly::ListInvitationsRequest { party: party.to_owned(), page_size: PAGE, ..Default::default() };
    let page = clients.read("ListInvitations", request, async |r| clients.advocacy().list_invitations(r).await).await?;
    page.invitations.into_iter().find(|invitation| invitation.survey_response == response).ok_or(Trouble::Answer {
        method: "ListInvitations",
        what: "without a word on the answer of a promoter".to_owned(),
    })
}

/// She accepts, if she was invited.
async fn respond(clients: &Clients, setting: &Setting, invited: ly::Invitation) -> Result<ly::Invitation, Trouble> {
    if invited.state() != ly::InvitationState::Sent {
        return Ok(invited);
    }
    let request = ly::RespondToInvitationRequest {
        answer: ly::InvitationAnswer::Accepted.into(),
        note: "Gladly.".to_owned(),
        occurred_time: None,
        request_id: request_id(&["invitation", &setting.system, &invited.name]).to_string(),
        name: invited.name,
    };
    clients.write("RespondToInvitation", request, async |r| clients.advocacy().respond_to_invitation(r).await).await
}

/// What the answer and the acceptance earned, by the ledger.
async fn earned(
    clients: &Clients,
    setting: &Setting,
    party: &str,
    response: &ix::SurveyResponse,
    invitation: &ly::Invitation,
) -> Result<Vec<Earned>, Trouble> {
    let Some(member) = program::member(clients, &setting.program, party).await? else {
        return Ok(Vec::new());
    };
    let request = ly::ListEntriesRequest { member, page_size: PAGE, ..Default::default() };
    let page = clients.read("ListEntries", request, async |r| clients.ledger().list_entries(r).await).await?;
    let of = |entry: &&ly::Entry| {
        entry.source == response.name
            || entry.source == invitation.name
            || (!invitation.reward_transaction.is_empty() && entry.transaction == invitation.reward_transaction)
    };
    let mut earned: Vec<Earned> = page
        .entries
        .iter()
        .filter(of)
        .map(|entry| Earned {
            unit: setting.program.unit(&entry.unit_type),
            amount: entry.new_balance - entry.previous_balance,
            previous: entry.previous_balance,
            new: entry.new_balance,
        })
        .collect();
    earned.sort_by(|a, b| a.unit.cmp(&b.unit));
    Ok(earned)
}
