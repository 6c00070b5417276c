//! What can go wrong in the demo, each as one line a person can act on.

use std::fmt;
use std::io;

use rapport_types::error::Error;

use crate::csv_table::BadTable;

/// Why the demo stopped.
#[derive(Debug)]
pub enum Trouble {
    /// The file with the purchases is not what it should be.
    Data(BadTable),
    /// The service already holds the demo of other purchases; the two would share phone numbers and people.
    OtherData {
        /// The source system found there.
        found: String,
        /// The source system of this run.
        wanted: String,
    },
    /// A call was refused.
    Call {
        /// The RPC's name.
        method: &'static str,
        /// Its error.
        error: Box<Error>,
    },
    /// An answer lacks what the contract promises.
    Answer {
        /// The RPC's name.
        method: &'static str,
        /// What is wrong with the answer.
        what: String,
    },
    /// A service did not catch up with the writes in time.
    Behind {
        /// The RPC's name.
        method: &'static str,
        /// The position it had reached.
        reached: String,
    },
    /// The output is gone.
    Output(io::Error),
}

impl Trouble {
    /// The trouble that a refusal of this RPC is.
    pub(super) fn refused(method: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Call { method, error: Box::new(error) }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(bad) => bad.fmt(f),
            Self::OtherData { found, wanted } => {
                write!(f, "the folder holds the demo of other purchases ({found}, not {wanted}); choose another --data")
            }
            Self::Call { method, error } => {
                write!(f, "{method} failed: {} ({})", error.message, error.reason)?;
                for violation in &error.violations {
                    write!(f, "; {}: {}", violation.field, violation.description)?;
                }
                Ok(())
            }
            Self::Answer { method, what } => write!(f, "{method} answered {what}"),
            Self::Behind { method, reached } => write!(
                f,
                "{method} has not caught up with what was written, it stands at {reached}; is every service running?"
            ),
            Self::Output(error) => write!(f, "the output is gone: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<BadTable> for Trouble {
    fn from(bad: BadTable) -> Self {
        Self::Data(bad)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
