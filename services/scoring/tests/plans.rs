//! SQLite finds rows by the indexes that were made for them, from the first day on and whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::World;

/// The statements of `store`, written out: the same tables, keys and orders, fewer columns. A statement that is changed
/// there is to be changed here too. Each with what its plan has to say.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "SELECT * FROM accumulator WHERE (tenant, origin, definition, era) IN (VALUES (?, ?, ?, ?), (?, ?, ?, ?))",
        // Eras are few: whether their column is searched too makes no difference.
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=? AND definition=?",
    ),
    (
        "SELECT * FROM accumulator WHERE tenant = ? AND (origin) IN (VALUES (?), (?))",
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT DISTINCT tenant, origin FROM accumulator WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT tenant, origin, party FROM alias WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH alias USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT origin, party FROM alias WHERE tenant = ? AND origin = ? \
         UNION ALL SELECT origin, party FROM alias WHERE tenant = ? AND party = ?",
        "alias_by_party (tenant=? AND party=?)",
    ),
    (
        "SELECT origin, party FROM alias WHERE tenant = ? AND (origin) IN (VALUES (?), (?))",
        "SEARCH alias USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT origin, party FROM alias WHERE tenant = ? AND (party) IN (VALUES (?), (?))",
        "alias_by_party (tenant=? AND party=?)",
    ),
    (
        "SELECT * FROM contribution WHERE tenant = ? AND definition = ? AND occurred_at <= ? AND recorded_at <= ? \
         AND (origin) IN (VALUES (?), (?)) LIMIT 100000",
        "contribution_by_origin (tenant=? AND origin=? AND definition=? AND occurred_at<?)",
    ),
    (
        "SELECT tenant, interaction_id, version, recorded_at FROM revision \
         WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH revision USING PRIMARY KEY (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT * FROM relationship_edge WHERE (tenant, relationship_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH relationship_edge USING PRIMARY KEY (tenant=? AND relationship_id=?)",
    ),
    (
        "SELECT e.weight, COALESCE(f.party, e.from_party), COALESCE(t.party, e.to_party) FROM relationship_edge e \
         LEFT JOIN alias f ON f.tenant = e.tenant AND f.origin = e.from_party \
         LEFT JOIN alias t ON t.tenant = e.tenant AND t.origin = e.to_party WHERE e.tenant = ? LIMIT 1000000",
        "SEARCH e USING PRIMARY KEY (tenant=?)",
    ),
    ("SELECT position FROM network WHERE tenant = ?", "SEARCH network USING PRIMARY KEY (tenant=?)"),
    (
        "SELECT * FROM contribution WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "sqlite_autoindex_contribution_1 (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT * FROM contribution WHERE tenant = ? AND definition = ? AND occurred_at <= ? \
         AND (origin) IN (VALUES (?), (?)) LIMIT 100000",
        "contribution_by_origin (tenant=? AND origin=? AND definition=? AND occurred_at<?)",
    ),
    (
        "SELECT * FROM superseded WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH superseded USING PRIMARY KEY (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT * FROM order_line WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH order_line USING PRIMARY KEY (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT * FROM order_day WHERE (tenant, origin, day, currency, role_type) IN (VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?))",
        "SEARCH order_day USING PRIMARY KEY (tenant=? AND origin=? AND day=?",
    ),
    (
        "SELECT DISTINCT tenant, origin FROM order_day WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH order_day USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT * FROM order_day WHERE tenant = ? AND day <= ? AND (origin) IN (VALUES (?), (?))",
        "SEARCH order_day USING PRIMARY KEY (tenant=? AND origin=? AND day<?)",
    ),
    (
        "SELECT d.*, a.party FROM order_day d LEFT JOIN alias a ON a.tenant = d.tenant AND a.origin = d.origin \
         WHERE d.tenant = ? AND (d.origin, d.day, d.currency, d.role_type) > (?, ?, ?, ?) \
         ORDER BY d.origin, d.day, d.currency, d.role_type LIMIT 10000",
        "SEARCH d USING PRIMARY KEY (tenant=? AND (origin,day,currency,role_type)>(?,?,?,?))",
    ),
    (
        "SELECT * FROM clv_model WHERE tenant = ? AND version < ? ORDER BY version DESC LIMIT 51",
        "clv_model_version (tenant=? AND version<?)",
    ),
    (
        "SELECT * FROM operation WHERE state < 3 AND lease_until <= ? AND (method) IN (VALUES (?)) ORDER BY lease_until LIMIT 100",
        "operation_open (lease_until<?)",
    ),
    (
        "SELECT * FROM operation WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT 51",
        "SEARCH operation USING PRIMARY KEY (tenant=? AND id<?)",
    ),
];

#[test]
fn every_statement_searches_its_index() {
    block_on(async {
        let place = StorePlace::sqlite();
        let migrations = rapport_scoring::module().migrations();
        let store = Store::open(&place.options(), "scoring", migrations, World::system()).await.unwrap();
        for (statement, wanted) in STATEMENTS {
            let plan = query_plan(&store, statement).await;
            assert!(plan.contains(wanted), "{statement}\nwants {wanted}\nhas {plan}");
            assert!(!plan.contains("FOR ORDER BY"), "{statement}\nsorts: {plan}");
        }
        store.close().await;
    });
}
