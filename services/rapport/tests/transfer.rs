//! `rapport import` and `rapport export` as a user runs them, against servers that run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::{ListPartiesRequest, Party};
use rapport_testkit::block_on;
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAPPORT") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server and a folder for files.
struct Office {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl Office {
    async fn open() -> Self {
        Self::of(Sandbox::builder(rapport::modules)).await
    }

    async fn of(sandbox: SandboxBuilder) -> Self {
        Self { sandbox: sandbox.start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, arguments: &[&str], file: &Path) -> Output {
        let address = self.sandbox.address("stakeholders").to_string();
        let file = file.display().to_string();
        let at = arguments.iter().position(|word| *word == "FILE").unwrap();
        let mut all: Vec<&str> = arguments.to_vec();
        all[at] = &file;
        all.extend(["--address", &address]);
        tokio::task::block_in_place(|| command(&all).output().unwrap())
    }

    /// The last line of an import, and its exit code.
    fn import(&self, kind: &str, file: &Path) -> (String, i32) {
        let output = self.run(&["import", kind, "FILE"], file);
        let said = text(&output.stdout);
        let sum = said.lines().last().unwrap_or_else(|| panic!("{}", text(&output.stderr))).to_owned();
        (sum, output.status.code().unwrap())
    }

    /// Everything of a kind, in an order of its own.
    fn export(&self, kind: &str, format: &str) -> Vec<String> {
        let path = self.folder.path().join(format!("{kind}.{format}"));
        let output = self.run(&["export", kind, "--out", "FILE"], &path);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        let mut lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    async fn parties(&self) -> usize {
        let mut client = PartyServiceClient::new(self.sandbox.channel("stakeholders"));
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let request = ListPartiesRequest { page_size: 500, page_token, ..Default::default() };
            let page = client.list_parties(request).await.unwrap().into_inner();
            count += page.parties.len();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return count;
            }
        }
    }
}

const PARTIES: &str = "\
kind,Customer,display_name,email,phone,role,country_code,attributes.tier,cessation,lifecycle
individual,7,\"Souza, Ana\",ana@example.org,+5511987654321,customer,BR,gold,,curated
organization,8,Acme,,,customer;supplier,DE,,,
individual,9,\"Ben \"\"Benny\"\" Ode\",,,customer,US,,\"{\"\"kind\"\": \"\"CESSATION_KIND_DECEASED\"\"}\",
robot,10,R2,,,,,,,
individual,11,Lea,lea@example.org,,,Sweden,,,
individual,12,Noa,,,king,US,,,
";

fn sum(created: u32, updated: u32, unchanged: u32, rejected: u32) -> String {
    format!("created {created}, updated {updated}, unchanged {unchanged}, rejected {rejected}")
}

#[test]
fn parties_come_in_once_and_change_with_their_file() {
    block_on(async {
        let office = Office::open().await;
        let file = office.file("parties.csv", PARTIES);
        let map = ["import", "parties", "FILE", "--map", "customer=identifier.crm"];

        // A preview changes nothing.
        let preview = office.run(&[&map[..], &["--dry-run"]].concat(), &file);
        let said = text(&preview.stdout);
        assert!(
            said.contains("line 2: created\n") && said.contains("line 5: rejected: column kind: \"robot\" found"),
            "{said}"
        );
        assert!(said.ends_with("would be created 3, updated 0, unchanged 0, rejected 3\n"), "{said}");
        assert_eq!((preview.status.code(), office.parties().await), (Some(3), 0));

        let first = office.run(&map, &file);
        assert_eq!(text(&first.stdout), format!("{}\n", sum(3, 0, 0, 3)), "{}", text(&first.stderr));
        assert_eq!(first.status.code(), Some(3));
        assert!(text(&first.stderr).contains("parties.csv.rejects.csv says why"), "{}", text(&first.stderr));
        let rejects = std::fs::read_to_string(office.folder.path().join("parties.csv.rejects.csv")).unwrap();
        for part in [
            ",lifecycle,rejected_line,rejected_place,rejected_reason,rejected_message\n",
            "robot,10,R2,,,,,,,,5,column kind,MALFORMED,",
            "individual,11,Lea,lea@example.org,,,Sweden,,,,6,country_code,",
            "individual,12,Noa,,,king,US,,,,7,roles[0].role_type,",
        ] {
            assert!(rejects.contains(part), "{part} is missing in\n{rejects}");
        }
        assert_eq!(office.parties().await, 3);

        // The rejects, repaired, are a file to import.
        let repaired = rejects.replace("robot", "group").replace("Sweden", "SE").replace("king", "customer");
        let repaired = office.file("repaired.csv", &repaired);
        let again = office.run(&map, &repaired);
        assert_eq!((text(&again.stdout), again.status.code()), (format!("{}\n", sum(3, 0, 0, 0)), Some(0)));

        // Twice changes nothing, however often.
        let before = office.export("parties", "jsonl");
        let good = office.file(
            "good.csv",
            &PARTIES.lines().take(4).collect::<Vec<_>>().join("\n").replace("Customer", "identifier.crm"),
        );
        for _ in 0..2 {
            assert_eq!(office.import("parties", &good), (sum(0, 0, 3, 0), 0));
        }
        assert_eq!(office.export("parties", "jsonl"), before);

        // Another value, another identifier, another role: and back again, though that file was imported before.
        let changed = std::fs::read_to_string(&good).unwrap();
        let changed = office.file(
            "changed.csv",
            &changed.replace("ana@example.org", "ana@example.com").replace("customer;supplier", "customer;dealer"),
        );
        let preview = text(&office.run(&["import", "parties", "FILE", "--dry-run"], &changed).stdout);
        assert!(
            preview.contains("line 2: updated: contactMedia\nline 3: updated: role dealer\nline 4: unchanged\n"),
            "{preview}"
        );
        assert_eq!(office.import("parties", &changed), (sum(0, 2, 1, 0), 0));
        assert_eq!(office.import("parties", &changed), (sum(0, 0, 3, 0), 0));
        assert!(office.export("parties", "jsonl").iter().any(|line| line.contains("ana@example.com")));
        assert_eq!(office.import("parties", &good), (sum(0, 1, 2, 0), 0));
        assert!(office.export("parties", "jsonl").iter().any(|line| line.contains("ana@example.org")));

        // What is wrong with the whole file.
        for (content, part) in
            [("kind,colour\n", "wrong.csv:1: column \"colour\": there is no field"), ("", ":1: the file is empty")]
        {
            let output = office.run(&["import", "parties", "FILE"], &office.file("wrong.csv", content));
            assert_eq!(output.status.code(), Some(2));
            assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
        }
        office.sandbox.stop().await;
    });
}

const TIES: &str = r#"{"relationshipType": "employs", "fromParty": "crm:8", "toParty": "crm:7", "weight": 0.75, "scope": "buyer", "validFromTime": "2020-01-01T00:00:00Z"}
{"relationshipType": "employs", "fromParty": "crm:8", "toParty": "crm:9", "validFromTime": "2020-01-01T00:00:00Z", "validToTime": "2021-01-01T00:00:00Z"}
{"relationshipType": "employs", "fromParty": "crm:8", "toParty": "crm:99"}
{"relationshipType": "employs", "fromParty": "Acme", "toParty": "crm:9"}
{"relationshipType": "employs", "fromParty": "crm:8",
"#;

const CONTACTS: &str = "\
kind,medium,direction,occurred_time,party,order,currency,topics,body,source,record_id,Note
order,web,inbound,2026-01-03,crm:7,12.50,EUR,price,,shop,1,x
order,web,inbound,2026-01-03,crm:7,12.50,EUR,price,,shop,1,x
complaint,phone,inbound,2026-01-04 10:00:00Z,tel:+5511987654321,,,delivery;price,\"late, again\",,,x
call,pigeon,inbound,2026-01-04,crm:7,,,,,,,x
call,phone,inbound,2126-01-04,crm:7,,,,,,,x
";

/// Rows of every kind with something wrong that only the server's rules know, each beside one that is right.
const WRONG: [(&str, &str, &str); 3] = [
    (
        "parties",
        "csv",
        "kind,identifier.crm,display_name,email,phone,role,country_code,language_code,time_zone\n\
         individual,21,Ana,ana@example.org,+5511987654321,customer,BR,pt-BR,America/Sao_Paulo\n\
         organization,22,Acme,,,supplier,,,\n\
         individual,23,Bad Mail,ana at example,,,,,\n\
         individual,24,Bad Number,,12,,,,\n\
         individual,25,Bad Role,,,king,,,\n\
         individual,26,Bad Country,,,,Sweden,,\n\
         individual,27,Bad Language,,,,,much too long a language,\n\
         individual,28,Bad Zone,,,,,,Mars/Olympus\n\
         individual,29,,,,,,,\n\
         individual,30,Two Things,nobody,1,,,,\n",
    ),
    (
        "relationships",
        "csv",
        "type,from,to,weight,valid_from_time,valid_to_time\n\
         employs,crm:22,crm:21,0.5,,\n\
         employs,crm:21,crm:22,,,\n\
         knows,crm:21,crm:21,,,\n\
         loathes,crm:21,crm:22,,,\n\
         supplies,crm:22,crm:21,7,,\n\
         knows,crm:21,crm:404,,,\n\
         employs,crm:22,crm:21,,2025-01-02,2025-01-01\n",
    ),
    (
        "interactions",
        "csv",
        "kind,medium,direction,occurred_time,party,order,currency,record_id,effort\n\
         order,web,inbound,2026-01-31,crm:21,12.50,EUR,1,\n\
         order,web,inbound,2026-01-31,crm:21,12.50,EURO,2,\n\
         Not A Slug,web,inbound,2026-01-31,crm:21,,,3,\n\
         order,web,inbound,2999-01-31,crm:21,1,EUR,4,\n\
         order,web,inbound,2026-01-31,,1,EUR,5,\n\
         support,web,inbound,2026-01-31,crm:21,,,6,99\n",
    ),
];

#[test]
fn a_preview_rejects_what_the_import_rejects() {
    block_on(async {
        let office = Office::open().await;
        for (kind, end, content) in WRONG {
            let file = office.file(&format!("{kind}.{end}"), content);
            let rejects = file.with_extension(format!("{end}.rejects.{end}"));
            let told = |arguments: &[&str]| {
                let output = office.run(&[&["import", kind, "FILE"], arguments].concat(), &file);
                let sum =
                    text(&output.stdout).lines().last().expect("a sum").trim_start_matches("would be ").to_owned();
                let rejected = std::fs::read_to_string(&rejects).expect("rejects");
                std::fs::remove_file(&rejects).expect("removed");
                (sum, rejected)
            };
            let before = office.parties().await;
            let preview = told(&["--dry-run"]);
            assert_eq!(office.parties().await, before, "a preview records nothing");
            let import = told(&[]);
            assert_eq!(preview, import, "{kind}");
            let rejected = import.1.lines().count() - 1;
            assert!(rejected >= 5, "vacuous: {kind}: {}", import.1);
        }
    });
}

#[test]
fn what_is_exported_makes_another_server_the_same() {
    block_on(async {
        let office = Office::open().await;
        let ties = office.file("ties.jsonl", TIES);
        // Edges before their parties name nobody yet.
        assert_eq!(office.import("relationships", &ties), (sum(0, 0, 0, 5), 3));
        let parties = office.file(
            "parties.csv",
            &PARTIES.lines().take(4).collect::<Vec<_>>().join("\n").replace("Customer", "identifier.crm"),
        );
        assert_eq!(office.import("parties", &parties), (sum(3, 0, 0, 0), 0));
        assert_eq!(office.import("relationships", &ties), (sum(2, 0, 0, 3), 3));
        assert_eq!(office.import("relationships", &ties), (sum(0, 0, 2, 3), 3));
        // Another weight corrects the edge that is there, once.
        // Another end than the edge has is refused with its reason, and a preview knows: the server looks, however many
        // edges there are.
        for (said, place, known) in [
            ("\"validToTime\": \"2022-01-01T00:00:00Z\"", "valid_to_time", "2021-01-01T00:00:00Z"),
            ("\"validFromTime\": \"2020-06-01T00:00:00Z\"", "valid_from_time", "2020-01-01T00:00:00Z"),
        ] {
            let tie = "{\"relationshipType\": \"employs\", \"fromParty\": \"crm:8\", \"toParty\": \"crm:9\", ";
            let inside = if place == "valid_to_time" { "\"validFromTime\": \"2020-01-01T00:00:00Z\", " } else { "" };
            let file = office.file("later.jsonl", &format!("{tie}{inside}{said}}}\n"));
            let preview = office.run(&["import", "relationships", "FILE", "--dry-run"], &file);
            assert!(
                text(&preview.stdout).ends_with(&format!("would be {}\n", sum(0, 0, 0, 1))),
                "{}",
                text(&preview.stdout)
            );
            assert_eq!(office.import("relationships", &file), (sum(0, 0, 0, 1), 3));
            let rejects = std::fs::read_to_string(office.folder.path().join("later.jsonl.rejects.jsonl")).unwrap();
            for part in [place, "IMMUTABLE_FIELD", known] {
                assert!(rejects.contains(part), "{part} is missing in {rejects}");
            }
        }
        let preview = office.run(&["import", "relationships", "FILE", "--dry-run"], &ties);
        assert!(
            text(&preview.stdout).ends_with(&format!("would be {}\n", sum(0, 0, 2, 3))),
            "{}",
            text(&preview.stdout)
        );
        let lighter = office.file("lighter.jsonl", &TIES.replace("0.75", "0.5"));
        assert_eq!(office.import("relationships", &lighter), (sum(0, 1, 1, 3), 3));
        assert_eq!(office.import("relationships", &lighter), (sum(0, 0, 2, 3), 3));
        let rejects = std::fs::read_to_string(office.folder.path().join("ties.jsonl.rejects.jsonl")).unwrap();
        for part in [
            "\"line\":3",
            "no party holds crm:99",
            "UNKNOWN_PARTY",
            "\\\"Acme\\\" is no party",
            "\"line\":5",
            "\"place\":\"column ",
        ] {
            assert!(rejects.contains(part), "{part} is missing in\n{rejects}");
        }

        let contacts = office.file("contacts.csv", CONTACTS);
        let import = ["import", "interactions", "FILE", "--map", "Note=skip"];
        for expected in [sum(3, 0, 0, 2), sum(0, 0, 3, 2)] {
            let output = office.run(&import, &contacts);
            assert_eq!(text(&output.stdout), format!("{expected}\n"), "{}", text(&output.stderr));
        }
        let rejects = std::fs::read_to_string(office.folder.path().join("contacts.csv.rejects.csv")).unwrap();
        assert!(
            rejects.contains(",5,column medium,MALFORMED,") && rejects.contains(",6,occurred_time,IN_FUTURE,"),
            "{rejects}"
        );

        for format in ["jsonl", "csv"] {
            let other = Office::open().await;
            for (kind, rows) in [("parties", 3), ("relationships", 2), ("interactions", 3)] {
                let exported = office.export(kind, format);
                assert_eq!(exported.len(), rows + usize::from(format == "csv"), "{exported:#?}");
                let file = office.folder.path().join(format!("{kind}.{format}"));
                assert_eq!(other.import(kind, &file), (sum(rows as u32, 0, 0, 0), 0), "{kind} {format}: {exported:#?}");
                assert_eq!(other.export(kind, format), exported);
                // It is what this server has; whether an interaction is another one only its row can tell.
                if kind == "interactions" {
                    continue;
                }
                assert_eq!(
                    office.import(kind, &file).0.split(", un").next(),
                    Some("created 0, updated 0"),
                    "{kind} {format}"
                );
            }
            other.sandbox.stop().await;
        }
        office.sandbox.stop().await;
    });
}

#[test]
fn who_is_set_apart_in_a_file_stays_so_for_the_reason_that_it_gave() {
    block_on(async {
        let office = Office::open().await;
        let row = |key: u32, lifecycle: &str, reason: &str| {
            let said =
                if reason.is_empty() { String::new() } else { format!(r#", "provenance": {{"reason": "{reason}"}}"#) };
            format!(
                "{{\"kind\": \"PARTY_KIND_INDIVIDUAL\", \"displayName\": \"Known By {key}\", \
                 \"identifiers\": [{{\"scheme\": \"crm\", \"value\": \"{key}\", \
                 \"strength\": \"IDENTIFIER_STRENGTH_UNIQUE\"}}], \
                 \"lifecycle\": \"PARTY_LIFECYCLE_{lifecycle}\"{said}}}\n"
            )
        };
        let why = async |of: &Office| {
            let mut client = PartyServiceClient::new(of.sandbox.channel("stakeholders"));
            let filter = "lifecycle == \"restricted\"".to_owned();
            let request = ListPartiesRequest { filter, order_by: "display_name".to_owned(), ..Default::default() };
            let found = client.list_parties(request).await.unwrap().into_inner().parties;
            let reason = |party: Party| party.restriction.unwrap().provenance.unwrap().reason;
            found.into_iter().map(|party| (party.display_name.clone(), reason(party))).collect::<Vec<_>>()
        };
        let known = |first: &str, second: &str| {
            [("Known By 1", first), ("Known By 2", second)].map(|(name, why)| (name.to_owned(), why.to_owned()))
        };
        let unsaid = "restricted in a file that was imported";
        let file = office.file("apart.jsonl", &(row(1, "RESTRICTED", "a letter") + &row(2, "RESTRICTED", "")));
        assert_eq!(office.import("parties", &file), (sum(2, 0, 0, 0), 0));
        assert_eq!(office.import("parties", &file), (sum(0, 0, 2, 0), 0));
        assert_eq!(why(&office).await, known("a letter", unsaid));
        // What a file says of the record later is no other reason, and no file ends it.
        let file = office.file("later.jsonl", &(row(1, "RESTRICTED", "moved house") + &row(2, "CURATED", "checked")));
        assert_eq!(office.import("parties", &file), (sum(0, 1, 0, 1), 3));
        let rejects = std::fs::read_to_string(office.folder.path().join("later.jsonl.rejects.jsonl")).unwrap();
        assert!(rejects.contains("INVALID_TRANSITION") && rejects.contains("which no file ends"), "{rejects}");
        assert_eq!(why(&office).await, known("a letter", unsaid));
        // Another server learns the reason too.
        let other = Office::open().await;
        office.export("parties", "jsonl");
        let file = office.folder.path().join("parties.jsonl");
        assert_eq!(other.import("parties", &file), (sum(2, 0, 0, 0), 0));
        assert_eq!(why(&other).await, known("a letter", unsaid));
        other.sandbox.stop().await;
        office.sandbox.stop().await;
    });
}

#[test]
fn who_is_said_to_be_known_well_has_a_name_or_is_not_recorded_at_all() {
    block_on(async {
        let office = Office::open().await;
        let rows = "kind,display_name,identifier.crm,lifecycle\nindividual,Ana,1,curated\nindividual,,2,curated\n";
        let file = office.file("curated.csv", rows);
        assert_eq!(office.import("parties", &file), (sum(1, 0, 0, 1), 3));
        let rejects = std::fs::read_to_string(office.folder.path().join("curated.csv.rejects.csv")).unwrap();
        assert!(rejects.contains(",3,display_name,REQUIRED,"), "{rejects}");
        assert_eq!(office.parties().await, 1);
        assert_eq!(office.import("parties", &file), (sum(0, 0, 1, 1), 3));
        office.sandbox.stop().await;
    });
}

#[test]
fn who_may_not_set_apart_is_told_so_row_by_row_and_leaves_no_half() {
    const ADMIN: &str = "token-of-the-admin-01";
    const AGENT: &str = "token-of-an-agent-001";
    block_on(async {
        let sandbox = Sandbox::builder(rapport::modules);
        let sandbox = sandbox.token(ADMIN, "shop", "users/mara", &["admin"]);
        let office = Office::of(sandbox.token(AGENT, "shop", "users/ana", &["agent"])).await;
        let run = |token: &str, file: &Path, more: &[&str]| {
            let output = office.run(&[&["import", "parties", "FILE", "--token", token], more].concat(), file);
            let said = text(&output.stdout).lines().last().unwrap_or_default().replace("would be ", "");
            assert!(!said.is_empty(), "{}", text(&output.stderr));
            (said, output.status.code().unwrap())
        };
        let names = |token: &str| {
            let path = office.folder.path().join("now.csv");
            assert_eq!(
                office.run(&["export", "parties", "--out", "FILE", "--token", token], &path).status.code(),
                Some(0)
            );
            let mut lines: Vec<String> =
                std::fs::read_to_string(&path).unwrap().lines().skip(1).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let header = "kind,display_name,identifier.crm,lifecycle,country_code\n";
        let file = office.file(
            "mixed.csv",
            &format!("{header}individual,Ana,1,,\nindividual,Left Alone,2,restricted,BR\norganization,Acme,3,,\n"),
        );
        let rejects = office.folder.path().join("mixed.csv.rejects.csv");
        let told = ",3,lifecycle,PERMISSION_DENIED,none of the caller's roles grants stakeholders.parties.restrict\n";
        for more in [&["--dry-run"][..], &[]] {
            assert_eq!(run(AGENT, &file, more), (sum(2, 0, 0, 1), 3), "{more:?}");
            assert!(std::fs::read_to_string(&rejects).unwrap().ends_with(told));
        }
        let before = names(ADMIN);
        assert!(before.len() == 2 && !before.concat().contains("Left Alone"), "{before:?}");
        // Whoever may takes what is left, and then there is nothing to ask of the other.
        assert_eq!(run(ADMIN, &rejects, &["--rejects", "none.csv"]), (sum(1, 0, 0, 0), 0));
        for more in [&["--dry-run"][..], &[]] {
            assert_eq!(run(AGENT, &file, more), (sum(0, 0, 3, 0), 0), "{more:?}");
        }
        // Nor is who is there changed by half: neither the country nor the restriction comes.
        let before = names(ADMIN);
        let later =
            office.file("later.csv", &format!("{header}individual,Ana,1,restricted,PT\norganization,Acme,3,,DE\n"));
        let rejects = office.folder.path().join("later.csv.rejects.csv");
        let told = told.replace(",3,", ",2,");
        for more in [&["--dry-run"][..], &[]] {
            assert_eq!(run(AGENT, &later, more), (sum(0, 1, 0, 1), 3), "{more:?}");
            assert!(std::fs::read_to_string(&rejects).unwrap().ends_with(&told));
        }
        let after = names(ADMIN);
        let changed: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert!(changed.len() == 1 && changed[0].contains("Acme"), "{changed:?}");
        office.sandbox.stop().await;
    });
}

#[test]
fn a_killed_import_goes_on_and_doubles_nothing() {
    const ROWS: usize = 1_500;
    block_on(async {
        let office = Office::open().await;
        // Long rows make short batches: what is on its way when it is killed, which the server records, is not everything.
        let long = "x".repeat(4_000);
        let mut content = String::from("kind,display_name,identifier.crm,phone,skip\n");
        for row in 0..ROWS {
            content.push_str(&format!("individual,Somebody {row},k-{row},+1202555{row:04},{long}\n"));
        }
        let file = office.file("many.csv", &content).display().to_string();
        let address = office.sandbox.address("stakeholders").to_string();
        let mut child = command(&["import", "parties", &file, "--address", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut there = 0;
        while there == 0 {
            there = office.parties().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let there = office.parties().await;
        assert!(there < ROWS, "it was killed on the way");
        let (said, code) = office.import("parties", Path::new(&file));
        assert_eq!(code, 0, "{said}");
        assert_eq!(office.parties().await, ROWS);
        assert!(said.ends_with("updated 0, unchanged 0, rejected 0") == (there == 0), "{there} were there: {said}");
        assert_eq!(office.import("parties", Path::new(&file)), (sum(0, 0, ROWS as u32, 0), 0));
        office.sandbox.stop().await;
    });
}
