//! CSV files whose first line names their columns, read with errors that say where and what would be valid.

use std::fmt;

/// Why a file could not be read as the table it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTable {
    /// The file.
    pub file: String,
    /// The line, counted from 1; the header is line 1. None when the whole file is meant.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<&'static str>,
    /// What was found.
    pub found: String,
    /// What would be valid.
    pub valid: String,
}

impl fmt::Display for BadTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ": column `{column}`")?;
        }
        write!(f, ": {}; valid is {}", self.found, self.valid)
    }
}

impl std::error::Error for BadTable {}

/// A file under way: its columns in any order, among others that nobody asked for.
pub struct CsvTable<'a> {
    file: &'a str,
    content: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    columns: &'static [&'static str],
    /// Where each column is, if it is there.
    places: Vec<Option<usize>>,
    record: csv::ByteRecord,
}

impl fmt::Debug for CsvTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvTable({})", self.file)
    }
}

impl<'a> CsvTable<'a> {
    /// Reads the first line of `content`, which came from `file`. Of `columns` the first `needed` must be there; `header`
    /// says what a valid first line is.
    ///
    /// # Errors
    /// A column is missing or named twice, or the line is no CSV.
    pub fn open(
        file: &'a str,
        content: &'a [u8],
        columns: &'static [&'static str],
        needed: usize,
        header: &str,
    ) -> Result<Self, BadTable> {
        // A byte order mark is no part of the first column's name.
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
        let names = reader.byte_headers().map_err(|error| unreadable(file, content, &error))?;
        let bad = |column, found: &str, valid: &str| BadTable {
            file: file.to_owned(),
            line: Some(1),
            column: Some(column),
            found: found.to_owned(),
            valid: valid.to_owned(),
        };
        let mut places = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().copied().enumerate() {
            let mut found = names.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(column.as_bytes()));
            let first = found.next().map(|(place, _)| place);
            if first.is_none() && at < needed {
                return Err(bad(column, "the column is missing", header));
            }
            // It could be either.
            if found.next().is_some() {
                return Err(bad(column, "the column is named twice", "once"));
            }
            places.push(first);
        }
        Ok(Self { file, content, reader, columns, places, record: csv::ByteRecord::new() })
    }

    /// Whether the file has this one of the columns.
    #[must_use]
    pub fn has(&self, column: usize) -> bool {
        self.places.get(column).is_some_and(Option::is_some)
    }

    /// The next line, until there is none.
    ///
    /// # Errors
    /// The line is no CSV, or has not as many columns as the first one.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, BadTable> {
        let more = self
            .reader
            .read_byte_record(&mut self.record)
            .map_err(|error| unreadable(self.file, self.content, &error))?;
        let Self { file, content, columns, places, record, .. } = self;
        Ok(more.then_some(Row { file, content, columns, places, record }))
    }

    /// An error that means the whole file.
    #[must_use]
    pub fn bad(&self, found: String, valid: &str) -> BadTable {
        BadTable { file: self.file.to_owned(), line: None, column: None, found, valid: valid.to_owned() }
    }
}

/// A line of the table.
#[derive(Debug)]
pub struct Row<'r> {
    file: &'r str,
    content: &'r [u8],
    columns: &'static [&'static str],
    places: &'r [Option<usize>],
    record: &'r csv::ByteRecord,
}

impl<'r> Row<'r> {
    /// What `read` makes of one of the columns; `valid` says what it takes. A column that is not there is empty, and text
    /// that is no UTF-8 is never valid.
    ///
    /// # Errors
    /// `read` takes it not: where and what it is.
    pub fn read<T>(&self, column: usize, valid: &str, read: impl FnOnce(&'r str) -> Option<T>) -> Result<T, BadTable> {
        let place = self.places.get(column).copied().flatten();
        let cell = place.and_then(|place| self.record.get(place)).unwrap_or_default();
        std::str::from_utf8(cell).ok().and_then(read).ok_or_else(|| BadTable {
            file: self.file.to_owned(),
            line: self.record.position().map(|position| line(self.content, position)),
            column: self.columns.get(column).copied(),
            found: format!("\"{}\" found", shortened(&String::from_utf8_lossy(cell))),
            valid: valid.to_owned(),
        })
    }
}

/// The line of the record that was read from here. The reader's own count is late: it stands before the empty lines that it
/// skips, and between the two characters that end a line on Windows.
fn line(content: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(content.len());
    let ends = content[from..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let before = &content[..from + ends];
    let returns = before.iter().enumerate().filter(|(at, byte)| **byte == b'\r' && before.get(at + 1) != Some(&b'\n'));
    (1 + before.iter().filter(|byte| **byte == b'\n').count() + returns.count()) as u64
}

/// An error of the CSV layer itself.
fn unreadable(file: &str, content: &[u8], error: &csv::Error) -> BadTable {
    let (found, valid) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!("{len} columns where the first line has {expected_len}"),
            format!("{expected_len} columns in each line"),
        ),
        _ => ("no CSV".to_owned(), "CSV with commas".to_owned()),
    };
    let line = error.position().map(|position| line(content, position));
    BadTable { file: file.to_owned(), line, column: None, found, valid }
}

/// A found value cut to what fits a one-line message, without control characters.
#[must_use]
pub fn shortened(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.chars().count() <= 30 {
        return clean;
    }
    let head: String = clean.chars().take(27).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn open(content: &[u8]) -> Result<CsvTable<'_>, BadTable> {
        CsvTable::open("f.csv", content, &["key", "size"], 1, "a first line that names key")
    }

    #[test]
    fn columns_are_found_by_name() {
        let mut table = open(b"\xef\xbb\xbfnote,\" Size \",KEY\r\n\xff,2, a \r\n\r\n,,b\r\n").unwrap();
        assert!(table.has(0) && table.has(1) && !table.has(2));
        let row = table.next_row().unwrap().unwrap();
        assert_eq!(row.read(0, "", Some).unwrap(), "a");
        assert_eq!(row.read(1, "", |text| text.parse().ok()), Ok(2));
        let row = table.next_row().unwrap().unwrap();
        let error = row.read(1, "a number", |text| text.parse::<u8>().ok()).unwrap_err();
        assert_eq!(error.to_string(), "f.csv:4: column `size`: \"\" found; valid is a number");
        assert!(table.next_row().unwrap().is_none());
        assert!(!open(b"key").unwrap().has(1));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (content, want) in [
            (&b""[..], "f.csv:1: column `key`: the column is missing; valid is a first line that names key"),
            (b"size,key,Key", "f.csv:1: column `key`: the column is named twice; valid is once"),
            (b"key,size,size", "f.csv:1: column `size`: the column is named twice; valid is once"),
        ] {
            assert_eq!(open(content).unwrap_err().to_string(), want);
        }
        for end in ["\n", "\r\n", "\r"] {
            let content = ["key,size", "1,1", "", "2", ""].join(end);
            let mut table = open(content.as_bytes()).unwrap();
            assert!(table.next_row().unwrap().unwrap().read(1, "", |_| Some(())).is_ok());
            let error = table.next_row().unwrap_err().to_string();
            assert_eq!(error, "f.csv:4: 1 columns where the first line has 2; valid is 2 columns in each line");
        }
        let mut table = open(b"key\n\xffx\x07\n").unwrap();
        let error = table.next_row().unwrap().unwrap().read(0, "text", Some).unwrap_err().to_string();
        assert_eq!(error, "f.csv:2: column `key`: \"\u{fffd}x?\" found; valid is text");
    }
}
