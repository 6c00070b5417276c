//! Lists by time: where a page begins, in which order it goes, and where it ends. The same in every table.

use rapport_store::Sql;
use rapport_store::sea_orm::Value;
use rapport_types::Uuid;

/// A page of a list by time. Rows of one time go by their ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByTime {
    /// The place after which the page begins: the time in microseconds, the id.
    pub(crate) after: Option<(i64, Uuid)>,
    /// The newest first, in place of the oldest first.
    pub(crate) descending: bool,
    /// How many rows at most.
    pub(crate) limit: usize,
}

impl ByTime {
    /// A statement that ends with conditions, made one that reads the page by these columns.
    pub(super) fn append(self, mut sql: Sql, time: &str, id: &str) -> Sql {
        let (compare, direction) = if self.descending { ('<', " DESC") } else { ('>', "") };
        if let Some((at, last)) = self.after {
            sql = sql.text(&format!(" AND ({time}, {id}) {compare} (")).bind(at).text(", ").bind(last).text(")");
        }
        sql.text(&format!(" ORDER BY {time}{direction}, {id}{direction}")).limit(self.limit)
    }
}

/// A condition that keeps what hangs on one of these origins; none keeps everything.
pub(super) fn of_origins(sql: Sql, column: &str, origins: Option<&[Uuid]>) -> Sql {
    match origins {
        None => sql,
        Some(origins) => sql.text(" AND ").in_list(column, origins.iter().map(|origin| Value::from(*origin)).collect()),
    }
}
