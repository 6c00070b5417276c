//! `rapport import`: parties, relationships and interactions from a file, over the public API.
//!
//! Rows go out in batches, several at once. What a row does is a matter of its content alone: request ids are made from it,
//! and parties are known by their keys, so the same file twice changes nothing and a cut import is started again.

mod columns;
mod contacts;
pub(crate) mod key;
pub(crate) mod kind;
mod parties;
mod progress;
mod refusal;
mod rejects;
mod request;
mod rows;
mod ties;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use futures::stream::{self, StreamExt};
use prost::Message;
use prost_reflect::DynamicMessage;
use rapport_proto::interactions::v1::Interaction;
use rapport_proto::stakeholders::v1::{Party, Relationship};
use rapport_types::error::Error;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::connection::Connection;
use crate::failure::Failure;
use kind::{Format, Kind};
use progress::Progress;
use rejects::Rejects;
pub(crate) use rejects::quoted;
use request::RequestIds;
pub(crate) use request::stopped;
use rows::{Reject, Row, Rows};

/// Rows of a batch, which are as many as a call takes, and bytes of them.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 600_000;
/// Batches in flight: the server always has a whole one to go on with, whatever is on its way.
const IN_FLIGHT: usize = 4;
/// Rows that a preview shows.
const SHOWN: usize = 10;

/// `rapport import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What the rows are.
    #[arg(value_enum)]
    kind: Kind,
    /// A table (.csv) whose first line names the columns, or one JSON object a line (.jsonl).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connection: Connection,
    /// A column that is called otherwise than its field, or "skip"; may be repeated.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = pair)]
    maps: Vec<(String, String)>,
    /// Say what would change and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where rows go that are not imported [default: FILE.rejects.csv or FILE.rejects.jsonl].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, field)) if !column.trim().is_empty() && !field.trim().is_empty() => {
            Ok((column.trim().to_owned(), field.trim().to_owned()))
        }
        _ => Err("valid is COLUMN=FIELD, or COLUMN=skip".to_owned()),
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was not there.
    Created,
    /// It was there otherwise: what changed.
    Updated(String),
    /// It was there.
    Unchanged,
    /// It names a party that is not there yet.
    Unresolved(Reject),
    /// It cannot be.
    Rejected(Reject),
}

/// A row that became a message.
#[derive(Clone, Debug)]
pub(crate) struct Record<M> {
    /// The row it came from.
    pub(crate) row: Row,
    /// What it says.
    pub(crate) message: M,
    /// Its request id, the same whenever the file is imported.
    pub(crate) request_id: Uuid,
}

/// Imports the file.
pub(crate) async fn import(arguments: &Import) -> Result<(), Failure> {
    let transport = arguments.connection.open()?;
    let keys = || key::Keys::new(transport.clone());
    match arguments.kind {
        Kind::Parties => {
            let to =
                parties::Parties { transport: transport.clone(), keys: keys(), message: arguments.kind.message()? };
            let preview = async |records: &[Record<Party>]| to.preview(records).await;
            run(arguments, async |records: &[Record<Party>]| to.settle(records).await, preview).await
        }
        Kind::Relationships => {
            let to = ties::Ties { transport: transport.clone(), keys: keys() };
            let preview = async |records: &[Record<Relationship>]| to.preview(records).await;
            run(arguments, async |records: &[Record<Relationship>]| to.settle(records).await, preview).await
        }
        Kind::Interactions => {
            let to = contacts::Contacts { transport: transport.clone(), keys: keys() };
            let preview = async |records: &[Record<Interaction>]| to.preview(records).await;
            run(arguments, async |records: &[Record<Interaction>]| to.settle(records).await, preview).await
        }
    }
}

/// A row on its way: a record, or a reject already.
type Read<M> = Result<Record<M>, (Row, Reject)>;

async fn run<M: Message + Default + 'static>(
    arguments: &Import,
    settle: impl AsyncFn(&[Record<M>]) -> Result<Vec<Outcome>, Error>,
    preview: impl AsyncFn(&[Record<M>]) -> Result<Vec<Outcome>, Error>,
) -> Result<(), Failure> {
    let format = format_of(&arguments.file)?;
    let rows = Rows::open(&arguments.file, arguments.kind, format, &arguments.maps)?;
    let mut told = Told::new(arguments, format, &rows)?;
    let mut again: Vec<Record<M>> = Vec::new();
    // Rows are read beside the calls: neither waits for the other.
    let (batches, mut next) = mpsc::channel(2);
    let reader = tokio::task::spawn_blocking(move || read(rows, &batches));
    {
        let settled = stream::poll_fn(|cx| next.poll_recv(cx)).map(|(read, bytes): (Vec<Read<M>>, u64)| {
            let (settle, preview) = (&settle, &preview);
            async move {
                let (records, bad): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
                let records: Vec<Record<M>> = records.into_iter().flatten().collect();
                let outcomes = match arguments.dry_run {
                    _ if records.is_empty() => Vec::new(),
                    true => preview(&records).await?,
                    false => settle(&records).await?,
                };
                let bad: Vec<(Row, Reject)> = bad.into_iter().filter_map(Result::err).collect();
                Ok::<_, Error>((records, outcomes, bad, bytes))
            }
        });
        let mut settled = std::pin::pin!(settled.buffered(IN_FLIGHT));
        while let Some(batch) = settled.next().await {
            let (records, outcomes, bad, bytes) = match batch {
                Ok(batch) => batch,
                Err(error) => return Err(told.cut(&error)),
            };
            for (row, reject) in bad {
                told.row(&row, &Outcome::Rejected(reject))?;
            }
            for (record, outcome) in records.into_iter().zip(outcomes) {
                match outcome {
                    // Whoever it names may come further down, or be made meanwhile.
                    Outcome::Unresolved(_) => again.push(record),
                    outcome => told.row(&record.row, &outcome)?,
                }
            }
            told.progress.at(bytes, told.rows());
        }
    }
    reader.await.map_err(|_| Failure::failed("reading the file was broken off"))??;
    for records in again.chunks(BATCH_ROWS) {
        let outcomes = if arguments.dry_run { preview(records).await } else { settle(records).await };
        let outcomes = outcomes.map_err(|error| told.cut(&error))?;
        for (record, outcome) in records.iter().zip(outcomes) {
            told.row(
                &record.row,
                &match outcome {
                    Outcome::Unresolved(reject) => Outcome::Rejected(reject),
                    outcome => outcome,
                },
            )?;
        }
    }
    told.finish()
}

/// Reads rows to the end of the file, or until nobody wants more.
fn read<M: Message + Default>(mut rows: Rows, batches: &mpsc::Sender<(Vec<Read<M>>, u64)>) -> Result<(), Failure> {
    let mut ids = RequestIds::default();
    loop {
        let batch = batch::<M>(&mut rows, &mut ids)?;
        if batch.0.is_empty() || batches.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
}

/// The next rows, and how far the file is read with them.
fn batch<M: Message + Default>(rows: &mut Rows, ids: &mut RequestIds) -> Result<(Vec<Read<M>>, u64), Failure> {
    let mut read = Vec::new();
    let mut bytes = 0;
    while read.len() < BATCH_ROWS && bytes < BATCH_BYTES {
        let row = match rows.next_row()? {
            None => break,
            Some(Ok(row)) => row,
            Some(Err((row, reject))) => {
                read.push(Err((row, reject)));
                continue;
            }
        };
        bytes += row.text.len();
        read.push(match rows.parse(&row).and_then(|message| typed::<M>(&message)) {
            Ok(message) => {
                let request_id = ids.next(rows.what(), &message.encode_to_vec());
                Ok(Record { row, message, request_id })
            }
            Err(reject) => Err((row, reject)),
        });
    }
    Ok((read, rows.read()))
}

fn typed<M: Message + Default>(message: &DynamicMessage) -> Result<M, Reject> {
    message.transcode_to().map_err(|error| Reject::malformed("", error.to_string()))
}

/// CSV or JSON lines, by the file's name.
pub(crate) fn format_of(path: &std::path::Path) -> Result<Format, Failure> {
    match path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        _ => Err(Failure::invalid(format!("{} is neither .csv nor .jsonl", path.display()))),
    }
}

/// What is told: progress while it goes on, the sum at the end.
struct Told {
    progress: Progress,
    rejects: Rejects,
    dry_run: bool,
    created: u64,
    updated: u64,
    unchanged: u64,
    shown: Vec<String>,
}

impl Told {
    fn new(arguments: &Import, format: Format, rows: &Rows) -> Result<Self, Failure> {
        let end = if format == Format::Csv { "csv" } else { "jsonl" };
        let default = || {
            let mut name = arguments.file.clone().into_os_string();
            name.push(format!(".rejects.{end}"));
            PathBuf::from(name)
        };
        let path = arguments.rejects.clone().unwrap_or_else(default);
        if path == arguments.file {
            return Err(Failure::invalid("--rejects names the file that is imported; valid is another file"));
        }
        let bytes = std::fs::metadata(&arguments.file).map(|file| file.len()).unwrap_or_default();
        Ok(Self {
            progress: Progress::new(bytes),
            rejects: Rejects::new(path, format, rows.header().unwrap_or_default()),
            dry_run: arguments.dry_run,
            created: 0,
            updated: 0,
            unchanged: 0,
            shown: Vec::new(),
        })
    }

    fn rows(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.rejects.count()
    }

    fn row(&mut self, row: &Row, outcome: &Outcome) -> Result<(), Failure> {
        let said = match outcome {
            Outcome::Created => {
                self.created += 1;
                "created".to_owned()
            }
            Outcome::Updated(what) => {
                self.updated += 1;
                format!("updated: {what}")
            }
            Outcome::Unchanged => {
                self.unchanged += 1;
                "unchanged".to_owned()
            }
            Outcome::Unresolved(reject) | Outcome::Rejected(reject) => {
                self.rejects.put(row, reject)?;
                let place = if reject.place.is_empty() { String::new() } else { format!("{}: ", reject.place) };
                format!("rejected: {place}{} ({})", reject.message, reject.reason)
            }
        };
        if self.dry_run && self.shown.len() < SHOWN {
            self.shown.push(format!("line {}: {said}", row.line));
        }
        Ok(())
    }

    /// The import ends before its file does.
    fn cut(&mut self, error: &Error) -> Failure {
        self.progress.end();
        // The rejects so far are worth having; the refusal is what is told.
        let _ = self.rejects.finish();
        let _ = writeln!(std::io::stderr(), "{}", self.sum());
        stopped(error)
    }

    fn sum(&self) -> String {
        let would = if self.dry_run { "would be " } else { "" };
        format!(
            "{would}created {}, updated {}, unchanged {}, rejected {}",
            self.created,
            self.updated,
            self.unchanged,
            self.rejects.count()
        )
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.progress.end();
        self.rejects.finish()?;
        let mut out = std::io::stdout().lock();
        let lines = self.shown.iter().cloned().chain([self.sum()]);
        for line in lines {
            writeln!(out, "{line}").map_err(|error| Failure::output(&error))?;
        }
        match self.rejects.count() {
            0 => Ok(()),
            count => Err(Failure {
                code: 3,
                message: format!("{count} rows were rejected: {} says why", self.rejects.path().display()),
            }),
        }
    }
}
