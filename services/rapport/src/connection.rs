//! Where a client command calls, and as whom.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rapport_rpc::Transport;
use rapport_server::ClientTlsOptions;
use rapport_types::World;

use crate::failure::Failure;

/// The server to call and the credential.
#[derive(Debug, Args, Clone, Default)]
pub(crate) struct Connection {
    /// The server to call; https://HOST:PORT for one that speaks TLS.
    #[arg(long, value_name = "HOST:PORT", env = "RAPPORT_ADDRESS", default_value = "127.0.0.1:50051")]
    pub(crate) address: String,
    /// The bearer token; better given by the environment, which others on this machine cannot read.
    #[arg(long, value_name = "TOKEN", env = "RAPPORT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The authorities that sign the server's certificate (PEM); those that browsers trust when left out.
    #[arg(long, value_name = "FILE", env = "RAPPORT_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// The certificate to show to a server that asks for one (PEM).
    #[arg(long, value_name = "FILE", env = "RAPPORT_CERTIFICATE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", env = "RAPPORT_KEY", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
}

impl Connection {
    /// A way to the server. It connects when it is first used.
    pub(crate) fn open(&self) -> Result<Transport, Failure> {
        let address = &self.address;
        let wrong = |why: &str| {
            Failure::invalid(format!(
                "--address \"{address}\" {why}; valid is HOST:PORT, for instance 127.0.0.1:50051, or https://HOST:PORT"
            ))
        };
        let secure = self.ca.is_some() || self.certificate.is_some();
        let (host, tls) = match (address.strip_prefix("http://"), address.strip_prefix("https://")) {
            (Some(_), _) if secure => return Err(wrong("asks for no TLS, and --ca or --certificate are for TLS")),
            (Some(host), _) => (host, false),
            (None, Some(host)) => (host, true),
            // Nobody names an authority and wants no TLS.
            (None, None) => (address.as_str(), secure),
        };
        let host = host.trim_end_matches('/');
        let named = match host.rsplit_once(':') {
            Some((name, port)) => !name.is_empty() && port.parse::<u16>().is_ok(),
            None => tls && !host.is_empty(),
        };
        if !named || host.contains('/') {
            return Err(wrong("names no host and port"));
        }
        let transport = match tls {
            true => {
                let options = ClientTlsOptions {
                    ca: self.ca.clone().unwrap_or_default(),
                    certificate: self.certificate.clone().unwrap_or_default(),
                    key: self.key.clone().unwrap_or_default(),
                };
                let tls = options.load("--", World::system().clock.as_ref()).map_err(Failure::invalid)?;
                Transport::secured(&format!("https://{host}"), &tls).map_err(|_| wrong("is no address"))?
            }
            false => Transport::network(&format!("http://{host}")).map_err(|_| wrong("is no address"))?,
        };
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
            let token = token.map(str::to_owned);
            Connection { address: address.into(), token, ..Connection::default() }.open()
        };
        for right in
            ["127.0.0.1:50051", "http://rapport:1", "https://rapport:1", "https://rapport.example.com", "[::1]:1"]
        {
            assert!(open(right, Some("t")).is_ok(), "{right}");
        }
        for wrong in ["", "localhost", ":50051", "host:99999", "https://", "https://:1", "https://a b:1", "ftp://a:1"] {
            assert_eq!(open(wrong, None).unwrap_err().code, 2, "{wrong}");
        }
        let ca = Some(std::path::PathBuf::from("/nowhere/ca.pem"));
        let with_ca = |address: &str| Connection { address: address.into(), ca: ca.clone(), ..Connection::default() };
        let error = with_ca("http://rapport:1").open().unwrap_err();
        assert!(error.code == 2 && error.message.contains("asks for no TLS"), "{error:?}");
        let error = with_ca("rapport:1").open().unwrap_err();
        assert!(error.code == 2 && error.message.contains("--ca /nowhere/ca.pem: cannot be read"), "{error:?}");
        assert_eq!(open("a:1", Some("two words")).unwrap_err().code, 2);
    }
}
