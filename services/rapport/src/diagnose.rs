//! `rapport doctor`.

use std::io::Write;

use rapport::doctor;
use rapport_types::id::World;

use crate::cli::Doctor;
use crate::configure;
use crate::failure::Failure;

/// Prints what was found; fails when something does not work.
pub(crate) async fn doctor(arguments: &Doctor) -> Result<(), Failure> {
    let options = configure::load(&arguments.serve)?;
    let findings = doctor::examine(&options, arguments.serve.settings.config.as_deref(), &World::system()).await;
    let told = if arguments.json { doctor::json(&findings) } else { doctor::lines(&findings) };
    std::io::stdout().write_all(told.as_bytes()).map_err(|error| Failure::output(&error))?;
    if doctor::has_failed(&findings) {
        // The findings say it all.
        return Err(Failure { code: 1, message: String::new() });
    }
    Ok(())
}
