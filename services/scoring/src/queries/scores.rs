use rapport_scoring_models::decayed::{Explanation, Reading};
use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Accumulator, Contributions, Definition, Line, Point, fast_reading};
use crate::error::ScoringError;
use crate::options::ScoringOptions;
use crate::store::{self, Asked};

/// Reads scores.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    pub(super) store: Store,
    pub(super) options: ScoringOptions,
}

/// The moment that a score is to hold for, and the moment from which it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct When {
    /// What occurred later does not count; absent: now.
    pub(crate) as_of: Option<Timestamp>,
    /// What was recorded later is not known; absent: all is.
    pub(crate) known_at: Option<Timestamp>,
}

/// A party's score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// The party: the one that the id asked for stands for now.
    pub(crate) party: Uuid,
    /// The definition.
    pub(crate) definition: &'static Definition,
    /// The value.
    pub(crate) reading: Reading,
    /// The moment it holds for.
    pub(crate) as_of: Timestamp,
}

/// A score taken apart.
#[derive(Debug)]
pub(crate) struct Explained {
    /// The score.
    pub(crate) score: Score,
    /// Its parts; their indexes point into the contributions.
    pub(crate) explanation: Explanation,
    /// What counted.
    pub(crate) contributions: Contributions,
}

/// A stretch of a score's history.
#[derive(Debug)]
pub(crate) struct History {
    /// Its points, oldest first.
    pub(crate) points: Vec<Point>,
    /// What they refer to.
    pub(crate) contributions: Contributions,
    /// Whether there are later ones.
    pub(crate) more: bool,
}

impl Scores {
    pub(crate) fn new(store: Store, options: ScoringOptions) -> Scores {
        Scores { store, options }
    }

    /// The time of the service's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.world().now()
    }

    /// A party's scores as of a moment (now where none is given): two point reads, unless something occurred later than
    /// that or the party took part in an interaction under several origins; then the log is read, as it is to tell what was
    /// known at a time.
    ///
    /// # Errors
    /// Exhausted if the log is longer than an answer may read; the store's.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        party: Uuid,
        definitions: &[&'static Definition],
        when: When,
    ) -> Result<Vec<Score>, Error> {
        let db = self.store.reader();
        let (party, origins) = store::alias_whose(db, tenant, party).await.map_err(read_error)?;
        let sums = match when.known_at {
            None => store::accumulator_list(db, tenant, &origins).await.map_err(read_error)?,
            Some(_) => Vec::new(),
        };
        // After the sums: what they hold by now is not in the future.
        let as_of = when.as_of.unwrap_or_else(|| self.now());
        let mut scores = Vec::with_capacity(definitions.len());
        for definition in definitions.iter().copied() {
            let rows: Vec<Accumulator> =
                sums.iter().filter(|(one, _)| one.key == definition.key).map(|(_, row)| *row).collect();
            let fast = match when.known_at {
                None => fast_reading(definition, &rows, as_of).map_err(|_| ScoringError::TooManyContributions)?,
                Some(_) => None,
            };
            let reading = match fast {
                Some(reading) => reading,
                None => {
                    let asked = Asked { tenant, definition, as_of, known_at: when.known_at };
                    let contributions = self.contributions(&asked, &origins).await?;
                    contributions.reading(definition).map_err(|_| ScoringError::TooManyContributions)?
                }
            };
            scores.push(Score { party, definition, reading, as_of });
        }
        Ok(scores)
    }

    /// Why a party's score is what it is, with a line for `limit` contributions at most.
    ///
    /// # Errors
    /// As [`Scores::get`].
    pub(crate) async fn explain(
        &self,
        tenant: &TenantId,
        party: Uuid,
        definition: &'static Definition,
        when: When,
        limit: usize,
    ) -> Result<Explained, Error> {
        let db = self.store.reader();
        let (party, origins) = store::alias_whose(db, tenant, party).await.map_err(read_error)?;
        let as_of = when.as_of.unwrap_or_else(|| self.now());
        let asked = Asked { tenant, definition, as_of, known_at: when.known_at };
        let contributions = self.contributions(&asked, &origins).await?;
        let explanation = contributions.explain(definition, limit).map_err(|_| ScoringError::TooManyContributions)?;
        let score = Score { party, definition, reading: explanation.reading, as_of };
        Ok(Explained { score, explanation, contributions })
    }

    /// How a party's score stood along a line, from the first point after `after` on, `limit` points at most.
    ///
    /// # Errors
    /// As [`Scores::get`].
    pub(crate) async fn history(
        &self,
        tenant: &TenantId,
        party: Uuid,
        definition: &'static Definition,
        known_at: Option<Timestamp>,
        line: &Line,
        (after, limit): (Option<Timestamp>, usize),
    ) -> Result<History, Error> {
        let db = self.store.reader();
        let (_, origins) = store::alias_whose(db, tenant, party).await.map_err(read_error)?;
        let asked = Asked { tenant, definition, as_of: line.end, known_at };
        let contributions = self.contributions(&asked, &origins).await?;
        let (points, more) =
            contributions.history(definition, line, after, limit).map_err(|_| ScoringError::TooManyContributions)?;
        Ok(History { points, contributions, more })
    }

    async fn contributions(&self, asked: &Asked<'_>, origins: &[Uuid]) -> Result<Contributions, Error> {
        let limit = self.options.log_limit;
        let rows = store::contribution_list(self.store.reader(), asked, origins, limit.saturating_add(1))
            .await
            .map_err(read_error)?;
        if rows.len() > limit as usize {
            return Err(ScoringError::LogTooLong(limit).into());
        }
        Ok(Contributions::at(asked.as_of, asked.known_at, rows))
    }
}
