use std::fmt;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::{DEFAULTS, Options};

const PREFIX: &str = "RAPPORT__";

/// Where options come from, in the order in which they override each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `RAPPORT__` are passed over.
    pub env: Vec<(String, String)>,
    /// Flags: the flag as the user wrote it, the key it sets (`admin.listen`), the value.
    pub flags: Vec<(&'static str, &'static str, Value)>,
}

impl Sources {
    /// The environment of this process, and a file if there is one.
    pub fn of_process(file: Option<PathBuf>) -> Sources {
        // A variable that is no text cannot be one of ours.
        let env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(key, _)| key.starts_with(PREFIX))
            .collect();
        Sources { file, env, flags: Vec::new() }
    }

    /// Adds a flag: `sources.flag("--listen", "listen", "127.0.0.1:0")`.
    #[must_use]
    pub fn flag(mut self, flag: &'static str, key: &'static str, value: impl Into<Value>) -> Sources {
        self.flags.push((flag, key, value.into()));
        self
    }
}

/// Why there are no options. The text names the key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    /// Every problem found, one sentence each.
    pub problems: Vec<String>,
}

impl OptionsError {
    pub(crate) fn one(problem: impl Into<String>) -> OptionsError {
        OptionsError { problems: vec![problem.into()] }
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for OptionsError {}

impl Options {
    /// The defaults alone.
    ///
    /// # Errors
    /// Never: a test reads the embedded file.
    pub fn defaults() -> Result<Options, OptionsError> {
        Options::load(&Sources::default())
    }

    /// Defaults, then file, then environment, then flags; checked as a whole.
    ///
    /// # Errors
    /// A file that cannot be read, a key that does not exist, a value that is not possible.
    pub fn load(sources: &Sources) -> Result<Options, OptionsError> {
        let known = read(DEFAULTS).map_err(|error| OptionsError::one(format!("the embedded defaults: {error}")))?;
        let mut figment = Figment::from(Layer { name: "the defaults".to_owned(), values: known.clone() });
        let mut problems = Vec::new();
        if let Some(path) = &sources.file {
            let layer = file(path)?;
            unknown(&layer.values, &known, "", &layer.name, &mut problems);
            figment = figment.merge(layer);
        }
        for (name, value) in &sources.env {
            let Some(key) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let key = key.to_ascii_lowercase().replace("__", ".");
            // Never fails: what is no number, no truth value and no list is a text.
            let value: Value = match value.parse() {
                Ok(value) => value,
                Err(never) => match never {},
            };
            let layer = Layer::of(format!("environment variable {name}"), &key, value);
            unknown(&layer.values, &known, "", &layer.name, &mut problems);
            figment = figment.merge(layer);
        }
        for (flag, key, value) in &sources.flags {
            figment = figment.merge(Layer::of((*flag).to_owned(), key, value.clone()));
        }
        if !problems.is_empty() {
            return Err(OptionsError { problems });
        }
        let mut options: Options = figment.extract().map_err(explain)?;
        options.sources = sources.clone();
        options.validate()?;
        Ok(options)
    }
}

/// One source of options.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn of(name: String, key: &str, value: Value) -> Layer {
        let values = figment::util::nest(key, value).into_dict().unwrap_or_default();
        Layer { name, values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn file(path: &Path) -> Result<Layer, OptionsError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        OptionsError::one(format!("cannot read the configuration file {}: {error}", path.display()))
    })?;
    let values = read(&text).map_err(|error| OptionsError::one(format!("{}: {error}", path.display())))?;
    Ok(Layer { name: path.display().to_string(), values })
}

fn read(text: &str) -> Result<Dict, String> {
    let mut data =
        Toml::string(text).data().map_err(|error| error.to_string().replace(" in TOML source string", ""))?;
    Ok(data.remove(&Profile::Default).unwrap_or_default())
}

/// The services that have a table of options.
pub(super) fn services() -> Vec<String> {
    // A test reads the embedded file; one that could not be read would name none.
    match read(DEFAULTS).unwrap_or_default().remove("service") {
        Some(Value::Dict(_, services)) => services.into_keys().collect(),
        _ => Vec::new(),
    }
}

/// Tables whose keys are the user's own.
fn is_free(path: &str) -> bool {
    matches!(path, "auth.roles" | "peers" | "store.failpoints")
}

/// Finds keys that the defaults do not have: there a typo would otherwise do nothing, silently.
fn unknown(given: &Dict, known: &Dict, path: &str, origin: &str, problems: &mut Vec<String>) {
    for (key, value) in given {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (known.get(key), value) {
            (Some(Value::Dict(_, known)), Value::Dict(_, given)) => {
                if !is_free(&full) {
                    unknown(given, known, &full, origin, problems);
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                let place = if path.is_empty() { "at the top level".to_owned() } else { format!("in [{path}]") };
                problems.push(format!(
                    "unknown key \"{full}\" in {origin}: {place} there are {}{}",
                    names.join(", "),
                    meant(key, &names),
                ));
            }
        }
    }
}

/// The known key that differs least, if it is near.
fn meant(key: &str, names: &[&str]) -> String {
    names
        .iter()
        .map(|name| (distance(key, name), name))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, name)| format!(" (did you mean {name}?)"))
        .unwrap_or_default()
}

/// Letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn explain(error: Error) -> OptionsError {
    let problems = error
        .into_iter()
        .map(|error| {
            let key = error.path.join(".");
            let why = match &error.kind {
                // What was found may be the secret itself, with a quote missing.
                Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if may_be_secret(&key) => {
                    format!("this must be {expected}")
                }
                kind => kind.to_string(),
            };
            let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
            match origin {
                Some(origin) if !key.is_empty() => format!("\"{key}\" in {origin}: {why}"),
                Some(origin) => format!("{origin}: {why}"),
                None if !key.is_empty() => format!("\"{key}\": {why}"),
                None => why,
            }
        })
        .collect();
    OptionsError { problems }
}

/// Whether what stands under a key is not to be repeated.
fn may_be_secret(key: &str) -> bool {
    ["auth", "peers", "store.url"].iter().any(|secret| key.starts_with(secret))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::io::Write;

    use super::*;
    use crate::options::LogFormat;

    fn with_file(text: &str) -> Result<Options, OptionsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rapport.toml");
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Options::load(&Sources { file: Some(path), ..Sources::default() })
    }

    fn with_env(pairs: &[(&str, &str)]) -> Result<Options, OptionsError> {
        let env = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Options::load(&Sources { env, ..Sources::default() })
    }

    #[test]
    fn the_defaults_are_complete_and_valid() {
        let options = Options::defaults().unwrap();
        assert_eq!(options.listen, "127.0.0.1:50051");
        assert_eq!(options.telemetry.format, LogFormat::Text);
        assert!(options.store_options("scoring").key_file.is_none());
        // What the file documents is exactly what there is.
        let shown: toml::Table = toml::from_str(&options.shown()).unwrap();
        let documented: toml::Table = toml::from_str(DEFAULTS).unwrap();
        fn keys(table: &toml::Table, path: &str, all: &mut Vec<String>) {
            for (key, value) in table {
                let full = format!("{path}.{key}");
                match value {
                    toml::Value::Table(inner) => keys(inner, &full, all),
                    _ => all.push(full),
                }
            }
            all.sort();
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        keys(&shown, "", &mut a);
        keys(&documented, "", &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn file_then_environment_then_flags() {
        let options = with_file("listen = \"127.0.0.1:1\"\n[limits]\ncalls = 7\ndeadline = \"3s\"\n").unwrap();
        assert_eq!((options.listen.as_str(), options.limits.calls), ("127.0.0.1:1", 7));
        let sources = Sources {
            env: vec![
                ("RAPPORT__LISTEN".into(), "127.0.0.1:2".into()),
                ("RAPPORT__STORE__URL".into(), "postgres://u:p@localhost/db".into()),
                ("RAPPORT__SERVICES".into(), "[\"scoring\"]".into()),
                ("RAPPORT__PEERS__STAKEHOLDERS".into(), "http://127.0.0.1:4".into()),
                ("RAPPORT__PEERS__TOKEN".into(), "12345678901234567".into()),
                ("RAPPORT__SERVICE__SCORING__LOG_LIMIT".into(), "7".into()),
                ("RAPPORT_TEST_POSTGRES_URL".into(), "x".into()),
            ],
            ..Sources::default()
        };
        let options = Options::load(&sources.clone().flag("--listen", "listen", "127.0.0.1:3")).unwrap();
        assert_eq!(options.listen, "127.0.0.1:3");
        assert_eq!(options.services, ["scoring"]);
        assert_eq!(options.service["scoring"]["log_limit"].as_integer(), Some(7));
        assert_eq!(options.peers.addresses["stakeholders"], "http://127.0.0.1:4");
        assert_eq!(options.peers.token.expose(), "12345678901234567");
        assert!(!options.shown().contains("u:p@"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let error = with_file("[store]\nurll = \"sqlite\"\n").unwrap_err().to_string();
        assert!(error.contains("\"store.urll\""), "{error}");
        assert!(error.contains("rapport.toml"), "{error}");
        assert!(error.contains("did you mean url?"), "{error}");
        let error = with_env(&[("RAPPORT__LIMIT__CALLS", "3")]).unwrap_err().to_string();
        assert!(error.contains("environment variable RAPPORT__LIMIT__CALLS"), "{error}");
        let error = with_file("[[auth.tokens]]\ntoken=\"0123456789abcdef\"\ntenat=\"acme\"\n").unwrap_err().to_string();
        assert!(error.contains("tenat") && error.contains("rapport.toml"), "{error}");
        let error = with_file("[service.scoring]\nlog_limitt = 1\n").unwrap_err().to_string();
        assert!(
            error.contains("\"service.scoring.log_limitt\"") && error.contains("did you mean log_limit?"),
            "{error}"
        );
        let error = with_env(&[("RAPPORT__SERVICE__BILLING__X", "1")]).unwrap_err().to_string();
        assert!(error.contains("\"service.billing\"") && error.contains("stakeholders"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_origin() {
        let error = with_file("[limits]\ncalls = \"many\"\n").unwrap_err().to_string();
        assert!(error.contains("\"limits.calls\"") && error.contains("rapport.toml"), "{error}");
        let error = with_env(&[("RAPPORT__STOP__GRACE", "soon")]).unwrap_err().to_string();
        assert!(error.contains("stop.grace") && error.contains("RAPPORT__STOP__GRACE"), "{error}");
        // Tokens with a quote missing are told of, and not printed.
        for tokens in
            ["{token=\"hunter2hunter2hunter2", "[\"hunter2hunter2hunter2\"]", "[{token=[\"hunter2hunter2hunter2\"]}]"]
        {
            let error = with_env(&[("RAPPORT__AUTH__TOKENS", tokens)]).unwrap_err().to_string();
            assert!(error.contains("RAPPORT__AUTH__TOKENS") && !error.contains("hunter2"), "{error}");
        }
        assert!(with_file("listen = ").unwrap_err().to_string().contains("rapport.toml"));
        let missing = Options::load(&Sources { file: Some("/nowhere/x.toml".into()), ..Sources::default() });
        assert!(missing.unwrap_err().to_string().contains("/nowhere/x.toml"));
    }
}
