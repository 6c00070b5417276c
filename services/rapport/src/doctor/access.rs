//! Who may call, and who may read the secrets.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rapport_server::Options;

use super::Finding;

pub(super) fn examine(options: &Options, config: Option<&Path>) -> Vec<Finding> {
    let mut findings = vec![credentials(options)];
    findings.extend(config.map(|path| secrets(options, path)));
    findings
}

fn credentials(options: &Options) -> Finding {
    const CHECK: &str = "access.credentials";
    let listen = &options.listen;
    let loopback = match listen.parse::<SocketAddr>() {
        Ok(addr) => addr.ip().is_loopback(),
        Err(_) => listen.starts_with("localhost:"),
    };
    let tokens = match options.tokens() {
        Ok(tokens) => tokens.len(),
        Err(error) => {
            return Finding::fail(CHECK, listen, error, "mend the file: serve refuses to start");
        }
    };
    let in_the_clear = !options.tls.is_on() && !options.tls.offloaded;
    match (tokens, loopback, options.insecure_bind) {
        (0, true, _) => Finding::ok(CHECK, listen, "no tokens, and only this machine can call"),
        (0, false, true) => Finding::warn(
            CHECK,
            listen,
            "whoever reaches the port may do anything (insecure_bind)",
            "configure [[auth.tokens]], or listen on 127.0.0.1",
        ),
        (0, false, false) => Finding::fail(
            CHECK,
            listen,
            "others can reach it and nobody would have to say who they are: serve refuses to start",
            "configure [[auth.tokens]], or listen on 127.0.0.1",
        ),
        (1.., _, _) if !options.peers.addresses.is_empty() && options.peers.token.is_empty() => Finding::warn(
            CHECK,
            listen,
            "peers.token is not set, so services elsewhere that ask for a credential refuse this one",
            "set peers.token to one of theirs with the role service",
        ),
        (1.., false, false) if in_the_clear => Finding::fail(
            CHECK,
            listen,
            "others can reach it, and whoever listens on the way reads tokens and data: serve refuses to start",
            "set tls.certificate and tls.key, or tls.offloaded if TLS ends before this process",
        ),
        (1.., false, true) if in_the_clear => Finding::warn(
            CHECK,
            listen,
            "whoever listens on the way reads tokens and data (insecure_bind)",
            "set tls.certificate and tls.key, or tls.offloaded if TLS ends before this process",
        ),
        (tokens, ..) => Finding::ok(CHECK, listen, format!("{tokens} tokens")),
    }
}

fn secrets(options: &Options, config: &Path) -> Finding {
    const CHECK: &str = "access.config_file";
    let has_secrets = !options.auth.tokens.is_empty()
        || !options.peers.token.is_empty()
        || options.store.url.expose().split_once('@').is_some_and(|(user, _)| user.matches(':').count() > 1);
    let subject = config.display();
    let Ok(found) = config.metadata() else {
        return Finding::fail(CHECK, subject, "cannot be read", "name an existing file with --config");
    };
    let mode = found.permissions().mode() & 0o777;
    if has_secrets && mode & 0o007 != 0 {
        let found = format!("holds secrets, and everybody on this machine may read it (mode {mode:o})");
        return Finding::warn(CHECK, subject, found, "chmod o-rwx, or keep the secrets in the environment");
    }
    Finding::ok(CHECK, subject, format!("mode {mode:o}"))
}
