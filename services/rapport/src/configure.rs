//! `rapport config`: where each setting comes from.

use std::collections::BTreeSet;
use std::io::Write;

use rapport_server::{Options, Sources};
use rapport_types::World;

use crate::cli::Serve;
use crate::failure::Failure;

/// The sources of the configuration: the process's environment, the file, the flags.
pub(crate) fn sources(arguments: &Serve) -> Sources {
    let settings = &arguments.settings;
    let mut sources = Sources::of_process(settings.config.clone());
    if !arguments.services.is_empty() {
        sources = sources.flag("--service", "services", arguments.services.clone());
    }
    if let Some(data) = &settings.data {
        sources = sources.flag("--data", "data", data.display().to_string());
    }
    if let Some(listen) = &settings.listen {
        sources = sources.flag("--listen", "listen", listen.clone());
    }
    if let Some(admin) = &settings.admin {
        sources = sources.flag("--admin", "admin.listen", admin.clone());
    }
    if settings.insecure_bind {
        sources = sources.flag("--insecure-bind", "insecure_bind", true);
    }
    sources
}

/// The configuration as the arguments give it.
pub(crate) fn load(arguments: &Serve) -> Result<Options, Failure> {
    Options::load(&sources(arguments)).map_err(Failure::invalid)
}

/// Prints every setting with its origin; secrets are hidden by the options themselves.
pub(crate) fn show(arguments: &Serve) -> Result<(), Failure> {
    let sources = sources(arguments);
    let options = Options::load(&sources).map_err(Failure::invalid)?;
    let shown: toml::Table =
        options.shown().parse().map_err(|error| Failure::failed(format!("cannot print the configuration: {error}")))?;
    let origins = Origins::of(&sources)?;
    let mut lines = Vec::new();
    settings("", &shown, &mut lines);
    let width = lines.iter().map(|(key, value)| key.len() + value.len() + 3).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for (key, value) in lines {
        let setting = format!("{key} = {value}");
        writeln!(out, "{setting:width$}  # {}", origins.of_key(&key)).map_err(|error| Failure::output(&error))?;
    }
    Ok(())
}

/// Says whether the configuration is valid, and the files of secrets that it names.
pub(crate) fn check(arguments: &Serve) -> Result<(), Failure> {
    let options = load(arguments)?;
    options.configure(&mut rapport::modules()).map_err(Failure::invalid)?;
    options.tokens().map_err(Failure::invalid)?;
    let world = World::system();
    options.tls.load(world.clock.as_ref()).map_err(Failure::invalid)?;
    options.peers.tls.load("peers.tls.", world.clock.as_ref()).map_err(Failure::invalid)?;
    writeln!(std::io::stdout(), "the configuration is valid").map_err(|error| Failure::output(&error))
}

/// Prints the JSON schema of the configuration.
pub(crate) fn schema() -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{:#}", rapport_server::config_schema()).map_err(|error| Failure::output(&error))
}

/// Settings as `key = value`, keys in dotted form.
fn settings(path: &str, table: &toml::Table, lines: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) => settings(&full, inner, lines),
            value => lines.push((full, value.to_string())),
        }
    }
}

/// Which source set which key.
struct Origins {
    flags: Vec<(&'static str, &'static str)>,
    environment: BTreeSet<String>,
    file: Option<(String, BTreeSet<String>)>,
}

impl Origins {
    fn of(sources: &Sources) -> Result<Self, Failure> {
        let environment = sources.env.iter().map(|(name, _)| name.clone()).collect();
        let file = match &sources.file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
                let table: toml::Table =
                    text.parse().map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
                let mut lines = Vec::new();
                settings("", &table, &mut lines);
                Some((path.display().to_string(), lines.into_iter().map(|(key, _)| key).collect()))
            }
        };
        Ok(Self { flags: sources.flags.iter().map(|(flag, key, _)| (*flag, *key)).collect(), environment, file })
    }

    /// The last source that set the key, by the order in which they override each other.
    fn of_key(&self, key: &str) -> String {
        if let Some((flag, _)) = self.flags.iter().find(|(_, set)| *set == key) {
            return format!("flag {flag}");
        }
        // A variable may set a whole table: RAPPORT__PEERS sets peers.token too.
        let mut part = key;
        loop {
            let name = format!("RAPPORT__{}", part.to_ascii_uppercase().replace('.', "__"));
            if let Some(name) = self.environment.iter().find(|set| set.eq_ignore_ascii_case(&name)) {
                return format!("environment {name}");
            }
            match part.rsplit_once('.') {
                Some((outer, _)) => part = outer,
                None => break,
            }
        }
        match &self.file {
            Some((path, keys)) if keys.contains(key) => format!("file {path}"),
            _ => "default".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_last_source_wins() {
        let origins = Origins {
            flags: vec![("--listen", "listen")],
            environment: ["RAPPORT__LISTEN", "RAPPORT__STORE__URL", "RAPPORT__PEERS"].map(str::to_owned).into(),
            file: Some(("r.toml".into(), ["listen", "store.url", "data"].map(str::to_owned).into())),
        };
        assert_eq!(origins.of_key("listen"), "flag --listen");
        assert_eq!(origins.of_key("store.url"), "environment RAPPORT__STORE__URL");
        assert_eq!(origins.of_key("peers.scoring"), "environment RAPPORT__PEERS");
        assert_eq!(origins.of_key("data"), "file r.toml");
        assert_eq!(origins.of_key("limits.calls"), "default");
    }
}
