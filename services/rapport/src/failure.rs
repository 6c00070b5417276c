//! How the process ends when it does not end well.

use std::fmt::Display;
use std::io;

use rapport_server::StartError;

/// An exit code and one line for standard error.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1: it could not be done; 2: what was asked for is not valid; 3 to 7: the server's refusals by class, see
    /// `rapport call --help`; 130: interrupted; 141: nobody reads the output.
    pub(crate) code: u8,
    /// What went wrong; empty says nothing.
    pub(crate) message: String,
}

impl Failure {
    /// It could not be done: a port in use, a locked folder.
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { code: 1, message: one_line(&message.to_string()) }
    }

    /// What was asked for is not valid: a setting, a file.
    pub(crate) fn invalid(message: impl Display) -> Self {
        Self { code: 2, message: one_line(&message.to_string()) }
    }

    /// A headline and what belongs to it, each on a line of its own.
    pub(crate) fn lines(code: u8, headline: impl Display, lines: impl Iterator<Item = String>) -> Self {
        let mut message = one_line(&headline.to_string());
        for line in lines {
            message.push_str("\n  ");
            message.push_str(&one_line(&line));
        }
        Self { code, message }
    }

    /// Somebody interrupted.
    pub(crate) fn interrupted() -> Self {
        Self { code: 130, message: "interrupted".to_owned() }
    }

    /// The output could not be written; a reader that went away, as `head` does, is no fault worth a word.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: 141, message: String::new() };
        }
        Self::failed(format!("cannot write the output: {error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Options(_) | StartError::UnknownService { .. } | StartError::Unprotected { .. } => {
                Self::invalid(error)
            }
            _ => Self::failed(error),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
