//! The messages to send: JSON from the argument, a file or standard input.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;

use bytes::Bytes;
use futures::{Stream, stream};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Messages that are read ahead of the server.
const AHEAD: usize = 16;

/// Where the JSON comes from.
pub(crate) enum Source {
    /// The argument itself.
    Argument(String),
    /// `@FILE`.
    File(PathBuf),
    /// `-`.
    Stdin,
}

impl Source {
    /// `{}` where nothing is given.
    pub(crate) fn of(argument: Option<&str>) -> Self {
        match argument {
            None => Self::Argument("{}".to_owned()),
            Some("-") => Self::Stdin,
            Some(text) => match text.strip_prefix('@') {
                Some(path) => Self::File(PathBuf::from(path)),
                None => Self::Argument(text.to_owned()),
            },
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Argument(_) => "JSON".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "stdin".to_owned(),
        }
    }

    fn reader(self) -> Result<Box<dyn BufRead + Send>, Failure> {
        Ok(match self {
            Self::Argument(text) => Box::new(Cursor::new(text)),
            Self::Stdin => Box::new(BufReader::new(std::io::stdin())),
            Self::File(path) => {
                let file = std::fs::File::open(&path);
                let file =
                    file.map_err(|error| Failure::invalid(format!("cannot read {}: {error}", path.display())))?;
                Box::new(BufReader::new(file))
            }
        })
    }

    /// The one message of a call.
    pub(crate) fn message(self, kind: &MessageDescriptor) -> Result<Bytes, Failure> {
        let name = self.name();
        let mut text = String::new();
        let read = self.reader()?.read_to_string(&mut text);
        read.map_err(|error| Failure::invalid(format!("cannot read {name}: {error}")))?;
        encoded(&name, 0, text.trim_end().trim_start_matches('\u{feff}'), kind)
    }

    /// The messages of a stream, one a line, as they come. Ends at the first that cannot be read: it goes to `failed`.
    pub(crate) fn messages(
        self,
        kind: MessageDescriptor,
        failed: oneshot::Sender<Failure>,
    ) -> Result<impl Stream<Item = Bytes> + Send + 'static, Failure> {
        let name = self.name();
        let reader = self.reader()?;
        let (give, take) = mpsc::channel(AHEAD);
        // A thread of its own: standard input may stay silent for ever, and nobody shall wait for it then.
        std::thread::spawn(move || {
            for (before, line) in reader.lines().enumerate() {
                let message = match line {
                    Ok(text) if text.trim().is_empty() => continue,
                    Ok(text) => encoded(&name, before, &text, &kind),
                    Err(error) => Err(Failure::invalid(format!("cannot read {name}: {error}"))),
                };
                match message {
                    Ok(bytes) => {
                        // The call is over: nobody takes more.
                        if give.blocking_send(bytes).is_err() {
                            return;
                        }
                    }
                    Err(failure) => {
                        // The call may be over already; then its end is what is told.
                        let _ = failed.send(failure);
                        return;
                    }
                }
            }
        });
        Ok(stream::unfold(take, |mut take| async move { take.recv().await.map(|bytes| (bytes, take)) }))
    }
}

/// A message of `kind` from its JSON, which stands `before` lines below the beginning.
fn encoded(name: &str, before: usize, text: &str, kind: &MessageDescriptor) -> Result<Bytes, Failure> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut reader = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(kind.clone(), &mut reader).and_then(|message| {
        reader.end()?;
        Ok(message)
    });
    let message = message.map_err(|error| {
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let place = format!("{name}:{}:{}", before + error.line(), error.column());
        let fields: Vec<String> = kind.fields().map(|field| field.json_name().to_owned()).collect();
        let valid = match fields.is_empty() {
            true => "valid is {}".to_owned(),
            false => format!("a {} has {}", kind.name(), fields.join(", ")),
        };
        Failure::invalid(format!("{place}: {said}; {valid} (`rapport describe {}`)", kind.full_name()))
    })?;
    Ok(message.encode_to_vec().into())
}
