//! Whether database and binary fit each other.

use rapport_server::Module;
use rapport_store::{Inspector, Schema};

use super::Finding;

const CHECK: &str = "store.schema";

/// What is found, and whether all that this build knows is there.
pub(super) async fn examine(inspector: &Inspector, module: &dyn Module) -> (Finding, bool) {
    match inspector.schema(&module.migrations()).await {
        Ok(schema) => (judge(module.name(), &schema), schema.pending.is_empty()),
        Err(error) => {
            let cure = "see that the role may read the schema of the service";
            (Finding::fail(CHECK, module.name(), error, cure), false)
        }
    }
}

fn judge(service: &str, schema: &Schema) -> Finding {
    if schema.applied == 0 {
        return Finding::ok(CHECK, service, "empty: the first start makes the tables");
    }
    if !schema.pending.is_empty() {
        let found = format!("{} migrations have not run: {}", schema.pending.len(), schema.pending.join(", "));
        let cure = "run rapport migrate, or start this version: it migrates by itself";
        return Finding::warn(CHECK, service, found, cure);
    }
    if !schema.unknown.is_empty() {
        let found = format!("a newer version was here: {}", schema.unknown.join(", "));
        return Finding::warn(CHECK, service, found, "upgrade this binary: one version apart they may run together");
    }
    Finding::ok(
        CHECK,
        service,
        format!("{} migrations, none pending (rapport {})", schema.applied, env!("CARGO_PKG_VERSION")),
    )
}
