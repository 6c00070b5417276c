use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rapport_events::{Cursors, Feed};
use rapport_rpc::{
    Access, FeedService, Front, Local, Methods, OperationService, Pattern, Peers, Services, Spans, Stack, StackOptions,
    Transport, UnguardedMethod,
};
use rapport_store::{OpenError, Store};
use rapport_types::id::World;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;

use crate::admin::{self, Phase, Probed};
use crate::guard::Guard;
use crate::module::{Consumers, Context, Module, Workers, launch};
use crate::options::{Options, OptionsError, is_secured};
use crate::running::{Parts, Running};
use crate::serve::{Door, Listening, bind};
use crate::spans::CallSpans;
use crate::supervisor::Supervisor;

/// Why a process did not start. The text tells a person what to do.
#[derive(Debug)]
pub enum StartError {
    /// The options are wrong.
    Options(OptionsError),
    /// A service is named that does not exist.
    UnknownService {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The address is open to others, and nobody would have to say who they are, or everybody on the way could listen.
    Unprotected {
        /// The address.
        listen: SocketAddr,
        /// No token is configured.
        without_tokens: bool,
        /// No certificate is configured, and TLS does not end elsewhere.
        without_tls: bool,
    },
    /// The contract has a method that nobody guards.
    Unguarded(UnguardedMethod),
    /// The database of a service cannot be opened.
    Store {
        /// The service.
        service: &'static str,
        /// Why.
        source: OpenError,
    },
    /// An address cannot be listened on.
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The address of a peer is no URL.
    Peer {
        /// The service.
        service: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The descriptors cannot be served by reflection.
    Reflection(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Options(error) => write!(f, "{error}"),
            StartError::UnknownService { name, known } => {
                write!(f, "there is no service \"{name}\": there are {}", known.join(", "))
            }
            StartError::Unprotected { listen, without_tokens, without_tls } => {
                let (what, cure) = match (without_tokens, without_tls) {
                    (true, true) => ("credentials and TLS", "configure [[auth.tokens]] and tls.certificate"),
                    (true, false) => ("credentials", "configure [[auth.tokens]]"),
                    _ => (
                        "TLS",
                        "configure tls.certificate and tls.key, say tls.offloaded = true if TLS ends before this process",
                    ),
                };
                write!(
                    f,
                    "refusing to serve on {listen} without {what}, as others can reach it: {cure}, listen on 127.0.0.1, or \
                     insist with --insecure-bind"
                )
            }
            StartError::Unguarded(error) => write!(f, "{error}"),
            StartError::Store { service, source } => {
                write!(f, "cannot open the database of {service}: {source}")
            }
            StartError::Listen { addr, option, source } if source.kind() == std::io::ErrorKind::AddrInUse => write!(
                f,
                "{addr} is in use by another process: stop that one, or set another address ({option}; port 0 takes a \
                 free one)"
            ),
            StartError::Listen { addr, option, source } => write!(f, "cannot listen on {addr} ({option}): {source}"),
            StartError::Peer { service, source } => {
                write!(f, "peers.{service} is not usable: {source}")
            }
            StartError::Reflection(error) => write!(f, "reflection cannot be served: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Store { source, .. } => Some(source),
            StartError::Listen { source, .. } => Some(source),
            StartError::Peer { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<OptionsError> for StartError {
    fn from(error: OptionsError) -> StartError {
        StartError::Options(error)
    }
}

/// Starts a process that hosts the wanted ones of `modules`. When it returns, the process answers calls.
///
/// # Errors
/// See [`StartError`]; whatever was opened until then is closed again.
pub async fn start(options: Options, modules: Vec<Box<dyn Module>>, world: World) -> Result<Running, StartError> {
    options.validate()?;
    let mut modules = wanted(&options, modules)?;
    options.configure(&mut modules)?;
    let listen = crate::options::address(&options.listen)
        .ok_or_else(|| OptionsError { problems: vec![format!("listen: \"{}\" is not an address", options.listen)] })?;
    let guard = Guard::load(&options, &world.clock)?;
    guard.admits(&options, listen)?;
    let methods = Methods::of_contract().map_err(StartError::Unguarded)?;
    // Both ports first: a port in use is found before a database is touched.
    let listener = listen_on(listen, "listen").await?;
    let admin = match crate::options::address(&options.admin.listen) {
        Some(addr) => Some(listen_on(addr, "admin.listen").await?),
        None => None,
    };
    let mut stores = Vec::new();
    let ports = Ports { listener, admin };
    let started = assemble(&options, &modules, world, methods, ports, guard, &mut stores).await;
    if started.is_err() {
        for store in stores {
            store.close().await;
        }
    }
    started
}

/// The modules to host.
fn wanted(options: &Options, modules: Vec<Box<dyn Module>>) -> Result<Vec<Box<dyn Module>>, StartError> {
    let known: Vec<&'static str> = modules.iter().map(|module| module.name()).collect();
    if let Some(name) = options.services.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(StartError::UnknownService { name: name.clone(), known });
    }
    let all = options.services.is_empty();
    Ok(modules.into_iter().filter(|module| all || options.services.iter().any(|name| name == module.name())).collect())
}

/// What was bound.
struct Ports {
    listener: TcpListener,
    admin: Option<TcpListener>,
}

async fn listen_on(addr: SocketAddr, option: &'static str) -> Result<TcpListener, StartError> {
    bind(addr).await.map_err(|source| StartError::Listen { addr, option, source })
}

async fn assemble(
    options: &Options,
    modules: &[Box<dyn Module>],
    world: World,
    methods: Methods,
    Ports { listener, admin }: Ports,
    guard: Guard,
    stores: &mut Vec<Store>,
) -> Result<Running, StartError> {
    let stopping = CancellationToken::new();
    let local = Local::default();
    let contexts = contexts(options, modules, &world, &local, (&stopping, &guard), stores).await?;

    let mut services = Services::default();
    for (module, cx) in modules.iter().zip(&contexts) {
        module.routes(cx, &mut services);
    }
    let feeds = contexts.iter().map(|cx| (cx.store.clone(), cx.feed.clone(), cx.cursors.clone()));
    services.add_service(FeedService::new(feeds, Arc::clone(&world.clock), stopping.clone()).server());
    let stores = contexts.iter().map(|cx| cx.store.clone());
    services.add_service(OperationService::new(stores, stopping.clone()).server());
    // Health and reflection speak of the public services, not of themselves.
    let public: Vec<&'static str> = services.names().collect();
    let (health, health_server) = tonic_health::server::health_reporter();
    health.set_service_status("", ServingStatus::NotServing).await;
    services.add_service(health_server);
    add_reflection(&mut services, &public)?;

    let ending = CancellationToken::new();
    let mut set_up = stack_options(options, &methods, &contexts, &guard);
    set_up.stopping = stopping.clone();
    set_up.ending = ending.clone();
    let stack = Stack::new(methods, &services, set_up);
    let metrics = Arc::clone(stack.metrics());
    let phase = Arc::new(Phase::default());
    let supervisor = Supervisor::default();
    let admin_cancel = CancellationToken::new();
    let probed = Arc::new(Probed {
        phase: Arc::clone(&phase),
        services: contexts.iter().map(|cx| (cx.store.service(), cx.store.clone(), cx.cursors.clone())).collect(),
        metrics: Arc::clone(&metrics),
        data: options.data.clone(),
        started: Instant::now(),
        guard: guard.clone(),
    });
    let io = |option, addr| move |source| StartError::Listen { addr, option, source };
    let none = SocketAddr::from(([0, 0, 0, 0], 0));
    let admin_addr = match admin {
        Some(admin) => Some(
            admin::serve(admin, Arc::clone(&probed), &supervisor, admin_cancel.clone())
                .map_err(io("admin.listen", none))?,
        ),
        None => None,
    };

    local.open(stack.clone());
    for (module, cx) in modules.iter().zip(&contexts) {
        let (mut consumers, mut workers) = (Consumers::default(), Workers::default());
        module.consumers(cx, &mut consumers);
        module.workers(cx, &mut workers);
        launch(&supervisor, consumers, workers);
    }
    {
        let (reload, every) = (guard.reload.clone(), options.reload.every.0);
        supervisor.keep("reload".to_owned(), move |cancel| {
            let reload = reload.clone();
            async move { reload.watch(every, cancel).await }
        });
    }
    let served: Vec<String> = public.iter().map(|service| (*service).to_owned()).collect();
    let front = Front::new(stack, served, &options.web.cors_origins);
    let tls = guard.tls.clone();
    let secured = tls.is_some();
    let door = Door { front, tls, handshake: options.tls.handshake.0 };
    let listening = Listening::start(listener, door, &options.limits).map_err(io("listen", none))?;
    for service in &public {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    health.set_service_status("", ServingStatus::Serving).await;
    phase.serving();
    let hosted: Vec<&'static str> = modules.iter().map(|module| module.name()).collect();
    tracing::info!(listen = %listening.addr, services = hosted.join(","), tls = secured, "serving");
    Ok(Running::new(Parts {
        listening,
        admin_addr,
        admin_cancel,
        local,
        stopping,
        ending,
        supervisor,
        health,
        public,
        phase,
        probed,
        contexts,
        metrics,
        reload: guard.reload,
        stop: options.stop.clone(),
    }))
}

/// Opens the store of every module and gives each its context.
async fn contexts(
    options: &Options,
    modules: &[Box<dyn Module>],
    world: &World,
    local: &Local,
    (stopping, guard): (&CancellationToken, &Guard),
    stores: &mut Vec<Store>,
) -> Result<Vec<Context>, StartError> {
    let hosted: Vec<String> = modules.iter().map(|module| module.name().to_owned()).collect();
    let network = network(options, &hosted, guard)?;
    let mut contexts = Vec::new();
    for module in modules {
        let service = module.name();
        let store = Store::open(&options.store_options(service), service, module.migrations(), world.clone())
            .await
            .map_err(|source| StartError::Store { service, source })?;
        stores.push(store.clone());
        let peers = Peers::new(service, local.clone(), hosted.clone(), network.clone());
        for needed in module.needs() {
            if !peers.knows(needed) {
                tracing::warn!(service, peer = needed, "a service that is needed runs nowhere: set peers.{needed}");
            }
        }
        contexts.push(Context {
            feed: Feed::new(store.clone()),
            cursors: Cursors::new(store.clone()),
            store,
            world: world.clone(),
            peers,
            stopping: stopping.clone(),
            traced: !options.telemetry.otlp_endpoint.is_empty(),
        });
    }
    Ok(contexts)
}

fn network(options: &Options, hosted: &[String], guard: &Guard) -> Result<BTreeMap<String, Transport>, StartError> {
    let mut network = BTreeMap::new();
    if !guard.authentication.is_open() && options.peers.token.is_empty() && !options.peers.addresses.is_empty() {
        tracing::warn!("peers.token is not set: services elsewhere that ask for a credential will refuse this one");
    }
    for (service, address) in &options.peers.addresses {
        if hosted.contains(service) {
            tracing::warn!(service, "peers.{service} is not used, as this process hosts the service itself");
            continue;
        }
        let transport = match &guard.peer_tls {
            Some(tls) if is_secured(address) => Transport::secured(address, tls).map_err(Into::into),
            _ => Transport::network(address).map_err(Into::into),
        };
        let mut transport = transport.map_err(|source| StartError::Peer { service: service.clone(), source })?;
        if !options.peers.token.is_empty() {
            transport = transport.with_token(options.peers.token.expose());
        }
        network.insert(service.clone(), transport);
    }
    Ok(network)
}

fn add_reflection(services: &mut Services, public: &[&'static str]) -> Result<(), StartError> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(rapport_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in public {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let failed = |error: tonic_reflection::server::Error| StartError::Reflection(error.to_string());
    services.add_service(builder().build_v1().map_err(failed)?);
    services.add_service(builder().build_v1alpha().map_err(failed)?);
    Ok(())
}

fn stack_options(options: &Options, methods: &Methods, contexts: &[Context], guard: &Guard) -> StackOptions {
    let limits = &options.limits;
    StackOptions {
        calls: limits.calls,
        streams: limits.streams,
        streams_per_tenant: limits.streams_per_tenant,
        deadline: limits.deadline.0,
        deadline_max: limits.deadline_max.0,
        quota: options.quota.for_stack(),
        cursors: contexts
            .iter()
            .map(|cx| (cx.store.service().to_owned(), cx.cursors.clone()))
            .collect::<HashMap<_, _>>(),
        spans: (!options.telemetry.otlp_endpoint.is_empty()).then(|| Arc::new(CallSpans::default()) as Arc<dyn Spans>),
        ..StackOptions::new(guard.authentication.clone(), access(options, methods))
    }
}

fn access(options: &Options, methods: &Methods) -> Access {
    let custom = options
        .auth
        .roles
        .iter()
        .map(|(role, patterns)| {
            let patterns: Vec<Pattern> = patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect();
            (role.clone(), patterns)
        })
        .collect();
    Access::new(methods, &custom)
}
