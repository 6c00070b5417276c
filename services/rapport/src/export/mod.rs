//! `rapport export`: what `rapport import` takes, written from a server. Ids and times of records stay behind: parties are
//! named by their keys, so that the files mean the same to any server.

mod pages;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::import::kind::{Format, Kind};
use crate::import::stopped;
use pages::Pages;

/// `rapport export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// What to write.
    #[arg(value_enum)]
    kind: Kind,
    /// How to write it [default: by the end of --out, else jsonl].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write it [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Writes everything of a kind.
pub(crate) async fn export(arguments: &Export) -> Result<(), Failure> {
    let transport = arguments.connection.open()?;
    let ending = arguments.out.as_ref().and_then(|path| path.extension()?.to_str().map(str::to_ascii_lowercase));
    let format = arguments.format.unwrap_or(match ending.as_deref() {
        Some("csv") => Format::Csv,
        _ => Format::Jsonl,
    });
    let mut writer = Writer::open(arguments, format)?;
    let mut pages = Pages::new(transport);
    let refused = |error| stopped(&error);
    loop {
        let more = match arguments.kind {
            Kind::Parties => writer.page(&pages.parties().await.map_err(refused)?)?,
            Kind::Relationships => writer.page(&pages.ties().await.map_err(refused)?)?,
            Kind::Interactions => writer.page(&pages.contacts().await.map_err(refused)?)?,
        };
        if !more || pages.done() {
            break;
        }
    }
    writer.finish(pages.unnamed())
}

/// Where rows go: a file beside the wanted one that takes its place when it is whole, or standard output.
struct Writer {
    out: BufWriter<Box<dyn Write>>,
    format: Format,
    kind: Kind,
    message: MessageDescriptor,
    part: Option<(PathBuf, PathBuf)>,
    rows: u64,
}

impl Writer {
    fn open(arguments: &Export, format: Format) -> Result<Self, Failure> {
        let (out, part): (Box<dyn Write>, _) = match &arguments.out {
            None => (Box::new(std::io::stdout()), None),
            Some(path) => {
                let mut part = path.clone().into_os_string();
                part.push(".part");
                let part = PathBuf::from(part);
                let file = File::create(&part)
                    .map_err(|error| Failure::invalid(format!("cannot write {}: {error}", part.display())))?;
                (Box::new(file), Some((part, path.clone())))
            }
        };
        let message = arguments.kind.message()?;
        let mut writer = Self { out: BufWriter::new(out), format, kind: arguments.kind, message, part, rows: 0 };
        if format == Format::Csv {
            writer.line(&table::header(arguments.kind))?;
        }
        Ok(writer)
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(|error| Failure::output(&error))
    }

    /// Writes a page; whether it had rows.
    fn page<M: Message>(&mut self, rows: &[M]) -> Result<bool, Failure> {
        for row in rows {
            let mut message = DynamicMessage::new(self.message.clone());
            message
                .transcode_from(row)
                .map_err(|error| Failure::failed(format!("a row cannot be written: {error}")))?;
            let json = serde_json::to_value(&message)
                .map_err(|error| Failure::failed(format!("a row cannot be written as JSON: {error}")))?;
            let line = match self.format {
                Format::Jsonl => json.to_string(),
                Format::Csv => table::row(self.kind, &self.message, &json),
            };
            self.line(&line)?;
            self.rows += 1;
        }
        Ok(!rows.is_empty())
    }

    fn finish(mut self, unnamed: usize) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))?;
        if let Some((part, path)) = &self.part {
            std::fs::rename(part, path)
                .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
        }
        let mut told = format!("exported {} rows", self.rows);
        if unnamed > 0 {
            told.push_str(&format!("; {unnamed} parties have no identifier and are named by this server's ids"));
        }
        // Nothing is left to do if standard error is closed.
        let _ = writeln!(std::io::stderr(), "{told}");
        Ok(())
    }
}
