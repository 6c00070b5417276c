//! SQLite finds rows by the indexes that were made for them, from the first day on and whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::World;

const PAGE: &str = "ORDER BY occurred_at DESC, interaction_id DESC LIMIT ?) AS t \
     JOIN interaction AS i ON i.tenant = ? AND i.id = t.interaction_id \
     ORDER BY t.occurred_at DESC, t.interaction_id DESC";

const BRANCH: &str = "SELECT occurred_at, interaction_id FROM (SELECT DISTINCT p.occurred_at, p.interaction_id \
     FROM interaction_participant AS p";

const NEWEST: &str = "ORDER BY p.occurred_at DESC, p.interaction_id DESC LIMIT ?) AS b";

const CASE: &str = "SELECT c.*, a.party FROM case_file AS c \
     LEFT JOIN alias AS a ON a.tenant = c.tenant AND a.origin = c.origin WHERE c.tenant = ?";

/// Each statement as `store` makes it, what its plan has to say, and whether it sorts no more than a page.
fn statements() -> Vec<(String, &'static str, bool)> {
    let after = "(p.occurred_at, p.interaction_id) < (?, ?)";
    let own = format!("{BRANCH} WHERE p.tenant = ? AND p.origin = ? AND {after} {NEWEST}");
    let first = format!("{BRANCH} WHERE p.tenant = ? AND p.origin = ? {NEWEST}");
    let filtered = format!(
        "{BRANCH} JOIN interaction AS i ON i.tenant = p.tenant AND i.id = p.interaction_id \
         WHERE p.tenant = ? AND p.origin = ? AND i.kind = ? {NEWEST}"
    );
    let along = "SEARCH p USING PRIMARY KEY (tenant=? AND origin=? AND (occurred_at,interaction_id)<(?,?))";
    let of = |text: &str, wanted| (text.to_owned(), wanted, false);
    vec![
        (format!("SELECT i.* FROM ({first} {PAGE}"), "SEARCH p USING PRIMARY KEY (tenant=? AND origin=?)", true),
        (format!("SELECT i.* FROM ({own} {PAGE}"), along, true),
        (format!("SELECT i.* FROM ({own} UNION {own} {PAGE}"), along, true),
        (format!("SELECT i.* FROM ({own} {PAGE}"), "SEARCH i USING PRIMARY KEY (tenant=? AND id=?)", true),
        (format!("SELECT i.* FROM ({filtered} {PAGE}"), "SEARCH p USING PRIMARY KEY (tenant=? AND origin=?)", true),
        of(
            "SELECT i.* FROM interaction AS i WHERE i.tenant = ? AND (i.id) IN (VALUES (?), (?))",
            "SEARCH i USING PRIMARY KEY (tenant=? AND id=?)",
        ),
        of(
            "SELECT i.* FROM interaction AS i WHERE i.tenant = ? AND (i.occurred_at, i.id) < (?, ?) AND i.kind = ? \
             ORDER BY i.occurred_at DESC, i.id DESC LIMIT ?",
            "interaction_occurred (tenant=? AND (occurred_at,id)<(?,?))",
        ),
        of(
            "SELECT * FROM identifier WHERE (tenant, index_id) IN (VALUES (?, ?), (?, ?))",
            "SEARCH identifier USING PRIMARY KEY (tenant=? AND index_id=?)",
        ),
        of(
            "DELETE FROM identifier_holder WHERE (tenant, party) IN (VALUES (?, ?), (?, ?)) \
             RETURNING tenant, index_id",
            "SEARCH identifier_holder USING PRIMARY KEY (tenant=? AND party=?)",
        ),
        (
            "SELECT * FROM identifier_holder WHERE (tenant, index_id) IN (VALUES (?, ?), (?, ?)) \
             ORDER BY tenant, index_id, party"
                .to_owned(),
            "identifier_holder_index (tenant=? AND index_id=?)",
            true,
        ),
        of(
            "SELECT origin, party FROM alias WHERE tenant = ? AND (origin) IN (VALUES (?), (?))",
            "SEARCH alias USING PRIMARY KEY (tenant=? AND origin=?)",
        ),
        of(
            "SELECT origin FROM alias WHERE tenant = ? AND party = ? ORDER BY origin",
            "alias_party (tenant=? AND party=?)",
        ),
        (format!("{CASE} AND (c.id) IN (VALUES (?), (?))"), "SEARCH c USING PRIMARY KEY (tenant=? AND id=?)", false),
        (
            format!("{CASE} AND (c.opened_at, c.id) < (?, ?) ORDER BY c.opened_at DESC, c.id DESC LIMIT ?"),
            "case_file_opened (tenant=? AND (opened_at,id)<(?,?))",
            false,
        ),
        // A party's own cases are few, and are sorted.
        (
            format!("{CASE} AND (c.origin) IN (VALUES (?), (?)) ORDER BY c.opened_at DESC, c.id DESC LIMIT ?"),
            "case_file_origin (tenant=? AND origin=?)",
            true,
        ),
        of(
            "SELECT case_id, interaction_id FROM case_interaction WHERE tenant = ? AND (case_id) IN (VALUES (?), (?)) \
             ORDER BY case_id, ordinal",
            "SEARCH case_interaction USING PRIMARY KEY (tenant=? AND case_id=?)",
        ),
    ]
}

#[test]
fn every_statement_searches_its_index() {
    block_on(async {
        let place = StorePlace::sqlite();
        let migrations = rapport_interactions::module().migrations();
        let store = Store::open(&place.options(), "interactions", migrations, World::system()).await.unwrap();
        for (statement, wanted, sorts) in statements() {
            let plan = query_plan(&store, &statement).await;
            assert!(plan.contains(wanted), "{statement}\nwants {wanted}\nhas {plan}");
            assert!(sorts || !plan.contains("USE TEMP B-TREE"), "{statement}\nsorts: {plan}");
        }
        store.close().await;
    });
}
