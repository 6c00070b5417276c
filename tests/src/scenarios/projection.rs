//! The agent's desk's projection: what the consumers kept while things happened is what they keep when they read the
//! feeds anew, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prost::Message;
use rapport_proto::interactions::v1 as interactions;
use rapport_proto::loyalty::v1 as loyalty;
use rapport_proto::scoring::v1::{ClvModelFamily, FitClvModelRequest};
use rapport_proto::stakeholders::v1 as stakeholders;
use rapport_store::{Sql, Store, Subject};
use rapport_testkit::asserts::{Bearer, positions};
use rapport_testkit::clock;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use rapport_types::{TenantId, Uuid};

use super::messages::{after, at, by_number, by_party, contact, organization, person, phone, record, role};
use super::relationships::{made, tie};
use super::stage::{ACME, Positions, Stage};
use super::value::fit;
use crate::club;

/// How many parties there are: more than a batch asks for at once when it is read anew.
const PARTIES: usize = 30;
/// How many things happen.
const STEPS: usize = 160;
/// The sort of what a party is worth.
const VALUE: i16 = 3;
/// How many order again and again, also once there is a model.
const BUYERS: usize = 3;
/// How many sorts of things happen.
const SORTS: usize = 12;
/// How long the consumers may take on a machine that does other things besides.
const PATIENCE: Duration = Duration::from_secs(120);

rapport_testkit::each_store! {
    async fn a_projection_that_is_rebuilt_is_the_one_that_grew(place: StorePlace) {
        // Time stands still: what decays is then the same whenever it is asked for.
        let (world, _) = clock::manual();
        let sandbox = Sandbox::builder(rapport::modules).topology(Topology::OneProcess).world(world).place(place);
        let mut stage = Stage::open(sandbox).await;
        // The same history for every change; the soak looks for others.
        let seed = size::pick(0, u64::from(std::process::id())) ^ 0x9e37_79b9_7f4a_7c15;
        history(&stage, &mut Dice(seed), at("2026-01-10T09:00:00Z")).await;
        settled(&stage, 0).await;
        let (grown, before_the_model) = dump(desk_store(&stage)).await;
        for kind in 1..=6 {
            let there = |row: &Row| row.kind == kind && !row.plain.is_empty();
            assert!(grown.iter().any(there), "nothing of sort {kind}: {seed}");
        }
        let worth = |row: &&Row| row.kind == VALUE && !before_the_model.contains(&row.party);
        assert!(grown.iter().filter(worth).filter(|row| estimated(row)).count() >= BUYERS, "nobody is worth anything: {seed}");
        let stood = rapport_interactions::forget_desk(desk_store(&stage)).await.expect("forgotten");
        assert_eq!(stood.keys().collect::<Vec<_>>(), ["loyalty", "scoring", "stakeholders"]);
        stage.sandbox.restart("interactions").await;
        // Interrupted before it is done: it goes on where it is served next.
        stage.sandbox.restart("interactions").await;
        settled(&stage, 0).await;
        let (anew, _) = dump(desk_store(&stage)).await;
        same(&shown(grown, &before_the_model), &shown(anew, &before_the_model), seed);
        stage.close().await;
    }
}

/// Numbers that look like chance and are the same for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % most
    }

    fn of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }
}

/// Things of every sort happen to parties up to a moment; their names.
pub(super) async fn history(stage: &Stage, dice: &mut Dice, moment: prost_types::Timestamp) -> Vec<String> {
    let mut parties = Vec::new();
    for number in 0..PARTIES {
        let card = if number % 5 == 0 { organization("Some Company") } else { person("Somebody") };
        let contact_media = vec![phone(&format!("+1202555{:04}", 2_000 + number))];
        parties.push(stage.party(stakeholders::Party { contact_media, ..card }).await);
    }
    let bearer = Bearer::new(ACME);
    let club = club::make(stage.sandbox.channel("loyalty"), bearer, &parties[0].name).await;
    let mut members = vec![club.member.clone()];
    let mut bonds = Vec::new();
    let mut cases = Vec::new();
    let mut promises = Vec::new();
    for step in 0..STEPS {
        if step == STEPS / 2 {
            // A model speaks of everybody, also of those who order nothing after it.
            let mut seen = Positions::new();
            for day in 1..=3 {
                seen = buy(stage, &parties, after(moment, -day * 86_400)).await;
            }
            let asked = FitClvModelRequest { family: ClvModelFamily::MbgNbd.into(), ..Default::default() };
            let fitted = fit(stage, ACME, asked, &seen).await;
            assert!(fitted.error.is_none(), "{fitted:?}");
        }
        let party = dice.of(&parties).clone();
        let occurred = after(moment, -i64::try_from(dice.below(400)).expect("small") * 43_200);
        // Each sort of thing happens at least once.
        match if step < SORTS { step } else { dice.below(SORTS) } {
            0..=3 => {
                let kind = *dice.of(&["order", "complaint", "inquiry"]);
                let who = if dice.below(4) == 0 {
                    by_number(&format!("+1202555{:04}", 2_000 + dice.below(PARTIES)))
                } else {
                    by_party(&party.name)
                };
                let mut fact = contact(kind, who, occurred);
                if kind == "order" {
                    fact = bought(fact, 20 + i64::try_from(dice.below(200)).expect("small"));
                }
                stage.interactions(ACME).record_interaction(record(fact)).await.expect("recorded");
            }
            4 => {
                let other = dice.of(&parties).clone();
                let ends = [&party.name, &other.name];
                let there = |bond: &stakeholders::Relationship| {
                    ends.contains(&&bond.from_party) && ends.contains(&&bond.to_party)
                };
                if other.name != party.name && !bonds.iter().any(there) {
                    bonds.push(made(stage, tie("knows", &party, &other)).await);
                }
            }
            5 if !bonds.is_empty() => {
                let bond: stakeholders::Relationship = bonds.swap_remove(dice.below(bonds.len()));
                let request = stakeholders::EndRelationshipRequest { name: bond.name, ..Default::default() };
                stage.relationships(ACME).end_relationship(request).await.expect("ended");
            }
            6 => {
                let consent = stakeholders::Consent {
                    party: party.name.clone(),
                    purpose: (*dice.of(&["marketing", "service"])).to_owned(),
                    channel: (*dice.of(&["phone", "email", ""])).to_owned(),
                    state: (*dice.of(&[stakeholders::ConsentState::Granted, stakeholders::ConsentState::Withdrawn]))
                        .into(),
                    ..Default::default()
                };
                let request = stakeholders::RecordConsentRequest { consent: Some(consent), ..Default::default() };
                stage.privacy(ACME).record_consent(request).await.expect("recorded");
            }
            7 => {
                let request = stakeholders::AssignRoleRequest {
                    party: party.name.clone(),
                    role: Some(role(dice.of::<&str>(&["customer", "supplier", "dealer", "media"]))),
                    ..Default::default()
                };
                // One that is held already is refused.
                let _refused = stage.parties(ACME).assign_role(request).await;
            }
            8 => {
                let member = loyalty::Member { party: party.name.clone(), ..Default::default() };
                let request = loyalty::EnrollMemberRequest {
                    program: club.program.clone(),
                    member: Some(member),
                    ..Default::default()
                };
                if let Ok(enrolled) = stage.members(ACME).enroll_member(request).await {
                    members.push(enrolled.into_inner().name);
                }
            }
            9 => {
                let request = loyalty::PostAccrualRequest {
                    member: dice.of(&members).clone(),
                    unit_type: club.points.clone(),
                    amount: 1 + i64::try_from(dice.below(500)).expect("small"),
                    ..Default::default()
                };
                stage.ledger(ACME).post_accrual(request).await.expect("posted");
            }
            10 => {
                let case = interactions::Case {
                    party: party.name.clone(),
                    r#type: "complaint".into(),
                    title: format!("matter {step}"),
                    ..Default::default()
                };
                let request = interactions::OpenCaseRequest { case: Some(case), ..Default::default() };
                cases.push(stage.cases(ACME).open_case(request).await.expect("opened").into_inner());
            }
            _ => {
                let commitment = interactions::Commitment {
                    party: party.name.clone(),
                    side: interactions::CommitmentSide::Ours.into(),
                    promise: format!("promise {step}"),
                    due_time: Some(after(moment, 864_000)),
                    ..Default::default()
                };
                let request =
                    interactions::MakeCommitmentRequest { commitment: Some(commitment), ..Default::default() };
                promises.push(stage.commitments(ACME).make_commitment(request).await.expect("made").into_inner());
            }
        }
    }
    buy(stage, &parties, moment).await;
    assert!(!cases.is_empty() && !promises.is_empty(), "a history of everything");
    parties.into_iter().map(|party| party.name).collect()
}

/// Some order something each; where that is told.
async fn buy(stage: &Stage, parties: &[stakeholders::Party], at: prost_types::Timestamp) -> Positions {
    let mut seen = Positions::new();
    for (number, party) in (1..).zip(&parties[..BUYERS]) {
        let fact = bought(contact("order", by_party(&party.name), at), 20 * number);
        let answer = stage.interactions(ACME).record_interaction(record(fact)).await.expect("recorded");
        seen.extend(positions(answer.metadata()));
    }
    seen
}

fn bought(fact: interactions::Interaction, units: i64) -> interactions::Interaction {
    let money = Some(club::dollars(units));
    let amount = Some(interactions::Amount { kind: interactions::AmountKind::Order.into(), money });
    interactions::Interaction { amount, ..fact }
}

fn desk_store(stage: &Stage) -> &Store {
    stage.sandbox.running().store("interactions").expect("hosted")
}

/// Where each service's feed ends.
pub(super) async fn heads(stage: &Stage) -> BTreeMap<String, i64> {
    let mut heads = BTreeMap::new();
    for service in ["stakeholders", "interactions", "scoring", "loyalty"] {
        let store = stage.sandbox.running().store(service).expect("hosted");
        heads.insert(service.to_owned(), store.feed_bounds().await.expect("read").1);
    }
    heads
}

/// Waits until every consumer has read every feed to its end, and nothing is to be asked for.
pub(super) async fn settled(stage: &Stage, calm: usize) {
    let started = Instant::now();
    let mut before = BTreeMap::new();
    let mut same = calm;
    loop {
        let heads = heads(stage).await;
        let mut all_read = true;
        for service in ["interactions", "scoring", "loyalty"] {
            let store = stage.sandbox.running().store(service).expect("hosted");
            let cursors = store.cursors().await.expect("read");
            all_read &= cursors.iter().all(|cursor| cursor.position >= heads[&cursor.source]);
            all_read &= !cursors.is_empty();
        }
        let (read, behind) = rapport_interactions::desk_progress(desk_store(stage)).await.expect("read");
        all_read &= behind == 0 && ["stakeholders", "scoring", "loyalty"].iter().all(|one| read.contains_key(*one));
        // What one consumer does may be news to another.
        same = if all_read && heads == before { same + 1 } else { 0 };
        if same > 2 {
            return;
        }
        before = heads;
        assert!(started.elapsed() < PATIENCE, "the consumers do not come to rest: {before:?}, {read:?}, {behind}");
        tokio::task::yield_now().await;
    }
}

/// A row of the projection.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    tenant: String,
    party: Uuid,
    kind: i16,
    facet: String,
    wanted: i64,
    plain: Vec<u8>,
}

/// Whether a row of a value says what a model says.
fn estimated(row: &Row) -> bool {
    let section = interactions::ValueSection::decode(row.plain.as_slice()).expect("a section");
    !section.model.is_empty() && section.alive_probability.is_some()
}

/// Rows as far as they are shown: what somebody was worth before the newest model is asked for again.
fn shown(mut rows: Vec<Row>, before_the_model: &BTreeSet<Uuid>) -> Vec<Row> {
    let behind = |row: &&mut Row| row.kind == VALUE && before_the_model.contains(&row.party);
    rows.iter_mut().filter(behind).for_each(|row| row.plain.clear());
    rows
}

/// Every row that a feed spoke of, and those whose values are from before the newest model.
async fn dump(store: &Store) -> (Vec<Row>, BTreeSet<Uuid>) {
    let db = store.reader();
    let text = "SELECT tenant, party, kind, facet, wanted, sealed, position FROM desk_section WHERE wanted > 0";
    let (mut rows, mut said, mut model) = (Vec::new(), BTreeMap::new(), 0);
    for row in Sql::new(db, text).all(db).await.expect("read") {
        let tenant: String = row.try_get_by_index(0).expect("tenant");
        let party: Uuid = row.try_get_by_index(1).expect("party");
        let sealed: Vec<u8> = row.try_get_by_index(5).expect("sealed");
        let plain = if sealed.is_empty() {
            Vec::new()
        } else {
            let subject = Subject::of(&TenantId::parse(&tenant).expect("a tenant"), party);
            store.unseal(&subject, "desk_section", &sealed).await.expect("opened").expect("its key is there")
        };
        let (kind, wanted) = (row.try_get_by_index(2).expect("kind"), row.try_get_by_index(4).expect("wanted"));
        match (kind, party.is_nil()) {
            // Nobody's row: the last model that speaks of everybody.
            (VALUE, true) => model = wanted,
            (VALUE, false) => {
                said.insert(party, row.try_get_by_index::<i64>(6).expect("position"));
            }
            _ => {}
        }
        rows.push(Row { tenant, party, kind, facet: row.try_get_by_index(3).expect("facet"), wanted, plain });
    }
    let before_the_model = said.into_iter().filter(|(_, position)| *position < model).map(|(party, _)| party).collect();
    let text = "SELECT tenant, party, relationship, neighbor, weight_micros, valid_from, valid_to FROM desk_tie";
    for row in Sql::new(db, text).all(db).await.expect("read") {
        let mut plain = Vec::new();
        for at in [2, 3] {
            plain.extend(row.try_get_by_index::<Uuid>(at).expect("an id").into_bytes());
        }
        for at in [4, 5, 6] {
            plain.extend(row.try_get_by_index::<i64>(at).expect("a number").to_be_bytes());
        }
        let (tenant, party) = (row.try_get_by_index(0).expect("tenant"), row.try_get_by_index(1).expect("party"));
        rows.push(Row { tenant, party, kind: 0, facet: "tie".into(), wanted: 0, plain });
    }
    rows.sort();
    (rows, before_the_model)
}

#[track_caller]
fn same(grown: &[Row], anew: &[Row], seed: u64) {
    for (one, other) in grown.iter().zip(anew) {
        assert_eq!(one, other, "seed {seed}");
    }
    assert_eq!(grown.len(), anew.len(), "seed {seed}");
}
