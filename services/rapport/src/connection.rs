//! Where a client command calls, and as whom.

use std::time::Duration;

use clap::Args;
use rapport_rpc::Transport;

use crate::failure::Failure;

/// The server to call and the credential.
#[derive(Debug, Args, Clone)]
pub(crate) struct Connection {
    /// The server to call.
    #[arg(long, value_name = "HOST:PORT", env = "RAPPORT_ADDRESS", default_value = "127.0.0.1:50051")]
    pub(crate) address: String,
    /// The bearer token; better given by the environment, which others on this machine cannot read.
    #[arg(long, value_name = "TOKEN", env = "RAPPORT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

impl Connection {
    /// A way to the server. It connects when it is first used.
    pub(crate) fn open(&self) -> Result<Transport, Failure> {
        let address = &self.address;
        let wrong = |why: &str| {
            Failure::invalid(format!("--address \"{address}\" {why}; valid is HOST:PORT, for instance 127.0.0.1:50051"))
        };
        if address.starts_with("https://") {
            return Err(wrong("asks for TLS, which ends at the proxy before the server"));
        }
        let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        if host.rsplit_once(':').is_none_or(|(name, port)| name.is_empty() || port.parse::<u16>().is_err()) {
            return Err(wrong("names no host and port"));
        }
        let transport = Transport::network(&format!("http://{host}")).map_err(|_| wrong("is no address"))?;
        match &self.token {
            None => Ok(transport),
            Some(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(Failure::invalid("the token is empty or has characters that no header carries"))
            }
            Some(token) => Ok(transport.with_token(token)),
        }
    }
}

/// Reads `500ms`, `2s`, `3m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis)) {
        Some(span) if span > 0 => Ok(Duration::from_millis(span)),
        _ => Err("valid is a number with a unit above zero: 500ms, 2s, 3m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(span("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(span("2s").unwrap(), Duration::from_secs(2));
        assert_eq!(span("3m").unwrap(), Duration::from_secs(180));
        for wrong in ["", "5", "s", "0s", "-1s", "1h", "99999999999999999999s"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn addresses_are_checked_before_anything_is_sent() {
        let open = |address: &str, token: Option<&str>| {
            Connection { address: address.into(), token: token.map(str::to_owned) }.open()
        };
        assert!(open("127.0.0.1:50051", Some("t")).is_ok() && open("http://rapport:1", None).is_ok());
        for wrong in ["", "localhost", "https://rapport:1", ":50051", "host:99999"] {
            assert_eq!(open(wrong, None).unwrap_err().code, 2, "{wrong}");
        }
        assert_eq!(open("a:1", Some("two words")).unwrap_err().code, 2);
    }
}
