use std::sync::Arc;

use futures::future::BoxFuture;
use rapport_events::{Consumer, Cursors, Feed, Source, run};
use rapport_rpc::{GrpcSource, Peers, Services};
use rapport_store::{Migrations, Store};
use rapport_types::id::World;
use tokio_util::sync::CancellationToken;

use crate::jobs::{self, Job};
use crate::options::Section;
use crate::supervisor::Supervisor;
use crate::traced::Traced;

/// A service as the process sees it. It is asked for its parts in the order of these methods, each time once.
pub trait Module: Send + Sync + 'static {
    /// `stakeholders`: also the name of its database, its feed, its entry under `[peers]` and its table of options.
    fn name(&self) -> &'static str;

    /// Takes its own options, `[service.NAME]`, before anything of it is opened: [`read_section`](crate::read_section)
    /// reads them into a type. A service without options refuses every key.
    ///
    /// # Errors
    /// A sentence that begins with the name of the option that is wrong: `log_limit is 0, it must be at least 1`.
    fn configure(&mut self, section: &Section) -> Result<(), String> {
        match section.keys().next() {
            Some(key) => Err(format!("there is no option `{key}`")),
            None => Ok(()),
        }
    }

    /// The schema of its database, oldest first.
    fn migrations(&self) -> Migrations;

    /// Adds its generated servers:
    /// `routes.add_service(rapport_rpc::sized!(PartyServiceServer::new(api)))`.
    fn routes(&self, cx: &Context, routes: &mut Services);

    /// Adds its consumers of other services' feeds.
    fn consumers(&self, cx: &Context, consumers: &mut Consumers) {
        let _none = (cx, consumers);
    }

    /// Adds its workers: sweeps, timers.
    fn workers(&self, cx: &Context, workers: &mut Workers) {
        let _none = (cx, workers);
    }

    /// The services it calls or consumes, so that a missing address is noticed at the start.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }
}

/// What a service works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its database.
    pub store: Store,
    /// Its clock and its source of ids.
    pub world: World,
    /// The other services.
    pub peers: Peers,
    /// How far it has applied the feeds of others.
    pub cursors: Cursors,
    /// Its own feed.
    pub feed: Feed,
    /// Cancelled when the process stops: streams end then, after a last message with a cursor if they have one to give.
    /// [`rapport_rpc::until_stopped`] does it for streams whose messages all carry one.
    pub stopping: CancellationToken,
    /// Whether traces are exported: consumers then have spans too.
    pub traced: bool,
}

impl Context {
    /// The feed of another service, wherever it runs.
    pub fn source(&self, service: &str) -> Arc<dyn Source> {
        Arc::new(GrpcSource::new(service, self.peers.transport(service)))
    }
}

type Task = Box<dyn FnMut(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// Collects the consumers of a service.
#[derive(Default)]
pub struct Consumers {
    tasks: Vec<(String, Task)>,
}

impl Consumers {
    /// Adds a consumer. `make` is called again if the consumer has to be started anew.
    pub fn add<C: Consumer>(&mut self, cx: &Context, make: impl Fn() -> C + Send + 'static) -> &mut Consumers {
        let cx = cx.clone();
        let first = make();
        let (name, source) = (first.name(), first.source());
        // Before anybody is served: the task that runs it begins when it can.
        cx.cursors.expect(name, source);
        let mut next = Some(first);
        self.tasks.push((
            format!("{}: consumer {name} of {source}", cx.store.service()),
            Box::new(move |cancel| {
                let consumer = next.take().unwrap_or_else(&make);
                let consumer = Traced::new(consumer, cx.traced.then(|| cx.store.service()));
                Box::pin(run(consumer, cx.store.clone(), cx.source(source), cx.cursors.clone(), cancel))
            }),
        ));
        self
    }
}

/// Collects the workers of a service.
#[derive(Default)]
pub struct Workers {
    tasks: Vec<(String, Task)>,
}

impl Workers {
    /// Adds a worker: it runs until the token is cancelled and is started again if it ends or panics before.
    pub fn add<F, Fut>(&mut self, name: &str, mut work: F) -> &mut Workers
    where
        F: FnMut(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push((name.to_owned(), Box::new(move |cancel| Box::pin(work(cancel)))));
        self
    }

    /// Adds a worker that would go on without end: it is dropped where it waits when the process stops.
    pub fn add_endless<F, Fut>(&mut self, name: &str, mut work: F) -> &mut Workers
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.add(name, move |cancel| {
            let work = work();
            async move {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = work => {}
                }
            }
        })
    }

    /// Adds the service's long jobs: from now on its operations of their methods are worked on. Once per service.
    pub fn add_jobs(&mut self, cx: &Context, jobs: Vec<Arc<dyn Job>>) -> &mut Workers {
        let store = cx.store.clone();
        self.add(&format!("{}: operations", store.service()), move |cancel| {
            jobs::work(store.clone(), jobs.clone(), cancel)
        })
    }
}

pub(crate) fn launch(supervisor: &Supervisor, consumers: Consumers, workers: Workers) {
    for (name, task) in consumers.tasks.into_iter().chain(workers.tasks) {
        supervisor.keep(name, task);
    }
}
