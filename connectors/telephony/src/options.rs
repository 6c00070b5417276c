//! What the connector can be told: `[telephony]` of its configuration file. The README has every key.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::Uri;
use rapport_server::{ClientTlsOptions, Secret, Span};
use serde::{Deserialize, Serialize};

/// The least and the most that a call may be held, as `BeginCall` takes it.
const LEAST_BUDGET: Duration = Duration::from_millis(10);
const MOST_BUDGET: Duration = Duration::from_secs(5);
/// How long the end of a call may wait for word that it was answered, at most.
const MOST_SETTLE: Duration = Duration::from_secs(600);
/// How many calls may be kept, at most: each costs about a kilobyte.
const MOST_CALLS: usize = 1_000_000;
/// A secret that can be guessed is worse than none, because it looks like one.
const SECRET_LEAST: usize = 16;

/// What the connector can be told. Everything has a default: without any option it answers FastAGI and HTTP on loopback
/// and asks a Rapport on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelephonyOptions {
    /// Where Rapport's `interactions` service is, for example `http://127.0.0.1:50051` or `https://rapport:50051`.
    pub rapport: String,
    /// How it is called where its address begins with `https://`.
    pub tls: ClientTlsOptions,
    /// The token that says for which tenant calls are told; its role needs `interactions.calls.write` and
    /// `interactions.contexts.read`. Empty for a Rapport without tokens.
    pub token: Secret,
    /// The most that a call is held: 10ms to 5s.
    pub budget: Span,
    /// The country whose numbering plan reads numbers in national form, ISO 3166-1 alpha-2; empty where the telephony
    /// sends E.164.
    pub country: String,
    /// How many calls are kept in memory at most: those under way and those that Rapport still has to be told.
    pub calls: usize,
    /// The caller-ID URL and the webhook.
    pub http: HttpOptions,
    /// FastAGI.
    pub agi: AgiOptions,
    /// ARI.
    pub asterisk: AsteriskOptions,
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpOptions {
    /// Where it is served; empty turns it off. Beyond loopback it needs `key`, and `webhook_secret` if the webhook is used.
    pub listen: String,
    /// What `/caller-id` wants as `key=`; empty asks for none.
    pub key: Secret,
    /// The secret by which webhook bodies are signed; empty turns the webhook off.
    pub webhook_secret: Secret,
    /// How long the end of a call that nobody said was answered waits for word that it was: events of a cloud may come
    /// out of order. Up to 10m.
    pub settle: Span,
}

/// The FastAGI listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgiOptions {
    /// Where it is served; empty turns it off.
    pub listen: String,
    /// The addresses of the Asterisks that may call; empty means loopback alone. Required beyond loopback, as FastAGI
    /// knows no password.
    pub allow: Vec<String>,
}

/// An Asterisk with ARI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AsteriskOptions {
    /// Its HTTP server, for example `http://127.0.0.1:8088`, with the prefix of `http.conf` if it has one. Empty turns
    /// ARI off.
    pub url: String,
    /// The user of `ari.conf`.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// The name of the Stasis application, as the dial plan calls it.
    pub app: String,
}

impl Default for TelephonyOptions {
    fn default() -> Self {
        Self {
            rapport: "http://127.0.0.1:50051".to_owned(),
            tls: ClientTlsOptions::default(),
            token: Secret::default(),
            budget: Span::millis(300),
            country: String::new(),
            calls: 10_000,
            http: HttpOptions::default(),
            agi: AgiOptions::default(),
            asterisk: AsteriskOptions::default(),
        }
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8073".to_owned(),
            key: Secret::default(),
            webhook_secret: Secret::default(),
            settle: Span::millis(2_000),
        }
    }
}

impl Default for AgiOptions {
    fn default() -> Self {
        Self { listen: "127.0.0.1:4573".to_owned(), allow: Vec::new() }
    }
}

impl Default for AsteriskOptions {
    fn default() -> Self {
        Self { url: String::new(), user: String::new(), password: Secret::default(), app: "rapport".to_owned() }
    }
}

impl TelephonyOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// All that is wrong, one sentence each, under the full name of its option.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        if let Err(problem) = plain_url(&self.rapport, "http://127.0.0.1:50051", &["http", "https"]) {
            problems.push(format!("telephony.rapport: {problem}"));
        }
        let given = |path: &Path| !path.as_os_str().is_empty();
        if given(&self.tls.certificate) != given(&self.tls.key) {
            problems.push("telephony.tls.certificate and telephony.tls.key must be given together".to_owned());
        }
        if !(LEAST_BUDGET..=MOST_BUDGET).contains(&self.budget.0) {
            problems.push(format!("telephony.budget is {}, it must be from 10ms to 5s", self.budget));
        }
        let letters = self.country.len() == 2 && self.country.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !self.country.is_empty() && !letters {
            problems.push(format!(
                "telephony.country: \"{}\" is no ISO 3166-1 alpha-2 code such as BR",
                self.country.escape_default()
            ));
        }
        if !(1..=MOST_CALLS).contains(&self.calls) {
            problems.push(format!("telephony.calls is {}, it must be from 1 to {MOST_CALLS}", self.calls));
        }
        self.http(&mut problems);
        self.agi(&mut problems);
        self.asterisk(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn http(&self, problems: &mut Vec<String>) {
        let http = &self.http;
        if http.settle.0 > MOST_SETTLE {
            problems.push(format!("telephony.http.settle is {}, it must be 10m at most", http.settle));
        }
        for (name, secret) in [("key", &http.key), ("webhook_secret", &http.webhook_secret)] {
            if !secret.is_empty() && secret.expose().len() < SECRET_LEAST {
                problems.push(format!(
                    "telephony.http.{name} has fewer than {SECRET_LEAST} characters: take openssl rand -hex 16"
                ));
            }
        }
        match http.address() {
            Err(problem) => problems.push(format!("telephony.http.listen: {problem}")),
            Ok(Some(address)) if !address.ip().is_loopback() && http.key.is_empty() => problems.push(format!(
                "telephony.http.listen: {address} can be reached by others, who would learn who calls: set telephony.http.key"
            )),
            Ok(_) => {}
        }
    }

    fn agi(&self, problems: &mut Vec<String>) {
        for text in &self.agi.allow {
            if text.parse::<IpAddr>().is_err() {
                problems
                    .push(format!("telephony.agi.allow: \"{}\" is no address such as 10.0.0.5", text.escape_default()));
            }
        }
        match self.agi.address() {
            Err(problem) => problems.push(format!("telephony.agi.listen: {problem}")),
            Ok(Some(address)) if !address.ip().is_loopback() && self.agi.allow.is_empty() => problems.push(format!(
                "telephony.agi.listen: {address} can be reached by others, and FastAGI knows no password: name the Asterisks in telephony.agi.allow"
            )),
            Ok(_) => {}
        }
    }

    fn asterisk(&self, problems: &mut Vec<String>) {
        let asterisk = &self.asterisk;
        if asterisk.url.is_empty() {
            return;
        }
        if let Err(problem) = plain_url(&asterisk.url, "http://127.0.0.1:8088", &["http", "ws"]) {
            problems.push(format!("telephony.asterisk.url: {problem}"));
        }
        if asterisk.user.is_empty() || asterisk.user.contains(':') {
            problems.push("telephony.asterisk.user is required, without a colon: the user of ari.conf".to_owned());
        }
        if asterisk.password.is_empty() {
            problems.push("telephony.asterisk.password is required: the password of the user of ari.conf".to_owned());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.';
        if asterisk.app.is_empty() || !asterisk.app.bytes().all(plain) {
            problems.push(format!(
                "telephony.asterisk.app: \"{}\" must be letters, digits, dots, hyphens and underscores",
                asterisk.app.escape_default()
            ));
        }
    }
}

impl HttpOptions {
    /// Where to listen, if at all.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, String> {
        address(&self.listen)
    }
}

impl AgiOptions {
    /// Where to listen, if at all.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, String> {
        address(&self.listen)
    }

    /// Whether somebody may call from there.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        if self.allow.is_empty() {
            return peer.is_loopback();
        }
        self.allow.iter().any(|one| one.parse::<IpAddr>().is_ok_and(|one| one.to_canonical() == peer))
    }
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse()
        .map(Some)
        .map_err(|_| format!("\"{}\" is not an address such as 127.0.0.1:4573", text.escape_default()))
}

/// Checks an address. What is wrong is said without the address where that may hold a password.
fn plain_url(text: &str, example: &str, schemes: &[&str]) -> Result<(), String> {
    let wrong = || format!("must be an address such as {example}");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    match uri.scheme_str() {
        Some(scheme @ ("https" | "wss")) if !schemes.contains(&scheme) => Err(format!(
            "{scheme} is not spoken yet: {}, and let what ends TLS stand in front of it on the same machine",
            wrong()
        )),
        Some(scheme) if schemes.contains(&scheme) => match uri.authority() {
            Some(authority) if !authority.host().is_empty() && !authority.as_str().contains('@') => Ok(()),
            _ => Err(format!("{}, without a user in it", wrong())),
        },
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_server::{Section, read_section};

    use super::*;

    fn read(text: &str) -> Result<TelephonyOptions, String> {
        let section: Section = text.parse().unwrap();
        let options: TelephonyOptions = read_section(&section)?;
        options.validate().map_err(|problems| problems.join("; "))?;
        Ok(options)
    }

    #[test]
    fn the_defaults_hold_and_stay_on_this_machine() {
        let options = read("").unwrap();
        assert_eq!(options.budget, Span::millis(300));
        for address in [options.http.address(), options.agi.address()] {
            assert!(address.unwrap().unwrap().ip().is_loopback());
        }
        assert!(options.asterisk.url.is_empty(), "nothing is called that nobody named");
    }

    #[test]
    fn everything_can_be_told() {
        let options = read(
            "rapport = \"https://10.0.0.3:50051\"\ntoken = \"0123456789abcdef\"\nbudget = \"150ms\"\ncountry = \"br\"\n\
             calls = 5\n[http]\nlisten = \"0.0.0.0:8073\"\nkey = \"0123456789abcdef\"\n\
             webhook_secret = \"0123456789abcdef\"\nsettle = \"5s\"\n[agi]\nlisten = \"0.0.0.0:4573\"\n\
             allow = [\"10.0.0.5\"]\n[asterisk]\nurl = \"ws://10.0.0.5:8088/pbx\"\nuser = \"u\"\npassword = \"p\"\n\
             [tls]\nca = \"ca.pem\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n",
        )
        .unwrap();
        assert!(
            options.agi.admits("10.0.0.5".parse().unwrap()) && options.agi.admits("::ffff:10.0.0.5".parse().unwrap())
        );
        assert!(!options.agi.admits("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, part) in [
            ("budgett = \"1s\"", "there is no option `budgett`"),
            ("budget = \"1\"", "budget: "),
            ("budget = \"9ms\"", "telephony.budget is 9ms, it must be from 10ms to 5s"),
            ("budget = \"6s\"", "telephony.budget is 6s"),
            ("country = \"BRA\"", "telephony.country: \"BRA\""),
            ("calls = 0", "telephony.calls is 0"),
            ("rapport = \"ftp://r:1\"", "telephony.rapport: must be an address such as http://"),
            ("[tls]\nkey = \"k.pem\"", "telephony.tls.certificate and telephony.tls.key"),
            ("[tls]\ncert = \"k.pem\"", "there is no option `cert`"),
            ("rapport = \"10.0.0.3:1\"", "telephony.rapport: must be an address such as"),
            ("[http]\nlisten = \"0.0.0.0:1\"", "set telephony.http.key"),
            ("[http]\nlisten = \"here\"", "telephony.http.listen: \"here\""),
            ("[http]\nkey = \"short\"", "telephony.http.key has fewer than 16"),
            ("[http]\nwebhook_secret = \"short\"", "telephony.http.webhook_secret has fewer"),
            ("[http]\nsettle = \"11m\"", "telephony.http.settle is 11m"),
            ("[agi]\nlisten = \"0.0.0.0:1\"", "name the Asterisks in telephony.agi.allow"),
            ("[agi]\nallow = [\"pbx\"]", "telephony.agi.allow: \"pbx\""),
            (
                "[asterisk]\nurl = \"wss://a:1\"\nuser = \"u\"\npassword = \"p\"",
                "telephony.asterisk.url: wss is not spoken yet",
            ),
            ("[asterisk]\nurl = \"http://u:hunter2@a:1\"\nuser = \"u\"\npassword = \"p\"", "without a user in it"),
            ("[asterisk]\nurl = \"http://a:1\"", "telephony.asterisk.user is required"),
            ("[asterisk]\nurl = \"http://a:1\"\nuser = \"u\"", "telephony.asterisk.password is required"),
            (
                "[asterisk]\nurl = \"http://a:1\"\nuser = \"u\"\npassword = \"p\"\napp = \"a b\"",
                "telephony.asterisk.app: \"a b\"",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
