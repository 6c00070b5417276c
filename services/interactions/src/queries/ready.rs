//! Contexts as they are sent: what stays of one is encoded once, and sent again until something of it changes.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, int32, int64, key_len, message};
use rapport_proto::interactions::v1 as proto;
use rapport_rpc::{Encoded, wire};
use rapport_types::time::Timestamp;
use rapport_types::{TenantId, Uuid};

use super::held::OLD_MICROS;
use super::shelf::{Positions, SOURCES};

/// How long a context stays that nobody made invalid.
const LONG: Duration = Duration::from_secs(300);
/// How many bytes of contexts stay.
const BYTES: u64 = 96 << 20;
/// What a context takes beside what is sent.
const CONTEXT: usize = 1_200;
/// About what the statuses of a context take that are written anew.
const MOVING: usize = 400;
const DAY_MICROS: i64 = 86_400_000_000;

// Fields of the contract. A context that is written by these numbers is read back by a test.
const AS_OF: u32 = 3;
const SPENT: u32 = 4;
const STATUS: u32 = 1;
const STATUS_POSITION: u32 = 2;
const STATUS_AS_OF: u32 = 5;
const STATUS_AGE: u32 = 6;

/// What a context rests on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rests {
    /// How far the feeds of others were applied before anything was read.
    pub(crate) positions: Positions,
    /// Up to where of the own feed the own sections hold everything.
    pub(crate) own: i64,
    /// Whoever the own feed has to name after that for them to be otherwise.
    pub(crate) concerned: Vec<Uuid>,
}

/// When a context is sent, and what is known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Now.
    pub(crate) now: Timestamp,
    /// What it took, in milliseconds.
    pub(crate) spent_ms: i32,
    /// How far the feeds of others are applied.
    pub(crate) positions: Positions,
    /// How far the own feed is known.
    pub(crate) own: i64,
}

/// A context of a party with nobody near, of which everything was fresh.
#[derive(Debug)]
pub(crate) struct Ready {
    rests: Rests,
    /// From then on it is otherwise by itself.
    until: Timestamp,
    /// What is not in sections.
    fixed: Vec<u8>,
    sections: Vec<Section>,
}

/// A section, encoded but for what of its status moves.
#[derive(Debug)]
struct Section {
    field: u32,
    status: Vec<u8>,
    moves: Moves,
    body: Vec<u8>,
}

/// What of a section's status moves.
#[derive(Clone, Copy, Debug)]
enum Moves {
    /// Nothing.
    Not,
    /// It was said then, and gets older; it holds everything up to there at least.
    Said { source: usize, at: Timestamp, position: i64 },
    /// It is our own, and as new as the answer.
    Own,
}

impl Section {
    /// None where its status cannot be read.
    fn of(field: u32, status: proto::SectionStatus, body: Vec<u8>) -> Option<Section> {
        let moves = match &status.as_of_time {
            None => Moves::Not,
            Some(_) if status.source == "interactions" => Moves::Own,
            Some(at) => Moves::Said {
                source: SOURCES.iter().position(|source| *source == status.source)?,
                at: wire::timestamp(at).ok()?,
                position: status.position,
            },
        };
        let status = match moves {
            Moves::Not => status,
            Moves::Said { .. } => proto::SectionStatus { position: 0, age: None, ..status },
            Moves::Own => proto::SectionStatus { position: 0, age: None, as_of_time: None, ..status },
        };
        Some(Section { field, status: status.encode_to_vec(), moves, body })
    }

    fn write(&self, moment: &Moment, bytes: &mut Vec<u8>) {
        let moved = match self.moves {
            Moves::Not => None,
            Moves::Said { source, at, position } => {
                let applied = moment.positions.get(source).copied().unwrap_or_default();
                Some((position.max(applied), None, moment.now.since(at)))
            }
            Moves::Own => Some((moment.own, Some(wire::to_timestamp(moment.now)), Duration::ZERO)),
        };
        let moved = moved.map(|(position, as_of, age)| (position, as_of, wire::to_duration(age)));
        let status = self.status.len()
            + moved.as_ref().map_or(0, |(position, as_of, age)| {
                int64::encoded_len(STATUS_POSITION, position)
                    + as_of.as_ref().map_or(0, |as_of| message::encoded_len(STATUS_AS_OF, as_of))
                    + message::encoded_len(STATUS_AGE, age)
            });
        let section = key_len(STATUS) + encoded_len_varint(status as u64) + status + self.body.len();
        encode_key(self.field, WireType::LengthDelimited, bytes);
        encode_varint(section as u64, bytes);
        encode_key(STATUS, WireType::LengthDelimited, bytes);
        encode_varint(status as u64, bytes);
        bytes.extend_from_slice(&self.status);
        if let Some((position, as_of, age)) = &moved {
            int64::encode(STATUS_POSITION, position, bytes);
            if let Some(as_of) = as_of {
                message::encode(STATUS_AS_OF, as_of, bytes);
            }
            message::encode(STATUS_AGE, age, bytes);
        }
        bytes.extend_from_slice(&self.body);
    }

    fn len(&self) -> usize {
        self.status.len() + self.body.len()
    }
}

macro_rules! sections {
    ($context:ident: $($section:ident = $field:literal)+) => {
        vec![$({
            let mut section = $context.$section.take()?;
            let status = section.status.take()?;
            Section::of($field, status, section.encode_to_vec())?
        },)+]
    };
}

impl Ready {
    /// A context that was put together, by what it rests on; none where it is to be put together anew each time: where
    /// something is not as it is now, where somebody is near, whose matters are read each time, and where it is of a call.
    pub(crate) fn of(context: &proto::AgentContext, rests: Rests) -> Option<Ready> {
        use proto::SectionState::{Fresh, Missing, Redacted};
        let settled = |status: &proto::SectionStatus| matches!(status.state(), Fresh | Missing | Redacted);
        let moving = !context.statuses().all(|(_, status)| settled(status));
        if moving || !context.call.is_empty() || context.network.as_ref()?.looked_at > 0 {
            return None;
        }
        let until = turns(context)?;
        let mut fixed = proto::AgentContext { as_of_time: None, spent_ms: 0, ..context.clone() };
        let sections = sections!(fixed: card = 7 history = 8 cases = 9 scores = 10 value = 11 loyalty = 12 consents = 13
            network = 14 promises = 17);
        Some(Ready { rests, until, fixed: fixed.encode_to_vec(), sections })
    }

    /// What it rests on, if by itself it is at a moment as it was.
    pub(crate) fn at(&self, now: Timestamp) -> Option<&Rests> {
        (now < self.until).then_some(&self.rests)
    }

    /// The context as it is sent.
    pub(crate) fn encode(&self, moment: &Moment) -> Encoded {
        Encoded::new(self.len() + MOVING, |bytes| {
            bytes.extend_from_slice(&self.fixed);
            message::encode(AS_OF, &wire::to_timestamp(moment.now), bytes);
            int32::encode(SPENT, &moment.spent_ms, bytes);
            for section in &self.sections {
                section.write(moment, bytes);
            }
        })
    }

    fn len(&self) -> usize {
        self.fixed.len() + self.sections.iter().map(Section::len).sum::<usize>()
    }
}

/// The first moment at which a context is otherwise though nobody told of anything; none where that cannot be read.
fn turns(context: &proto::AgentContext) -> Option<Timestamp> {
    let now = wire::timestamp(context.as_of_time.as_ref()?).ok()?;
    let mut first = Timestamp::from_micros(i64::MAX);
    for (_, status) in context.statuses() {
        if let Some(turn) = &status.next_change_time {
            first = first.min(wire::timestamp(turn).ok()?);
        }
        // What was said too long ago is asked for again.
        if let Some(said) = &status.as_of_time {
            let said = wire::timestamp(said).ok()?;
            first = first.min(Timestamp::from_micros(said.as_micros().saturating_add(OLD_MICROS)));
        }
    }
    // A promise is late once it was due.
    for promise in context.promises.iter().flat_map(|section| &section.commitments).filter(|promise| !promise.late) {
        if let Some(due) = &promise.due_time {
            first = first.min(wire::timestamp(due).ok()?);
        }
    }
    // Units expire, and it is told in how many days.
    let members = context.loyalty.iter().flat_map(|section| &section.members);
    for expiry in members.flat_map(|member| &member.expiries) {
        if let Some(time) = &expiry.expire_time {
            let at = wire::timestamp(time).ok()?;
            let day = at.micros_since(now).rem_euclid(DAY_MICROS);
            first = first.min(Timestamp::from_micros(time.seconds.saturating_mul(1_000_000)));
            first = first.min(Timestamp::from_micros(now.as_micros().saturating_add(day)));
        }
    }
    Some(first)
}

/// Of whom a context is, on which medium, and what its caller may read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReadyKey {
    pub(crate) tenant: TenantId,
    pub(crate) party: Uuid,
    pub(crate) medium: i16,
    /// One bit for each permission.
    pub(crate) may: u16,
}

/// The contexts that were told lately. Clones hold the same ones.
#[derive(Clone)]
pub(crate) struct Told(moka::sync::Cache<ReadyKey, Arc<Ready>>);

impl Default for Told {
    fn default() -> Told {
        let weight = |_: &ReadyKey, ready: &Arc<Ready>| u32::try_from(CONTEXT + ready.len()).unwrap_or(u32::MAX);
        Told(moka::sync::Cache::builder().weigher(weight).max_capacity(BYTES).time_to_live(LONG).build())
    }
}

impl Told {
    /// The context that was told last.
    pub(crate) fn get(&self, key: &ReadyKey) -> Option<Arc<Ready>> {
        self.0.get(key)
    }

    /// Puts a context there.
    pub(crate) fn put(&self, key: ReadyKey, ready: Ready) {
        self.0.insert(key, Arc::new(ready));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proto::SectionState::{Fresh, Missing, Pending, Redacted, Stale};

    use super::super::heard::{Asked, section_status};
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(NOW + micros)
    }

    fn time(micros: i64) -> Option<prost_types::Timestamp> {
        Some(wire::to_timestamp(at(micros)))
    }

    fn status(source: &str, position: i64, micros: i64) -> Option<proto::SectionStatus> {
        let mut status = section_status(source, Fresh, String::new(), Some(Asked { at: at(micros), position }));
        status.age = Some(wire::to_duration(at(0).since(at(micros))));
        Some(status)
    }

    /// What is told of a party at a moment, everything of which is there.
    fn context() -> proto::AgentContext {
        let nobody = section_status("interactions", Missing, "a party was asked for".to_owned(), None);
        let forbidden = section_status("scoring", Redacted, "it takes a permission".to_owned(), None);
        let mut turning = status("stakeholders", 7, -3 * SECOND);
        turning.as_mut().unwrap().next_change_time = time(86_400 * SECOND);
        proto::AgentContext {
            party: "parties/1".to_owned(),
            as_of_time: time(0),
            spent_ms: 4,
            medium: proto::Medium::Phone.into(),
            caller: Some(proto::CallerSection { status: Some(nobody), ..Default::default() }),
            card: Some(proto::CardSection { status: turning, display_name: "Ana".to_owned(), ..Default::default() }),
            history: Some(proto::HistorySection {
                status: status("interactions", 40, 0),
                interactions: vec![proto::Interaction { kind: "inquiry".to_owned(), ..Default::default() }],
            }),
            cases: Some(proto::CaseSection { status: status("interactions", 40, 0), ..Default::default() }),
            promises: Some(proto::CommitmentSection { status: status("interactions", 40, 0), ..Default::default() }),
            scores: Some(proto::ScoreSection { status: status("scoring", 11, -9 * SECOND), ..Default::default() }),
            value: Some(proto::ValueSection { status: Some(forbidden), ..Default::default() }),
            loyalty: Some(proto::LoyaltySection { status: status("loyalty", 5, 0), ..Default::default() }),
            consents: Some(proto::ConsentSection { status: status("stakeholders", 7, 0), ..Default::default() }),
            network: Some(proto::NetworkSection { status: status("stakeholders", 7, 0), ..Default::default() }),
            warnings: vec![proto::ContextWarning { text: "careful".to_owned(), ..Default::default() }],
            next_best_action: Some(proto::NextBestAction { reason: "serve".to_owned(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn rests() -> Rests {
        Rests { positions: [7, 11, 5], own: 40, concerned: vec![Uuid::from_u128(1)] }
    }

    fn until(context: &proto::AgentContext) -> i64 {
        Ready::of(context, rests()).unwrap().until.micros_since(at(0))
    }

    #[test]
    fn what_is_sent_again_is_what_would_be_put_together() {
        let (context, same) = (context(), Moment { now: at(0), spent_ms: 4, positions: [7, 11, 5], own: 40 });
        let ready = Ready::of(&context, rests()).unwrap();
        let sent = |moment: &Moment| proto::AgentContext::decode(ready.encode(moment).message()).unwrap();
        assert_eq!(sent(&same), context);

        let later = sent(&Moment { now: at(2 * SECOND), spent_ms: 0, positions: [7, 19, 3], own: 44 });
        assert_eq!((later.as_of_time, later.spent_ms), (time(2 * SECOND), 0));
        let moved = |field: &str| later.statuses().find(|(name, _)| *name == field).unwrap().1.clone();
        let expected = |position: i64, micros: i64| {
            let age = Some(wire::to_duration(at(2 * SECOND).since(at(micros))));
            (position, time(micros), age)
        };
        for (field, told) in [
            ("card", expected(7, -3 * SECOND)),
            ("scores", expected(19, -9 * SECOND)),
            // It knows more than is applied.
            ("loyalty", expected(5, 0)),
            ("history", expected(44, 2 * SECOND)),
            ("value", (0, None, None)),
            ("caller", (0, None, None)),
        ] {
            let status = moved(field);
            assert_eq!((status.position, status.as_of_time, status.age), told, "{field}");
        }
        // Nothing else is otherwise.
        let (mut later, mut before) = (later, context.clone());
        for context in [&mut later, &mut before] {
            (context.as_of_time, context.spent_ms) = (None, 0);
            for status in context.statuses_mut() {
                (status.position, status.as_of_time, status.age) = (0, None, None);
            }
        }
        assert_eq!(later, before);
    }

    #[test]
    fn what_is_not_all_as_it_is_now_is_put_together_each_time() {
        for state in [Stale, Pending] {
            let mut context = context();
            context.scores.as_mut().unwrap().status.as_mut().unwrap().state = state.into();
            assert!(Ready::of(&context, rests()).is_none(), "{state:?}");
        }
        let mut near = context();
        near.network.as_mut().unwrap().looked_at = 1;
        assert!(Ready::of(&near, rests()).is_none());
        assert!(Ready::of(&proto::AgentContext { call: "calls/1".to_owned(), ..context() }, rests()).is_none());
    }

    #[test]
    fn it_is_told_until_the_first_of_it_changes_by_itself() {
        // Said 9 seconds ago, for an hour at most.
        assert_eq!(until(&context()), OLD_MICROS - 9 * SECOND);
        let mut turning = context();
        turning.card.as_mut().unwrap().status.as_mut().unwrap().next_change_time = time(60 * SECOND);
        assert_eq!(until(&turning), 60 * SECOND);
        assert!(Ready::of(&turning, rests()).unwrap().at(at(60 * SECOND)).is_none());
        assert_eq!(Ready::of(&turning, rests()).unwrap().at(at(60 * SECOND - 1)), Some(&rests()));

        let promise = |late, due| proto::Commitment { late, due_time: time(due), ..proto::Commitment::default() };
        let mut promised = context();
        promised.promises.as_mut().unwrap().commitments = vec![promise(true, -SECOND), promise(false, 50 * SECOND)];
        assert_eq!(until(&promised), 50 * SECOND);

        // In three days: told as two of them 40 seconds from now.
        let expiry = |micros| proto::ContextExpiry { expire_time: time(micros), ..proto::ContextExpiry::default() };
        let mut expiring = context();
        let member = proto::ContextMember {
            expiries: vec![expiry(3 * DAY_MICROS + 40 * SECOND)],
            ..proto::ContextMember::default()
        };
        expiring.loyalty.as_mut().unwrap().members = vec![member];
        assert_eq!(until(&expiring), 40 * SECOND);
        expiring.loyalty.as_mut().unwrap().members[0].expiries = vec![expiry(30 * SECOND + 7)];
        assert_eq!(until(&expiring), 30 * SECOND, "what expires within a second is no longer told");
    }

    #[test]
    fn each_caller_is_told_what_they_may_read() {
        let (told, key) =
            (Told::default(), ReadyKey { tenant: TenantId::local(), party: Uuid::from_u128(1), medium: 1, may: 0b11 });
        told.put(key.clone(), Ready::of(&context(), rests()).unwrap());
        assert!(told.clone().get(&key).is_some());
        for other in [
            ReadyKey { tenant: TenantId::parse("acme").unwrap(), ..key.clone() },
            ReadyKey { party: Uuid::from_u128(2), ..key.clone() },
            ReadyKey { medium: 2, ..key.clone() },
            ReadyKey { may: 0b01, ..key.clone() },
        ] {
            assert!(told.get(&other).is_none(), "{other:?}");
        }
    }
}
