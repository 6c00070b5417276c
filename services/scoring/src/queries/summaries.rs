//! The scores of many parties at once.

use std::collections::{BTreeMap, BTreeSet};

use rapport_scoring_models::decayed::{Line, Reading};
use rapport_store::read_error;
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use super::{Score, Scores};
use crate::domain::{Accumulator, Contributions, Definition, Entry, fast_reading};
use crate::error::ScoringError;
use crate::store::{self, Asked, Holder};

/// What is wanted beside the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// How each changed since this many microseconds before.
    pub(crate) window: Option<i64>,
    /// So many contributions that move it most.
    pub(crate) reasons: usize,
}

impl Details {
    fn any(&self) -> bool {
        *self != Details::default()
    }
}

/// A score at a glance.
#[derive(Debug)]
pub(crate) struct Summary {
    /// The score.
    pub(crate) score: Score,
    /// By how much it changed within the window.
    pub(crate) change: Option<i64>,
    /// What moves it most.
    pub(crate) reasons: Vec<(Line, Entry)>,
    /// The details were wanted, but the log is too long.
    pub(crate) omitted: bool,
}

/// What is known of each party: its readings off the sums, where they can tell, and its part of the log, where it was read.
#[derive(Default)]
struct Found {
    fast: BTreeMap<Uuid, Option<Reading>>,
    logs: BTreeMap<Uuid, Contributions>,
}

impl Scores {
    /// The scores of each of the parties, in their order: two statements for whose they are and one for the sums; then one
    /// for each definition of which the log has to tell.
    ///
    /// # Errors
    /// As [`Scores::get`].
    pub(crate) async fn summaries(
        &self,
        tenant: &TenantId,
        parties: &[Uuid],
        definitions: &[&'static Definition],
        as_of: Option<Timestamp>,
        details: Details,
    ) -> Result<Vec<Vec<Summary>>, Error> {
        let db = self.store.reader();
        let mut seen = BTreeSet::new();
        let asked: Vec<Uuid> = parties.iter().copied().filter(|party| seen.insert(*party)).collect();
        let asked = store::alias_whose_each(db, tenant, &asked).await.map_err(read_error)?;
        // An id and the party that it stands for may both be asked for.
        let holders: BTreeMap<Uuid, &Holder> = asked.iter().map(|holder| (holder.party, holder)).collect();
        let origins: Vec<Uuid> = holders.values().flat_map(|holder| holder.origins.iter().copied()).collect();
        let sums = store::accumulator_list(db, tenant, &origins).await.map_err(read_error)?;
        let as_of = as_of.unwrap_or_else(|| self.now());
        let mut found = Vec::with_capacity(definitions.len());
        for definition in definitions.iter().copied() {
            let rows = sums.iter().filter(|(one, _)| one.key == definition.key).map(|(_, row)| *row);
            let wanted = Asked { tenant, definition, as_of, known_at: None };
            found.push(self.found(&wanted, &holders, rows, details).await?);
        }
        let whose: BTreeMap<Uuid, Uuid> = asked.iter().map(|holder| (holder.asked, holder.party)).collect();
        let summaries = parties.iter().filter_map(|party| whose.get(party)).map(|party| {
            let each = definitions.iter().copied().zip(&found);
            each.map(|(definition, found)| found.summary(*party, definition, as_of, details)).collect()
        });
        summaries.collect()
    }

    async fn found(
        &self,
        wanted: &Asked<'_>,
        holders: &BTreeMap<Uuid, &Holder>,
        sums: impl Iterator<Item = Accumulator>,
        details: Details,
    ) -> Result<Found, Error> {
        let whose: BTreeMap<Uuid, Uuid> =
            holders.values().flat_map(|holder| holder.origins.iter().map(|origin| (*origin, holder.party))).collect();
        let mut rows: BTreeMap<Uuid, Vec<Accumulator>> = holders.keys().map(|party| (*party, Vec::new())).collect();
        for row in sums {
            if let Some(party) = whose.get(&row.origin) {
                rows.entry(*party).or_default().push(row);
            }
        }
        let mut found = Found::default();
        let (mut must, mut may) = (Vec::new(), Vec::new());
        let mut left = i64::from(self.options.log_limit);
        for (party, rows) in &rows {
            let fast =
                fast_reading(wanted.definition, rows, wanted.as_of).map_err(|_| ScoringError::TooManyContributions)?;
            found.fast.insert(*party, fast);
            let count: i64 = rows.iter().map(|row| row.sum.count).sum();
            if fast.is_none() {
                left -= count;
                must.push(*party);
            } else if details.any() {
                may.push((*party, count));
            }
        }
        let may: Vec<Uuid> = may
            .into_iter()
            .filter(|(_, count)| {
                let fits = *count <= left;
                left -= if fits { *count } else { 0 };
                fits
            })
            .map(|(party, _)| party)
            .collect();
        // Counts leave out what was taken back, so the log may be longer than they say.
        let both: Vec<Uuid> = must.iter().chain(&may).copied().collect();
        let rows = match self.rows(wanted, holders, &both).await? {
            None if !may.is_empty() => self.rows(wanted, holders, &must).await?,
            rows => rows,
        };
        let Some(rows) = rows else {
            return Err(ScoringError::LogTooLong(self.options.log_limit).into());
        };
        for (party, rows) in rows {
            found.logs.insert(party, Contributions::at(wanted.as_of, None, rows));
        }
        Ok(found)
    }

    /// The log of these parties; `None` where it is longer than an answer may read.
    async fn rows(
        &self,
        wanted: &Asked<'_>,
        holders: &BTreeMap<Uuid, &Holder>,
        parties: &[Uuid],
    ) -> Result<Option<BTreeMap<Uuid, Vec<Entry>>>, Error> {
        let mut found: BTreeMap<Uuid, Vec<Entry>> = parties.iter().map(|party| (*party, Vec::new())).collect();
        let whose: BTreeMap<Uuid, Uuid> = parties
            .iter()
            .filter_map(|party| holders.get(party))
            .flat_map(|holder| holder.origins.iter().map(|origin| (*origin, holder.party)))
            .collect();
        if whose.is_empty() {
            return Ok(Some(found));
        }
        let origins: Vec<Uuid> = whose.keys().copied().collect();
        let limit = self.options.log_limit;
        let rows = store::contribution_list(self.store.reader(), wanted, &origins, limit.saturating_add(1))
            .await
            .map_err(read_error)?;
        if rows.len() > limit as usize {
            return Ok(None);
        }
        for row in rows {
            if let Some(party) = whose.get(&row.origin) {
                found.entry(*party).or_default().push(row);
            }
        }
        Ok(Some(found))
    }
}

impl Found {
    fn summary(
        &self,
        party: Uuid,
        definition: &'static Definition,
        as_of: Timestamp,
        details: Details,
    ) -> Result<Summary, Error> {
        let overflow = |_| Error::from(ScoringError::TooManyContributions);
        let Some(log) = self.logs.get(&party) else {
            let reading = self.fast.get(&party).copied().flatten();
            let reading = reading.ok_or_else(|| Error::bug("neither sums nor log tell a score"))?;
            let score = Score { party, definition, reading, as_of };
            return Ok(Summary { score, change: None, reasons: Vec::new(), omitted: details.any() });
        };
        // Value, change and reasons off the same rows: they are about the same facts.
        let explanation = log.explain(definition, details.reasons).map_err(overflow)?;
        let reading = explanation.reading;
        let change = match details.window {
            Some(window) => {
                let then = Timestamp::from_micros(as_of.as_micros().saturating_sub(window)).max(Timestamp::MIN);
                Some(reading.value_micros - log.reading_at(definition, then).map_err(overflow)?.value_micros)
            }
            None => None,
        };
        let lines = explanation.lines.into_iter().filter(|line| line.effect != 0);
        let reasons = lines.filter_map(|line| log.get(line.index).map(|entry| (line, entry.clone()))).collect();
        Ok(Summary { score: Score { party, definition, reading, as_of }, change, reasons, omitted: false })
    }
}
