//! Consents: no unless somebody said yes, and the most restrictive word stands.

use prost_types::Timestamp;
use rapport_proto::stakeholders::v1::*;
use rapport_proto::types::v1::Provenance;
use rapport_testkit::asserts::{is_replayed, position};
use rapport_testkit::sandbox::SandboxBuilder;
use rapport_testkit::{Code, assert_reason};

use super::messages::{DAY, after, at, micros, now, person, set_apart};
use super::stage::{ACME, GLOBEX, Stage, fresh, refused, unknown};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn consent_is_no_until_it_is_given(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        nothing_said_is_no(&stage).await;
        a_grant_holds_for_what_it_names(&stage).await;
        the_most_restrictive_word_stands(&stage).await;
        a_consent_begins_and_runs_out(&stage).await;
        the_past_is_seen_as_it_was_and_as_it_was_known(&stage).await;
        nobody_courts_the_dead(&stage).await;
        every_word_is_kept(&stage).await;
        wrong_consents_are_refused(&stage).await;
        stage.close().await;
    }
}

use ConsentReason::{Expired, Granted, NoConsent, NotYetValid, PartyCeased, PartyRestricted, Withdrawn};

fn said(party: &Party, state: ConsentState, purpose: &str, channel: &str) -> Consent {
    Consent {
        party: party.name.clone(),
        purpose: purpose.into(),
        channel: channel.into(),
        state: state.into(),
        ..Default::default()
    }
}

fn yes(party: &Party, purpose: &str, channel: &str) -> Consent {
    said(party, ConsentState::Granted, purpose, channel)
}

fn no(party: &Party, purpose: &str, channel: &str) -> Consent {
    said(party, ConsentState::Withdrawn, purpose, channel)
}

fn on(occurred: &str, consent: Consent) -> Consent {
    Consent { occurred_time: Some(at(occurred)), ..consent }
}

async fn record(stage: &Stage, consent: Consent) -> Consent {
    let request = RecordConsentRequest { consent: Some(consent), ..Default::default() };
    stage.privacy(ACME).record_consent(request).await.expect("recorded").into_inner()
}

fn question(party: &Party, purpose: &str, channel: &str) -> CheckConsentRequest {
    CheckConsentRequest {
        party: party.name.clone(),
        purpose: purpose.into(),
        channel: channel.into(),
        ..Default::default()
    }
}

async fn check(stage: &Stage, request: CheckConsentRequest) -> CheckConsentResponse {
    let answer = stage.privacy(ACME).check_consent(request).await.expect("checked").into_inner();
    assert_eq!(answer.allowed, answer.reason() == Granted, "only a grant allows: {answer:?}");
    answer
}

/// Why a party may or may not be sent marketing by e-mail at a moment.
async fn at_moment(stage: &Stage, party: &Party, as_of: Option<Timestamp>) -> ConsentReason {
    check(stage, CheckConsentRequest { as_of, ..question(party, "marketing", "email") }).await.reason()
}

async fn every_word_is_kept(stage: &Stage) {
    let party = stage.party(person("Talkative")).await;
    let mut said = vec![
        record(stage, Consent { evidence: "form 7".into(), ..yes(&party, "marketing", "email") }).await,
        record(stage, yes(&party, "survey", "phone")).await,
        record(stage, no(&party, "", "email")).await,
    ];
    said.reverse();
    let list = async |size, token: &str| {
        let request = ListConsentsRequest { party: party.name.clone(), page_size: size, page_token: token.to_owned() };
        stage.privacy(ACME).list_consents(request).await.expect("listed").into_inner()
    };
    let first = list(2, "").await;
    let second = list(2, &first.next_page_token).await;
    assert_eq!([first.consents, second.consents].concat(), said);
    assert_eq!(second.next_page_token, "");
    let request = |name: &str| ListConsentsRequest { party: name.to_owned(), ..Default::default() };
    let foreign = stage.privacy(GLOBEX).list_consents(request(&party.name)).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
    let silent = stage.party(person("Wordless")).await;
    let nothing = stage.privacy(ACME).list_consents(request(&silent.name)).await.expect("listed").into_inner();
    assert_eq!(nothing, ListConsentsResponse::default());
}

async fn nothing_said_is_no(stage: &Stage) {
    let party = stage.party(person("Silent")).await;
    let before = micros(now());
    let answer = check(stage, question(&party, "marketing", "email")).await;
    assert_eq!((answer.reason(), answer.allowed, answer.deciding_consent), (NoConsent, false, None));
    let as_of = micros(answer.as_of.expect("the moment it holds for"));
    assert!(as_of >= before - 2_000_000 && as_of <= micros(now()) + 2_000_000, "now");
}

async fn a_grant_holds_for_what_it_names(stage: &Stage) {
    let party = stage.party(person("Willing")).await;
    let told = Provenance { source_system: "web-form".into(), ..Default::default() };
    let consent =
        Consent { evidence: "form v3, box ticked".into(), provenance: Some(told), ..yes(&party, "marketing", "email") };
    let request = RecordConsentRequest { consent: Some(consent.clone()), request_id: fresh() };
    let answer = stage.privacy(ACME).record_consent(request.clone()).await.expect("recorded");
    assert!(position(answer.metadata(), "stakeholders") > 0);
    let granted = answer.into_inner();
    assert!(granted.name.starts_with(&format!("{}/consents/", party.name)), "{}", granted.name);
    let expected = Consent {
        name: granted.name.clone(),
        occurred_time: granted.occurred_time,
        valid_from_time: granted.occurred_time,
        recorded_time: granted.recorded_time,
        ..consent
    };
    let (said, recorded) = (granted.occurred_time.expect("a time"), granted.recorded_time.expect("a time"));
    assert!((0..10_000_000).contains(&(micros(recorded) - micros(said))), "said at the time of the call");
    assert_eq!(granted, expected);
    let answer = check(stage, question(&party, "marketing", "email")).await;
    assert_eq!((answer.reason(), answer.deciding_consent.as_ref()), (Granted, Some(&granted)));
    for (purpose, channel) in [("marketing", "phone"), ("survey", "email")] {
        let answer = check(stage, question(&party, purpose, channel)).await;
        assert_eq!((answer.reason(), answer.deciding_consent), (NoConsent, None), "{purpose} by {channel}");
    }
    let replayed = stage.privacy(ACME).record_consent(request).await.expect("replayed");
    assert!(is_replayed(replayed.metadata()));
    assert_eq!(replayed.into_inner(), granted);
    // An empty channel is every channel.
    record(stage, yes(&party, "survey", "")).await;
    for channel in ["email", "sms", "post"] {
        assert_eq!(check(stage, question(&party, "survey", channel)).await.reason(), Granted, "{channel}");
    }
}

async fn the_most_restrictive_word_stands(stage: &Stage) {
    let party = stage.party(person("Of Two Minds")).await;
    record(stage, on("2026-01-01T00:00:00Z", yes(&party, "marketing", "email"))).await;
    assert_eq!(at_moment(stage, &party, None).await, Granted);
    let all = record(stage, on("2026-01-02T00:00:00Z", no(&party, "", ""))).await;
    let answer = check(stage, question(&party, "marketing", "email")).await;
    assert_eq!((answer.reason(), answer.deciding_consent), (Withdrawn, Some(all.clone())));
    assert_eq!(check(stage, question(&party, "profiling", "post")).await.deciding_consent, Some(all), "of everything");
    // A later grant as specific as what it overrules counts, for that and nothing else.
    record(stage, on("2026-01-03T00:00:00Z", yes(&party, "marketing", "email"))).await;
    assert_eq!(at_moment(stage, &party, None).await, Granted);
    assert_eq!(check(stage, question(&party, "marketing", "phone")).await.reason(), Withdrawn);
    // A wider one does not overrule a narrower withdrawal.
    record(stage, on("2026-01-04T00:00:00Z", no(&party, "marketing", "email"))).await;
    record(stage, on("2026-01-05T00:00:00Z", yes(&party, "marketing", ""))).await;
    assert_eq!(at_moment(stage, &party, None).await, Withdrawn);
    assert_eq!(check(stage, question(&party, "marketing", "sms")).await.reason(), Granted, "narrower than all");
    assert_eq!(check(stage, question(&party, "survey", "sms")).await.reason(), Withdrawn, "all of 2 January stands");
    // Two words of the same moment, whichever arrives first: the withdrawal wins.
    for first in [ConsentState::Granted, ConsentState::Withdrawn] {
        let party = stage.party(person("Same Moment")).await;
        let second = if first == ConsentState::Granted { ConsentState::Withdrawn } else { ConsentState::Granted };
        for state in [first, second] {
            record(stage, on("2026-01-01T00:00:00Z", said(&party, state, "marketing", "email"))).await;
        }
        assert_eq!(at_moment(stage, &party, None).await, Withdrawn);
    }
    // What arrives late counts by when it was said.
    let party = stage.party(person("Late Post")).await;
    record(stage, on("2026-01-05T00:00:00Z", yes(&party, "marketing", "email"))).await;
    record(stage, on("2026-01-01T00:00:00Z", no(&party, "marketing", "email"))).await;
    assert_eq!(at_moment(stage, &party, None).await, Granted);
}

async fn a_consent_begins_and_runs_out(stage: &Stage) {
    let party = stage.party(person("For a Season")).await;
    let season = Consent {
        valid_from_time: Some(at("2026-03-01T00:00:00Z")),
        valid_to_time: Some(at("2026-06-01T00:00:00Z")),
        ..on("2026-02-01T00:00:00Z", yes(&party, "marketing", "email"))
    };
    let season = record(stage, season).await;
    for (moment, reason) in [
        ("2026-01-31T23:59:59.999999Z", NoConsent),
        ("2026-02-01T00:00:00Z", NotYetValid),
        ("2026-02-28T23:59:59.999999Z", NotYetValid),
        ("2026-03-01T00:00:00Z", Granted),
        ("2026-05-31T23:59:59.999999Z", Granted),
        ("2026-06-01T00:00:00Z", Expired),
        ("2030-01-01T00:00:00Z", Expired),
    ] {
        let request = CheckConsentRequest { as_of: Some(at(moment)), ..question(&party, "marketing", "email") };
        let answer = check(stage, request).await;
        assert_eq!(answer.reason(), reason, "{moment}");
        assert_eq!(answer.as_of, Some(at(moment)));
        assert_eq!(answer.deciding_consent.is_some(), reason != NoConsent, "{moment}");
        assert!(answer.deciding_consent.is_none_or(|decided| decided == season));
    }
}

async fn the_past_is_seen_as_it_was_and_as_it_was_known(stage: &Stage) {
    let party = stage.party(person("Historic")).await;
    let granted = record(stage, on("2025-01-01T00:00:00Z", yes(&party, "marketing", "email"))).await;
    let withdrawn = record(stage, on("2025-06-01T00:00:00Z", no(&party, "marketing", "email"))).await;
    for (moment, reason) in [
        ("2024-12-31T23:59:59Z", NoConsent),
        ("2025-01-01T00:00:00Z", Granted),
        ("2025-05-31T23:59:59.999999Z", Granted),
        ("2025-06-01T00:00:00Z", Withdrawn),
    ] {
        assert_eq!(at_moment(stage, &party, Some(at(moment))).await, reason, "{moment}");
    }
    assert_eq!(at_moment(stage, &party, None).await, Withdrawn);
    // Before the withdrawal was recorded nobody could know of it, nor of the grant before that was.
    let known = async |as_known_at: Timestamp| {
        let request = CheckConsentRequest { as_known_at: Some(as_known_at), ..question(&party, "marketing", "email") };
        check(stage, request).await.reason()
    };
    let just_before = |moment: Timestamp| Timestamp { nanos: moment.nanos - 1_000, ..moment };
    let (first, second) = (granted.recorded_time.expect("a time"), withdrawn.recorded_time.expect("a time"));
    assert!(micros(second) > micros(first), "recorded one after the other");
    assert_eq!(known(second).await, Withdrawn);
    assert_eq!(known(first).await, Granted);
    if first.nanos >= 1_000 {
        assert_eq!(known(just_before(first)).await, NoConsent);
    }
}

async fn nobody_courts_the_dead(stage: &Stage) {
    let party = stage.party(person("Mortal")).await;
    record(stage, yes(&party, "marketing", "email")).await;
    assert_eq!(at_moment(stage, &party, None).await, Granted);
    // Who is set apart is not courted either, until that is lifted.
    for (to, reason) in [(PartyLifecycle::Restricted, PartyRestricted), (PartyLifecycle::Curated, Granted)] {
        let moved = set_apart(&party.name, to, "asked for it");
        stage.parties(ACME).update_party(moved).await.expect("moved");
        assert_eq!(check(stage, question(&party, "marketing", "email")).await.reason(), reason);
    }
    let died = Cessation { kind: CessationKind::Deceased.into(), occurred_time: Some(after(now(), -DAY)) };
    let dead = Party { name: party.name.clone(), cessation: Some(died), ..Default::default() };
    let paths = vec!["cessation".to_owned()];
    let update = UpdatePartyRequest {
        party: Some(dead),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    stage.parties(ACME).update_party(update).await.expect("updated");
    let answer = check(stage, question(&party, "marketing", "email")).await;
    assert_eq!((answer.reason(), answer.deciding_consent), (PartyCeased, None));
}

async fn wrong_consents_are_refused(stage: &Stage) {
    let mut privacy = stage.privacy(ACME);
    let party = stage.party(person("Refused")).await;
    let with = |consent: Consent| RecordConsentRequest { consent: Some(consent), ..Default::default() };
    refused(privacy.record_consent(RecordConsentRequest::default()).await, &[("consent", "REQUIRED")]);
    refused(privacy.record_consent(with(yes(&party, "", "email"))).await, &[("consent.purpose", "REQUIRED")]);
    privacy.record_consent(with(no(&party, "", ""))).await.expect("a withdrawal of everything needs no purpose");
    let wrong = Consent {
        party: "parties/7".into(),
        purpose: "Not A Slug".into(),
        channel: "c".repeat(64),
        evidence: "e".repeat(2_001),
        occurred_time: Some(after(now(), 2 * DAY)),
        valid_from_time: Some(at("2026-01-02T00:00:00Z")),
        valid_to_time: Some(at("2026-01-01T00:00:00Z")),
        ..Default::default()
    };
    refused(
        privacy.record_consent(with(wrong)).await,
        &[
            ("consent.party", "MALFORMED_NAME"),
            ("consent.purpose", "MALFORMED"),
            ("consent.channel", "TOO_LONG"),
            ("consent.state", "REQUIRED"),
            ("consent.evidence", "TOO_LONG"),
            ("consent.occurred_time", "IN_FUTURE"),
            ("consent.valid_to_time", "END_BEFORE_START"),
        ],
    );
    refused(
        privacy.check_consent(CheckConsentRequest { party: party.name.clone(), ..Default::default() }).await,
        &[("purpose", "REQUIRED"), ("channel", "REQUIRED")],
    );
    let nobody = Party { name: unknown("parties"), ..Default::default() };
    let answer = privacy.check_consent(question(&nobody, "marketing", "email")).await;
    assert_reason!(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let answer = privacy.record_consent(with(yes(&nobody, "marketing", "email"))).await;
    assert_reason!(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let foreign = stage.privacy(GLOBEX).check_consent(question(&party, "marketing", "email")).await;
    assert_reason!(foreign, Code::NotFound, "RESOURCE_NOT_FOUND");
}
