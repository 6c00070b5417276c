//! Whether a service's database answers, and whether what it acknowledges stays.

use std::collections::HashMap;

use rapport_store::{Inspector, OpenError, Setting, StoreOptions, lock_is_held};

use super::Finding;

const DURABLE: &str = "store.durable";
const REACHABLE: &str = "store.reachable";
/// The first version whose write-ahead log survives a reset race.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
/// The oldest PostgreSQL the suite is tested with.
const OLDEST_POSTGRES: u32 = 15;

/// Looks at a service's database; gives it back if it answers.
pub(super) async fn examine(options: &StoreOptions, service: &str) -> (Vec<Finding>, Option<Inspector>) {
    let mut findings = Vec::new();
    if !options.is_postgres() {
        findings.extend(folder(options, service));
    }
    let inspector = match Inspector::open(options, service).await {
        Ok(Some(inspector)) => inspector,
        Ok(None) => {
            findings.push(Finding::ok(REACHABLE, service, "no database yet: the first start makes it"));
            return (findings, None);
        }
        Err(error) => {
            findings.push(unreachable(service, &error));
            return (findings, None);
        }
    };
    match inspector.settings().await {
        Ok(settings) => {
            findings.push(Finding::ok(REACHABLE, service, version(&settings)));
            findings.push(durable(service, &settings));
            (findings, Some(inspector))
        }
        Err(error) => {
            findings.push(unreachable(service, &error));
            (findings, None)
        }
    }
}

fn unreachable(service: &str, error: &OpenError) -> Finding {
    let cure = match error {
        OpenError::Url => "set store.url to \"sqlite\" or a postgres:// URL",
        OpenError::Folder { .. } => "give the user that runs rapport the folder, or set data to another one",
        // What PgBouncer says to whoever sets something at the start of a session.
        error if error.to_string().contains("unsupported startup parameter") => {
            "set ignore_startup_parameters = extra_float_digits and pool_mode = session in PgBouncer, or let store.url name \
             PostgreSQL itself: rapport keeps pools of its own"
        }
        _ => "see that the database runs, that store.url names it, and that its user may log in",
    };
    Finding::fail(REACHABLE, service, error, cure)
}

/// The data folder can be written to, and nobody else's process has the files.
fn folder(options: &StoreOptions, service: &str) -> Vec<Finding> {
    const FOLDER: &str = "store.folder";
    const LOCK: &str = "store.lock";
    let folder = options.data.display();
    let known = match options.data.metadata() {
        Ok(found) if !found.is_dir() => {
            let cure = "remove the file, or set data to another folder";
            return vec![Finding::fail(FOLDER, folder, "is a file, not a folder", cure)];
        }
        Ok(_) => tempfile::Builder::new().prefix(".rapport-doctor.").tempfile_in(&options.data).map(drop),
        Err(_) => return vec![Finding::ok(FOLDER, folder, "is not there yet: the first start makes it")],
    };
    let mut findings = vec![match known {
        Ok(()) => Finding::ok(FOLDER, folder, "can be written to"),
        Err(error) => {
            let cure = "give the user that runs rapport the folder, or set data to another one";
            Finding::fail(FOLDER, folder, format!("cannot be written to: {error}"), cure)
        }
    }];
    findings.push(match lock_is_held(options, service) {
        Ok(true) => Finding::ok(LOCK, service, "in use by a running process"),
        Ok(false) => Finding::ok(LOCK, service, "free"),
        Err(error) => {
            let cure = "keep data on a local file system: one without locks lets two processes write one file";
            Finding::fail(LOCK, service, format!("cannot be asked: {error}"), cure)
        }
    });
    findings
}

fn map(settings: &[Setting]) -> HashMap<&str, &str> {
    settings.iter().map(|setting| (setting.name.as_str(), setting.value.as_str())).collect()
}

fn version(settings: &[Setting]) -> String {
    let settings = map(settings);
    match (settings.get("server_version"), settings.get("version")) {
        (Some(version), _) => format!("PostgreSQL {version} answers"),
        (None, version) => format!("SQLite {} answers", version.unwrap_or(&"?")),
    }
}

/// Whether what is acknowledged survives a power cut.
fn durable(service: &str, settings: &[Setting]) -> Finding {
    let settings = map(settings);
    let get = |name: &str| settings.get(name).copied().unwrap_or_default();
    if let Some(version) = settings.get("version") {
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        if parts.as_slice() < OLDEST_SQLITE.as_slice() {
            let found = format!("SQLite {version} may lose commits when its log is reset");
            return Finding::fail(DURABLE, service, found, "use a build with SQLite 3.51.3 or newer");
        }
        if get("synchronous") != "2" {
            let found = format!("synchronous is {}, so a power cut may take acknowledged writes", get("synchronous"));
            return Finding::fail(DURABLE, service, found, "use a build that honours synchronous = FULL");
        }
        if get("journal_mode") != "wal" {
            let found = format!("journal_mode is {}: another program changed it", get("journal_mode"));
            return Finding::warn(
                DURABLE,
                service,
                found,
                "let only rapport open the file; the next start sets WAL again",
            );
        }
        return Finding::ok(DURABLE, service, "WAL, synchronous FULL");
    }
    if get("in_recovery") == "true" {
        let found = "the server is a standby, which takes no writes";
        return Finding::fail(DURABLE, service, found, "set store.url to the primary");
    }
    for (name, loses) in [
        ("fsync", "a crash of the machine may destroy the database"),
        ("full_page_writes", "a power cut may tear pages"),
    ] {
        if get(name) != "on" {
            let cure = format!("set {name} = on in postgresql.conf and reload");
            return Finding::fail(DURABLE, service, format!("{name} is {}: {loses}", get(name)), cure);
        }
    }
    if get("synchronous_commit") == "off" {
        let found = "synchronous_commit is off by default; each flush is asked for by the session, where sessions last";
        return Finding::warn(DURABLE, service, found, "set synchronous_commit = on for the database and its role");
    }
    let major = get("server_version_num").parse::<u32>().unwrap_or(0) / 10_000;
    if major < OLDEST_POSTGRES {
        let found = format!("PostgreSQL {} is older than what is tested", get("server_version"));
        return Finding::warn(DURABLE, service, found, format!("use PostgreSQL {OLDEST_POSTGRES} or newer"));
    }
    Finding::ok(DURABLE, service, "fsync, full_page_writes and synchronous_commit are on")
}

#[cfg(test)]
mod tests {
    use rapport_store::sea_orm::DbErr;

    use super::super::Verdict;
    use super::*;

    fn judged(settings: &[(&str, &str)]) -> (Verdict, String) {
        let settings: Vec<Setting> = settings
            .iter()
            .map(|(name, value)| Setting { name: (*name).to_owned(), value: (*value).to_owned() })
            .collect();
        let finding = durable("scoring", &settings);
        (finding.verdict, finding.found)
    }

    #[test]
    fn a_pooler_that_refuses_sessions_is_told_what_to_allow() {
        let refused = DbErr::Custom("unsupported startup parameter: extra_float_digits".to_owned());
        let finding = unreachable("scoring", &OpenError::Database(refused));
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.cure.contains("ignore_startup_parameters"), "{finding:?}");
    }

    #[test]
    fn an_unsafe_sqlite_is_told() {
        let with = |version, synchronous, mode| {
            judged(&[("version", version), ("synchronous", synchronous), ("journal_mode", mode)]).0
        };
        assert_eq!(with("3.51.3", "2", "wal"), Verdict::Ok);
        assert_eq!(with("3.60.0", "2", "wal"), Verdict::Ok);
        assert_eq!(with("3.51.2", "2", "wal"), Verdict::Fail);
        assert_eq!(with("3.51.3", "1", "wal"), Verdict::Fail);
        assert_eq!(with("3.51.3", "2", "delete"), Verdict::Warn);
    }

    #[test]
    fn an_unsafe_postgres_is_told() {
        let with = |name: &str, value: &str| {
            let safe = [
                ("server_version", "15.4"),
                ("server_version_num", "150004"),
                ("fsync", "on"),
                ("full_page_writes", "on"),
                ("synchronous_commit", "on"),
                ("in_recovery", "false"),
            ];
            judged(&safe.map(|(known, usual)| (known, if known == name { value } else { usual }))).0
        };
        assert_eq!(with("", ""), Verdict::Ok);
        for (name, value, verdict) in [
            ("fsync", "off", Verdict::Fail),
            ("full_page_writes", "off", Verdict::Fail),
            ("in_recovery", "true", Verdict::Fail),
            ("synchronous_commit", "off", Verdict::Warn),
            ("server_version_num", "140009", Verdict::Warn),
        ] {
            assert_eq!(with(name, value), verdict, "{name}");
        }
    }
}
