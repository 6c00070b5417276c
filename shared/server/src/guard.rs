//! Who is let in, and how this process shows who it is: what is read from secrets at the start, and read again later.

use std::net::SocketAddr;
use std::sync::Arc;

use rapport_rpc::tls::{ClientTls, ServerTls};
use rapport_rpc::{Authentication, Token};
use rapport_types::Clock;
use rapport_types::tenant::{Principal, TenantId};

use crate::options::{Options, OptionsError, TokenOptions, is_secured};
use crate::reload::{Reload, Watched};
use crate::start::StartError;

/// Secrets in the form in which they are used. All of it changes in place.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) authentication: Authentication,
    /// `None` serves without TLS.
    pub(crate) tls: Option<ServerTls>,
    /// `None` while no peer is called over TLS.
    pub(crate) peer_tls: Option<ClientTls>,
    pub(crate) reload: Reload,
}

impl Guard {
    /// Reads everything that the options name.
    pub(crate) fn load(options: &Options, clock: &Arc<dyn Clock>) -> Result<Guard, OptionsError> {
        let mut watched = Vec::new();
        let authentication = authentication(&options.tokens()?);
        let config = options.sources.file.clone().unwrap_or_default();
        if !config.as_os_str().is_empty() || !options.auth.tokens_file.as_os_str().is_empty() {
            let (fresh, held) = (options.clone(), authentication.clone());
            let files = [&config, &options.auth.tokens_file];
            watched.push(Watched::new("auth.tokens", files, move || replace_tokens(&fresh, &held)));
        }
        let tls = options.tls.load(clock.as_ref())?;
        if let Some(tls) = &tls {
            watched.push(options.tls.watched(tls, Arc::clone(clock)));
        }
        let peer_tls = match options.peers.addresses.values().any(|address| is_secured(address)) {
            true => Some(options.peers.tls.load("peers.tls.", clock.as_ref())?),
            false => None,
        };
        if let Some(tls) = &peer_tls {
            watched.push(options.peers.tls.watched("peers.tls.", tls, Arc::clone(clock)));
        }
        Ok(Guard { authentication, tls, peer_tls, reload: Reload::new(watched) })
    }

    /// Whether what is guarded may be served on an address.
    pub(crate) fn admits(&self, options: &Options, listen: SocketAddr) -> Result<(), StartError> {
        if listen.ip().is_loopback() {
            return Ok(());
        }
        let without_tokens = self.authentication.is_open();
        let without_tls = self.tls.is_none() && !options.tls.offloaded;
        if (without_tokens || without_tls) && !options.insecure_bind {
            return Err(StartError::Unprotected { listen, without_tokens, without_tls });
        }
        if without_tokens {
            tracing::warn!(%listen, "serving without credentials on an address that others can reach: anybody may do anything");
        }
        if without_tls {
            tracing::warn!(%listen, "serving without TLS on an address that others can reach: whoever listens on the way reads all");
        }
        Ok(())
    }
}

/// Reads the tokens again. Which roles there are stays as it was at the start.
fn replace_tokens(options: &Options, held: &Authentication) -> Result<String, OptionsError> {
    let fresh = match &options.sources.file {
        Some(_) => Options::load(&options.sources)?,
        None => options.clone(),
    };
    let tokens = fresh.tokens()?;
    match (tokens.len(), held.is_open()) {
        // Whether everybody is let in is decided where it can be refused: at a start.
        (0, false) => return Err(OptionsError::one("no token is left: to serve without any, start anew")),
        (0, true) => return Ok("there are no tokens".to_owned()),
        _ => {}
    }
    if fresh.auth.roles != options.auth.roles {
        tracing::warn!("auth.roles has changed: that counts from the next start on");
    }
    held.replace(&authentication(&tokens));
    Ok(format!("{} tokens", tokens.len()))
}

fn authentication(tokens: &[TokenOptions]) -> Authentication {
    if tokens.is_empty() {
        return Authentication::open(Principal {
            tenant: TenantId::local(),
            name: "users/local".to_owned(),
            roles: vec!["admin".to_owned()],
            service: false,
        });
    }
    let tokens = tokens.iter().filter_map(|token| {
        // Validated before; one that could not be read would open nothing.
        let tenant = TenantId::parse(&token.tenant).ok()?;
        Some(Token {
            token: token.token.expose().to_owned(),
            tenant,
            principal: token.principal.clone(),
            roles: token.roles.clone(),
        })
    });
    Authentication::tokens(tokens.collect())
}
