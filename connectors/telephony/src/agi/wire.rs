//! The dialogue after the headers: one command, one answer. Asterisk reads a command only when it has answered the one
//! before, so they are never sent together.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes of a line, as Asterisk itself has it.
const MOST_LINE: usize = 8_192;

/// Why the dialogue is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Asterisk closed the connection.
    Closed,
    /// What came is not AGI; why, in a sentence.
    Garbage(String),
}

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        // A connection that breaks and one that is closed come to the same.
        Over::Closed
    }
}

/// Asterisk's answer to a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `200 result=…`, with what stood in brackets.
    Done { result: i64, value: Option<String> },
    /// 510, 511 or 520: the command was not carried out.
    Refused(String),
}

/// A connection of Asterisk.
pub(super) struct Wire<S> {
    stream: S,
    read: Vec<u8>,
    /// Asterisk said that the caller hung up.
    pub(super) hung_up: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Wire<S> {
        Wire { stream, read: Vec::new(), hung_up: false }
    }

    /// The next line, without its end. May be given up and asked again: nothing that was read is lost.
    pub(super) async fn line(&mut self) -> Result<String, Over> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                let line = std::mem::replace(&mut self.read, rest);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                return Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned());
            }
            if self.read.len() > MOST_LINE {
                return Err(Over::Garbage(format!("a line is longer than {MOST_LINE} bytes")));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(Over::Closed);
            }
        }
    }

    /// Sends a command, and waits for its answer.
    pub(super) async fn command(&mut self, command: &str) -> Result<Reply, Over> {
        self.stream.write_all(format!("{command}\n").as_bytes()).await?;
        loop {
            let line = self.line().await?;
            if line == "HANGUP" {
                // The command is answered all the same.
                self.hung_up = true;
                continue;
            }
            if line.starts_with("520-") {
                while !self.line().await?.starts_with("520 ") {}
                return Ok(Reply::Refused(line));
            }
            return reply(&line);
        }
    }

    /// Returns when the caller hangs up.
    pub(super) async fn hang_up(&mut self) -> Result<(), Over> {
        while !self.hung_up {
            let line = self.line().await?;
            self.hung_up = line == "HANGUP";
            if !self.hung_up {
                return Err(Over::Garbage(format!("\"{}\" answers no command", shown(&line))));
            }
        }
        Ok(())
    }
}

fn reply(line: &str) -> Result<Reply, Over> {
    let garbage = || Over::Garbage(format!("\"{}\" is no answer of AGI, such as 200 result=1", shown(line)));
    let (code, rest) = line.split_once(' ').ok_or_else(garbage)?;
    match code {
        "200" => {
            let rest = rest.strip_prefix("result=").ok_or_else(garbage)?;
            let (result, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let value =
                rest.trim().strip_prefix('(').and_then(|rest| rest.rsplit_once(')')).map(|(value, _)| value.to_owned());
            Ok(Reply::Done { result: result.parse().map_err(|_| garbage())?, value })
        }
        "510" | "511" | "520" => Ok(Reply::Refused(line.to_owned())),
        _ => Err(garbage()),
    }
}

fn shown(line: &str) -> String {
    line.chars().take(60).collect::<String>().escape_default().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    async fn asterisk(says: &str) -> (Wire<DuplexStream>, DuplexStream) {
        let (ours, mut theirs) = duplex(100_000);
        theirs.write_all(says.as_bytes()).await.unwrap();
        (Wire::new(ours), theirs)
    }

    #[tokio::test]
    async fn answers_are_read() {
        let said = "200 result=1\n200 result=1 (AN(S)WER)\nHANGUP\n511 Command Not Permitted on a dead channel or \
                    intercept routine\n520-Invalid command syntax.  Proper usage follows:\nUsage: x\n520 End of proper \
                    usage.\n200 result=0\n";
        let (mut wire, mut theirs) = asterisk(said).await;
        let done = |result, value: Option<&str>| Ok(Reply::Done { result, value: value.map(str::to_owned) });
        assert_eq!(wire.command("SET VARIABLE A \"\"").await, done(1, None));
        assert_eq!(wire.command("GET VARIABLE A").await, done(1, Some("AN(S)WER")));
        assert!(!wire.hung_up);
        assert!(matches!(wire.command("ANSWER").await, Ok(Reply::Refused(line)) if line.starts_with("511")));
        assert!(wire.hung_up);
        assert!(matches!(wire.command("SET").await, Ok(Reply::Refused(line)) if line.starts_with("520-")));
        assert_eq!(wire.command("NOOP").await, done(0, None));
        let mut sent = vec![0; 19];
        theirs.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent, b"SET VARIABLE A \"\"\nG");
        drop(theirs);
        assert_eq!(wire.line().await, Err(Over::Closed));
    }

    #[tokio::test]
    async fn garbage_is_named() {
        for (said, part) in [
            ("what?\n", "\"what?\" is no answer of AGI"),
            ("200 ok\n", "\"200 ok\""),
            ("200 result=x\n", "\"200 result=x\""),
            ("404 no\n", "\"404 no\""),
            (&"x".repeat(9_000), "longer than 8192 bytes"),
            ("\u{0}\u{1}\n", "\\u{0}"),
        ] {
            let (mut wire, _theirs) = asterisk(said).await;
            let over = wire.command("NOOP").await.unwrap_err();
            assert!(matches!(&over, Over::Garbage(why) if why.contains(part)), "{said:.20}: {over:?}");
        }
        let (mut wire, _theirs) = asterisk("200 result=1\n").await;
        assert!(matches!(wire.hang_up().await, Err(Over::Garbage(_))), "nobody asked");
    }
}
