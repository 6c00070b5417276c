use rapport_scoring_models::decayed::{Explanation, Reading};
use rapport_store::{Store, read_error};
use rapport_types::error::Error;
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Accumulator, Contributions, Definition, fast_reading};
use crate::error::ScoringError;
use crate::options::ScoringOptions;
use crate::store;

/// Reads scores.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    store: Store,
    options: ScoringOptions,
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

impl Scores {
    pub(crate) fn new(store: Store, options: ScoringOptions) -> Scores {
        Scores { store, options }
    }

    /// A party's scores as of a moment (now where none is given): two point reads, unless something occurred later than
    /// that or the party took part in an interaction under several origins; then the log is read.
    ///
    /// # Errors
    /// Exhausted if the log is longer than an answer may read; the store's.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        party: Uuid,
        definitions: &[&'static Definition],
        as_of: Option<Timestamp>,
    ) -> Result<Vec<Score>, Error> {
        let db = self.store.reader();
        let (party, origins) = store::alias_whose(db, tenant, party).await.map_err(read_error)?;
        let sums = store::accumulator_list(db, tenant, &origins).await.map_err(read_error)?;
        // After the sums: what they hold by now is not in the future.
        let as_of = as_of.unwrap_or_else(|| self.store.world().now());
        let mut scores = Vec::with_capacity(definitions.len());
        for definition in definitions.iter().copied() {
            let rows: Vec<Accumulator> =
                sums.iter().filter(|(one, _)| one.key == definition.key).map(|(_, row)| *row).collect();
            let fast = fast_reading(definition, &rows, as_of).map_err(|_| ScoringError::TooManyContributions)?;
            let reading = match fast {
                Some(reading) => reading,
                None => {
                    let contributions = self.contributions(tenant, definition, &origins, as_of).await?;
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
        as_of: Option<Timestamp>,
        limit: usize,
    ) -> Result<Explained, Error> {
        let db = self.store.reader();
        let (party, origins) = store::alias_whose(db, tenant, party).await.map_err(read_error)?;
        let as_of = as_of.unwrap_or_else(|| self.store.world().now());
        let contributions = self.contributions(tenant, definition, &origins, as_of).await?;
        let explanation = contributions.explain(definition, limit).map_err(|_| ScoringError::TooManyContributions)?;
        let score = Score { party, definition, reading: explanation.reading, as_of };
        Ok(Explained { score, explanation, contributions })
    }

    async fn contributions(
        &self,
        tenant: &TenantId,
        definition: &'static Definition,
        origins: &[Uuid],
        as_of: Timestamp,
    ) -> Result<Contributions, Error> {
        let limit = self.options.log_limit;
        let rows =
            store::contribution_list(self.store.reader(), tenant, definition, origins, as_of, limit.saturating_add(1))
                .await
                .map_err(read_error)?;
        if rows.len() > limit as usize {
            return Err(ScoringError::LogTooLong(limit).into());
        }
        Ok(Contributions::at(as_of, rows))
    }
}
