use std::collections::{HashMap, HashSet};

use prost::Message;
use rapport_store::sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use rapport_store::{Rows, Sql, Store, StoreError, SubjectKeys, Tx};
use rapport_types::error::Error;
use rapport_types::time::Timestamp;
use rapport_types::{Pii, TenantId, Uuid};
use serde::{Deserialize, Serialize};

use super::sealing::{self, IdentifierText};
use crate::domain::{Candidate, Direction, Identifier, Match, Medium, Origin, Provenance, Resolution, Told};

/// The columns of `call_leg`, in the order in which rows are read and written.
const COLUMNS: &[&str] =
    &["tenant", "id", "state", "origin", "subject", "interaction_id", "case_id", "recorded_at", "detail", "sealed"];

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
    /// Its beginning was told.
    pub(crate) begun: bool,
    /// The code of the direction; 0 while nobody said it.
    pub(crate) direction: i16,
    /// The code of the medium; 0 while nobody said it.
    pub(crate) medium: i16,
    /// Under which origin it is or will be recorded.
    pub(crate) origin: Origin,
    /// Whether the record names the party, whose id the origin then is.
    pub(crate) named: bool,
    /// The origin under whose key `sealed` is.
    pub(crate) subject: Uuid,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) disposition: i16,
    pub(crate) interaction: Option<Uuid>,
    pub(crate) case: Option<Uuid>,
    pub(crate) resolution: Resolution,
    pub(crate) source_system: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) recorded_at: Timestamp,
}

impl CallRow {
    /// It has become an interaction.
    pub(crate) fn ended(&self) -> bool {
        self.interaction.is_some()
    }

    /// What was told of it so far.
    pub(crate) fn told(&self, text: CallText) -> Told {
        let identifier =
            text.identifier.and_then(|identifier| Identifier::new(identifier.scheme, identifier.value).ok());
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

    /// Takes over what was told, sealed under `subject`.
    ///
    /// # Errors
    /// Precondition `ERASED`.
    pub(crate) fn tell(&mut self, told: &Told, subject: Uuid, keys: &SubjectKeys) -> Result<(), Error> {
        let plain = CallText::of(told).encode_to_vec();
        let whose = sealing::subject(&self.tenant, subject);
        self.sealed = keys.seal(&whose, TEXT, &plain).map_err(sealing::decided)?;
        self.subject = subject;
        self.direction = told.direction.map_or(0, Direction::code);
        self.medium = told.medium.map_or(0, Medium::code);
        self.started_at = told.started_at;
        self.source_system.clone_from(&told.provenance.source_system);
        Ok(())
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

/// What is sealed of a call.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CallText {
    #[prost(string, tag = "1")]
    pub(crate) call_id: String,
    #[prost(string, tag = "2")]
    pub(crate) leg: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) identifier: Option<IdentifierText>,
    #[prost(string, tag = "4")]
    pub(crate) dialled: String,
    #[prost(string, tag = "5")]
    pub(crate) agent: String,
    #[prost(string, tag = "6")]
    pub(crate) source_record_id: String,
    #[prost(string, tag = "7")]
    pub(crate) actor: String,
    #[prost(string, tag = "8")]
    pub(crate) reason: String,
}

impl CallText {
    fn of(told: &Told) -> CallText {
        CallText {
            call_id: told.call_id.expose().clone(),
            leg: told.leg.expose().clone(),
            identifier: told.identifier.as_ref().map(|identifier| IdentifierText {
                scheme: identifier.scheme_name().to_owned(),
                value: identifier.given().to_owned(),
            }),
            dialled: told.dialled.expose().clone(),
            agent: told.agent.expose().clone(),
            source_record_id: told.provenance.source_record_id.clone(),
            actor: told.provenance.actor.clone(),
            reason: told.provenance.reason.clone(),
        }
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
        Detail {
            begun: row.begun,
            direction: i32::from(row.direction),
            medium: i32::from(row.medium),
            named: row.named,
            party: row.origin.party.map(|party| party.as_bytes().to_vec()).unwrap_or_default(),
            started_at: row.started_at.map(Timestamp::as_micros),
            ended_at: row.ended_at.map(Timestamp::as_micros),
            disposition: i32::from(row.disposition),
            matched: i32::from(row.resolution.matched().code()),
            reason: row.resolution.reason.clone(),
            candidates: candidates.collect(),
            source_system: row.source_system.clone(),
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
    Ok(CallRow {
        tenant: tenant.clone(),
        id: row.try_get_by_index(1)?,
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
    let mut by_tenant: HashMap<&TenantId, Vec<Value>> = HashMap::new();
    for (tenant, id) in wanted {
        by_tenant.entry(tenant).or_default().push(Value::from(*id));
    }
    let mut found = HashMap::with_capacity(wanted.len());
    let select = format!("SELECT {} FROM call_leg WHERE tenant = ", COLUMNS.join(", "));
    for (tenant, ids) in by_tenant {
        for ids in ids.chunks(5_000) {
            let rows =
                Sql::new(db, &select).bind(tenant.as_str()).text(" AND ").in_list("id", ids.to_vec()).all(db).await?;
            for row in rows {
                let row = read(tenant, &row)?;
                found.insert((tenant.clone(), row.id), row);
            }
        }
    }
    Ok(found)
}

/// Writes calls as they stand now.
pub(crate) async fn call_put<'a>(tx: &Tx, calls: impl Iterator<Item = &'a CallRow>) -> Result<(), StoreError> {
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
        ]);
    }
    rows.insert_with(
        tx.db(),
        "ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, origin = excluded.origin, \
         subject = excluded.subject, interaction_id = excluded.interaction_id, case_id = excluded.case_id, \
         detail = excluded.detail, sealed = excluded.sealed",
    )
    .await?;
    Ok(())
}
