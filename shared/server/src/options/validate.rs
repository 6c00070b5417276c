use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rapport_rpc::{Access, Pattern};
use rapport_store::Failpoints;
use rapport_types::tenant::TenantId;

use super::load::services;
use super::{Options, OptionsError};

/// A guessable token is worse than none, because it looks like one.
const TOKEN_LEAST: usize = 16;

impl Options {
    /// Checks every value, and says all that is wrong at once.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let mut problems = Vec::new();
        self.addresses(&mut problems);
        self.auth_values(&mut problems);
        self.numbers(&mut problems);
        self.sections(&mut problems);
        self.web_values(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(OptionsError { problems }) }
    }

    fn addresses(&self, problems: &mut Vec<String>) {
        if address(&self.listen).is_none() {
            problems.push(format!("listen: \"{}\" is not an address such as 127.0.0.1:50051", self.listen));
        }
        if !self.admin.listen.is_empty() && address(&self.admin.listen).is_none() {
            problems.push(format!("admin.listen: \"{}\" is not an address such as 127.0.0.1:9464", self.admin.listen));
        }
        let url = self.store.url.expose();
        // The URL itself may hold a password and is not repeated.
        if url != "sqlite" && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            problems.push("store.url must be sqlite or begin with postgres://".to_owned());
        }
        for (service, text) in &self.store.failpoints {
            if let Err(error) = text.parse::<Failpoints>() {
                problems.push(format!("store.failpoints.{service}: {error}"));
            }
        }
        let http = |text: &str| text.starts_with("http://") && text.len() > "http://".len();
        for (service, url) in &self.peers.addresses {
            if !http(url) {
                problems.push(format!("peers.{service}: \"{url}\" is not an address such as http://10.0.0.3:50051"));
            }
        }
        let endpoint = &self.telemetry.otlp_endpoint;
        if !endpoint.is_empty() && !http(endpoint) {
            problems.push(format!(
                "telemetry.otlp_endpoint: \"{endpoint}\" is not an address such as http://127.0.0.1:4317"
            ));
        }
    }

    fn sections(&self, problems: &mut Vec<String>) {
        let known = services();
        for name in self.service.keys().filter(|name| !known.contains(name)) {
            problems.push(format!("service.{name}: there is no service \"{name}\": there are {}", known.join(", ")));
        }
    }

    fn web_values(&self, problems: &mut Vec<String>) {
        for origin in &self.web.cors_origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let whole = host.is_some_and(|host| {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'*'))
            });
            if origin != "*" && !whole {
                problems
                    .push(format!("web.cors_origins: \"{origin}\" is not an origin such as https://desk.example.com"));
            }
        }
        if self.quota.burst > 0 && self.quota.requests_per_second == 0 {
            problems.push("quota.burst needs quota.requests_per_second".to_owned());
        }
        let age = self.limits.connection_age.0;
        if age > Duration::ZERO && age < Duration::from_secs(1) {
            problems.push("limits.connection_age must be 0s or at least 1s".to_owned());
        }
    }

    fn auth_values(&self, problems: &mut Vec<String>) {
        let mut roles: BTreeSet<&str> = Access::BUILT_IN.iter().map(|(role, _)| *role).collect();
        for (role, patterns) in &self.auth.roles {
            if !roles.insert(role) {
                problems.push(format!("auth.roles.{role} is a built-in role and cannot be defined anew"));
            }
            for pattern in patterns {
                if let Err(error) = pattern.parse::<Pattern>() {
                    problems.push(format!("auth.roles.{role}: {error}"));
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (index, token) in self.auth.tokens.iter().enumerate() {
            let text = token.token.expose();
            if text.len() < TOKEN_LEAST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                problems.push(format!(
                    "auth.tokens[{index}].token must have at least {TOKEN_LEAST} visible ASCII characters and no spaces"
                ));
            }
            if !seen.insert(text) {
                problems.push(format!("auth.tokens[{index}].token is the same as an earlier one"));
            }
            if let Err(error) = TenantId::parse(&token.tenant) {
                problems.push(format!("auth.tokens[{index}].tenant {error}"));
            }
            if token.principal.is_empty() {
                problems.push(format!("auth.tokens[{index}].principal must be given"));
            }
            if token.roles.is_empty() {
                problems.push(format!("auth.tokens[{index}].roles must name a role"));
            }
            for role in &token.roles {
                if !roles.contains(role.as_str()) {
                    let known: Vec<&str> = roles.iter().copied().collect();
                    problems.push(format!(
                        "auth.tokens[{index}].roles: no role \"{role}\": there are {}",
                        known.join(", ")
                    ));
                }
            }
        }
    }

    fn numbers(&self, problems: &mut Vec<String>) {
        let limits = &self.limits;
        for (key, value) in [
            ("limits.connections", limits.connections),
            ("limits.streams_per_connection", limits.streams_per_connection as usize),
            ("limits.calls", limits.calls),
            ("limits.streams", limits.streams),
            ("store.max_readers", self.store.max_readers as usize),
            ("store.batches_in_flight", self.store.batches_in_flight),
            ("store.queue_limit", self.store.queue_limit),
        ] {
            if value == 0 {
                problems.push(format!("{key} must be at least 1"));
            }
        }
        for (key, span) in [
            ("limits.deadline", limits.deadline),
            ("limits.deadline_max", limits.deadline_max),
            ("limits.keepalive", limits.keepalive),
            ("limits.keepalive_timeout", limits.keepalive_timeout),
            ("store.acquire_timeout", self.store.acquire_timeout),
            ("store.lock_timeout", self.store.lock_timeout),
            ("store.statement_timeout", self.store.statement_timeout),
        ] {
            if span.0 == Duration::ZERO {
                problems.push(format!("{key} must be longer than nothing"));
            }
        }
        if limits.deadline > limits.deadline_max {
            problems.push("limits.deadline must not be longer than limits.deadline_max".to_owned());
        }
        if !(1024..=1 << 20).contains(&limits.header_bytes) {
            problems.push("limits.header_bytes must be within 1024 and 1048576".to_owned());
        }
        if self.store.request_retention.0 < Duration::from_secs(24 * 3600) {
            problems.push("store.request_retention must be at least 24h".to_owned());
        }
    }
}

/// An address to listen on; `localhost` is understood, other names are not, as they may have several addresses.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::options::{Secret, Span, TokenOptions};

    fn token(text: &str, role: &str) -> TokenOptions {
        TokenOptions {
            token: Secret::new(text),
            tenant: "acme".into(),
            principal: "users/ana".into(),
            roles: vec![role.into()],
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut options = Options::defaults().unwrap();
        options.listen = "somewhere".into();
        options.store.url = Secret::new("mysql://u:hunter2@h/d");
        options.limits.calls = 0;
        options.limits.deadline = Span::millis(60_000);
        options.peers.addresses.insert("scoring".into(), "10.0.0.3:1".into());
        options.auth.tokens = vec![token("short", "agent"), token("0123456789abcdef", "wizard")];
        options.service.insert("billing".into(), crate::Section::new());
        options.web.cors_origins = vec!["https://a.example/path".into(), "*".into()];
        options.quota.burst = 5;
        options.limits.connection_age = Span::millis(10);
        let error = options.validate().unwrap_err();
        let text = error.to_string();
        for part in [
            "listen",
            "store.url",
            "limits.calls",
            "limits.deadline",
            "peers.scoring",
            "tokens[0].token",
            "wizard",
            "service.billing",
            "web.cors_origins",
            "quota.burst",
            "limits.connection_age",
        ] {
            assert!(text.contains(part), "{part} not in {text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn roles_can_be_added_but_not_redefined() {
        let mut options = Options::defaults().unwrap();
        options.auth.roles.insert("auditor".into(), vec!["*.read".into()]);
        options.auth.tokens = vec![token("0123456789abcdef", "auditor")];
        options.validate().unwrap();
        options.auth.roles.insert("admin".into(), vec!["*.read".into()]);
        options.auth.roles.insert("odd".into(), vec!["NO".into()]);
        let text = options.validate().unwrap_err().to_string();
        assert!(text.contains("auth.roles.admin") && text.contains("auth.roles.odd"), "{text}");
    }

    #[test]
    fn addresses() {
        assert!(address("localhost:0").unwrap().ip().is_loopback());
        assert!(address("[::1]:50051").unwrap().ip().is_loopback());
        assert!(address("example.com:1").is_none());
        assert!(address("127.0.0.1").is_none());
    }
}
