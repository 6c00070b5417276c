//! `rapport demo`: hosts the services, tells the story over the network, then keeps serving.

use std::io::IsTerminal;
use std::path::Path;

use rapport::demo::card::Style;
use rapport::demo::clients::Clients;
use rapport::demo::next;
use rapport::demo::purchases::Purchases;
use rapport::demo::report::Report;
use rapport::demo::screen::{Screen, Show};
use rapport::demo::story::{self, Options as Story};
use rapport::demo::trouble::Trouble;
use rapport_rpc::Transport;
use rapport_server::{Options, Running, Sources, telemetry};
use rapport_types::id::World;

use crate::cli::Demo;
use crate::failure::Failure;
use crate::signals::Signals;

/// Where the demo serves when it stays.
const LISTEN: &str = "127.0.0.1:50051";
/// A free port: a demo that exits by itself need not be found, nor get in anybody's way.
const ANY: &str = "127.0.0.1:0";

/// Runs the demo.
pub(crate) async fn demo(arguments: &Demo) -> Result<(), Failure> {
    let purchases = purchases(arguments.transactions.as_deref())?;
    let mut signals = Signals::install()?;
    // A fresh folder is removed when this goes out of scope, after the services have let go of it.
    let (data, _fresh) = match &arguments.data {
        Some(data) => (data.clone(), None),
        None => {
            let fresh = tempfile::Builder::new()
                .prefix("rapport-demo-")
                .tempdir()
                .map_err(|error| Failure::failed(format!("cannot make a temporary folder: {error}")))?;
            (fresh.path().to_path_buf(), Some(fresh))
        }
    };
    let options = options(arguments, &data)?;
    let _telemetry = telemetry::install(&options.telemetry, World::system().clock.as_ref()).map_err(Failure::failed)?;
    let running = rapport_server::start(options, rapport::modules(), World::system()).await?;

    let mut screen = Screen::new(std::io::stdout(), style(), std::io::stderr().is_terminal());
    let told = tokio::select! {
        told = tell(&running, purchases, &mut screen) => told,
        () = signals.asked_to_stop() => Err(Failure::interrupted()),
    };
    let ended = match told {
        Ok(report) if !arguments.once => stay(&running, arguments, &report, &mut screen, &mut signals).await,
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    };
    signals.stop(running.stop()).await?;
    ended
}

/// Tells the story over the network, as any client would.
async fn tell(running: &Running, purchases: Purchases, screen: &mut dyn Show) -> Result<Report, Failure> {
    let transport = Transport::network(&format!("http://{}", running.addr()))
        .map_err(|error| Failure::failed(format!("cannot call {}: {error}", running.addr())))?;
    let now = World::system().now().as_micros();
    story::run(&Clients::of_one(transport), &Story::new(purchases, now), screen).await.map_err(
        |trouble| match trouble {
            Trouble::Output(error) => Failure::output(&error),
            other => Failure::failed(other),
        },
    )
}

/// Says what to try next, and serves until asked to stop.
async fn stay(
    running: &Running,
    arguments: &Demo,
    report: &Report,
    screen: &mut dyn Show,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let text = next::commands(&running.addr().to_string(), report);
    screen.lines(&text).map_err(|error| Failure::output(&error))?;
    let kept = match &arguments.data {
        Some(data) => format!("The data stays in {}.", data.display()),
        None => "The data is removed at exit; keep it with --data DIR.".to_owned(),
    };
    let admin = running.admin_addr().map(|admin| format!(" Metrics: http://{admin}/metrics.")).unwrap_or_default();
    screen
        .say(&format!("Serving on {}.{admin} {kept} Ctrl-C stops.", running.addr()))
        .map_err(|error| Failure::output(&error))?;
    signals.asked_to_stop().await;
    Ok(())
}

/// The demo's own configuration. It takes nothing from the environment but how to log: a shell that points at a
/// production database must not fill it with invented people.
fn options(arguments: &Demo, data: &Path) -> Result<Options, Failure> {
    let mut sources = Sources::of_process(None);
    sources.env.retain(|(name, _)| name.starts_with("RAPPORT__TELEMETRY__"));
    if sources.env.is_empty() {
        sources = sources.flag("demo", "telemetry.level", "warn");
    }
    let listen = arguments.listen.clone().unwrap_or_else(|| {
        let listen = if arguments.once { ANY } else { LISTEN };
        listen.to_owned()
    });
    let sources = sources.flag("--data", "data", data.display().to_string()).flag("--listen", "listen", listen).flag(
        "demo",
        "admin.listen",
        ANY,
    );
    Options::load(&sources).map_err(Failure::invalid)
}

/// The purchases to load: the file's, or those that ship with the binary.
fn purchases(file: Option<&Path>) -> Result<Purchases, Failure> {
    let Some(path) = file else {
        return Purchases::cdnow().map_err(Failure::invalid);
    };
    let content =
        std::fs::read(path).map_err(|error| Failure::invalid(format!("cannot read {}: {error}", path.display())))?;
    Purchases::parse(&path.display().to_string(), &content).map_err(Failure::invalid)
}

/// Frames and colour for a terminal that can show them, plain text for everything else.
fn style() -> Style {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let terminal = std::io::stdout().is_terminal() && set("TERM").as_deref() != Some("dumb");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    Style {
        boxes: terminal && (locale.contains("utf-8") || locale.contains("utf8")),
        color: terminal && set("NO_COLOR").is_none(),
    }
}
