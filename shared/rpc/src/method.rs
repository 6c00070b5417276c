use std::collections::HashMap;
use std::fmt;

use rapport_proto::contract;

/// What a caller needs to reach a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: health checks, which probes make without a credential.
    Open,
    /// Any valid credential: reflection.
    Authenticated,
    /// One of the caller's roles grants this permission.
    Permission(&'static str),
}

/// What the stack knows of a method before it is called.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/rapport.stakeholders.v1.PartyService/GetParty`.
    pub path: &'static str,
    /// `rapport.stakeholders.v1.PartyService`.
    pub service: &'static str,
    /// The hosted service it belongs to, `stakeholders`; empty for those of the process (health, reflection).
    pub module: &'static str,
    /// What a caller needs.
    pub requirement: Requirement,
    /// Whether either side sends a stream: such a call has no deadline of ours.
    pub streaming: bool,
    /// Whether its request says how long the answer may take (`budget_ms`): such a method waits for positions itself.
    pub budgeted: bool,
    pub(crate) index: usize,
}

/// A method of the contract has no `permission` option: nothing is served until it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnguardedMethod {
    /// The method's path.
    pub path: String,
}

impl fmt::Display for UnguardedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "method {} has no permission option, so nobody may call it: add one in its .proto file", self.path)
    }
}

impl std::error::Error for UnguardedMethod {}

/// Every method this suite can serve, by path.
#[derive(Clone, Debug)]
pub struct Methods {
    all: Vec<Method>,
    by_path: HashMap<&'static str, usize>,
}

/// The methods every process serves besides the contract: service, method, requirement, streaming.
const PROCESS: &[(&str, &str, Requirement, bool)] = &[
    ("grpc.health.v1.Health", "/grpc.health.v1.Health/Check", Requirement::Open, false),
    ("grpc.health.v1.Health", "/grpc.health.v1.Health/Watch", Requirement::Open, true),
    (
        "grpc.reflection.v1.ServerReflection",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Requirement::Authenticated,
        true,
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Requirement::Authenticated,
        true,
    ),
];

impl Methods {
    /// The methods of the contract, of health and of reflection.
    ///
    /// # Errors
    /// A method of the contract without a permission.
    pub fn of_contract() -> Result<Methods, UnguardedMethod> {
        let mut methods = Methods { all: Vec::new(), by_path: HashMap::new() };
        for method in contract::methods() {
            let Some(permission) = method.permission.as_deref() else {
                return Err(UnguardedMethod { path: method.path.clone() });
            };
            methods.push(
                &method.service,
                &method.path,
                Requirement::Permission(permission),
                method.client_streaming || method.server_streaming,
                method.input.get_field_by_name("budget_ms").is_some(),
            );
        }
        for (service, path, requirement, streaming) in PROCESS {
            methods.push(service, path, *requirement, *streaming, false);
        }
        Ok(methods)
    }

    fn push(
        &mut self,
        service: &'static str,
        path: &'static str,
        requirement: Requirement,
        streaming: bool,
        budgeted: bool,
    ) {
        let module = service.strip_prefix("rapport.").and_then(|rest| rest.split('.').next()).unwrap_or("");
        let index = self.all.len();
        self.all.push(Method { path, service, module, requirement, streaming, budgeted, index });
        self.by_path.insert(path, index);
    }

    /// The method at an HTTP path.
    pub fn at(&self, path: &str) -> Option<Method> {
        self.by_path.get(path).and_then(|index| self.all.get(*index)).copied()
    }

    /// All of them, in the order of the contract.
    pub fn all(&self) -> &[Method] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_contract_is_guarded_and_known_by_path() {
        let methods = Methods::of_contract().unwrap();
        let subscribe = methods.at("/rapport.events.v1.EventService/Subscribe").unwrap();
        assert_eq!(subscribe.requirement, Requirement::Permission("events.feed.read"));
        assert!(subscribe.streaming && !subscribe.budgeted);
        let context = methods.at("/rapport.interactions.v1.DeskService/GetAgentContext").unwrap();
        assert!(context.budgeted && !context.streaming);
        assert_eq!(subscribe.module, "events");
        assert_eq!(methods.at("/grpc.health.v1.Health/Check").unwrap().module, "");
        assert!(methods.at("/rapport.events.v1.EventService/Nothing").is_none());
    }
}
