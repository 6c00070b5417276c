use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use serde::de::DeserializeOwned;

use super::{Options, OptionsError};
use crate::module::Module;

/// The options of one service, as they stand in the tree.
pub type Section = toml::Table;

/// Reads a section into the options of a service, which say themselves which keys there are (`deny_unknown_fields`) and
/// what holds for those that are left out (`default`).
///
/// # Errors
/// A sentence that begins with the name of the option that is wrong.
pub fn read_section<T: DeserializeOwned>(section: &Section) -> Result<T, String> {
    Figment::from(Serialized::defaults(section)).extract().map_err(|error| {
        let problems: Vec<String> = error.into_iter().map(|error| explain(&error)).collect();
        problems.join("; ")
    })
}

fn explain(error: &figment::Error) -> String {
    match &error.kind {
        Kind::UnknownField(name, known) => format!("there is no option `{name}`: there are {}", known.join(", ")),
        kind if error.path.is_empty() => kind.to_string(),
        kind => format!("{}: {kind}", error.path.join(".")),
    }
}

impl Options {
    /// Gives every module its section. Those of services that are not among the modules are left alone: another
    /// process, with the same file, may host them.
    ///
    /// # Errors
    /// What is wrong, each problem under the full name of its option.
    pub fn configure(&self, modules: &mut [Box<dyn Module>]) -> Result<(), OptionsError> {
        let none = Section::new();
        let mut problems = Vec::new();
        for module in modules {
            let service = module.name();
            let section = self.service.get(service).unwrap_or(&none);
            if let Err(problem) = module.configure(section) {
                let word = problem.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
                let joint = if section.contains_key(word) { "." } else { ": " };
                problems.push(format!("service.{service}{joint}{problem}"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(OptionsError { problems }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rapport_rpc::Services;
    use rapport_store::Migrations;
    use serde::Deserialize;

    use super::*;
    use crate::module::Context;
    use crate::options::Sources;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        log_limit: u32,
        label: String,
    }

    fn section(text: &str) -> Section {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_section_is_read_and_its_mistakes_are_named() {
        let limits: Limits = read_section(&section("log_limit = 7")).unwrap();
        assert_eq!(limits, Limits { log_limit: 7, label: String::new() });
        let wrong = |text| read_section::<Limits>(&section(text)).unwrap_err();
        assert_eq!(wrong("log_limitt = 7"), "there is no option `log_limitt`: there are log_limit, label");
        for text in ["log_limit = \"many\"", "log_limit = -1", "log_limit = 4294967296"] {
            assert!(wrong(text).starts_with("log_limit: "), "{}", wrong(text));
        }
    }

    struct Plain;

    impl Module for Plain {
        fn name(&self) -> &'static str {
            "scoring"
        }

        fn migrations(&self) -> Migrations {
            Vec::new()
        }

        fn routes(&self, _: &Context, _: &mut Services) {}
    }

    struct Picky(Limits);

    impl Module for Picky {
        fn name(&self) -> &'static str {
            "scoring"
        }

        fn configure(&mut self, section: &Section) -> Result<(), String> {
            self.0 = read_section(section)?;
            if self.0.log_limit == 0 { Err("log_limit is 0, it must be at least 1".to_owned()) } else { Ok(()) }
        }

        fn migrations(&self) -> Migrations {
            Vec::new()
        }

        fn routes(&self, _: &Context, _: &mut Services) {}
    }

    fn told(module: impl Module, text: &str) -> Result<(), String> {
        let mut options = Options::load(&Sources::default()).unwrap();
        options.service.insert("scoring".to_owned(), section(text));
        options.configure(&mut [Box::new(module)]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_without_options_refuses_every_key() {
        assert_eq!(told(Plain, ""), Ok(()));
        assert_eq!(told(Plain, "log_limit = 1").unwrap_err(), "service.scoring: there is no option `log_limit`");
    }

    #[test]
    fn a_mistake_has_the_full_name_of_its_option() {
        let picky = || Picky(Limits::default());
        assert_eq!(told(picky(), "log_limit = 1"), Ok(()));
        assert_eq!(
            told(picky(), "log_limit = 0").unwrap_err(),
            "service.scoring.log_limit is 0, it must be at least 1"
        );
        let error = told(picky(), "log_limit = \"many\"").unwrap_err();
        assert!(error.starts_with("service.scoring.log_limit: ") && error.contains("many"), "{error}");
    }
}
