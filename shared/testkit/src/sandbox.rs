//! The whole system, for a test: any topology on any store.

mod process;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rapport_server::{Module, Options, Running, Sources};
use rapport_types::id::World;
use toml::{Table, Value};
use tonic::transport::{Channel, Endpoint};

use self::process::Process;
use crate::place::StorePlace;
use crate::port::free_port;

pub use self::process::rapport_binary;

/// What makes the services: a path to a function, as each start needs fresh ones.
pub type Modules = fn() -> Vec<Box<dyn Module>>;

/// The back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Files in the data folder.
    Sqlite,
    /// A database on the server of `RAPPORT_TEST_POSTGRES_URL`.
    Postgres,
}

/// Which processes host the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// All in the test's own process, with the test's world (clock and ids).
    OneProcess,
    /// All in one process of the real binary, which can be killed.
    Child,
    /// Each in a process of the real binary.
    Processes,
}

/// The token with which the services of a sandbox call each other when it has tokens at all.
pub const SERVICE_TOKEN: &str = "sandbox-token-of-the-services";

/// What a sandbox shall be.
pub struct SandboxBuilder {
    modules: Modules,
    store: StoreKind,
    topology: Topology,
    world: World,
    binary: Option<PathBuf>,
    tokens: Vec<Value>,
    settings: Vec<(String, Value)>,
    scheme: &'static str,
    env: Vec<(String, String)>,
    place: Option<StorePlace>,
}

impl SandboxBuilder {
    /// Which back end; SQLite unless told.
    pub fn store(mut self, store: StoreKind) -> Self {
        self.store = store;
        self
    }

    /// Which processes; the test's own unless told.
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// Another clock, where the services run in the test's own process; others have the system's.
    pub fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// The `rapport` binary, if not the one that [`rapport_binary`] finds.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// A token that the system knows. With the first one every call needs one.
    pub fn token(mut self, token: &str, tenant: &str, principal: &str, roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| Value::from(*role)).collect();
        self.tokens.push(Value::Table(Table::from_iter([
            ("token".to_owned(), Value::from(token)),
            ("tenant".to_owned(), Value::from(tenant)),
            ("principal".to_owned(), Value::from(principal)),
            ("roles".to_owned(), Value::Array(roles)),
        ])));
        self
    }

    /// Any other key of the configuration: `.setting("limits.deadline", "2s")`.
    pub fn setting(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// The services call each other over TLS; what they show and trust is said by settings.
    pub fn https(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// An environment variable for the processes of the real binary.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A place the test made itself, instead of a fresh one of the back end's kind.
    pub fn place(mut self, place: StorePlace) -> Self {
        self.store = if place.is_postgres() { StoreKind::Postgres } else { StoreKind::Sqlite };
        self.place = Some(place);
        self
    }

    /// The back end it will have.
    pub fn store_kind(&self) -> StoreKind {
        self.store
    }

    /// The topology it will have.
    pub fn topology_kind(&self) -> Topology {
        self.topology
    }

    /// Starts it and waits until every service listens.
    pub async fn start(self) -> Sandbox {
        let place = match (self.place, self.store) {
            (Some(place), _) => place,
            (None, StoreKind::Sqlite) => StorePlace::sqlite(),
            (None, StoreKind::Postgres) => StorePlace::postgres().await,
        };
        let services: Vec<String> = (self.modules)().iter().map(|module| module.name().to_owned()).collect();
        let hosts: Vec<Vec<String>> = match self.topology {
            Topology::OneProcess | Topology::Child => vec![services.clone()],
            Topology::Processes => services.iter().map(|service| vec![service.clone()]).collect(),
        };
        let ports: Vec<(u16, u16)> = hosts.iter().map(|_| (free_port(), free_port())).collect();
        let peers: BTreeMap<&String, String> = hosts
            .iter()
            .zip(&ports)
            .flat_map(|(hosted, (port, _))| {
                hosted.iter().map(move |name| (name, format!("{}://127.0.0.1:{port}", self.scheme)))
            })
            .collect();
        let mut sandbox = Sandbox {
            modules: self.modules,
            world: self.world,
            topology: self.topology,
            store: self.store,
            hosts: Vec::new(),
            place,
            shared: Mutex::default(),
        };
        for (hosted, (port, admin)) in hosts.iter().zip(&ports) {
            let name = if hosted.len() == 1 { hosted[0].clone() } else { "all".to_owned() };
            let mut config = Table::new();
            // A folder of its own for each process, as on machines of their own.
            set(&mut config, "data", sandbox.place.data().join(&name).display().to_string().into());
            set(&mut config, "listen", format!("127.0.0.1:{port}").into());
            set(&mut config, "admin.listen", format!("127.0.0.1:{admin}").into());
            set(&mut config, "store.url", sandbox.place.url().into());
            // Hundreds of sandboxes start; how a process begins that is to serve under load is asserted where stores open.
            set(&mut config, "store.ready_connections", 1.into());
            if self.topology == Topology::Processes {
                for (service, url) in &peers {
                    if !hosted.contains(*service) {
                        set(&mut config, &format!("peers.{service}"), url.as_str().into());
                    }
                }
            }
            if !self.tokens.is_empty() {
                let mut tokens = self.tokens.clone();
                tokens.push(Value::Table(Table::from_iter([
                    ("token".to_owned(), Value::from(SERVICE_TOKEN)),
                    ("tenant".to_owned(), Value::from("local")),
                    ("principal".to_owned(), Value::from("services/sandbox")),
                    ("roles".to_owned(), Value::Array(vec![Value::from("service")])),
                ])));
                set(&mut config, "auth.tokens", Value::Array(tokens));
                set(&mut config, "peers.token", SERVICE_TOKEN.into());
            }
            for (key, value) in &self.settings {
                set(&mut config, key, value.clone());
            }
            let file = sandbox.place.data().join(format!("{name}.toml"));
            fs::write(&file, toml::to_string(&config).expect("a configuration")).expect("write the configuration");
            let one_service = (self.topology == Topology::Processes).then(|| hosted[0].clone());
            let process = Process::new(
                self.binary.clone(),
                file,
                sandbox.place.data().join(format!("{name}.log")),
                one_service,
                self.env.clone(),
            );
            sandbox.hosts.push(Host {
                services: hosted.clone(),
                address: loopback(*port),
                admin: loopback(*admin),
                process,
                running: None,
            });
        }
        if self.topology == Topology::OneProcess {
            sandbox.launch(0).await;
        } else {
            // Side by side, as nobody starts them in an order.
            futures::future::join_all(sandbox.hosts.iter_mut().map(|host| host.process.start())).await;
        }
        sandbox
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            set(inner.as_table_mut().expect("a section of the configuration"), rest, value);
        }
    }
}

/// A running system. Its processes are killed and its data removed with this value.
pub struct Sandbox {
    modules: Modules,
    world: World,
    topology: Topology,
    store: StoreKind,
    // Before the place: processes end before their data goes.
    hosts: Vec<Host>,
    place: StorePlace,
    /// Connections that are shared, by host.
    shared: Mutex<BTreeMap<usize, Channel>>,
}

/// One process of the system.
struct Host {
    services: Vec<String>,
    address: SocketAddr,
    admin: SocketAddr,
    process: Process,
    running: Option<Running>,
}

impl Sandbox {
    /// A sandbox of these services.
    pub fn builder(modules: Modules) -> SandboxBuilder {
        SandboxBuilder {
            modules,
            store: StoreKind::Sqlite,
            topology: Topology::OneProcess,
            world: World::system(),
            binary: None,
            tokens: Vec::new(),
            settings: Vec::new(),
            scheme: "http",
            env: Vec::new(),
            place: None,
        }
    }

    async fn launch(&mut self, index: usize) {
        let in_test = self.topology == Topology::OneProcess;
        let host = &mut self.hosts[index];
        if !in_test {
            host.process.start().await;
            return;
        }
        let sources = Sources { file: Some(host.process.config().to_owned()), ..Sources::default() };
        let options = Options::load(&sources).unwrap_or_else(|error| panic!("the sandbox's configuration: {error}"));
        let running = rapport_server::start(options, (self.modules)(), self.world.clone()).await;
        host.running = Some(running.unwrap_or_else(|error| panic!("the services did not start: {error}")));
    }

    fn index(&self, service: &str) -> usize {
        let found = self.hosts.iter().position(|host| host.services.iter().any(|name| name == service));
        found.unwrap_or_else(|| panic!("the sandbox has no service {service}"))
    }

    /// A connection over the network to the process that hosts a service. It connects at the first call and again after
    /// a restart; attach tokens with [`Bearer`](crate::asserts::Bearer).
    pub fn channel(&self, service: &str) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address(service)))
            .expect("a loopback address")
            .connect_timeout(Duration::from_secs(5))
            .connect_lazy()
    }

    /// The one connection to the process that hosts a service that all who ask share: a scenario calls hundreds of times, and
    /// each connection costs as much as a call. A connection carries 64 streams; who needs more has [`channel`](Self::channel).
    pub fn shared(&self, service: &str) -> Channel {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.entry(self.index(service)).or_insert_with(|| self.channel(service)).clone()
    }

    /// Whoever calls after a process went away has a new connection.
    fn gone(&mut self, service: &str) -> usize {
        let index = self.index(service);
        self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).remove(&index);
        index
    }

    /// Where a service listens.
    pub fn address(&self, service: &str) -> SocketAddr {
        self.hosts[self.index(service)].address
    }

    /// Where the admin port of a service's process listens.
    pub fn admin_address(&self, service: &str) -> SocketAddr {
        self.hosts[self.index(service)].admin
    }

    /// The system in the test's own process, for what only it can do.
    ///
    /// # Panics
    /// In other topologies, or while it is stopped.
    pub fn running(&self) -> &Running {
        self.hosts[0].running.as_ref().expect("the services do not run in the test's process")
    }

    /// The names of the services.
    pub fn services(&self) -> Vec<String> {
        self.hosts.iter().flat_map(|host| host.services.clone()).collect()
    }

    /// The back end.
    pub fn store_kind(&self) -> StoreKind {
        self.store
    }

    /// Which processes there are.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Where the data is.
    pub fn place(&self) -> &StorePlace {
        &self.place
    }

    /// The folder of the SQLite files and the key of the process that hosts a service.
    pub fn data(&self, service: &str) -> PathBuf {
        let host = &self.hosts[self.index(service)];
        let config = host.process.config();
        config.with_file_name(config.file_stem().unwrap_or_default())
    }

    /// What the process that hosts a service has logged so far.
    pub fn log(&self, service: &str) -> String {
        self.hosts[self.index(service)].process.log()
    }

    /// The process that hosts a service, for counting what it does.
    ///
    /// # Panics
    /// If it does not run, or is the test's own.
    pub fn pid(&self, service: &str) -> u32 {
        self.hosts[self.index(service)].process.pid().expect("the service runs in a process of its own")
    }

    /// Kills the process that hosts a service as `kill -9` does, and waits until it is gone.
    pub async fn kill_9(&mut self, service: &str) {
        let index = self.gone(service);
        self.hosts[index].process.kill().await;
    }

    /// Waits until the process that hosts a service ends by itself.
    pub async fn wait_for_exit(&mut self, service: &str, limit: Duration) -> ExitStatus {
        let index = self.gone(service);
        self.hosts[index].process.wait(limit).await
    }

    /// Starts the process that hosts a service again, on the same address and data, and waits until it listens.
    pub async fn restart(&mut self, service: &str) {
        let index = self.gone(service);
        if let Some(running) = self.hosts[index].running.take() {
            running.stop().await;
        }
        if self.hosts[index].process.pid().is_some() {
            self.hosts[index].process.kill().await;
        }
        self.launch(index).await;
    }

    /// Asks the process that hosts a service to stop (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self, service: &str) -> Option<ExitStatus> {
        let index = self.gone(service);
        let host = &mut self.hosts[index];
        if let Some(running) = host.running.take() {
            running.stop().await;
            return None;
        }
        Some(host.process.terminate().await)
    }

    /// Stops everything in order. Dropping the sandbox instead kills the processes.
    pub async fn stop(mut self) {
        for host in &mut self.hosts {
            if let Some(running) = host.running.take() {
                running.stop().await;
            }
            if host.process.pid().is_some() {
                host.process.terminate().await;
            }
        }
    }

    /// The configuration file of the process that hosts a service.
    pub fn config(&self, service: &str) -> &Path {
        self.hosts[self.index(service)].process.config()
    }
}
