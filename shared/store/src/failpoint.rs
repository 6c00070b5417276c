//! Faults at commit boundaries, so that tests can kill the process exactly there. Off unless configured.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StoreError;

/// A point in the life of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing was sent to the database yet.
    BeforeBegin,
    /// Everything is applied, nothing committed.
    BeforeCommit,
    /// Committed; on PostgreSQL not yet numbered and not yet known to be durable.
    AfterCommit,
    /// Numbered and durable, not yet answered.
    BeforeReply,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailAction {
    /// The process aborts, as if killed.
    Abort,
    /// The batch sees a lost database.
    Error,
}

#[derive(Debug)]
struct Failpoint {
    boundary: Boundary,
    action: FailAction,
    /// The hit that fires, from 1; with `Error` every later hit of the same boundary passes again.
    at: u64,
    hits: AtomicU64,
}

/// The faults to inject; none by default. Written as `before_commit=abort@17`, several separated by commas:
/// `<boundary>=<abort|error>[@<hit, from 1>]`.
#[derive(Clone, Debug, Default)]
pub struct Failpoints {
    points: Arc<[Failpoint]>,
}

/// A failpoint that does not read `boundary=action@hit`.
#[derive(Debug, thiserror::Error)]
#[error("failpoint {0:?} is not of the form before_begin|before_commit|after_commit|before_reply=abort|error[@hit]")]
pub struct FailpointError(String);

impl FromStr for Failpoints {
    type Err = FailpointError;

    fn from_str(text: &str) -> Result<Self, FailpointError> {
        let points = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| parse(part).ok_or_else(|| FailpointError(part.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { points: points.into() })
    }
}

fn parse(text: &str) -> Option<Failpoint> {
    let (boundary, action) = text.split_once('=')?;
    let (action, at) = action.split_once('@').unwrap_or((action, "1"));
    Some(Failpoint {
        boundary: match boundary {
            "before_begin" => Boundary::BeforeBegin,
            "before_commit" => Boundary::BeforeCommit,
            "after_commit" => Boundary::AfterCommit,
            "before_reply" => Boundary::BeforeReply,
            _ => return None,
        },
        action: match action {
            "abort" => FailAction::Abort,
            "error" => FailAction::Error,
            _ => return None,
        },
        at: at.parse().ok().filter(|at| *at > 0)?,
        hits: AtomicU64::new(0),
    })
}

impl Failpoints {
    /// Reads `before_commit=abort@17`; the empty text is none.
    pub fn parse(text: &str) -> Result<Self, FailpointError> {
        text.parse()
    }

    pub(crate) fn hit(&self, boundary: Boundary) -> Result<(), StoreError> {
        let mut result = Ok(());
        for point in self.points.iter().filter(|p| p.boundary == boundary) {
            if point.hits.fetch_add(1, Ordering::Relaxed) + 1 == point.at {
                match point.action {
                    FailAction::Abort => std::process::abort(),
                    FailAction::Error => result = Err(StoreError::away()),
                }
            }
        }
        result
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_fires_once() {
        let points = Failpoints::parse("before_commit=error@2, after_commit=error").unwrap();
        assert!(points.hit(Boundary::BeforeCommit).is_ok());
        assert!(points.hit(Boundary::BeforeCommit).is_err());
        assert!(points.hit(Boundary::BeforeCommit).is_ok());
        assert!(points.hit(Boundary::AfterCommit).is_err());
        assert!(Failpoints::parse("").unwrap().points.is_empty());
        for bad in ["x", "before_commit", "before_commit=stop", "before_commit=abort@0"] {
            assert!(Failpoints::parse(bad).is_err(), "{bad}");
        }
    }
}
