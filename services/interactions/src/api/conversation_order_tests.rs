//! Whatever order a conversation is told in, and however often: one interaction, the same in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures::future::join_all;
use rapport_proto::interactions::v1 as proto;
use rapport_testkit::place::StorePlace;
use rapport_testkit::{each_store, size};

use super::conversation_tests::{Line, at, ending, handover, leg};
use crate::fixture::party;

/// A small generator of our own, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// Something that is told of a conversation.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
enum Telling {
    Begin(proto::Call),
    Transfer(proto::TransferCallRequest),
    End(proto::EndCallRequest),
}

impl Telling {
    /// The same, told of another conversation by another number.
    fn of(mut self, call_id: &str) -> Telling {
        let number =
            format!("+1202555{:0>4}", call_id.bytes().fold(0u32, |sum, one| (sum * 31 + u32::from(one)) % 9_999));
        let rename = |call: &mut proto::Call| {
            call.call_id = call_id.to_owned();
            if let Some(identifier) = call.identifier_used.as_mut().filter(|one| !one.value.is_empty()) {
                identifier.value = number.clone();
            }
        };
        match &mut self {
            Telling::Begin(call) => rename(call),
            Telling::Transfer(transfer) => transfer.call_id = call_id.to_owned(),
            Telling::End(end) => rename(end.call.as_mut().unwrap()),
        }
        self
    }

    async fn tell(self, line: &Line) {
        match self {
            Telling::Begin(call) => drop(line.begin(call).await),
            Telling::Transfer(transfer) => drop(line.transfer(transfer).await),
            Telling::End(end) => drop(line.end(end).await),
        }
    }
}

/// Two or three legs, of which every one says in its end all that it says: only then does the order say nothing.
fn conversation(dice: &mut Dice) -> Vec<Telling> {
    let names = ["a", "b", "c"];
    let legs = 2 + dice.below(2) as usize;
    let mut all = Vec::new();
    for (place, name) in names.iter().take(legs).enumerate() {
        let started = dice.below(3) as i64;
        let number = if dice.one_in(3) { "" } else { "+12025550100" };
        let call = proto::Call { started_time: at(started), ..leg("", name, number) };
        let disposition = 1 + dice.below(5) as i32;
        let case = proto::CallCase { r#type: "inquiry".to_owned(), title: format!("of {name}"), ..Default::default() };
        let valence = proto::Valence {
            value: -0.25 * place as f64,
            method: proto::ValenceMethod::Agent.into(),
            confidence: None,
        };
        all.push(Telling::End(proto::EndCallRequest {
            disposition,
            topics: vec![format!("topic-{}", dice.below(3)), format!("of-{name}")],
            valence: (!dice.one_in(3)).then_some(valence),
            effort: dice.one_in(2).then_some(1 + dice.below(7) as i32),
            party: if dice.one_in(4) { party(u128::from(7 + dice.below(2))) } else { String::new() },
            open_case: dice.one_in(3).then_some(case),
            ..ending(call.clone(), 10 + dice.below(3) as i64)
        }));
        if !dice.one_in(4) {
            all.push(Telling::Begin(call));
        }
        if place > 0 && dice.one_in(2) {
            all.push(Telling::Transfer(handover("", names[place - 1], name)));
        }
    }
    all
}

/// What has to be the same in the end, of the interaction and of its cases.
#[derive(Debug, PartialEq)]
struct Told {
    kind: String,
    direction: i32,
    topics: Vec<String>,
    body: String,
    valence: Option<proto::Valence>,
    effort: Option<i32>,
    occurred_time: Option<prost_types::Timestamp>,
    actor: String,
    picked: String,
    scheme: String,
    asked: usize,
    legs: Vec<(String, String, usize)>,
}

async fn told(line: &Line, call_id: &str, all: &[Telling]) -> Told {
    // Every telling told once more says what there is.
    let mut legs: Vec<(String, String, usize, String)> = Vec::new();
    let mut interaction = String::new();
    for telling in all {
        if let Telling::End(end) = telling.clone().of(call_id) {
            let call = line.end(end).await;
            interaction.clone_from(&call.interaction);
            let resolution = call.resolution.unwrap();
            legs.push((call.leg, resolution.reason, call.transfers.len(), call.interaction));
        }
    }
    assert!(legs.iter().all(|one| one.3 == interaction), "{call_id}: {legs:?}");
    let one = line.get(&interaction, 0).await;
    let cases = line.cases().await;
    let asked = cases.iter().filter(|case| case.interactions == [interaction.clone()] && case.r#type == "inquiry");
    let asked: Vec<_> = asked.collect();
    let of = &one.participants[0];
    assert!(asked.iter().all(|case| case.origin == of.origin), "{call_id}: cases go where the call goes");
    legs.sort();
    Told {
        kind: one.kind.clone(),
        direction: one.direction,
        topics: one.topics.clone(),
        body: one.body.clone(),
        valence: one.valence,
        effort: one.effort,
        occurred_time: one.occurred_time,
        actor: one.provenance.clone().unwrap_or_default().actor,
        picked: of.party.clone(),
        scheme: of.identifier_used.as_ref().map(|used| used.scheme.clone()).unwrap_or_default(),
        asked: asked.len(),
        legs: legs.into_iter().map(|(leg, reason, transfers, _)| (leg, reason, transfers)).collect(),
    }
}

each_store! {
    async fn any_order_and_any_number_of_tellings_end_in_the_same_one_interaction(place: StorePlace) {
        let line = Line::open(&place).await;
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for round in 0..size::pick(12, 150) {
            let all = conversation(&mut dice);
            let mut first = None;
            for order in 0..3 {
                let call_id = format!("{round}-{order}");
                let mut tellings: Vec<Telling> = all.iter().flat_map(|telling| {
                    let times = if order == 0 { 1 } else { 1 + dice.below(3) };
                    (0..times).map(|_| telling.clone()).collect::<Vec<_>>()
                }).collect();
                dice.shuffle(&mut tellings);
                for telling in &tellings {
                    telling.clone().of(&call_id).tell(&line).await;
                }
                let now = told(&line, &call_id, &all).await;
                let asks = all.iter().filter(|one| matches!(one, Telling::End(end) if end.open_case.is_some())).count();
                assert_eq!(now.asked, asks, "{tellings:#?}");
                match &first {
                    None => first = Some(now),
                    Some(first) => assert_eq!(&now, first, "{tellings:#?}"),
                }
            }
            let recorded = line.published::<proto::InteractionRecorded>().await;
            let mut names: Vec<_> = recorded.iter().map(|one| one.interaction.clone()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), recorded.len(), "each conversation is recorded once");
        }
        line.cx.store.close().await;
    }

    async fn all_of_it_at_once_ends_in_one_interaction(place: StorePlace) {
        let line = Line::open(&place).await;
        // Two replicas, where the store can have them.
        let other = if place.is_postgres() { Line::open(&place).await } else { line.twin() };
        let mut dice = Dice(0x2545_f491_4f6c_dd1d);
        for round in 0..size::pick(6, 60) {
            let all = conversation(&mut dice);
            for telling in &all {
                telling.clone().of(&format!("{round}-one")).tell(&line).await;
            }
            let call_id = format!("{round}-all");
            let mut tellings: Vec<Telling> = all.iter().cycle().take(3 * all.len()).cloned().collect();
            dice.shuffle(&mut tellings);
            let at_once = tellings.into_iter().enumerate().map(|(at, telling)| {
                telling.of(&call_id).tell(if at % 2 == 0 { &line } else { &other })
            });
            join_all(at_once).await;
            let one = told(&line, &format!("{round}-one"), &all).await;
            assert_eq!(told(&line, &call_id, &all).await, one, "{all:#?}");
        }
        if place.is_postgres() {
            other.cx.store.close().await;
        }
        line.cx.store.close().await;
    }
}
