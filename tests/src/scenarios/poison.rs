//! Events that nobody can apply: each consumer of every service puts them aside, says so in its metrics, and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use async_trait::async_trait;
use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message, Name};
use prost_reflect::MessageDescriptor;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::scoring::v1::GetScoresRequest;
use rapport_proto::{interactions, loyalty, operations, scoring, stakeholders};
use rapport_store::{Outbox, Store, StoreError, StoreOptions, Tx, Work};
use rapport_testkit::asserts::{at_least, positions};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_types::{TenantId, World};

use crate::raw::pool;

use super::advocacy::{answered, balance, enrolled, invitations, program, survey, willing};
use super::desk::context_of;
use super::messages::{by_party, contact, now, record};
use super::ports::http;
use super::stage::{ACME, Positions, Stage};

rapport_testkit::each_store! {
    async fn what_cannot_be_applied_is_put_aside_and_the_rest_goes_on(place: StorePlace) {
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::Processes).place(place);
        let mut stage = Stage::open(sandbox).await;
        let mut seen = Positions::new();
        for (service, events) in poisons() {
            let at = poisoned(&mut stage, service, events).await;
            seen.insert(service.to_owned(), at);
        }
        until_applied(&stage, &seen).await;
        everybody_says_so(&stage, &seen).await;
        the_rest_goes_on(&stage, seen).await;
        stage.close().await;
    }
}

/// Bytes under the name of a message that they are not.
struct Garbage<P>(PhantomData<P>);

impl<P> Default for Garbage<P> {
    fn default() -> Self {
        Garbage(PhantomData)
    }
}

impl<P: Name> Message for Garbage<P> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        // A tag that never ends.
        buf.put_slice(&[0xff; 11]);
    }

    fn merge_field(&mut self, _: u32, _: WireType, _: &mut impl Buf, _: DecodeContext) -> Result<(), DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        11
    }

    fn clear(&mut self) {}
}

impl<P: Name> Name for Garbage<P> {
    const NAME: &'static str = P::NAME;
    const PACKAGE: &'static str = P::PACKAGE;
}

/// Puts one event into a feed.
type Poison = fn(&mut Outbox, &TenantId);

/// Kinds of events, and what puts poison of the kind into a feed.
type Poisons = Vec<(String, Poison)>;

/// Two of each kind: one that does not decode, and one that says nothing, where everything that it must say is missing.
fn two<P: Name + Default>(out: &mut Outbox, tenant: &TenantId) {
    let now = World::system().now();
    out.event(tenant, format!("garbage/{}", P::NAME), 1, now, &Garbage::<P>::default());
    out.event(tenant, format!("empty/{}", P::NAME), 1, now, &P::default());
}

/// Poison of every kind that the services tell one another, by the service whose feed it is put into.
fn poisons() -> BTreeMap<&'static str, Poisons> {
    macro_rules! each {
        ($of:ident: $($kind:ident)+) => {
            (stringify!($of), vec![$((<$of::v1::$kind as Name>::full_name(), two::<$of::v1::$kind> as Poison)),+])
        };
    }
    let mut poisons = BTreeMap::from([
        each!(stakeholders: PartyCreated PartyUpdated RoleAssigned RoleEnded IdentifierClaimed RelationshipCreated
            RelationshipUpdated RelationshipEnded ConsentRecorded),
        each!(interactions: InteractionRecorded InteractionAmended InteractionRetracted OriginAttributed CaseOpened
            CaseTransitioned CaseReassigned CaseAssigned CaseLinked CommitmentMade CommitmentFellDue CommitmentKept CommitmentBroken
            CommitmentWaived CommitmentReassigned SurveyCreated SurveyResponseRecorded),
        each!(scoring: ScoreMoved ValueMoved ClvModelFitted),
        each!(loyalty: ProgramPublished MemberEnrolled AccrualPosted BalanceAdjusted UnitsExpired TierChanged
            InvitationSent InvitationSuppressed InvitationHeldOut InvitationScheduled InvitationAnswered
            InvitationExpired),
    ]);
    let (_, jobs): (_, Poisons) = each!(operations: OperationBegan OperationEnded);
    poisons.entry("scoring").or_default().extend(jobs);
    poisons
}

#[test]
fn every_kind_of_event_has_its_poison() {
    let files = pool();
    let files = files.files().filter(|file| file.name().ends_with("/events.proto"));
    let told: Vec<_> = files
        .filter(|file| file.package_name() != "rapport.events.v1")
        .flat_map(|file| file.messages().collect::<Vec<_>>())
        .collect();
    // What only stands in an event is none.
    let parts = told.iter().flat_map(MessageDescriptor::fields).filter_map(|field| field.kind().as_message().cloned());
    let parts: BTreeSet<_> = parts.map(|part| part.full_name().to_owned()).collect();
    let poisoned: BTreeSet<_> = poisons().into_values().flatten().map(|(kind, _)| kind).collect();
    let told = told.iter().map(|one| one.full_name());
    let missing: Vec<_> = told.filter(|kind| !parts.contains(*kind) && !poisoned.contains(*kind)).collect();
    assert!(missing.is_empty(), "no poison of {missing:?}");
}

struct Poisoning(Poisons);

#[async_trait]
impl Work for Poisoning {
    type Output = ();

    async fn run(&self, _: &Tx, out: &mut Outbox) -> Result<(), StoreError> {
        let tenant = TenantId::parse("acme").expect("a tenant");
        self.0.iter().for_each(|(_, poison)| poison(out, &tenant));
        Ok(())
    }
}

/// Writes them into the feed of a service as nobody but itself could, and gives the position of the last.
async fn poisoned(stage: &mut Stage, service: &str, events: Poisons) -> i64 {
    stage.sandbox.terminate(service).await;
    let place = stage.sandbox.place();
    let options = StoreOptions { data: stage.sandbox.data(service), ..place.options() };
    let modules = rapport::modules();
    let module = modules.iter().find(|module| module.name() == service).expect("a service of that name");
    let world = World::system();
    let store = Store::open(&options, module.name(), module.migrations(), world).await.expect("the store opens");
    let position = store.run(Poisoning(events)).await.expect("written").position;
    store.close().await;
    stage.sandbox.restart(service).await;
    position
}

/// Waits until every consumer has come by the poison.
async fn until_applied(stage: &Stage, seen: &Positions) {
    for service in ["interactions", "scoring", "loyalty"] {
        loop {
            let others: Positions =
                seen.iter().filter(|(of, _)| *of != service).map(|(of, at)| (of.clone(), *at)).collect();
            let metadata = match service {
                "interactions" => {
                    let nobody = interactions::v1::ListCasesRequest::default();
                    let answer = stage.cases(ACME).list_cases(at_least(nobody, &others)).await;
                    answer.expect("read").metadata().clone()
                }
                "scoring" => {
                    let party = super::stage::unknown("parties");
                    let request = GetScoresRequest { party, ..Default::default() };
                    stage.scores(ACME).get_scores(at_least(request, &others)).await.expect("read").metadata().clone()
                }
                _ => {
                    let request = loyalty::v1::ListProgramsRequest::default();
                    stage
                        .programs(ACME)
                        .list_programs(at_least(request, &others))
                        .await
                        .expect("read")
                        .metadata()
                        .clone()
                }
            };
            // Each is tried several times before it is put aside, which may take longer than one caller waits.
            if metadata.get("rapport-stale").is_none() {
                break;
            }
        }
    }
}

/// The value of each line of a metric, by its labels.
fn lines<'a>(metrics: &'a str, name: &str) -> BTreeMap<&'a str, i64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    lines.map(|(labels, value)| (labels, value.parse().expect("a number"))).collect()
}

async fn everybody_says_so(stage: &Stage, seen: &Positions) {
    let mut consumers = 0;
    for service in stage.sandbox.services() {
        let (_, _, metrics) = http(stage.sandbox.admin_address(&service), "GET /metrics").await;
        let (applied, parked) =
            (lines(&metrics, "rapport_consumer_position"), lines(&metrics, "rapport_consumer_parked_events"));
        for (labels, at) in applied {
            let source = seen.iter().find(|(source, _)| labels.contains(&format!("source=\"{source}\"")));
            let (source, last) = source.unwrap_or_else(|| panic!("{labels} names no source"));
            assert!(at >= *last, "{labels} stands at {at} of {last}");
            assert!(parked.get(labels).is_some_and(|count| *count > 0), "{labels} of {source}: {parked:?}");
            consumers += 1;
        }
        if service != "stakeholders" {
            let log = stage.sandbox.log(&service);
            assert!(log.contains("event parked with all later events of its aggregate"), "{service} says nothing");
        }
    }
    // Interactions reads three feeds, one of them twice; scoring and loyalty read what they live on.
    assert!(consumers >= 8, "{consumers}");
}

/// The way from an order and an answer to points, an invitation, a score and an agent's screen.
async fn the_rest_goes_on(stage: &Stage, mut seen: Positions) {
    let club = program(stage).await;
    let party = willing(stage, "Untroubled").await;
    let member = enrolled(stage, &club, &party).await;
    let order = record(interactions::v1::Interaction {
        amount: Some(interactions::v1::Amount {
            kind: interactions::v1::AmountKind::Order.into(),
            money: Some(rapport_proto::types::v1::Money { units: 12, nanos: 0, currency_code: "EUR".into() }),
        }),
        ..contact("order", by_party(&party), now())
    });
    let recorded = stage.interactions(ACME).record_interaction(order).await.expect("recorded");
    seen.extend(positions(recorded.metadata()));
    assert_eq!(balance(stage, &member, &club.points, &seen).await, 12);
    let survey = survey(stage).await;
    let (_, answered) = answered(stage, &survey, &party, 9).await;
    seen.extend(answered);
    let invited = invitations(stage, &party, &seen).await;
    assert_eq!((invited.len(), invited[0].state()), (1, loyalty::v1::InvitationState::Sent));
    let request = GetScoresRequest { party: party.clone(), ..Default::default() };
    let scores = stage.scores(ACME).get_scores(at_least(request, &seen)).await.expect("read");
    assert!(scores.metadata().get("rapport-stale").is_none(), "{:?}", scores.metadata());
    assert!(
        scores
            .into_inner()
            .scores
            .iter()
            .any(|score| score.evidence.is_some_and(|evidence| evidence.contribution_count > 0))
    );
    // What the desk learns from feeds it has learned, of this party too.
    let context = context_of(stage, About::Party(party), &Positions::new()).await;
    let loyal = context.loyalty.expect("a section");
    assert_eq!(loyal.members.iter().map(|one| one.member.as_str()).collect::<Vec<_>>(), [member]);
}
