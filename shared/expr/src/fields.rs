//! The table of fields that one list can be filtered by.

use std::collections::BTreeMap;

use rapport_types::{Error, FieldError, Uuid};

use crate::lower::lower;

/// A value to bind to a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Text in NFC.
    Text(String),
    /// An integer, or the number of an enum value.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// The id of a resource.
    Uuid(Uuid),
    /// Microseconds since 1970 UTC.
    Time(i64),
}

/// A filter as a condition of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// A condition for WHERE, in brackets where it needs them, with placeholders `$n`. Never empty: no filter is
    /// `1 = 1`.
    pub sql: String,
    /// The values of the placeholders, in order, the first for the start index.
    pub binds: Vec<Bind>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    Text,
    Int,
    Number,
    Bool,
    Time,
    Enumeration(&'static [(&'static str, i64)]),
    Words(&'static [&'static str]),
    Name(fn(&str) -> Result<Uuid, FieldError>),
}

/// Where a field is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Column(&'static str),
    /// A condition with `{}` where the sought value's placeholder goes.
    Members(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) place: Place,
    pub(crate) holds: Type,
}

/// The fields that one list can be filtered by: names of the contract to columns. Columns are the program's own text
/// and go into the SQL as they are; callers' values are always bound.
///
/// ```
/// use rapport_expr::{Bind, Fields};
///
/// let fields = Fields::new().text("status", "p.status").time("create_time", "p.created_at");
/// let lowered = fields.lower(r#"status != "gone" && create_time > timestamp("2026-01-01T00:00:00Z")"#, 3).unwrap();
/// assert_eq!(lowered.sql, "((p.status <> $3 OR p.status IS NULL) AND p.created_at > $4)");
/// assert_eq!(lowered.binds, [Bind::Text("gone".into()), Bind::Time(1_767_225_600_000_000)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fields {
    fields: BTreeMap<&'static str, Field>,
}

impl Fields {
    /// A table without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A text: all comparisons, `in`, `startsWith`.
    #[must_use]
    pub fn text(self, name: &'static str, column: &'static str) -> Self {
        self.add(name, Place::Column(column), Type::Text)
    }

    /// An integer: all comparisons, `in`.
    #[must_use]
    pub fn int(self, name: &'static str, column: &'static str) -> Self {
        self.add(name, Place::Column(column), Type::Int)
    }

    /// A number that need not be whole, in a column of doubles: all comparisons, `in`, with finite literals. A whole
    /// literal will do. Its value is bound as text and cast, so that it needs no value type of its own.
    #[must_use]
    pub fn number(self, name: &'static str, column: &'static str) -> Self {
        self.add(name, Place::Column(column), Type::Number)
    }

    /// A boolean: by itself, `==`, `!=`, `in`.
    #[must_use]
    pub fn bool(self, name: &'static str, column: &'static str) -> Self {
        self.add(name, Place::Column(column), Type::Bool)
    }

    /// A time, in a column of microseconds: all comparisons with `timestamp("…")`, `in`.
    #[must_use]
    pub fn time(self, name: &'static str, column: &'static str) -> Self {
        self.add(name, Place::Column(column), Type::Time)
    }

    /// An enum, in a column of numbers, written as a string: `==`, `!=`, `in`.
    #[must_use]
    pub fn enumeration(self, name: &'static str, column: &'static str, values: &'static [(&'static str, i64)]) -> Self {
        self.add(name, Place::Column(column), Type::Enumeration(values))
    }

    /// An enum, in a column of its words, written as a string: `==`, `!=`, `in`.
    #[must_use]
    pub fn words(self, name: &'static str, column: &'static str, values: &'static [&'static str]) -> Self {
        self.add(name, Place::Column(column), Type::Words(values))
    }

    /// A resource name, in a column of ids, written as a string: `==`, `!=`, `in`.
    #[must_use]
    pub fn uuid_name(
        self,
        name: &'static str,
        column: &'static str,
        parse: fn(&str) -> Result<Uuid, FieldError>,
    ) -> Self {
        self.add(name, Place::Column(column), Type::Name(parse))
    }

    /// A repeated field of texts, for `"v" in name`. The condition has `{}` once, in place of the value, and is never
    /// NULL: `EXISTS (SELECT 1 FROM party_role r WHERE r.tenant = p.tenant AND r.party = p.id AND r.type = {})`.
    #[must_use]
    pub fn text_members(self, name: &'static str, condition: &'static str) -> Self {
        self.add(name, Place::Members(condition), Type::Text)
    }

    /// A repeated field of enums; see [`Fields::text_members`].
    #[must_use]
    pub fn enumeration_members(
        self,
        name: &'static str,
        condition: &'static str,
        values: &'static [(&'static str, i64)],
    ) -> Self {
        self.add(name, Place::Members(condition), Type::Enumeration(values))
    }

    /// A repeated field of resource names; see [`Fields::text_members`].
    #[must_use]
    pub fn uuid_name_members(
        self,
        name: &'static str,
        condition: &'static str,
        parse: fn(&str) -> Result<Uuid, FieldError>,
    ) -> Self {
        self.add(name, Place::Members(condition), Type::Name(parse))
    }

    fn add(mut self, name: &'static str, place: Place, holds: Type) -> Self {
        self.fields.insert(name, Field { place, holds });
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<Field> {
        self.fields.get(name).copied()
    }

    /// The names, for sentences and documentation.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.keys().copied()
    }

    /// Turns a filter into a condition of SQL whose first placeholder is `$start`. An empty filter is always true.
    ///
    /// # Errors
    /// `INVALID_FILTER`, with the byte `offset` and the `problem` in the metadata.
    pub fn lower(&self, filter: &str, start: usize) -> Result<Lowered, Error> {
        if filter.trim().is_empty() {
            return Ok(Lowered { sql: "1 = 1".to_owned(), binds: Vec::new() });
        }
        lower(self, filter, start).map_err(Error::from)
    }
}
