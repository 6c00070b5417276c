use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rapport_rpc::Access;
use rapport_types::tenant::TenantId;
use serde::Deserialize;

use super::{Options, OptionsError, TokenOptions};

/// A guessable token is worse than none, because it looks like one.
const TOKEN_LEAST: usize = 16;
/// Under which name the list of a file is parsed.
const KEY: &str = "tokens";

#[derive(Deserialize)]
struct Listed {
    tokens: Vec<TokenOptions>,
}

impl Options {
    /// All static credentials: those of the configuration, then those of `auth.tokens_file`, which is read now.
    ///
    /// # Errors
    /// The file cannot be read, or one of its tokens is not valid.
    pub fn tokens(&self) -> Result<Vec<TokenOptions>, OptionsError> {
        let mut tokens = self.auth.tokens.clone();
        let file = &self.auth.tokens_file;
        if file.as_os_str().is_empty() {
            return Ok(tokens);
        }
        let name = format!("auth.tokens_file {}", file.display());
        tokens.extend(listed(file).map_err(|why| OptionsError::one(format!("{name}: {why}")))?);
        let problems = self.tokens_wrong(&name, &tokens);
        if problems.is_empty() { Ok(tokens) } else { Err(OptionsError { problems }) }
    }

    /// What is wrong with tokens, under the name of what holds them.
    pub(super) fn tokens_wrong(&self, name: &str, tokens: &[TokenOptions]) -> Vec<String> {
        let mut roles: BTreeSet<&str> = Access::BUILT_IN.iter().map(|(role, _)| *role).collect();
        roles.extend(self.auth.roles.keys().map(String::as_str));
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, token) in tokens.iter().enumerate() {
            let text = token.token.expose();
            if text.len() < TOKEN_LEAST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                problems.push(format!(
                    "{name}[{index}].token must have at least {TOKEN_LEAST} visible ASCII characters and no spaces"
                ));
            }
            if !seen.insert(text) {
                problems.push(format!("{name}[{index}].token is the same as an earlier one"));
            }
            if let Err(error) = TenantId::parse(&token.tenant) {
                problems.push(format!("{name}[{index}].tenant {error}"));
            }
            if token.principal.is_empty() {
                problems.push(format!("{name}[{index}].principal must be given"));
            }
            if token.roles.is_empty() {
                problems.push(format!("{name}[{index}].roles must name a role"));
            }
            for role in &token.roles {
                if !roles.contains(role.as_str()) {
                    let known: Vec<&str> = roles.iter().copied().collect();
                    problems.push(format!("{name}[{index}].roles: no role \"{role}\": there are {}", known.join(", ")));
                }
            }
        }
        problems
    }
}

/// The tokens of a file: a list as `auth.tokens` is one. What is wrong is told without the text, which is secret.
fn listed(file: &Path) -> Result<Vec<TokenOptions>, String> {
    const FORM: &str = "[{token = \"...\", tenant = \"acme\", principal = \"users/ana\", roles = [\"agent\"]}]";
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    // Comments may stand before the list.
    let head =
        text.split_inclusive('\n').take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let (before, list) = text.split_at(head.map(str::len).sum());
    let lines = before.matches('\n').count();
    let whole = format!("{KEY} = {list}");
    toml::from_str::<Listed>(&whole).map(|listed| listed.tokens).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + whole.bytes().take(start).filter(|byte| *byte == b'\n').count();
        format!("line {}: is no list of tokens such as {FORM}", lines + line)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn with(text: &str) -> Result<Vec<TokenOptions>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        fs::write(&file, text).unwrap();
        let mut options = Options::defaults().unwrap();
        options.auth.tokens_file = file;
        options.tokens().map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_holds_a_list() {
        let one = "{token=\"0123456789abcdef\", tenant=\"acme\", principal=\"users/ana\", roles=[\"agent\"]}";
        let tokens = with(&format!("# those of acme\n\n[\n  {one},\n]\n")).unwrap();
        assert_eq!((tokens.len(), tokens[0].tenant.as_str()), (1, "acme"));
        assert_eq!(with("[]").unwrap().len(), 0);
        let error = with(&format!("[{one}, {one}]")).unwrap_err();
        assert!(error.contains("[1].token is the same") && error.contains("auth.tokens_file"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for text in [
            "",
            "hunter2hunter2hunter2",
            "[{token = hunter2hunter2hunter2}]",
            "[{token = \"hunter2hunter2hunter2\"}]",
            "# ours\n[{token = \"hunter2hunter2hunter2\", tenat = \"acme\"}]",
            "[[tokens]]\ntoken = \"hunter2hunter2hunter2\"",
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains("is no list of tokens") && !error.contains("hunter2"), "{text}: {error}");
        }
        let line = with("# a\n[\n  {token = 1 1},\n]").unwrap_err();
        assert!(line.contains("line 3"), "{line}");
        let mut options = Options::defaults().unwrap();
        options.auth.tokens_file = "/nowhere/tokens".into();
        assert!(options.tokens().unwrap_err().to_string().contains("/nowhere/tokens: cannot be read"));
    }
}
