//! The rows of a file, one after the other, each with the line on which it begins.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value};

use super::columns::{Target, put, target};
use super::kind::{Format, Kind};
use crate::failure::Failure;

/// The longest row, in bytes: a quote that is never closed must not read the whole file.
const ROW_MAX: usize = 1 << 20;

/// A row as it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// The row itself, without its end.
    pub(crate) text: String,
}

/// Why a row is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// Where in the row: a column, or a place in its JSON.
    pub(crate) place: String,
    /// A reason of the contract, or MALFORMED for what never reached the server.
    pub(crate) reason: String,
    /// What is wrong and what would be valid.
    pub(crate) message: String,
}

impl Reject {
    /// What the file itself has wrong.
    pub(crate) fn malformed(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), reason: "MALFORMED".to_owned(), message: message.into() }
    }
}

/// A file under way.
pub(crate) struct Rows {
    path: PathBuf,
    reader: BufReader<File>,
    line: u64,
    read: u64,
    message: MessageDescriptor,
    shape: Shape,
}

enum Shape {
    /// The first line, and where each of its columns goes.
    Csv { header: String, columns: Vec<(String, Target)> },
    /// Other names for keys.
    Jsonl { renamed: Vec<(String, String)> },
}

impl Rows {
    /// Opens the file. `maps` are the columns that are called otherwise than their fields.
    ///
    /// # Errors
    /// The file cannot be read, or its first line is no header.
    pub(crate) fn open(path: &Path, kind: Kind, format: Format, maps: &[(String, String)]) -> Result<Self, Failure> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| Failure::invalid(format!("cannot read {shown}: {error}")))?;
        let mut rows = Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 16, file),
            line: 0,
            read: 0,
            message: kind.message()?,
            shape: Shape::Jsonl { renamed: maps.to_vec() },
        };
        if format == Format::Csv {
            rows.shape = Shape::Csv { header: String::new(), columns: Vec::new() };
            let header = match rows.next_row()? {
                Some(Ok(row)) => row,
                Some(Err((_, reject))) => return Err(Failure::invalid(format!("{shown}:1: {}", reject.message))),
                None => {
                    return Err(Failure::invalid(format!(
                        "{shown}:1: the file is empty; valid is a first line that names the columns"
                    )));
                }
            };
            let columns = rows.columns(kind, &header, maps)?;
            rows.shape = Shape::Csv { header: header.text, columns };
        }
        Ok(rows)
    }

    /// The first line of a table.
    pub(crate) fn header(&self) -> Option<&str> {
        match &self.shape {
            Shape::Csv { header, .. } => Some(header),
            Shape::Jsonl { .. } => None,
        }
    }

    /// The full name of the message that rows become.
    pub(crate) fn what(&self) -> &str {
        self.message.full_name()
    }

    /// Bytes read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    fn columns(&self, kind: Kind, header: &Row, maps: &[(String, String)]) -> Result<Vec<(String, Target)>, Failure> {
        let wrong = |what: String| Failure::invalid(format!("{}:{}: {what}", self.path.display(), header.line));
        let names = cells(&header.text).map_err(|reject| wrong(reject.message))?;
        if let Some((column, _)) = maps.iter().find(|(column, _)| !names.iter().any(|name| same(name, column))) {
            return Err(wrong(format!("--map names the column \"{column}\"; there are {}", names.join(", "))));
        }
        let mut columns: Vec<(String, Target)> = Vec::new();
        for name in names {
            let field = maps.iter().find(|(column, _)| same(&name, column)).map_or(name.as_str(), |(_, field)| field);
            let Some(target) = target(kind, &self.message, field) else {
                let valid: Vec<&str> = kind.fields().iter().chain(kind.short_columns()).copied().collect();
                return Err(wrong(format!(
                    "column \"{name}\": there is no field \"{field}\"; valid are {}; --map \"{name}=FIELD\" gives it another name, \
                     --map \"{name}=skip\" leaves it out",
                    valid.join(", ")
                )));
            };
            if !matches!(target, Target::Skip) && columns.iter().any(|(known, _)| same(known, &name)) {
                return Err(wrong(format!("column \"{name}\" is named twice; valid is once")));
            }
            columns.push((name, target));
        }
        Ok(columns)
    }

    /// The next row that is not empty.
    ///
    /// # Errors
    /// The file cannot be read on. A row that is too long or no text is an error of its own.
    #[allow(clippy::type_complexity)]
    pub(crate) fn next_row(&mut self) -> Result<Option<Result<Row, (Row, Reject)>>, Failure> {
        let csv = matches!(self.shape, Shape::Csv { .. });
        let mut bytes = Vec::new();
        let mut first = 0;
        loop {
            let before = bytes.len();
            let read = self.reader.by_ref().take((ROW_MAX + 1) as u64).read_until(b'\n', &mut bytes);
            let read =
                read.map_err(|error| Failure::failed(format!("cannot read {}: {error}", self.path.display())))?;
            self.read += read as u64;
            if read == 0 && before == 0 {
                return Ok(None);
            }
            self.line += u64::from(read > 0);
            if before == 0 {
                first = self.line;
            }
            let whole = !csv || bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
            let too_long = bytes.len() > ROW_MAX;
            if !whole && read > 0 && !too_long {
                // A quoted cell goes on in the next line.
                continue;
            }
            while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                bytes.pop();
            }
            if first == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if whole && bytes.iter().all(u8::is_ascii_whitespace) {
                bytes.clear();
                continue;
            }
            let row = match String::from_utf8(bytes) {
                Ok(text) => Row { line: first, text },
                Err(error) => {
                    let valid = error.utf8_error().valid_up_to();
                    let row = Row { line: first, text: String::from_utf8_lossy(error.as_bytes()).into_owned() };
                    let reject =
                        Reject::malformed(format!("byte {}", valid + 1), "is no UTF-8; valid is text in UTF-8");
                    return Ok(Some(Err((row, reject))));
                }
            };
            if too_long {
                return Ok(Some(Err((row, Reject::malformed("", "the row is longer than 1 MiB")))));
            }
            if !whole {
                let reject = Reject::malformed(
                    "",
                    "a quote is opened and never closed; valid is \"...\", with \"\" for a quote",
                );
                return Ok(Some(Err((row, reject))));
            }
            return Ok(Some(Ok(row)));
        }
    }

    /// The message that a row stands for.
    ///
    /// # Errors
    /// Where it is wrong, and what would be valid.
    pub(crate) fn parse(&self, row: &Row) -> Result<DynamicMessage, Reject> {
        match &self.shape {
            Shape::Csv { columns, .. } => self.parse_cells(columns, row),
            Shape::Jsonl { renamed } => self.parse_json(renamed, row),
        }
    }

    fn parse_cells(&self, columns: &[(String, Target)], row: &Row) -> Result<DynamicMessage, Reject> {
        let cells = cells(&row.text)?;
        if cells.len() != columns.len() {
            let found = format!("{} columns where the first line has {}", cells.len(), columns.len());
            return Err(Reject::malformed("", found));
        }
        let mut object = Map::new();
        for ((name, target), cell) in columns.iter().zip(&cells) {
            let cell = cell.trim();
            if !cell.is_empty() {
                put(&mut object, target, cell).map_err(|valid| {
                    Reject::malformed(format!("column {name}"), format!("\"{}\" found; valid is {valid}", short(cell)))
                })?;
            }
        }
        DynamicMessage::deserialize(self.message.clone(), Value::Object(object)).map_err(|error| {
            // Which column it was shows when each stands alone.
            let alone = columns.iter().zip(&cells).find_map(|((name, target), cell)| {
                let mut object = Map::new();
                put(&mut object, target, cell.trim()).ok()?;
                let wrong = DynamicMessage::deserialize(self.message.clone(), Value::Object(object)).is_err();
                (wrong && !cell.trim().is_empty()).then(|| format!("column {name}"))
            });
            Reject::malformed(
                alone.unwrap_or_default(),
                format!("{error}; `rapport describe {}` says what is valid", self.message.name()),
            )
        })
    }

    fn parse_json(&self, renamed: &[(String, String)], row: &Row) -> Result<DynamicMessage, Reject> {
        let reject = |error: &serde_json::Error, text: &str| {
            let said = error.to_string();
            let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said).to_owned();
            let valid = format!("`rapport describe {}` says what is valid", self.message.name());
            let place =
                if error.line() > 0 && !text.is_empty() { format!("column {}", error.column()) } else { String::new() };
            Reject::malformed(place, format!("{said}; {valid}"))
        };
        if renamed.is_empty() && !row.text.contains("\"rejected\"") {
            let mut reader = serde_json::Deserializer::from_str(&row.text);
            let message = DynamicMessage::deserialize(self.message.clone(), &mut reader);
            return message
                .and_then(|message| reader.end().map(|()| message))
                .map_err(|error| reject(&error, &row.text));
        }
        let value: Value = serde_json::from_str(&row.text).map_err(|error| reject(&error, &row.text))?;
        let Value::Object(object) = value else {
            return Err(Reject::malformed("", "valid is one JSON object a line"));
        };
        let mut named = Map::new();
        for (key, value) in object {
            match renamed.iter().find(|(from, _)| *from == key).map(|(_, to)| to.as_str()) {
                Some("skip") => {}
                Some(to) => {
                    named.insert(to.to_owned(), value);
                }
                None if key == "rejected" => {}
                None => {
                    named.insert(key, value);
                }
            }
        }
        DynamicMessage::deserialize(self.message.clone(), Value::Object(named))
            .map_err(|error| Reject::malformed("", error.to_string()))
    }
}

fn same(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// The cells of one row. A reader of CSV is a table of states that takes longer to make than a row to read, and few rows
/// need it: those with a quote.
fn cells(text: &str) -> Result<Vec<String>, Reject> {
    if !text.is_empty() && !text.contains(['"', '\r', '\n']) {
        return Ok(text.split(',').map(str::to_owned).collect());
    }
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).buffer_capacity(text.len().max(64)).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(_) => Ok(record.iter().map(str::to_owned).collect()),
        Err(error) => Err(Reject::malformed("", format!("no CSV: {error}; valid is CSV with commas"))),
    }
}

/// A cell cut to what fits a message.
fn short(cell: &str) -> String {
    rapport::csv_table::shortened(cell)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The line of a row, and what is wrong with it.
    type Told = Result<u64, (u64, Reject)>;

    fn rows(kind: Kind, format: Format, content: &[u8], maps: &[(&str, &str)]) -> Result<Vec<Told>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let maps: Vec<(String, String)> = maps.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let mut rows = Rows::open(file.path(), kind, format, &maps).map_err(|failure| failure.message)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            all.push(match row {
                Ok(row) => rows.parse(&row).map(|_| row.line).map_err(|reject| (row.line, reject)),
                Err((row, reject)) => Err((row.line, reject)),
            });
        }
        Ok(all)
    }

    #[test]
    fn rows_have_the_line_on_which_they_begin() {
        let content = b"\xef\xbb\xbfkind,Note,display_name\r\nindividual,x,\"Ana\nSouza\"\r\n\r\nrobot,x,B\nindividual,x\nindividual,x,\xff\nindividual,x,\"open\n";
        let all = rows(Kind::Parties, Format::Csv, content, &[("note", "skip")]).unwrap();
        assert_eq!(all[0], Ok(2));
        let told: Vec<(u64, &str)> = all[1..]
            .iter()
            .map(|row| row.as_ref().unwrap_err())
            .map(|(line, reject)| (*line, reject.place.as_str()))
            .collect();
        assert_eq!(told, [(5, "column kind"), (6, ""), (7, "byte 14"), (8, "")]);
        assert!(all[1].as_ref().unwrap_err().1.message.contains("individual, organization, household, group"));
    }

    #[test]
    fn cells_read_alike_with_and_without_quotes() {
        for (plain, quoted) in [("a,b", "\"a\",b"), ("a,,", "a,\"\","), (" a , b", " a ,\" b\""), (",", "\"\",")] {
            assert_eq!(cells(plain).unwrap(), cells(quoted).unwrap(), "{plain}");
        }
        assert_eq!(cells("\"a, \"\"b\"\"\nc\",d").unwrap(), ["a, \"b\"\nc", "d"]);
    }

    #[test]
    fn headers_are_checked() {
        let open = |content: &[u8], maps: &[(&str, &str)]| rows(Kind::Parties, Format::Csv, content, maps).unwrap_err();
        assert!(open(b"", &[]).contains(":1: the file is empty"));
        let unknown = open(b"kind,colour\n", &[]);
        assert!(
            unknown.contains(":1: column \"colour\"") && unknown.contains("display_name") && unknown.contains("--map"),
            "{unknown}"
        );
        assert!(open(b"kind,kind\n", &[]).contains("twice"));
        assert!(open(b"kind\n", &[("x", "kind")]).contains("there are kind"));
        assert_eq!(
            rows(Kind::Parties, Format::Csv, b"art,wer\nindividual,Ana\n", &[("art", "kind"), ("wer", "display_name")])
                .unwrap(),
            [Ok(2)]
        );
    }

    #[test]
    fn json_lines_tell_the_column() {
        let content =
            b"{\"kind\": \"PARTY_KIND_INDIVIDUAL\", \"displayName\": \"Ana\"}\n\n{\"kind\": \n{\"nam\": 1}\n[]\n";
        let all = rows(Kind::Parties, Format::Jsonl, content, &[]).unwrap();
        assert_eq!(all[0], Ok(1));
        let lines: Vec<u64> = all[1..].iter().map(|row| row.as_ref().unwrap_err().0).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(all[1].as_ref().unwrap_err().1.place.starts_with("column "));
        let mapped = rows(
            Kind::Parties,
            Format::Jsonl,
            b"{\"art\": 1, \"wer\": \"Ana\", \"x\": 1, \"rejected\": {}}\n",
            &[("art", "kind"), ("wer", "displayName"), ("x", "skip")],
        );
        assert_eq!(mapped.unwrap(), [Ok(1)]);
    }
}
