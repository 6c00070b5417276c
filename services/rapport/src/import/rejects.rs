//! The file of rows that were not imported: repaired, it can be imported as it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::kind::Format;
use super::rows::{Reject, Row};
use crate::failure::Failure;

/// The rejects of one import. The file is made with its first row.
pub(crate) struct Rejects {
    path: PathBuf,
    format: Format,
    header: String,
    out: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    /// Rejects go to `path`. What an import before left there is removed.
    pub(crate) fn new(path: PathBuf, format: Format, header: &str) -> Self {
        Self { path, format, header: header.to_owned(), out: None, count: 0 }
    }

    /// Where they go.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Keeps a row and why it was not imported.
    pub(crate) fn put(&mut self, row: &Row, reject: &Reject) -> Result<(), Failure> {
        self.count += 1;
        let failed = |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", self.path.display()));
        if self.out.is_none() {
            let mut out = BufWriter::new(File::create(&self.path).map_err(failed)?);
            if self.format == Format::Csv {
                writeln!(out, "{},rejected_line,rejected_place,rejected_reason,rejected_message", self.header)
                    .map_err(failed)?;
            }
            self.out = Some(out);
        }
        let Some(out) = &mut self.out else { return Ok(()) };
        let line = match self.format {
            Format::Csv => {
                let added = [row.line.to_string(), reject.place.clone(), reject.reason.clone(), reject.message.clone()];
                let added: Vec<String> = added.iter().map(|cell| quoted(cell)).collect();
                format!("{},{}", row.text, added.join(","))
            }
            Format::Jsonl => {
                let mut object: Map<String, Value> = serde_json::from_str(&row.text).unwrap_or_default();
                let mut rejected = json!({"line": row.line, "place": reject.place, "reason": reject.reason, "message": reject.message});
                if object.is_empty() {
                    rejected["text"] = json!(row.text);
                }
                object.insert("rejected".to_owned(), rejected);
                Value::Object(object).to_string()
            }
        };
        writeln!(out, "{line}").map_err(failed)
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        match &mut self.out {
            Some(out) => {
                out.flush().map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.path.display())))
            }
            None => Ok(()),
        }
    }
}

/// A cell in quotes where it needs them.
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}
