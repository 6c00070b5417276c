//! SQLite finds rows by the indexes that were made for them, from the first day on and whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::World;

const PAGE: &str = "ORDER BY occurred_at DESC, interaction_id DESC LIMIT 0 + ?) AS t \
     JOIN interaction AS i ON i.tenant = ? AND i.id = t.interaction_id \
     ORDER BY t.occurred_at DESC, t.interaction_id DESC";

const BRANCH: &str = "SELECT occurred_at, interaction_id FROM (SELECT DISTINCT p.occurred_at, p.interaction_id \
     FROM interaction_participant AS p";

const NEWEST: &str = "ORDER BY p.occurred_at DESC, p.interaction_id DESC LIMIT 0 + ?) AS b";

const CASE: &str = "SELECT c.*, a.party FROM case_file AS c \
     LEFT JOIN alias AS a ON a.tenant = c.tenant AND a.origin = c.origin WHERE c.tenant = ?";

const COMMITMENT: &str = "SELECT c.*, a.party FROM commitment AS c \
     LEFT JOIN alias AS a ON a.tenant = c.tenant AND a.origin = c.origin WHERE";

/// Each statement as `store` makes it, what its plan has to say, and whether it sorts no more than a page.
fn statements() -> Vec<(String, &'static str, bool)> {
    let after = "(p.occurred_at, p.interaction_id) < (?, ?)";
    let own = format!("{BRANCH} WHERE p.tenant = ? AND p.origin = ? AND NOT p.retracted AND {after} {NEWEST}");
    let first = format!("{BRANCH} WHERE p.tenant = ? AND p.origin = ? AND NOT p.retracted {NEWEST}");
    let filtered = format!(
        "{BRANCH} JOIN interaction AS i ON i.tenant = p.tenant AND i.id = p.interaction_id \
         WHERE p.tenant = ? AND p.origin = ? AND NOT p.retracted AND i.kind = ? {NEWEST}"
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
            "SELECT i.* FROM interaction AS i WHERE i.tenant = ? AND (i.occurred_at, i.id) < (?, ?) AND NOT i.retracted AND i.kind = ? \
             ORDER BY i.occurred_at DESC, i.id DESC LIMIT 0 + ?",
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
            format!("{CASE} AND (c.opened_at, c.id) < (?, ?) ORDER BY c.opened_at DESC, c.id DESC LIMIT 0 + ?"),
            "case_file_opened (tenant=? AND (opened_at,id)<(?,?))",
            false,
        ),
        // A party's own cases are few, and are sorted.
        (
            format!("{CASE} AND (c.origin) IN (VALUES (?), (?)) ORDER BY c.opened_at DESC, c.id DESC LIMIT 0 + ?"),
            "case_file_origin (tenant=? AND origin=?)",
            true,
        ),
        of(
            "SELECT case_id, interaction_id FROM case_interaction WHERE tenant = ? AND (case_id) IN (VALUES (?), (?)) \
             ORDER BY case_id, ordinal",
            "SEARCH case_interaction USING PRIMARY KEY (tenant=? AND case_id=?)",
        ),
        // A case's history, along its key.
        of(
            "SELECT version FROM case_event WHERE tenant = ? AND case_id = ? AND version > ? ORDER BY version LIMIT 0 + ?",
            "case_event USING PRIMARY KEY (tenant=? AND case_id=? AND version>?)",
        ),
        // Commitments: by their names, by their due times, of a party, about a case, and those of all tenants that are due.
        (
            format!("{COMMITMENT} c.tenant = ? AND (c.id) IN (VALUES (?), (?))"),
            "SEARCH c USING PRIMARY KEY (tenant=? AND id=?)",
            false,
        ),
        (
            format!(
                "{COMMITMENT} c.tenant = ? AND (c.due_at, c.id) > (?, ?) AND c.state = ? ORDER BY c.due_at, c.id LIMIT 0 + ?"
            ),
            "commitment_due (tenant=? AND (due_at,id)>(?,?))",
            false,
        ),
        (
            format!(
                "{COMMITMENT} c.tenant = ? AND (c.origin) IN (VALUES (?), (?)) AND c.state = ? ORDER BY c.due_at, c.id LIMIT 0 + ?"
            ),
            "commitment_origin (tenant=? AND origin=? AND state=?)",
            true,
        ),
        (
            format!(
                "{COMMITMENT} c.tenant = ? AND (c.origin) IN (VALUES (?), (?)) ORDER BY c.due_at DESC, c.id DESC LIMIT 0 + ?"
            ),
            "commitment_origin (tenant=? AND origin=?)",
            true,
        ),
        (
            format!("{COMMITMENT} c.tenant = ? AND c.case_id = ? ORDER BY c.due_at, c.id LIMIT 0 + ?"),
            "commitment_case (tenant=? AND case_id=?)",
            false,
        ),
        of(
            "SELECT tenant, id FROM commitment WHERE timer_at < ? ORDER BY timer_at, tenant, id LIMIT 0 + ?",
            "COVERING INDEX commitment_timer (timer_at<?)",
        ),
        // The desk: a call by its name, what is kept of parties, and who is near.
        of(
            "SELECT detail FROM call_leg WHERE tenant = ? AND (id) IN (VALUES (?), (?))",
            "call_leg USING PRIMARY KEY (tenant=? AND id=?)",
        ),
        // The legs of a conversation, the case that waits for those whose call was missed, and what was noted of a case.
        of(
            "SELECT detail FROM call_leg WHERE tenant = ? AND (conversation) IN (VALUES (?), (?))",
            "call_leg_conversation (tenant=? AND conversation=?)",
        ),
        // The cases of one party are few, and are sorted.
        (
            "SELECT origin, id FROM case_file WHERE tenant = ? AND (origin) IN (VALUES (?), (?)) AND kind = ? \
             AND (status) IN (VALUES (?), (?), (?)) ORDER BY opened_at, id"
                .to_owned(),
            "case_file_origin (tenant=? AND origin=?)",
            true,
        ),
        of(
            "SELECT case_id, version, sealed FROM case_event WHERE tenant = ? AND (case_id) IN (VALUES (?), (?)) \
             AND sealed IS NOT NULL",
            "case_event USING PRIMARY KEY (tenant=? AND case_id=?)",
        ),
        of(
            "INSERT INTO case_interaction (tenant, case_id, ordinal, interaction_id) SELECT ?, ?, \
             COALESCE(MAX(ordinal), -1) + 1, ? FROM case_interaction WHERE tenant = ? AND case_id = ? \
             HAVING COUNT(*) < ?",
            "SEARCH case_interaction USING PRIMARY KEY (tenant=? AND case_id=?)",
        ),
        of(
            "SELECT party, kind, facet, position, as_of, wanted FROM desk_section WHERE tenant = ? AND (party) IN (VALUES (?), (?)) \
             AND kind = ?",
            "desk_section USING PRIMARY KEY (tenant=? AND party=? AND kind=?)",
        ),
        of(
            "SELECT sealed FROM desk_section WHERE tenant = ? AND party = ?",
            "desk_section USING PRIMARY KEY (tenant=? AND party=?)",
        ),
        of(
            "SELECT sealed FROM desk_section WHERE tenant = ? AND (party) IN (VALUES (?), (?)) AND kind = ?",
            "desk_section USING PRIMARY KEY (tenant=? AND party=? AND kind=?)",
        ),
        of(
            "UPDATE desk_section SET wanted = ? WHERE tenant = ? AND party = ? AND kind = ? AND wanted < ?",
            "desk_section USING PRIMARY KEY (tenant=? AND party=? AND kind=?)",
        ),
        of(
            "SELECT tenant, party, facet, wanted FROM desk_section WHERE wanted > position AND kind = ? \
             ORDER BY wanted LIMIT 0 + ?",
            "desk_section_behind (kind=?)",
        ),
        of(
            "DELETE FROM desk_section WHERE (tenant, party) IN (VALUES (?, ?), (?, ?)) AND kind = ? \
             AND position - wanted < 0 AND wanted <= ?",
            "desk_section USING PRIMARY KEY (tenant=? AND party=? AND kind=?)",
        ),
        of(
            "SELECT neighbor, relationship_type, weight_micros, valid_from, valid_to FROM desk_tie WHERE tenant = ? \
             AND party = ? AND valid_from <= ? AND valid_to > ? ORDER BY weight_micros DESC, relationship DESC LIMIT 0 + ?",
            "desk_tie_strength (tenant=? AND party=?)",
        ),
        of(
            "DELETE FROM desk_tie WHERE (tenant, party, relationship) IN (VALUES (?, ?, ?), (?, ?, ?))",
            "desk_tie USING PRIMARY KEY (tenant=? AND party=? AND relationship=?)",
        ),
        of(
            "SELECT origin, party FROM alias WHERE tenant = ? AND (party) IN (VALUES (?), (?))",
            "alias_party (tenant=? AND party=?)",
        ),
        of(
            "SELECT party, own FROM identifier_holder WHERE tenant = ? AND index_id = ? ORDER BY party LIMIT 0 + ?",
            "identifier_holder_index (tenant=? AND index_id=?)",
        ),
        // The cases of some parties are few, and are grouped.
        (
            "SELECT origin, COUNT(*), COUNT(CASE WHEN kind = ? THEN 1 END) FROM case_file WHERE tenant = ? \
             AND (origin) IN (VALUES (?), (?)) AND (status) IN (VALUES (?), (?)) GROUP BY origin"
                .to_owned(),
            "case_file_origin (tenant=? AND origin=?)",
            true,
        ),
        // Their promises that are due are fewer still.
        (
            "SELECT origin, COUNT(*), COUNT(CASE WHEN fell_due_at IS NOT NULL OR due_at < ? THEN 1 END) FROM commitment \
             WHERE tenant = ? AND (origin) IN (VALUES (?), (?)) AND state = ? AND due_at <= ? AND side = ? GROUP BY origin"
                .to_owned(),
            "commitment_origin (tenant=? AND origin=? AND state=? AND due_at<?)",
            true,
        ),
        // What was promised in an interaction.
        of(
            "SELECT id FROM commitment WHERE tenant = ? AND interaction_id IS NOT NULL AND (interaction_id) IN (VALUES (?), (?))",
            "commitment_interaction (tenant=? AND interaction_id=?)",
        ),
        // Versions that are no longer in force: by their name, out of the index, and as of what was known.
        of(
            "SELECT i.* FROM interaction_version AS i WHERE i.tenant = ? AND (id, version) IN (VALUES (?, ?), (?, ?))",
            "SEARCH i USING PRIMARY KEY (tenant=? AND id=? AND version=?)",
        ),
        of(
            "DELETE FROM interaction_participant WHERE (tenant, origin, occurred_at, interaction_id) \
             IN (VALUES (?, ?, ?, ?), (?, ?, ?, ?))",
            "interaction_participant USING PRIMARY KEY (tenant=? AND origin=? AND occurred_at=?",
        ),
        // The amended facts of one party are few, and are sorted.
        (
            "SELECT DISTINCT i.* FROM participant_version AS p JOIN interaction_version AS i \
             ON i.tenant = p.tenant AND i.id = p.interaction_id AND i.version = p.version \
             WHERE p.tenant = ? AND (p.origin) IN (VALUES (?), (?)) AND p.recorded_at <= ? AND p.superseded_at > ? \
             ORDER BY i.occurred_at DESC, i.id DESC LIMIT 0 + ?"
                .to_owned(),
            "SEARCH p USING PRIMARY KEY (tenant=? AND origin=?)",
            true,
        ),
        of(
            "SELECT id FROM survey WHERE tenant = ? AND (id) IN (VALUES (?), (?))",
            "survey USING PRIMARY KEY (tenant=? AND id=?)",
        ),
        of(
            "SELECT id, question FROM survey WHERE tenant = ? AND (recorded_at, id) < (?, ?) \
             ORDER BY recorded_at DESC, id DESC LIMIT 0 + ?",
            "survey_recorded (tenant=? AND (recorded_at,id)<(?,?))",
        ),
        of(
            "SELECT * FROM survey_response WHERE tenant = ? AND survey_id = ? AND id = ?",
            "survey_response USING PRIMARY KEY (tenant=? AND survey_id=? AND id=?)",
        ),
        of(
            "SELECT * FROM survey_response WHERE tenant = ? AND survey_id = ? AND retracted_at IS NULL \
             AND (occurred_at, id) < (?, ?) ORDER BY occurred_at DESC, id DESC LIMIT 0 + ?",
            "survey_response_occurred (tenant=? AND survey_id=? AND (occurred_at,id)<(?,?))",
        ),
        (
            "SELECT * FROM survey_response WHERE tenant = ? AND (origin) IN (VALUES (?), (?)) \
             AND retracted_at IS NULL ORDER BY occurred_at DESC, id DESC LIMIT 0 + ?"
                .to_owned(),
            "survey_response_origin (tenant=? AND origin=?)",
            true,
        ),
        // Counted in the index alone.
        (
            "SELECT score, COUNT(*) FROM survey_response WHERE tenant = ? AND survey_id = ? AND occurred_at >= ? \
             AND occurred_at < ? AND role_type = ? AND recorded_at <= ? \
             AND (retracted_at IS NULL OR retracted_at > ?) GROUP BY score ORDER BY score"
                .to_owned(),
            "COVERING INDEX survey_response_occurred (tenant=? AND survey_id=? AND occurred_at>? AND occurred_at<?)",
            true,
        ),
        of(
            "UPDATE survey_response SET retracted_at = v.retracted_at FROM (SELECT column1 AS tenant, \
             column2 AS survey_id, column3 AS id, column4 AS retracted_at FROM (VALUES (?, ?, ?, ?))) AS v \
             WHERE survey_response.tenant = v.tenant AND survey_response.survey_id = v.survey_id \
             AND survey_response.id = v.id",
            "SEARCH survey_response USING PRIMARY KEY (tenant=? AND survey_id=? AND id=?)",
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
