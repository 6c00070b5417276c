use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rapport_rpc::tls::is_name;
use rapport_rpc::{Access, Pattern};
use rapport_store::Failpoints;

use super::load::services;
use super::{Options, OptionsError};

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
        self.tls_values(&mut problems);
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
            if !http(url) && !is_secured(url) {
                problems.push(format!(
                    "peers.{service}: \"{url}\" is not an address such as http://10.0.0.3:50051 or https://rapport:50051"
                ));
            }
        }
        let endpoint = &self.telemetry.otlp_endpoint;
        if !endpoint.is_empty() && !http(endpoint) && !is_secured(endpoint) {
            problems.push(format!(
                "telemetry.otlp_endpoint: \"{endpoint}\" is not an address such as http://127.0.0.1:4317 or \
                 https://collector:4317"
            ));
        }
        if !self.telemetry.otlp_ca.as_os_str().is_empty() && !is_secured(endpoint) {
            problems.push(format!(
                "telemetry.otlp_ca is for TLS, and telemetry.otlp_endpoint \"{endpoint}\" does not begin with https://"
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
        problems.extend(self.tokens_wrong("auth.tokens", &self.auth.tokens));
    }

    fn tls_values(&self, problems: &mut Vec<String>) {
        let tls = &self.tls;
        let given = |path: &Path| !path.as_os_str().is_empty();
        if given(&tls.certificate) != given(&tls.key) {
            problems.push("tls.certificate and tls.key must be given together".to_owned());
        }
        if given(&tls.client_ca) && !given(&tls.certificate) {
            problems.push("tls.client_ca needs tls.certificate and tls.key".to_owned());
        }
        if !tls.client_names.is_empty() && !given(&tls.client_ca) {
            problems.push("tls.client_names needs tls.client_ca".to_owned());
        }
        for name in tls.client_names.iter().filter(|name| !is_name(name)) {
            problems.push(format!("tls.client_names: \"{name}\" is no name of DNS and no IP address"));
        }
        if tls.offloaded && given(&tls.certificate) {
            problems.push(
                "tls.offloaded says that TLS ends before this process, and tls.certificate that it ends here"
                    .to_owned(),
            );
        }
        if tls.handshake.0 == Duration::ZERO {
            problems.push("tls.handshake must be longer than nothing".to_owned());
        }
        let client = &self.peers.tls;
        if given(&client.certificate) != given(&client.key) {
            problems.push("peers.tls.certificate and peers.tls.key must be given together".to_owned());
        }
        let every = self.reload.every.0;
        if every > Duration::ZERO && every < Duration::from_millis(50) {
            problems.push("reload.every must be 0s or at least 50ms".to_owned());
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
            ("limits.connection_begin", limits.connection_begin),
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

/// Whether an address is one over TLS.
pub(crate) fn is_secured(address: &str) -> bool {
    address.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
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
        options.tls.certificate = "server.pem".into();
        options.tls.offloaded = true;
        options.tls.client_names = vec!["not a name".into()];
        options.peers.tls.key = "client.key".into();
        options.reload.every = Span::millis(1);
        options.telemetry.otlp_endpoint = "collector:4317".into();
        options.telemetry.otlp_ca = "ca.pem".into();
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
            "tls.certificate and tls.key",
            "tls.offloaded",
            "tls.client_names needs tls.client_ca",
            "\"not a name\"",
            "peers.tls.certificate and peers.tls.key",
            "reload.every",
            "telemetry.otlp_endpoint: \"collector:4317\"",
            "telemetry.otlp_ca is for TLS",
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
