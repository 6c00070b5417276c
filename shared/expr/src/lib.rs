//! Expressions that callers write: filters and sort orders of lists.
//!
//! A **filter** is a [CEL](https://cel.dev) expression. Each list names the fields it can be filtered by in a
//! [`Fields`] table; [`Fields::lower`] turns the expression into a condition of SQL with placeholders, the same text
//! for SQLite and PostgreSQL. What it understands:
//!
//! | expression | meaning |
//! |---|---|
//! | `a == v`, `!=`, `<`, `<=`, `>`, `>=` | compares a field with a literal (either side) |
//! | `a in [v, w]` | is one of at most [`MAX_ELEMENTS`] literals |
//! | `v in a` | the repeated field `a` holds the literal |
//! | `a.startsWith("v")` | the text begins so |
//! | `has(a)` | the field is present |
//! | `a`, `true`, `false` | a boolean field or literal |
//! | `!x`, `x && y`, `x \|\| y`, `(x)` | as usual |
//!
//! Literals are strings, numbers, booleans, and `timestamp("2026-01-01T00:00:00Z")` for times. Enum values and
//! resource names are written as strings. Everything else answers `INVALID_ARGUMENT` with reason `INVALID_FILTER`
//! and the byte `offset` in the metadata.
//!
//! **Absent fields.** A field is absent when its column is NULL. An absent field equals nothing and is in no order:
//! `a == "x"`, `a < "x"`, `a in ["x"]` are false and so `a != "x"`, `!(a < "x")` are true. Logic has two values, `!x`
//! is always the opposite of `x`; NULL never leaks into it. To get there without hiding columns from indexes,
//! negations are pushed down to the comparisons, and only a negated comparison says `OR a IS NULL`.
//!
//! **Text** compares by bytes (code point order) in both stores: columns are TEXT with `COLLATE "C"` on PostgreSQL,
//! `BINARY` on SQLite; there is no LIKE. Literals are brought to NFC, the form in which text is stored.
//!
//! **Bounds.** A filter has at most [`MAX_BYTES`] bytes and [`MAX_DEPTH`] levels of brackets. Both are
//! checked by a scan before the parser sees the text, because a parser that recurses must not meet a
//! caller's nesting.

mod fields;
mod lower;
mod order;
mod scan;

pub use fields::{Bind, Fields, Lowered};
pub use order::{OrderBy, OrderKey};

use rapport_types::{Error, Kind, reason};

/// The most bytes of a filter.
pub const MAX_BYTES: usize = 2048;

/// The most levels of brackets in a filter.
pub const MAX_DEPTH: usize = 16;

/// The most elements of a list in a filter.
pub const MAX_ELEMENTS: usize = 100;

/// What is wrong with a filter, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    offset: usize,
    problem: String,
}

impl Fault {
    fn new(offset: usize, problem: impl Into<String>) -> Self {
        Self { offset, problem: problem.into() }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let Fault { offset, problem } = fault;
        Self::new(Kind::Invalid, reason::INVALID_FILTER, format!("filter, at byte {offset}: {problem}"))
            .with("offset", offset)
            .with("problem", problem)
    }
}
