//! Asterisk's side of FastAGI, as `res_agi` does it: headers, then one command at a time, `HANGUP` in between when the
//! caller is gone, and one more `HANGUP` at the very end, whatever happened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// A call in a dial plan that is at `AGI(agi://…)`.
#[derive(Clone, Debug)]
pub(crate) struct Dialplan {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) presentation: u32,
    pub(crate) arguments: Vec<String>,
    /// Variables of the channel; functions such as `CHANNEL(state)` are found here too.
    pub(crate) variables: BTreeMap<String, String>,
    /// The caller has hung up: commands that need a channel are not permitted.
    pub(crate) dead: bool,
    /// The caller hangs up right after the headers.
    pub(crate) hangs_up: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) commands: Vec<String>,
    pub(crate) held: Duration,
}

impl Dialplan {
    pub(crate) fn call(id: &str, number: &str) -> Dialplan {
        Dialplan {
            id: id.to_owned(),
            number: number.to_owned(),
            presentation: 0,
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            dead: false,
            hangs_up: false,
        }
    }

    /// In the `h` extension, with what the dialling left behind.
    pub(crate) fn over(id: &str, number: &str, variables: &[(&str, &str)]) -> Dialplan {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Dialplan { variables, dead: true, ..Dialplan::call(id, number) }
    }

    fn headers(&self, address: SocketAddr, script: &str) -> String {
        let mut text =
            format!("agi_network: yes\nagi_network_script: {script}\nagi_request: agi://{address}/{script}\n");
        let number = if self.number.is_empty() { "unknown" } else { &self.number };
        for (name, value) in [
            ("channel", "PJSIP/trunk-00000001"),
            ("language", "en"),
            ("type", "PJSIP"),
            ("uniqueid", &self.id),
            ("version", "22.10.1"),
            ("callerid", number),
            ("calleridname", "unknown"),
            ("callingpres", &self.presentation.to_string()),
            ("callingani2", "0"),
            ("callington", "0"),
            ("callingtns", "0"),
            ("dnid", "100"),
            ("rdnis", "unknown"),
            ("context", "from-trunk"),
            ("extension", "100"),
            ("priority", "2"),
            ("enhanced", "0.0"),
            ("accountcode", ""),
            ("threadid", "140000000000000"),
        ] {
            text.push_str(&format!("agi_{name}: {value}\n"));
        }
        for (index, argument) in self.arguments.iter().enumerate() {
            text.push_str(&format!("agi_arg_{}: {argument}\n", index + 1));
        }
        text.push('\n');
        text
    }

    /// Runs `AGI(agi://address/script)` until the other side closes.
    pub(crate) async fn agi(&self, address: SocketAddr, script: &str) -> Outcome {
        let head = self.headers(address, script);
        tokio::time::timeout(PATIENCE, self.run(address, &head)).await.expect("the call goes on")
    }

    async fn run(&self, address: SocketAddr, head: &str) -> Outcome {
        let begun = Instant::now();
        let stream = TcpStream::connect(address).await.expect("FastAGI answers");
        let (read, mut write) = stream.into_split();
        write.write_all(head.as_bytes()).await.expect("sent");
        let mut dead = self.dead;
        if self.hangs_up {
            write.write_all(b"HANGUP\n").await.expect("sent");
            dead = true;
        }
        let mut lines = BufReader::new(read).lines();
        let mut outcome = Outcome { variables: self.variables.clone(), commands: Vec::new(), held: Duration::ZERO };
        // A reset is an end too.
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = answer(&line, &mut outcome.variables, dead);
            outcome.commands.push(line);
            if write.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
        outcome.held = begun.elapsed();
        let _ = write.write_all(b"HANGUP\n").await;
        outcome
    }
}

fn answer(line: &str, variables: &mut BTreeMap<String, String>, dead: bool) -> String {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let upper: Vec<String> = words.iter().take(2).map(|word| word.to_ascii_uppercase()).collect();
    match upper.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["SET", "VARIABLE"] => match words.as_slice() {
            [_, _, name, value] => {
                variables.insert((*name).to_owned(), (*value).to_owned());
                "200 result=1\n".to_owned()
            }
            _ => "520-Invalid command syntax.  Proper usage follows:\nUsage: SET VARIABLE <variablename> <value>\n\
                  520 End of proper usage.\n"
                .to_owned(),
        },
        ["GET", "VARIABLE"] => match words.get(2).and_then(|name| variables.get(*name)) {
            Some(value) => format!("200 result=1 ({value})\n"),
            None => "200 result=0\n".to_owned(),
        },
        ["VERBOSE", _] => "200 result=1\n".to_owned(),
        ["ANSWER"] if dead => "511 Command Not Permitted on a dead channel or intercept routine\n".to_owned(),
        _ => "510 Invalid or unknown command\n".to_owned(),
    }
}

/// Splits as `parse_args` of `res_agi` does: quotes and backslashes count.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut quoted, mut escaped, mut gap) = (false, false, true);
    for letter in line.chars() {
        match letter {
            '"' if !escaped => {
                quoted = !quoted;
                if quoted && gap {
                    words.push(String::new());
                    gap = false;
                }
            }
            ' ' | '\t' if !quoted && !escaped => gap = true,
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            letter => {
                if gap {
                    words.push(String::new());
                    gap = false;
                }
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
        escaped = false;
    }
    words
}

/// Sends bytes that no Asterisk sends, closes its own side, and gives all that comes back.
pub(crate) async fn garbage(address: SocketAddr, bytes: &[u8]) -> String {
    let stream = TcpStream::connect(address).await.expect("FastAGI answers");
    let (mut read, mut write) = stream.into_split();
    // The other side may have closed already.
    let _ = write.write_all(bytes).await;
    drop(write);
    let mut said = Vec::new();
    let all = async {
        let mut buffer = [0; 1024];
        while let Ok(count) = tokio::io::AsyncReadExt::read(&mut read, &mut buffer).await {
            if count == 0 {
                break;
            }
            said.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the connection is closed");
    String::from_utf8_lossy(&said).into_owned()
}
