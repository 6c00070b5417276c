use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, Store, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{Pii, TenantId, Uuid};
use serde::{Deserialize, Serialize};

use super::CallText;
use super::sealing;
use crate::domain::{
    Candidate, Direction, Disposition, Effort, EndedLeg, Held, Identifier, Match, Medium, Origin, Provenance,
    Resolution, SAID_SO, Slug, Told, Valence, ValenceMethod,
};

/// The columns of `call_leg`, in the order in which rows are read and written.
const COLUMNS: &[&str] = &[
    "tenant",
    "id",
    "state",
    "origin",
    "subject",
    "interaction_id",
    "case_id",
    "recorded_at",
    "detail",
    "sealed",
    "conversation",
];

/// The field that the texts' seal is bound to.
const TEXT: &str = "call_leg.text";

/// It goes on, or it has ended.
const OPEN: i16 = 1;
const ENDED: i16 = 2;

/// A call as it stands. Its texts stay sealed, so that it can be kept for the retry of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallRow {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    /// The conversation that it is a leg of: the id of the interaction that all of them become.
    #[serde(default)]
    pub(crate) talk: Uuid,
    /// Its beginning was told.
    pub(crate) begun: bool,
    /// The code of the direction; 0 while nobody said it.
    pub(crate) direction: i16,
    /// The code of the medium; 0 while nobody said it.
    pub(crate) medium: i16,
    /// Under which origin it comes.
    pub(crate) origin: Origin,
    /// Whether that names the party, whose id the origin then is.
    pub(crate) named: bool,
    /// Who it is was lent by another leg: nobody told of this one.
    #[serde(default)]
    pub(crate) lent: bool,
    /// Whom the agent found the other side to be when this leg ended.
    #[serde(default)]
    pub(crate) said: Option<Uuid>,
    /// Whom somebody said it really was, afterwards: the same in all legs.
    #[serde(default)]
    pub(crate) corrected: Option<Uuid>,
    /// Whom the conversation is taken to be with because somebody said so; the same in all legs.
    #[serde(default)]
    pub(crate) picked: Option<Uuid>,
    /// The origin under whose key `sealed` is.
    pub(crate) subject: Uuid,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) disposition: i16,
    pub(crate) interaction: Option<Uuid>,
    pub(crate) case: Option<Uuid>,
    /// The case was there before, and the interaction only linked to it.
    #[serde(default)]
    pub(crate) linked: bool,
    pub(crate) resolution: Resolution,
    pub(crate) source_system: String,
    /// What its end said of it.
    #[serde(default)]
    pub(crate) said_at_end: Said,
    pub(crate) sealed: Vec<u8>,
    pub(crate) recorded_at: Timestamp,
}

/// What the end of a leg said of it, without its texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Value, method, confidence.
    pub(crate) valence: Option<(f64, i16, f64)>,
    pub(crate) effort: Option<i16>,
    pub(crate) topics: Vec<String>,
    pub(crate) role_type: String,
}

impl CallRow {
    /// It has become an interaction.
    pub(crate) fn ended(&self) -> bool {
        self.interaction.is_some()
    }

    /// What was told of it so far.
    pub(crate) fn told(&self, text: CallText) -> Told {
        let identifier = text.identifier.map(|identifier| Identifier::kept(identifier.scheme, identifier.value));
        Told {
            call_id: Pii::new(text.call_id),
            leg: Pii::new(text.leg),
            direction: Direction::from_code(i64::from(self.direction)),
            identifier,
            dialled: Pii::new(text.dialled),
            medium: Medium::from_code(i64::from(self.medium)),
            agent: Pii::new(text.agent),
            started_at: self.started_at,
            provenance: Provenance {
                source_system: self.source_system.clone(),
                source_record_id: text.source_record_id,
                actor: text.actor,
                reason: text.reason,
            },
        }
    }

    /// Takes over what was told, beside what is `kept` of its texts. They are still to be sealed.
    pub(crate) fn tell(&mut self, told: &Told, kept: &CallText) -> CallText {
        self.direction = told.direction.map_or(0, Direction::code);
        self.medium = told.medium.map_or(0, Medium::code);
        self.started_at = told.started_at;
        self.source_system.clone_from(&told.provenance.source_system);
        CallText::of(told, kept)
    }

    /// Seals its texts under `subject`.
    ///
    /// # Errors
    /// Precondition `ERASED`.
    pub(crate) fn seal(&mut self, text: &CallText, subject: Uuid, keys: &SubjectKeys) -> Result<(), Error> {
        let whose = sealing::subject(&self.tenant, subject);
        self.sealed = keys.seal(&whose, TEXT, &text.encode_to_vec()).map_err(sealing::decided)?;
        self.subject = subject;
        Ok(())
    }

    /// Who the other side is: whom somebody said it was, else what was found.
    pub(crate) fn resolved(&self) -> Resolution {
        self.picked.map_or_else(|| self.resolution.clone(), |party| Resolution::resolved(party, SAID_SO))
    }

    /// The origin under which the conversation is recorded.
    pub(crate) fn whose(&self) -> Origin {
        self.picked.map_or(self.origin, |party| Origin { id: party, party: Some(party) })
    }

    /// What it counts for once it has ended; nothing before, or when its texts were erased.
    pub(crate) fn ended_leg(&self, text: Option<&CallText>) -> Option<EndedLeg> {
        let Said { valence, effort, topics, role_type } = &self.said_at_end;
        let text = text?;
        Some(EndedLeg {
            id: self.id,
            told: self.told(text.clone()),
            ended_at: self.ended_at.filter(|_| self.ended())?,
            disposition: Disposition::from_code(i64::from(self.disposition))?,
            subject_line: text.subject_line.clone(),
            wrap_up: text.wrap_up.clone(),
            valence: valence.and_then(|(value, method, confidence)| {
                Some(Valence { value, method: ValenceMethod::from_code(i64::from(method))?, confidence })
            }),
            effort: effort.and_then(|effort| Effort::parse(i32::from(effort)).ok()),
            topics: topics.iter().filter_map(|topic| Slug::parse(topic).ok()).collect(),
            role_type: Slug::parse_optional(role_type).ok().flatten(),
        })
    }

    /// The texts, by keys that were loaded; nothing when their key was destroyed.
    ///
    /// # Errors
    /// Internal.
    pub(crate) fn text(&self, keys: &SubjectKeys) -> Result<Option<CallText>, Error> {
        let subject = sealing::subject(&self.tenant, self.subject);
        let plain = keys.unseal(&subject, TEXT, &self.sealed).map_err(sealing::decided)?;
        plain.map(|plain| CallText::decode(plain.as_slice()).map_err(Error::internal)).transpose()
    }

    /// The texts, for a reader; empty when their key was destroyed.
    ///
    /// # Errors
    /// Unavailable.
    pub(crate) async fn open(&self, store: &Store) -> Result<CallText, Error> {
        let plain = store.unseal(&sealing::subject(&self.tenant, self.subject), TEXT, &self.sealed).await?;
        plain.map_or(Ok(CallText::default()), |plain| CallText::decode(plain.as_slice()).map_err(Error::internal))
    }
}

/// What a call's row holds beside its columns: nothing personal, and nothing that anybody filters by.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(bool, tag = "1")]
    begun: bool,
    #[prost(int32, tag = "2")]
    direction: i32,
    #[prost(int32, tag = "3")]
    medium: i32,
    #[prost(bool, tag = "4")]
    named: bool,
    /// The party that the origin belonged to, 16 bytes; empty when nobody knew.
    #[prost(bytes = "vec", tag = "5")]
    party: Vec<u8>,
    #[prost(int64, optional, tag = "6")]
    started_at: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    ended_at: Option<i64>,
    #[prost(int32, tag = "8")]
    disposition: i32,
    #[prost(int32, tag = "9")]
    matched: i32,
    #[prost(string, tag = "10")]
    reason: String,
    #[prost(message, repeated, tag = "11")]
    candidates: Vec<StoredCandidate>,
    #[prost(string, tag = "12")]
    source_system: String,
    #[prost(bool, tag = "13")]
    lent: bool,
    /// Parties, 16 bytes each; empty when there is none.
    #[prost(bytes = "vec", tag = "14")]
    said: Vec<u8>,
    #[prost(bytes = "vec", tag = "15")]
    corrected: Vec<u8>,
    #[prost(bytes = "vec", tag = "16")]
    picked: Vec<u8>,
    #[prost(bool, tag = "17")]
    linked: bool,
    #[prost(message, optional, tag = "18")]
    valence: Option<StoredValence>,
    #[prost(int32, optional, tag = "19")]
    effort: Option<i32>,
    #[prost(string, repeated, tag = "20")]
    topics: Vec<String>,
    #[prost(string, tag = "21")]
    role_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredValence {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int32, tag = "2")]
    method: i32,
    #[prost(double, tag = "3")]
    confidence: f64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredCandidate {
    #[prost(bytes = "vec", tag = "1")]
    party: Vec<u8>,
    #[prost(int32, tag = "2")]
    confidence: i32,
    #[prost(string, repeated, tag = "3")]
    reasons: Vec<String>,
}

impl Detail {
    fn of(row: &CallRow) -> Detail {
        let candidates = row.resolution.candidates.iter().map(|candidate| StoredCandidate {
            party: candidate.party.as_bytes().to_vec(),
            confidence: candidate.confidence,
            reasons: candidate.reasons.clone(),
        });
        let party = |party: Option<Uuid>| party.map(|party| party.as_bytes().to_vec()).unwrap_or_default();
        let Said { valence, effort, topics, role_type } = &row.said_at_end;
        Detail {
            begun: row.begun,
            direction: i32::from(row.direction),
            medium: i32::from(row.medium),
            named: row.named,
            party: party(row.origin.party),
            started_at: row.started_at.map(Timestamp::as_micros),
            ended_at: row.ended_at.map(Timestamp::as_micros),
            disposition: i32::from(row.disposition),
            matched: i32::from(row.resolution.matched().code()),
            reason: row.resolution.reason.clone(),
            candidates: candidates.collect(),
            source_system: row.source_system.clone(),
            lent: row.lent,
            said: party(row.said),
            corrected: party(row.corrected),
            picked: party(row.picked),
            linked: row.linked,
            valence: valence.map(|(value, method, confidence)| StoredValence {
                value,
                method: i32::from(method),
                confidence,
            }),
            effort: effort.map(i32::from),
            topics: topics.clone(),
            role_type: role_type.clone(),
        }
    }

    fn said_at_end(&self) -> Said {
        let small = |value: i32| i16::try_from(value).unwrap_or_default();
        Said {
            valence: self.valence.as_ref().map(|one| (one.value, small(one.method), one.confidence)),
            effort: self.effort.map(small),
            topics: self.topics.clone(),
            role_type: self.role_type.clone(),
        }
    }

    fn resolution(&self) -> Resolution {
        let candidates = self.candidates.iter().map(|candidate| Candidate {
            party: Uuid::from_slice(&candidate.party).unwrap_or_default(),
            confidence: candidate.confidence,
            reasons: candidate.reasons.clone(),
        });
        let matched = Match::from_code(i64::from(self.matched)).unwrap_or(Match::Unknown);
        Resolution::new(matched, self.reason.clone(), candidates.collect())
    }
}

fn read(tenant: &TenantId, row: &QueryResult) -> Result<CallRow, DbErr> {
    let detail: Vec<u8> = row.try_get_by_index(8)?;
    let detail =
        Detail::decode(detail.as_slice()).map_err(|error| DbErr::Custom(format!("call_leg.detail: {error}")))?;
    let small = |value: i32| i16::try_from(value).unwrap_or_default();
    let party = |bytes: &[u8]| Uuid::from_slice(bytes).ok();
    let talk: Option<Uuid> = row.try_get_by_index(10)?;
    Ok(CallRow {
        tenant: tenant.clone(),
        id: row.try_get_by_index(1)?,
        // One that goes on since before there were conversations: nil until something is told of it.
        talk: talk.unwrap_or_default(),
        lent: detail.lent,
        said: party(&detail.said),
        corrected: party(&detail.corrected),
        picked: party(&detail.picked),
        linked: detail.linked,
        said_at_end: detail.said_at_end(),
        begun: detail.begun,
        direction: small(detail.direction),
        medium: small(detail.medium),
        origin: Origin { id: row.try_get_by_index(3)?, party: Uuid::from_slice(&detail.party).ok() },
        named: detail.named,
        subject: row.try_get_by_index(4)?,
        started_at: detail.started_at.map(Timestamp::from_micros),
        ended_at: detail.ended_at.map(Timestamp::from_micros),
        disposition: small(detail.disposition),
        interaction: row.try_get_by_index(5)?,
        case: row.try_get_by_index(6)?,
        resolution: detail.resolution(),
        source_system: detail.source_system,
        sealed: row.try_get_by_index(9)?,
        recorded_at: Timestamp::from_micros(row.try_get_by_index(7)?),
    })
}

/// The calls with these ids; unknown ones are left out.
pub(crate) async fn call_find(
    db: &impl ConnectionTrait,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<HashMap<(TenantId, Uuid), CallRow>, DbErr> {
    let found = call_by(db, "id", wanted).await?;
    Ok(found.into_iter().map(|row| ((row.tenant.clone(), row.id), row)).collect())
}

/// All legs of these conversations, each in order of its id.
pub(crate) async fn call_legs(
    db: &impl ConnectionTrait,
    talks: &HashSet<(TenantId, Uuid)>,
) -> Result<Vec<CallRow>, DbErr> {
    let mut found = call_by(db, "conversation", talks).await?;
    found.sort_by_key(|row| row.id);
    Ok(found)
}

/// What [`call_told`] finds.
#[derive(Default)]
pub(crate) struct FoundCalls {
    /// Legs of the conversations and the calls, each once.
    pub(crate) rows: Vec<CallRow>,
    /// What is known of the identifiers, by their blind indexes.
    pub(crate) held: HashMap<(TenantId, Uuid), Held>,
}

/// A row of the index among those of calls, in their columns: no call has a state below zero.
const HELD: &str = "SELECT tenant, index_id, CAST(-1 AS SMALLINT), origin, origin, party, NULL, CASE WHEN contested THEN 1 ELSE 0 END, '', '', NULL \
    FROM identifier WHERE tenant = ";

/// All legs of these conversations, and these calls, to whichever conversation they belong; and what is known of these
/// identifiers. In one round trip for a tenant: a call waits for each of them, with a transaction open.
pub(crate) async fn call_told(
    tx: &Tx,
    talks: &HashSet<(TenantId, Uuid)>,
    calls: &HashSet<(TenantId, Uuid)>,
    indexes: &HashSet<(TenantId, Uuid)>,
) -> Result<FoundCalls, DbErr> {
    let mut by_tenant: HashMap<&TenantId, [Vec<Value>; 3]> = HashMap::new();
    for (at, wanted) in [talks, calls, indexes].into_iter().enumerate() {
        for (tenant, id) in wanted {
            if let Some(ids) = by_tenant.entry(tenant).or_default().get_mut(at) {
                ids.push(Value::from(*id));
            }
        }
    }
    let select = format!("SELECT {} FROM call_leg WHERE tenant = ", COLUMNS.join(", "));
    let (mut rows, mut held) = (BTreeMap::new(), HashMap::new());
    for (tenant, [talks, calls, indexes]) in by_tenant {
        let mut sql = Sql::new(tx.db(), &select).bind(tenant.as_str()).text(" AND ").in_list("conversation", talks);
        for (select, column, ids) in [(select.as_str(), "id", calls), (HELD, "index_id", indexes)] {
            if !ids.is_empty() {
                sql = sql.text(" UNION ALL ").text(select).bind(tenant.as_str()).text(" AND ").in_list(column, ids);
            }
        }
        for row in sql.all(tx.db()).await? {
            let id: Uuid = row.try_get_by_index(1)?;
            if row.try_get_by_index::<i16>(2)? < 0 {
                let (origin, party) = (row.try_get_by_index(3)?, row.try_get_by_index(5)?);
                let contested = row.try_get_by_index::<i64>(7)? != 0;
                held.insert((tenant.clone(), id), Held { origin, party, contested });
            } else {
                rows.insert((tenant.clone(), id), read(tenant, &row)?);
            }
        }
    }
    Ok(FoundCalls { rows: rows.into_values().collect(), held })
}

async fn call_by(
    db: &impl ConnectionTrait,
    column: &str,
    wanted: &HashSet<(TenantId, Uuid)>,
) -> Result<Vec<CallRow>, DbErr> {
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    let mut found = Vec::with_capacity(wanted.len());
    let select = format!("SELECT {} FROM call_leg WHERE tenant = ", COLUMNS.join(", "));
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(5_000) {
            let rows =
                Sql::new(db, &select).bind(tenant.as_str()).text(" AND ").in_list(column, ids.to_vec()).all(db).await?;
            for row in rows {
                found.push(read(tenant, &row)?);
            }
        }
    }
    Ok(found)
}

/// Writes calls as they stand now: of those that are new nothing is read before the transaction ends, but by
/// [`call_told`] after [`call_waiting`].
pub(crate) async fn call_put<'a>(
    tx: &Tx,
    fresh: impl IntoIterator<Item = &'a CallRow>,
    changed: impl IntoIterator<Item = &'a CallRow>,
) -> Result<(), StoreError> {
    tx.insert_last(rows(fresh));
    let changed = rows(changed);
    changed
        .insert_with(
            tx.db(),
            "ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, origin = excluded.origin, \
             subject = excluded.subject, interaction_id = excluded.interaction_id, case_id = excluded.case_id, \
             detail = excluded.detail, sealed = excluded.sealed, conversation = excluded.conversation",
        )
        .await?;
    Ok(())
}

/// Writes the new calls that wait for the end of the transaction, before somebody reads them in it.
pub(crate) async fn call_waiting(tx: &Tx) -> Result<(), StoreError> {
    tx.insert_waiting_in("call_leg").await
}

fn rows<'a>(calls: impl IntoIterator<Item = &'a CallRow>) -> Rows {
    let mut rows = Rows::new("call_leg", COLUMNS);
    for row in calls {
        rows.push([
            row.tenant.as_str().into(),
            row.id.into(),
            if row.ended() { ENDED } else { OPEN }.into(),
            row.origin.id.into(),
            row.subject.into(),
            row.interaction.into(),
            row.case.into(),
            row.recorded_at.as_micros().into(),
            Detail::of(row).encode_to_vec().into(),
            row.sealed.clone().into(),
            row.talk.into(),
        ]);
    }
    rows
}
