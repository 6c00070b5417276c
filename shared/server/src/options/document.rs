//! The configuration as a page and as a JSON schema, both read off the default configuration and its comments.

use serde_json::{Map, Value, json};

use super::DEFAULTS;

/// One key of the default configuration.
struct Key {
    /// `store`; empty for the keys at the top.
    table: String,
    name: String,
    default: toml::Value,
    /// The comment above it; keys that stand together share one.
    meaning: String,
    /// The part of the comment after an empty line: an example.
    example: String,
}

/// A table of the default configuration.
struct Table {
    name: String,
    meaning: String,
    example: String,
    keys: Vec<Key>,
}

/// Reads the default configuration with its comments.
fn tables() -> Vec<Table> {
    let mut tables =
        vec![Table { name: String::new(), meaning: String::new(), example: String::new(), keys: Vec::new() }];
    let mut comment: Vec<&str> = Vec::new();
    // The comment of the key above, which counts for the next one too if nothing stands between.
    let mut shared = (String::new(), String::new());
    for line in DEFAULTS.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
            continue;
        }
        if line.is_empty() {
            comment.clear();
            shared = (String::new(), String::new());
            continue;
        }
        let (meaning, example) = split(&comment);
        let told = !comment.is_empty();
        comment.clear();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            tables.push(Table { name: name.to_owned(), meaning, example, keys: Vec::new() });
            shared = (String::new(), String::new());
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        if told {
            shared = (meaning, example);
        }
        // The defaults are loaded at every start, so they parse.
        let default = line.parse::<toml::Table>().ok().and_then(|mut table| table.remove(name.trim()));
        if let Some(table) = tables.last_mut() {
            table.keys.push(Key {
                table: table.name.clone(),
                name: name.trim().to_owned(),
                default: default.unwrap_or_else(|| toml::Value::String(value.trim().to_owned())),
                meaning: shared.0.clone(),
                example: shared.1.clone(),
            });
        }
    }
    tables
}

/// A comment as its sentences and, after an empty line of it, an example.
fn split(comment: &[&str]) -> (String, String) {
    let end = comment.iter().position(|line| line.trim().is_empty()).unwrap_or(comment.len());
    let (meaning, example) = comment.split_at(end);
    (meaning.join(" "), example.iter().skip(1).map(|line| format!("{line}\n")).collect())
}

impl Key {
    fn path(&self) -> String {
        if self.table.is_empty() { self.name.clone() } else { format!("{}.{}", self.table, self.name) }
    }

    fn environment(&self) -> String {
        format!("RAPPORT__{}", self.path().to_ascii_uppercase().replace('.', "__"))
    }

    fn is_span(&self) -> bool {
        let unit = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        let spells = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit()) && ["ms", "s", "m", "h", "d"].contains(&unit(text).as_str())
        };
        self.name.ends_with("_retention") || self.default.as_str().is_some_and(spells)
    }

    fn unit(&self) -> &'static str {
        match &self.default {
            _ if self.is_span() => "span (ms, s, m, h, d)",
            toml::Value::Boolean(_) => "true or false",
            toml::Value::Array(_) => "list",
            toml::Value::Integer(_) => match self.name.rsplit('_').next() {
                Some("bytes") => "bytes",
                Some("seconds") => "seconds",
                Some("days") => "days",
                Some("percent") => "percent",
                _ => "number",
            },
            _ => "text",
        }
    }

    fn schema(&self) -> Value {
        let mut schema = match &self.default {
            _ if self.is_span() && self.default.as_str() == Some("") => {
                json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))?$" })
            }
            _ if self.is_span() => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
            toml::Value::Boolean(_) => json!({ "type": "boolean" }),
            toml::Value::Integer(_) => json!({ "type": "integer", "minimum": 0 }),
            toml::Value::Array(_) if self.path() == "auth.tokens" => json!({ "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["token", "tenant", "principal", "roles"],
                "properties": {
                    "token": { "type": "string", "minLength": 16, "description": "The secret." },
                    "tenant": { "type": "string", "description": "The tenant whose data it opens." },
                    "principal": { "type": "string", "description": "Who it is." },
                    "roles": { "type": "array", "items": { "type": "string" }, "description": "What it may do." },
                },
            }}),
            toml::Value::Array(_) => json!({ "type": "array", "items": { "type": "string" } }),
            _ if self.path() == "telemetry.format" => json!({ "type": "string", "enum": ["text", "json"] }),
            _ => json!({ "type": "string" }),
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), Value::from(self.meaning.clone()));
            if let Ok(default) = serde_json::to_value(&self.default) {
                schema.insert("default".to_owned(), default);
            }
        }
        schema
    }
}

/// The page of all keys, as docs/config.md has it.
pub fn config_page() -> String {
    let mut page = String::from(
        "# Configuration\n\nWritten from `shared/server/src/rapport.default.toml`: `cargo run -q -p rapport-server --example \
         config > docs/config.md`.\n\nA file given with `--config` overrides the defaults key by key, environment variables \
         override the file, flags override both. A key that does not exist is refused. `rapport config show` prints every \
         setting and where it comes from, `rapport config check` says whether all is valid, `rapport config schema` prints the \
         JSON schema. The file with all defaults and their comments is embedded in the binary.\n",
    );
    for table in tables() {
        let title = if table.name.is_empty() { "At the top".to_owned() } else { format!("[{}]", table.name) };
        page.push_str(&format!("\n## {title}\n"));
        if !table.meaning.is_empty() {
            page.push_str(&format!("\n{}\n", table.meaning));
        }
        if !table.example.is_empty() {
            page.push_str(&format!("\n```toml\n{}```\n", table.example));
        }
        if !table.keys.is_empty() {
            page.push_str("\n| Key | Default | Unit | Environment variable | Meaning |\n|---|---|---|---|---|\n");
        }
        for key in &table.keys {
            let meaning = key.meaning.replace('|', "\\|");
            page.push_str(&format!(
                "| `{}` | `{}` | {} | `{}` | {meaning} |\n",
                key.path(),
                key.default,
                key.unit(),
                key.environment()
            ));
        }
        for key in table.keys.iter().filter(|key| !key.example.is_empty()) {
            page.push_str(&format!("\n```toml\n{}```\n", key.example));
        }
    }
    page
}

/// The JSON schema of a configuration file.
pub fn config_schema() -> Value {
    let mut root = object("The configuration of Rapport.", Map::new());
    for table in tables() {
        let properties: Map<String, Value> = table.keys.iter().map(|key| (key.name.clone(), key.schema())).collect();
        let mut schema = object(&table.meaning, properties);
        // Tables whose keys the operator chooses.
        match table.name.as_str() {
            "auth.roles" => schema["additionalProperties"] = json!({ "type": "array", "items": { "type": "string" } }),
            "peers" | "store.failpoints" => schema["additionalProperties"] = json!({ "type": "string" }),
            _ => {}
        }
        insert(&mut root, &table.name, schema);
    }
    root["$schema"] = Value::from("https://json-schema.org/draft/2020-12/schema");
    root["title"] = Value::from("Rapport configuration");
    root
}

fn object(meaning: &str, properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "description": meaning, "additionalProperties": false, "properties": properties })
}

/// Puts a table where its dotted name says, making what lies between.
fn insert(root: &mut Value, name: &str, schema: Value) {
    let mut at = root;
    for part in name.split('.').filter(|part| !part.is_empty()) {
        let properties = &mut at["properties"];
        if properties.get(part).is_none() {
            properties[part] = object("", Map::new());
        }
        at = &mut properties[part];
    }
    let Value::Object(new) = schema else { return };
    for (key, value) in new {
        match (key.as_str(), value) {
            ("properties", Value::Object(new)) => {
                for (name, schema) in new {
                    at["properties"][name] = schema;
                }
            }
            ("description", value) if value == "" => {}
            (_, value) => at[key] = value,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn leaves(path: &str, table: &toml::Table, found: &mut Vec<(String, toml::Value)>) {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                toml::Value::Table(inner) => leaves(&path, inner, found),
                value => found.push((path, value.clone())),
            }
        }
    }

    #[test]
    fn every_key_has_its_default_and_its_meaning() {
        let mut expected = Vec::new();
        leaves("", &DEFAULTS.parse().unwrap(), &mut expected);
        assert!(expected.len() > 40);
        let known: Vec<Key> = tables().into_iter().flat_map(|table| table.keys).collect();
        assert_eq!(known.len(), expected.len());
        let schema = config_schema();
        let page = config_page();
        for (path, value) in expected {
            let key = known.iter().find(|key| key.path() == path).unwrap();
            assert_eq!(key.default, value, "{path}");
            assert!(!key.meaning.is_empty(), "{path} has no comment");
            let mut at = &schema;
            for part in path.split('.') {
                at = &at["properties"][part];
            }
            assert_eq!(at["default"], serde_json::to_value(&value).unwrap(), "{path}");
            assert!(page.contains(&format!("| `{path}` |")), "{path}");
        }
        assert!(
            page.contains(
                "| `store.lock_timeout` | `\"2s\"` | span (ms, s, m, h, d) | `RAPPORT__STORE__LOCK_TIMEOUT` |"
            )
        );
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["peers"]["additionalProperties"]["type"], "string");
        assert_eq!(
            schema["properties"]["service"]["properties"]["loyalty"]["properties"]["sweep_seconds"]["type"],
            "integer"
        );
    }
}
