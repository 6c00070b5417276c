//! `rapport telephony`: the connector between telephony and a Rapport that is served somewhere.
//!
//! It has a configuration file of its own, with the table `[telephony]`, and `[telemetry]` as the server has it; a variable
//! such as `RAPPORT__TELEPHONY__TOKEN` overrides the file. It opens no database and hosts no service.

use std::io::Write;
use std::path::Path;

use rapport_server::{Options, Section, Sources, read_section, telemetry};
use rapport_telephony::{Running, StartError, TelephonyOptions};
use rapport_types::id::World;
use toml::Value;

use crate::cli::Telephony;
use crate::failure::Failure;
use crate::signals::Signals;

/// How variables begin that set a key of `[telephony]`.
const PREFIX: &str = "RAPPORT__TELEPHONY__";

/// Connects until it is asked to stop.
pub(crate) async fn telephony(arguments: &Telephony) -> Result<(), Failure> {
    let sources = Sources::of_process(None);
    let mut file = match &arguments.config {
        Some(path) => read(path)?,
        None => toml::Table::new(),
    };
    let options = options(&mut file, &sources.env)?;
    let logs = telemetry_options(&file, sources)?;
    let telemetry = telemetry::install(&logs.telemetry, World::system().clock.as_ref()).map_err(Failure::failed)?;
    let mut signals = Signals::install()?;
    let running = rapport_telephony::start(options, World::system()).await.map_err(|error| match error {
        StartError::Options(_) => Failure::invalid(error),
        StartError::Listen { .. } => Failure::failed(error),
    })?;
    if let Err(error) = ready(&running) {
        running.stop().await;
        return Err(Failure::output(&error));
    }
    signals.asked_to_stop().await;
    let stopped = signals
        .stop(async {
            running.stop().await;
        })
        .await;
    telemetry.flush();
    stopped
}

/// Tells scripts where to call.
fn ready(running: &Running) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (what, address) in [("http", running.http_addr()), ("agi", running.agi_addr())] {
        if let Some(address) = address {
            writeln!(out, "{what} listening on {address}")?;
        }
    }
    writeln!(out, "telephony ready")?;
    out.flush()
}

/// The file, whose tables are those of this command.
fn read(path: &Path) -> Result<toml::Table, Failure> {
    let wrong = |why: String| Failure::invalid(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::invalid(format!("cannot read the configuration file {}: {error}", path.display())))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    match table.iter().find(|(key, value)| !matches!(key.as_str(), "telephony" | "telemetry") || !value.is_table()) {
        Some((key, _)) => {
            Err(wrong(format!("unknown key \"{key}\": at the top level there are [telephony] and [telemetry]")))
        }
        None => Ok(table),
    }
}

/// The connector's options: the file's table, then the environment.
fn options(file: &mut toml::Table, env: &[(String, String)]) -> Result<TelephonyOptions, Failure> {
    let mut section: Section = match file.remove("telephony") {
        Some(Value::Table(table)) => table,
        _ => Section::new(),
    };
    for (name, value) in env {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
            set(&mut section, &path, value);
        }
    }
    read_section(&section).map_err(|problem| Failure::invalid(format!("telephony: {problem}")))
}

/// Sets a key in dotted form. A list or a number is read as TOML writes it, everything else is a text.
fn set(table: &mut toml::Table, path: &[String], text: &str) {
    match path {
        [] => {}
        [key] => {
            // Secrets of digits alone stay texts.
            let texts = |old: Option<&Value>| old.is_some_and(Value::is_str);
            let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
            let value = match parsed {
                Some(value @ (Value::Array(_) | Value::Integer(_))) if !texts(table.get(key)) => value,
                _ => Value::from(text),
            };
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Value::Table(toml::Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, text);
            }
        }
    }
}

/// How to log: the server's own options, of which nothing but `[telemetry]` counts here.
fn telemetry_options(file: &toml::Table, mut sources: Sources) -> Result<Options, Failure> {
    sources.env.retain(|(name, _)| name.starts_with("RAPPORT__TELEMETRY__"));
    if let Some(Value::Table(table)) = file.get("telemetry") {
        for (key, value) in table {
            let name = match key.as_str() {
                "format" => "telemetry.format",
                "level" => "telemetry.level",
                "otlp_endpoint" => "telemetry.otlp_endpoint",
                "otlp_ca" => "telemetry.otlp_ca",
                other => {
                    return Err(Failure::invalid(format!(
                        "unknown key \"telemetry.{other}\": in [telemetry] there are format, level, otlp_endpoint, otlp_ca"
                    )));
                }
            };
            let variable = format!("RAPPORT__{}", name.to_ascii_uppercase().replace('.', "__"));
            let Some(text) = value.as_str() else {
                return Err(Failure::invalid(format!("{name} must be a text")));
            };
            // The environment overrides the file.
            if !sources.env.iter().any(|(set, _)| set.eq_ignore_ascii_case(&variable)) {
                sources = sources.flag("[telemetry]", name, text);
            }
        }
    }
    Options::load(&sources).map_err(Failure::invalid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn told(text: &str, env: &[(&str, &str)]) -> Result<TelephonyOptions, String> {
        let env: Vec<(String, String)> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        options(&mut text.parse().unwrap(), &env).map_err(|failure| failure.message)
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let options = told(
            "[telephony]\ncountry = \"BR\"\n[telephony.asterisk]\npassword = \"old\"\nuser = \"rapport\"\n",
            &[
                ("RAPPORT__TELEPHONY__ASTERISK__PASSWORD", "1234"),
                ("RAPPORT__TELEPHONY__TOKEN", "123456789012345678"),
                ("RAPPORT__TELEPHONY__CALLS", "7"),
                ("RAPPORT__TELEPHONY__AGI__ALLOW", "[\"10.0.0.5\"]"),
                ("RAPPORT__STORE__URL", "sqlite"),
            ],
        )
        .unwrap();
        assert_eq!((options.country.as_str(), options.asterisk.user.as_str()), ("BR", "rapport"));
        assert_eq!((options.asterisk.password.expose(), options.token.expose()), ("1234", "123456789012345678"));
        assert_eq!((options.calls, options.agi.allow), (7, vec!["10.0.0.5".to_owned()]));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(told("[telephony]\nbudgett = 1\n", &[]).unwrap_err().contains("there is no option `budgett`"));
        let wrong = told("", &[("RAPPORT__TELEPHONY__BUDGET", "fast")]).unwrap_err();
        assert!(wrong.contains("budget: ") && wrong.contains("250ms"), "{wrong}");
    }

    #[test]
    fn logs_are_told_as_the_server_is() {
        let file: toml::Table = "[telemetry]\nlevel = \"debug\"\nformat = \"json\"\n".parse().unwrap();
        let env = Sources { env: vec![("RAPPORT__TELEMETRY__LEVEL".into(), "warn".into())], ..Sources::default() };
        assert_eq!(telemetry_options(&file, env).unwrap().telemetry.level, "warn");
        assert_eq!(telemetry_options(&file, Sources::default()).unwrap().telemetry.level, "debug");
        let wrong: toml::Table = "[telemetry]\nlvel = \"x\"\n".parse().unwrap();
        let told = telemetry_options(&wrong, Sources::default()).unwrap_err().message;
        assert!(told.contains("unknown key \"telemetry.lvel\""), "{told}");
    }
}
