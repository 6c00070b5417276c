#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use rapport_types::{FieldError, Uuid, reason};

use super::*;
use crate::MAX_BYTES;

fn party(text: &str) -> Result<Uuid, FieldError> {
    rapport_types::name::parse_ids(text, ["parties"]).map(|[id]| id)
}

fn fields() -> Fields {
    Fields::new()
        .text("status", "status")
        .text("provenance.source", "source")
        .int("version", "version")
        .bool("shared", "shared")
        .time("create_time", "created")
        .enumeration("kind", "kind", &[("PERSON", 1), ("ORGANIZATION", 2)])
        .words("stage", "stage", &["new", "done"])
        .uuid_name("party", "party_id", party)
        .text_members("roles", "EXISTS (SELECT 1 FROM role r WHERE r.party = p.id AND r.type = {})")
}

fn sql(filter: &str) -> String {
    fields().lower(filter, 1).unwrap_or_else(|error| panic!("{filter}: {error}")).sql
}

fn fault(filter: &str) -> (usize, String) {
    let error = fields().lower(filter, 1).expect_err(filter);
    assert_eq!(error.reason, reason::INVALID_FILTER);
    (error.metadata["offset"].parse().unwrap(), error.metadata["problem"].clone())
}

#[test]
fn comparisons() {
    for (filter, expected) in [
        (r#"status == "a""#, "status = $1"),
        (r#"status != "a""#, "(status <> $1 OR status IS NULL)"),
        (r#"!(status == "a")"#, "(status <> $1 OR status IS NULL)"),
        (r#"!(status != "a")"#, "status = $1"),
        (r#"status < "a""#, "status < $1"),
        (r#"!(status < "a")"#, "(status >= $1 OR status IS NULL)"),
        (r#""a" < status"#, "status > $1"),
        ("5 >= version", "version <= $1"),
        ("version == -5", "version = $1"),
        ("shared", "shared = $1"),
        ("!shared", "(shared <> $1 OR shared IS NULL)"),
        ("shared == false", "shared = $1"),
        ("!!shared", "shared = $1"),
        (r#"provenance.source == "shop""#, "source = $1"),
        (r#"kind == "PERSON""#, "kind = $1"),
        (r#"stage in ["new", "done"]"#, "stage IN ($1, $2)"),
        ("has(status)", "status IS NOT NULL"),
        ("!has(provenance.source)", "source IS NULL"),
        ("true", "1 = 1"),
        ("!true", "1 = 0"),
        ("  ", "1 = 1"),
    ] {
        assert_eq!(sql(filter), expected, "{filter}");
    }
}

#[test]
fn lists_and_prefixes() {
    for (filter, expected) in [
        (r#"status in ["a", "b"]"#, "status IN ($1, $2)"),
        (r#"!(status in ["a"])"#, "(status NOT IN ($1) OR status IS NULL)"),
        ("status in []", "1 = 0"),
        ("!(status in [])", "1 = 1"),
        (r#""x" in roles"#, "EXISTS (SELECT 1 FROM role r WHERE r.party = p.id AND r.type = $1)"),
        (r#"!("x" in roles)"#, "NOT (EXISTS (SELECT 1 FROM role r WHERE r.party = p.id AND r.type = $1))"),
        (r#"status.startsWith("ab")"#, "(status >= $1 AND status < $2)"),
        (r#"!status.startsWith("ab")"#, "(status < $1 OR status >= $2 OR status IS NULL)"),
        (r#"status.startsWith("")"#, "status >= $1"),
        (r#"provenance.source.startsWith("a")"#, "(source >= $1 AND source < $2)"),
    ] {
        assert_eq!(sql(filter), expected, "{filter}");
    }
}

#[test]
fn logic_and_its_opposite() {
    let both = r#"status == "a" && (version > 1 || shared)"#;
    assert_eq!(sql(both), "(status = $1 AND (version > $2 OR shared = $3))");
    assert_eq!(
        sql(&format!("!({both})")),
        "((status <> $1 OR status IS NULL) OR ((version <= $2 OR version IS NULL) AND (shared <> $3 OR shared IS NULL)))"
    );
}

#[test]
fn values_are_bound_in_order_from_the_start_index() {
    let filter = r#"status in ["e\u0301", 'b'] && version == 7u && create_time >= timestamp("1970-01-01T00:00:01Z")
        && party == "parties/00000000-0000-0000-0000-000000000009" && kind != "ORGANIZATION" && !shared"#;
    let lowered = fields().lower(filter, 4).unwrap();
    assert!(lowered.sql.contains("$4") && lowered.sql.contains("$10") && !lowered.sql.contains("$11"));
    assert_eq!(
        lowered.binds,
        [
            Bind::Text("é".into()),
            Bind::Text("b".into()),
            Bind::Int(7),
            Bind::Time(1_000_000),
            Bind::Uuid(Uuid::from_u128(9)),
            Bind::Int(2),
            Bind::Bool(true),
        ]
    );
}

#[test]
fn faults_name_their_byte() {
    for (filter, offset) in [
        (r#"colour == "red""#, 0),
        (r#"status == "ä" && colour == "red""#, 18),
        ("status == 5", 10),
        (r#"version == "5""#, 11),
        ("version == 1.5", 11),
        ("version == 99999999999999999999", 11),
        (r#"create_time > "2026""#, 14),
        (r#"create_time > timestamp("2026")"#, 24),
        (r#"kind == "ROBOT""#, 8),
        (r#"kind < "PERSON""#, 5),
        ("shared < true", 7),
        (r#"party == "7""#, 9),
        ("status", 0),
        ("status == status", 7),
        (r#""a" == "a""#, 4),
        (r#"roles == "x""#, 0),
        (r#""x" in status"#, 7),
        (r#"status == "a" &&"#, 16),
        (r#"status == "a" status"#, 14),
        ("status == null", 10),
        (r#"status.endsWith("a")"#, 15),
        (r#"version.startsWith("a")"#, 0),
        ("size(status) == 3", 13),
        (r#"status == "a\u0000""#, 10),
        ("shared &&\n  colour", 12),
        ("has(5)", 4),
        ("roles.exists(r, r == \"x\")", 12),
    ] {
        let (found, problem) = fault(filter);
        assert_eq!(found, offset, "{filter}: {problem}");
    }
}

#[test]
fn values_are_not_repeated() {
    for filter in [r#"version == "Ana Secret""#, r#"kind == "Ana Secret""#, r#"status == "Ana Secret" "Ana Secret""#] {
        let error = fields().lower(filter, 1).unwrap_err();
        assert!(!format!("{error} {:?}", error.metadata).contains("Ana"), "{error}");
    }
}

#[test]
fn bounds_hold_on_a_small_stack() {
    let chain = |part: &str, glue: &str| {
        let mut text = part.to_owned();
        while text.len() + glue.len() + part.len() <= MAX_BYTES {
            text.push_str(glue);
            text.push_str(part);
        }
        text
    };
    let wide = [
        chain("shared", "&&"),
        chain("shared", "||"),
        chain("shared && version == 1", " || "),
        format!("{}shared", "!".repeat(MAX_BYTES - 6)),
    ];
    let bad = [
        chain("shared", "."),
        chain("1", "-"),
        chain("shared", "<"),
        chain("a", " in "),
        chain("!", ""),
        chain("-", ""),
        chain("a()", "."),
        chain("a", "?a:"),
        chain("[0]", ""),
        chain("a[0]", "."),
        chain("(", ""),
        chain("a(", ""),
        chain("a ", ""),
        chain("§", ""),
        chain("\"", ""),
        chain("=", ""),
        format!("status in [{}]", vec!["\"a\""; MAX_ELEMENTS + 1].join(",")),
    ];
    std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || {
            for filter in wide {
                assert!(fields().lower(&filter, 1).is_ok());
            }
            for filter in bad {
                let started = std::time::Instant::now();
                assert!(fields().lower(&filter, 1).is_err(), "{filter}");
                assert!(started.elapsed().as_secs() < 2, "{filter}");
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn the_text_behind_a_prefix() {
    for (prefix, expected) in [
        ("ab", Some("ac")),
        ("a\u{d7ff}", Some("a\u{e000}")),
        ("a\u{10ffff}", Some("b")),
        ("\u{10ffff}", None),
        ("", None),
    ] {
        assert_eq!(behind(prefix).as_deref(), expected);
    }
}

proptest! {
    #[test]
    fn a_range_is_a_prefix(prefix in "[a-c\u{d7ff}\u{e000}\u{10ffff}]{0,3}", text in "[a-c\u{d7ff}\u{e000}\u{10ffff}]{0,5}") {
        let inside = text >= prefix && behind(&prefix).is_none_or(|end| text < end);
        prop_assert_eq!(inside, text.starts_with(&prefix));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = fields().lower(&text, 1);
    }

    #[test]
    fn no_words_panic(words in prop::collection::vec(prop::sample::select(vec![
        "status", "version", "shared", "roles", "kind", "create_time", "party", "colour", "==", "!=", "<", ">=", "in",
        "&&", "||", "!", "-", "(", ")", "[", "]", ",", ".", "has(", "timestamp(", ".startsWith(", ".exists(", ".map(",
        "\"a\"", "'PERSON'", "5", "-1", "1.5", "7u", "true", "null", "\n", "0x", "1e", "\"", "\\", "r'", "h_s(",
    ]), 0..24)) {
        let text = words.join(" ");
        match fields().lower(&text, 1) {
            Ok(lowered) => {
                prop_assert_eq!(lowered.sql.matches('$').count(), lowered.binds.len());
                prop_assert_eq!(lowered.sql.matches('(').count(), lowered.sql.matches(')').count());
            }
            Err(error) => {
                let offset: usize = error.metadata["offset"].parse().unwrap();
                prop_assert!(offset <= text.len());
            }
        }
    }
}

#[test]
fn numbers_are_bound_as_text_and_cast() {
    let fields = Fields::new().number("valence", "valence");
    for (filter, sql, text) in [
        ("valence < -0.25", "valence < CAST($1 AS DOUBLE PRECISION)", "-0.25"),
        ("valence == 1", "valence = CAST($1 AS DOUBLE PRECISION)", "1.0"),
        ("!(valence >= 0.0)", "(valence < CAST($1 AS DOUBLE PRECISION) OR valence IS NULL)", "0.0"),
        ("valence in [1e300]", "valence IN (CAST($1 AS DOUBLE PRECISION))", "1e300"),
    ] {
        let lowered = fields.lower(filter, 1).unwrap();
        assert_eq!((lowered.sql.as_str(), lowered.binds.as_slice()), (sql, &[Bind::Text(text.into())][..]), "{filter}");
    }
    for filter in ["valence == \"1\"", "valence == true", "valence < timestamp(\"2026-01-01T00:00:00Z\")"] {
        assert_eq!(fields.lower(filter, 1).unwrap_err().reason, reason::INVALID_FILTER, "{filter}");
    }
}
