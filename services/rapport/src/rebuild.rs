//! `rapport rebuild`: what is derived is made anew from what it is derived of.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use rapport_server::{Options, Running, telemetry};
use rapport_store::Store;
use rapport_types::id::World;

use crate::cli::Serve;
use crate::configure;
use crate::failure::Failure;
use crate::signals::Signals;

/// Whose the desk is.
const DESK_SERVICE: &str = "interactions";
/// How often it looks how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// How many looks lie between two lines that say so.
const LINE: u32 = 50;

/// Makes the agent's desk's projection anew. Interrupted at any moment it goes on wherever the services are served next:
/// how far it is stands in the database.
pub(crate) async fn desk(arguments: &Serve) -> Result<(), Failure> {
    let mut arguments = arguments.clone();
    // It serves only itself, beside whatever serves already.
    arguments.settings.listen.get_or_insert_with(|| "127.0.0.1:0".to_owned());
    arguments.settings.admin.get_or_insert_with(String::new);
    let options = configure::load(&arguments)?;
    let telemetry = telemetry::install(&options.telemetry, World::system().clock.as_ref()).map_err(Failure::failed)?;
    let mut signals = Signals::install()?;
    // Before its consumers start: they begin where they find that they stand.
    let goal = forgotten(&options).await?;
    let running = rapport_server::start(options, rapport::modules(), World::system()).await?;
    let done = tokio::select! {
        done = anew(&running, goal) => done,
        () = signals.asked_to_stop() => Err(Failure::interrupted()),
    };
    let stopped = signals.stop(running.stop()).await;
    telemetry.flush();
    done.and(stopped)
}

/// Forgets what was learned; gives how far that had been.
async fn forgotten(options: &Options) -> Result<BTreeMap<String, i64>, Failure> {
    let hosted = options.services.is_empty() || options.services.iter().any(|one| one == DESK_SERVICE);
    let module = rapport::modules().into_iter().find(|module| hosted && module.name() == DESK_SERVICE);
    let module =
        module.ok_or_else(|| Failure::invalid("the desk belongs to interactions, which is not hosted here"))?;
    let store = Store::open(&options.store_options(DESK_SERVICE), DESK_SERVICE, module.migrations(), World::system())
        .await
        .map_err(|error| Failure::failed(format!("{DESK_SERVICE}: {error}")))?;
    let stood = rapport_interactions::forget_desk(&store).await;
    store.close().await;
    stood.map_err(Failure::failed)
}

async fn anew(running: &Running, mut goal: BTreeMap<String, i64>) -> Result<(), Failure> {
    let store = running.store(DESK_SERVICE).ok_or_else(|| Failure::failed("interactions does not run"))?;
    for source in ["stakeholders", "scoring", "loyalty"] {
        // A feed that is hosted here is read to its end; of one elsewhere what had been read is read again.
        if let Some(store) = running.store(source) {
            let (_, newest) = store.feed_bounds().await.map_err(Failure::failed)?;
            goal.insert(source.to_owned(), newest);
        }
    }
    say("the desk's projection is forgotten: reading the feeds anew")?;
    let mut looks = 0;
    loop {
        let (read, behind) = rapport_interactions::desk_progress(store).await.map_err(Failure::failed)?;
        let left = left(&goal, &read);
        if left == 0 && behind == 0 {
            return say("the desk's projection is rebuilt");
        }
        if looks % LINE == 0 {
            say(&format!("{left} events to read, {behind} sections to ask for"))?;
        }
        looks += 1;
        tokio::time::sleep(LOOK).await;
    }
}

/// How many events are still to be read.
fn left(goal: &BTreeMap<String, i64>, read: &BTreeMap<String, i64>) -> i64 {
    goal.iter().map(|(source, to)| (to - read.get(source).copied().unwrap_or_default()).max(0)).sum()
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Failure::output(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_counted_by_feed() {
        let of = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect();
        let goal: BTreeMap<String, i64> = of(&[("scoring", 7), ("loyalty", 3)]);
        assert_eq!(left(&goal, &of(&[])), 10);
        assert_eq!(left(&goal, &of(&[("scoring", 9), ("loyalty", 1)])), 2);
        assert_eq!(left(&goal, &of(&[("scoring", 7), ("loyalty", 3)])), 0);
    }
}
