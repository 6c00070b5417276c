//! Set-based statements that read the same on both stores.
//!
//! PostgreSQL gets one array per column (`unnest`): one statement text whatever the number of rows, one round trip.
//! SQLite gets `VALUES` lists in chunks of a power of two: few statement texts, all of them cached.

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};
use std::fmt::Write;

/// Rows of one `VALUES` list on SQLite at most.
const SQLITE_CHUNK: usize = 128;

/// Rows to insert into, or to update in, one table.
///
/// A column's values must all be of one `Value` variant (an absent one as `Value::BigInt(None)` and so on).
#[derive(Debug)]
pub struct Rows {
    table: &'static str,
    columns: &'static [&'static str],
    values: Vec<Value>,
}

impl Rows {
    /// No rows yet.
    pub fn new(table: &'static str, columns: &'static [&'static str]) -> Self {
        Self { table, columns, values: Vec::new() }
    }

    /// Adds a row: one value per column, in the order of the columns.
    pub fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len(), "row of {}", self.table);
        self.values.extend(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Inserts the rows; nothing happens when there are none. Gives back how many were inserted.
    pub async fn insert(self, db: &impl ConnectionTrait) -> Result<u64, DbErr> {
        self.insert_with(db, "").await
    }

    /// Inserts the rows with a clause after them, such as `ON CONFLICT (tenant, id) DO NOTHING` or
    /// `ON CONFLICT (tenant, id) DO UPDATE SET a = excluded.a`. With `DO UPDATE`, two rows of one call must not have
    /// the same key.
    pub async fn insert_with(self, db: &impl ConnectionTrait, suffix: &str) -> Result<u64, DbErr> {
        let head = format!("INSERT INTO {} ({}) ", self.table, self.columns.join(", "));
        let mut affected = 0;
        for source in self.sources(db.get_database_backend())? {
            let sql = match source.backend {
                DbBackend::Postgres => format!("{head}SELECT {} FROM {} {suffix}", source.columns, source.from),
                _ => format!("{head}{} {suffix}", source.from),
            };
            affected += source.execute(db, sql).await?;
        }
        Ok(affected)
    }

    /// Updates the table's rows that have the given key columns: every other column is set. Gives back how many rows
    /// there were, so that a lost row can be noticed. No two rows may have the same key.
    pub async fn update_by(self, db: &impl ConnectionTrait, keys: &[&'static str]) -> Result<u64, DbErr> {
        let (table, columns) = (self.table, self.columns);
        let set: Vec<_> = columns
            .iter()
            .filter(|column| !keys.contains(column))
            .map(|column| format!("{column} = v.{column}"))
            .collect();
        let same: Vec<_> = keys.iter().map(|key| format!("{table}.{key} = v.{key}")).collect();
        let mut affected = 0;
        for source in self.sources(db.get_database_backend())? {
            let from = match source.backend {
                DbBackend::Postgres => format!("SELECT {} FROM {}", source.columns, source.from),
                _ => {
                    let named: Vec<_> = columns
                        .iter()
                        .enumerate()
                        .map(|(at, column)| format!("column{} AS {column}", at + 1))
                        .collect();
                    format!("SELECT {} FROM ({})", named.join(", "), source.from)
                }
            };
            let sql = format!("UPDATE {table} SET {} FROM ({from}) AS v WHERE {}", set.join(", "), same.join(" AND "));
            affected += source.execute(db, sql).await?;
        }
        Ok(affected)
    }

    /// The columns and the row-major values.
    pub(crate) fn into_parts(self) -> (&'static [&'static str], Vec<Value>) {
        (self.columns, self.values)
    }

    fn sources(self, backend: DbBackend) -> Result<Vec<Source>, DbErr> {
        if self.values.is_empty() {
            return Ok(Vec::new());
        }
        let width = self.columns.len();
        if backend == DbBackend::Postgres {
            let mut arrays = Arrays::new(0);
            arrays.add(self.columns, self.values)?;
            return Ok(vec![Source {
                backend,
                columns: arrays.selected.join(", "),
                from: arrays.from(),
                values: arrays.values,
            }]);
        }
        let mut sources = Vec::new();
        let mut values = self.values.into_iter();
        let mut left = values.len() / width;
        while left > 0 {
            let rows = left.min(SQLITE_CHUNK);
            // the largest power of two that fits
            let rows = 1 << rows.ilog2();
            left -= rows;
            sources.push(Source {
                backend,
                columns: String::new(),
                from: values_list(1, rows, width),
                values: values.by_ref().take(rows * width).collect(),
            });
        }
        Ok(sources)
    }
}

struct Source {
    backend: DbBackend,
    columns: String,
    from: String,
    values: Vec<Value>,
}

impl Source {
    async fn execute(self, db: &impl ConnectionTrait, sql: String) -> Result<u64, DbErr> {
        let statement = Statement::from_sql_and_values(self.backend, sql, self.values);
        Ok(db.execute_raw(statement).await?.rows_affected())
    }
}

fn values_list(first: usize, rows: usize, width: usize) -> String {
    let mut sql = String::with_capacity(8 + rows * (3 + width * 5));
    sql.push_str("VALUES ");
    let mut bind = first;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            if column > 0 {
                sql.push(',');
            }
            let _ = write!(sql, "${bind}");
            bind += 1;
        }
        sql.push(')');
    }
    sql
}

/// Columns as PostgreSQL arrays. An array holds no NULL (the driver's binding has none), so a column with absent
/// values gets a second array that says which.
pub(crate) struct Arrays {
    first_bind: usize,
    pub(crate) values: Vec<Value>,
    types: Vec<&'static str>,
    names: Vec<String>,
    /// How each column reads: its name, or a CASE over its mask.
    pub(crate) selected: Vec<String>,
}

impl Arrays {
    /// `binds_before`: how many `$n` the statement has used already.
    pub(crate) fn new(binds_before: usize) -> Self {
        Self {
            first_bind: binds_before + 1,
            values: Vec::new(),
            types: Vec::new(),
            names: Vec::new(),
            selected: Vec::new(),
        }
    }

    /// Adds columns from row-major values.
    pub(crate) fn add(&mut self, columns: &[&str], values: Vec<Value>) -> Result<(), DbErr> {
        let width = columns.len();
        let rows = values.len() / width.max(1);
        let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
        for (at, value) in values.into_iter().enumerate() {
            cells[at % width].push(value);
        }
        for (column, mut cells) in columns.iter().zip(cells) {
            let Some((element, name)) = cells.first().and_then(array_type) else {
                return Err(DbErr::Type(format!("column {column} has a value that cannot be bound as an array")));
            };
            let mut absent = Vec::new();
            for (row, cell) in cells.iter_mut().enumerate() {
                if array_type(cell).map(|(_, name)| name) != Some(name) {
                    return Err(DbErr::Type(format!("column {column} mixes types")));
                }
                if let Some(blank) = blank_if_absent(cell) {
                    *cell = blank;
                    absent.push(row);
                }
            }
            self.names.push((*column).to_owned());
            self.types.push(name);
            self.values.push(Value::Array(element, Some(Box::new(cells))));
            if absent.is_empty() {
                self.selected.push((*column).to_owned());
            } else {
                let mask = format!("{column}__absent");
                self.selected.push(format!("CASE WHEN {mask} THEN NULL ELSE {column} END"));
                let mut flags = vec![Value::Bool(Some(false)); rows];
                for row in absent {
                    flags[row] = Value::Bool(Some(true));
                }
                self.names.push(mask);
                self.types.push("bool");
                self.values.push(Value::Array(ArrayType::Bool, Some(Box::new(flags))));
            }
        }
        Ok(())
    }

    /// `unnest($1::text[], $2::uuid[]) AS r(a, b)`
    pub(crate) fn from(&self) -> String {
        let mut sql = "unnest(".to_owned();
        for (at, kind) in self.types.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}::{kind}[]", self.first_bind + at);
        }
        let _ = write!(sql, ") AS r({})", self.names.join(", "));
        sql
    }
}

fn array_type(value: &Value) -> Option<(ArrayType, &'static str)> {
    Some(match value {
        Value::Bool(_) => (ArrayType::Bool, "bool"),
        Value::SmallInt(_) => (ArrayType::SmallInt, "int2"),
        Value::Int(_) => (ArrayType::Int, "int4"),
        Value::BigInt(_) => (ArrayType::BigInt, "int8"),
        Value::Float(_) => (ArrayType::Float, "float4"),
        Value::Double(_) => (ArrayType::Double, "float8"),
        Value::String(_) => (ArrayType::String, "text"),
        Value::Bytes(_) => (ArrayType::Bytes, "bytea"),
        Value::Uuid(_) => (ArrayType::Uuid, "uuid"),
        Value::Json(_) => (ArrayType::Json, "jsonb"),
        _ => return None,
    })
}

fn blank_if_absent(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(None) => Value::Bool(Some(false)),
        Value::SmallInt(None) => Value::SmallInt(Some(0)),
        Value::Int(None) => Value::Int(Some(0)),
        Value::BigInt(None) => Value::BigInt(Some(0)),
        Value::Float(None) => Value::Float(Some(0.0)),
        Value::Double(None) => Value::Double(Some(0.0)),
        Value::String(None) => Value::String(Some(String::new())),
        Value::Bytes(None) => Value::Bytes(Some(Vec::new())),
        Value::Uuid(None) => Value::Uuid(Some(rapport_types::Uuid::nil())),
        Value::Json(None) => Value::Json(Some(Box::new(serde_json::Value::Null))),
        _ => return None,
    })
}

/// A statement built piece by piece, its values bound as `$1`, `$2`, ...
#[derive(Debug)]
pub struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
    failed: Option<DbErr>,
}

impl Sql {
    /// Starts a statement for this store.
    pub fn new(db: &impl ConnectionTrait, text: &str) -> Self {
        Self { backend: db.get_database_backend(), text: text.to_owned(), values: Vec::new(), failed: None }
    }

    /// Appends text (never a value: see `bind`).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends a value as `$n`.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// Appends `column = any of the values`; false for none.
    #[must_use]
    pub fn in_list(self, column: &str, values: Vec<Value>) -> Self {
        self.in_rows(&[column], values)
    }

    /// Appends `(a, b) in rows`, the rows given row-major in one list; false for none. At most 30,000 values.
    #[must_use]
    pub fn in_rows(mut self, columns: &[&str], mut values: Vec<Value>) -> Self {
        let width = columns.len().max(1);
        if values.is_empty() {
            self.text.push_str("1 = 0");
            return self;
        }
        if self.backend == DbBackend::Postgres {
            let mut arrays = Arrays::new(self.values.len());
            match arrays.add(columns, values) {
                Ok(()) if width == 1 => {
                    let cast = arrays.types[0];
                    let bind = arrays.first_bind;
                    let _ = write!(self.text, "{} = ANY(${bind}::{cast}[])", columns[0]);
                }
                Ok(()) => {
                    let _ = write!(
                        self.text,
                        "({}) IN (SELECT {} FROM {})",
                        columns.join(", "),
                        arrays.selected.join(", "),
                        arrays.from()
                    );
                }
                Err(error) => self.failed = Some(error),
            }
            self.values.append(&mut arrays.values);
            return self;
        }
        // Padding to a power of two keeps the number of statement texts small.
        let rows = values.len() / width;
        let padded = rows.next_power_of_two();
        let last = values[values.len() - width..].to_vec();
        for _ in rows..padded {
            values.extend_from_slice(&last);
        }
        let list = values_list(self.values.len() + 1, padded, width);
        let _ = write!(self.text, "({}) IN ({list})", columns.join(", "));
        self.values.append(&mut values);
        self
    }

    /// The statement.
    pub fn statement(self) -> Result<Statement, DbErr> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Statement::from_sql_and_values(self.backend, self.text, self.values)),
        }
    }

    /// Runs it and gives every row.
    pub async fn all(self, db: &impl ConnectionTrait) -> Result<Vec<QueryResult>, DbErr> {
        db.query_all_raw(self.statement()?).await
    }

    /// Runs it and gives the first row.
    pub async fn one(self, db: &impl ConnectionTrait) -> Result<Option<QueryResult>, DbErr> {
        db.query_one_raw(self.statement()?).await
    }

    /// Runs it.
    pub async fn execute(self, db: &impl ConnectionTrait) -> Result<ExecResult, DbErr> {
        db.execute_raw(self.statement()?).await
    }
}
