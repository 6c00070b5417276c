//! Set-based statements that read the same on both stores.
//!
//! PostgreSQL gets one array per column (`unnest`): one statement text whatever the number of rows, one round trip.
//! SQLite gets `VALUES` lists padded to a power of two: few statement texts, all of them cached. Its values are bound
//! as `?`: the driver looks the number of a named one (`$7`) up in a list, which takes quadratic time.

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};
use std::fmt::Write;

/// Rows of one `VALUES` list on SQLite at most.
const SQLITE_CHUNK: usize = 128;

/// So many rows on PostgreSQL send a column whose values are all equal once.
const MANY: usize = 64;

/// Gives way now and then in a loop that makes many rows, `at` being its turns: a statement that runs beside it is followed
/// by the next one, if both are polled together.
pub async fn give_way(at: usize) {
    if at % 32 == 31 {
        tokio::task::yield_now().await;
    }
}

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

    /// Where they go.
    pub(crate) fn table(&self) -> &'static str {
        self.table
    }

    /// How many values they have.
    pub(crate) fn values(&self) -> usize {
        self.values.len()
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
            let sql = format!("{head}{} {suffix}", source.select);
            affected += source.execute(db, sql).await?;
        }
        Ok(affected)
    }

    /// The table and the columns, as an INSERT names them.
    pub(crate) fn target(&self) -> String {
        format!("{} ({})", self.table, self.columns.join(", "))
    }

    /// The rows as a query of PostgreSQL. Its values are added to those that the statement has already.
    pub(crate) fn select(self, values: &mut Vec<Value>) -> Result<String, DbErr> {
        let mut arrays = Arrays::new(values.len());
        arrays.add(self.columns, self.values)?;
        values.append(&mut arrays.values);
        Ok(arrays.select())
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
                DbBackend::Postgres => source.select.clone(),
                _ => {
                    let named: Vec<_> = columns
                        .iter()
                        .enumerate()
                        .map(|(at, column)| format!("column{} AS {column}", at + 1))
                        .collect();
                    format!("SELECT {} FROM ({})", named.join(", "), source.select)
                }
            };
            let sql = format!("UPDATE {table} SET {} FROM ({from}) AS v WHERE {}", set.join(", "), same.join(" AND "));
            affected += source.execute(db, sql).await?;
        }
        Ok(affected)
    }

    fn sources(self, backend: DbBackend) -> Result<Vec<Source>, DbErr> {
        if self.values.is_empty() {
            return Ok(Vec::new());
        }
        if backend == DbBackend::Postgres {
            let mut values = Vec::new();
            let select = self.select(&mut values)?;
            return Ok(vec![Source { backend, select, values }]);
        }
        let source = |(select, values)| Source { backend, select, values };
        Ok(self.lists().into_iter().map(source).collect())
    }

    /// The rows as queries of SQLite, each with its values.
    pub(crate) fn lists(self) -> Vec<(String, Vec<Value>)> {
        let width = self.columns.len().max(1);
        let mut lists = Vec::new();
        let mut left = self.values.len() / width;
        let mut values = self.values.into_iter();
        while left > 0 {
            let rows = piece(left.min(SQLITE_CHUNK));
            left -= rows;
            let mut some: Vec<Value> = values.by_ref().take(rows * width).collect();
            if rows == 1 {
                lists.push((values_list(1, width), some));
                continue;
            }
            // Blank rows up to a power of two, left out by the limit: few statement texts. A limit that is a bare value
            // would be planned for, and the statement prepared anew, each time it is bound.
            let padded = rows.next_power_of_two();
            some.resize(padded * width, Value::BigInt(None));
            some.push((rows as i64).into());
            lists.push((format!("SELECT * FROM ({}) WHERE true LIMIT 0 + ?", values_list(padded, width)), some));
        }
        lists
    }
}

struct Source {
    backend: DbBackend,
    /// A query that gives the rows.
    select: String,
    values: Vec<Value>,
}

impl Source {
    async fn execute(self, db: &impl ConnectionTrait, sql: String) -> Result<u64, DbErr> {
        let statement = Statement::from_sql_and_values(self.backend, sql, self.values);
        Ok(db.execute_raw(statement).await?.rows_affected())
    }
}

/// How many of the rows go into the next list: all, unless more than a quarter of it would be blank.
fn piece(rows: usize) -> usize {
    let padded = rows.next_power_of_two();
    if padded <= 16 || rows * 4 >= padded * 3 { rows } else { padded / 2 }
}

fn values_list(rows: usize, width: usize) -> String {
    let mut sql = String::with_capacity(8 + rows * (2 + width * 2));
    sql.push_str("VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            sql.push_str(if column == 0 { "?" } else { ",?" });
        }
        sql.push(')');
    }
    sql
}

/// Columns for PostgreSQL: those of a single row as they are, those of several as arrays. An array holds no NULL (the
/// driver's binding has none), so a column with absent values gets a second array that says which; one without any value
/// is not sent, and one that is the same in many rows is sent once.
pub(crate) struct Arrays {
    first_bind: usize,
    pub(crate) values: Vec<Value>,
    /// Of the arrays: which bind, its type, its name.
    binds: Vec<usize>,
    types: Vec<&'static str>,
    names: Vec<String>,
    /// How each column reads.
    selected: Vec<String>,
    columns: Vec<String>,
}

impl Arrays {
    /// `binds_before`: how many `$n` the statement has used already.
    pub(crate) fn new(binds_before: usize) -> Self {
        Self {
            first_bind: binds_before + 1,
            values: Vec::new(),
            binds: Vec::new(),
            types: Vec::new(),
            names: Vec::new(),
            selected: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Adds columns from row-major values.
    pub(crate) fn add(&mut self, columns: &[&str], values: Vec<Value>) -> Result<(), DbErr> {
        let width = columns.len();
        self.columns.extend(columns.iter().map(|column| (*column).to_owned()));
        let rows = values.len() / width.max(1);
        if rows == 1 {
            for (column, value) in columns.iter().zip(values) {
                let (_, kind) = array_type(&value).ok_or_else(|| unbound(column))?;
                self.selected.push(format!("${}::{kind}", self.first_bind + self.values.len()));
                self.values.push(value);
            }
            return Ok(());
        }
        let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
        let mut values = values.into_iter();
        for _ in 0..rows {
            for (column, value) in cells.iter_mut().zip(&mut values) {
                column.push(value);
            }
        }
        for (at, (column, mut cells)) in columns.iter().zip(cells).enumerate() {
            // One array there must be: it says how many rows there are.
            let spare = at + 1 < width || !self.names.is_empty();
            let (element, kind) = cells.first().and_then(array_type).ok_or_else(|| unbound(column))?;
            let mut absent = Vec::new();
            for (row, cell) in cells.iter_mut().enumerate() {
                if array_type(cell).map(|(_, name)| name) != Some(kind) {
                    return Err(DbErr::Type(format!("column {column} mixes types")));
                }
                if let Some(blank) = blank_if_absent(cell) {
                    *cell = blank;
                    absent.push(row);
                }
            }
            if absent.len() == rows && spare {
                self.selected.push(format!("NULL::{kind}"));
                continue;
            }
            // Not of few rows, where it comes about by chance and would make many statement texts.
            if rows >= MANY && spare && absent.is_empty() && cells.iter().skip(1).all(|cell| *cell == cells[0]) {
                self.selected.push(format!("${}::{kind}", self.first_bind + self.values.len()));
                self.values.extend(cells.into_iter().next());
                continue;
            }
            self.array((*column).to_owned(), kind, Value::Array(element, Some(Box::new(cells))));
            if absent.is_empty() {
                self.selected.push((*column).to_owned());
            } else {
                let mask = format!("{column}__absent");
                self.selected.push(format!("CASE WHEN {mask} THEN NULL ELSE {column} END"));
                let mut flags = vec![Value::Bool(Some(false)); rows];
                for row in absent {
                    flags[row] = Value::Bool(Some(true));
                }
                self.array(mask, "bool", Value::Array(ArrayType::Bool, Some(Box::new(flags))));
            }
        }
        Ok(())
    }

    fn array(&mut self, name: String, kind: &'static str, values: Value) {
        self.binds.push(self.first_bind + self.values.len());
        self.types.push(kind);
        self.names.push(name);
        self.values.push(values);
    }

    /// `SELECT a AS a, b AS b FROM unnest($1::text[], $2::uuid[]) AS r(a, b)`, or `SELECT $1::text AS a, $2::uuid AS b`.
    pub(crate) fn select(&self) -> String {
        let mut sql = "SELECT ".to_owned();
        for (at, (selected, column)) in self.selected.iter().zip(&self.columns).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}{selected} AS {column}");
        }
        if self.names.is_empty() {
            return sql;
        }
        sql.push_str(" FROM unnest(");
        for (at, (bind, kind)) in self.binds.iter().zip(&self.types).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${bind}::{kind}[]");
        }
        let _ = write!(sql, ") AS r({})", self.names.join(", "));
        sql
    }
}

fn unbound(column: &str) -> DbErr {
    DbErr::Type(format!("column {column} has a value that cannot be bound as an array"))
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

/// A statement built piece by piece, its values bound in order.
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

    /// Appends a value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        let _ = match self.backend {
            DbBackend::Postgres => write!(self.text, "${}", self.values.len()),
            _ => self.text.write_char('?'),
        };
        self
    }

    /// Appends `LIMIT`: so many rows at most.
    #[must_use]
    pub fn limit(mut self, rows: impl TryInto<i64>) -> Self {
        // A limit that is a bare value is planned for by SQLite: the statement would be prepared anew each time it is bound.
        self.text.push_str(if self.backend == DbBackend::Postgres { " LIMIT " } else { " LIMIT 0 + " });
        self.bind(rows.try_into().unwrap_or(i64::MAX))
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
                Ok(()) if width == 1 && !arrays.types.is_empty() => {
                    let (cast, bind) = (arrays.types[0], arrays.first_bind);
                    let _ = write!(self.text, "{} = ANY(${bind}::{cast}[])", columns[0]);
                }
                Ok(()) if arrays.types.is_empty() => {
                    let _ = write!(self.text, "({}) = ({})", columns.join(", "), arrays.selected.join(", "));
                }
                Ok(()) => {
                    let _ = write!(self.text, "({}) IN ({})", columns.join(", "), arrays.select());
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
        let list = values_list(padded, width);
        let _ = write!(self.text, "({}) IN ({list})", columns.join(", "));
        self.values.append(&mut values);
        self
    }

    /// Appends rows, given row-major, as a table to read from, `(…) AS name`: once each, in any order. At most 30,000 values.
    #[must_use]
    pub fn rows(mut self, name: &str, columns: &[&str], mut values: Vec<Value>) -> Self {
        let width = columns.len().max(1);
        let rows = values.len() / width;
        if self.backend == DbBackend::Postgres || rows == 0 {
            let mut arrays = Arrays::new(self.values.len());
            match arrays.add(columns, values) {
                Ok(()) => {
                    let _ = write!(self.text, "({}) AS {name}", arrays.select());
                }
                Err(error) => self.failed = Some(error),
            }
            self.values.append(&mut arrays.values);
            return self;
        }
        // As for inserted rows: blank ones up to a power of two, left out by the limit.
        let padded = rows.next_power_of_two();
        values.resize(padded * width, Value::BigInt(None));
        values.push((rows as i64).into());
        let named: Vec<_> =
            columns.iter().enumerate().map(|(at, column)| format!("column{} AS {column}", at + 1)).collect();
        let list = values_list(padded, width);
        let _ = write!(self.text, "(SELECT {} FROM ({list}) WHERE true LIMIT 0 + ?) AS {name}", named.join(", "));
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
