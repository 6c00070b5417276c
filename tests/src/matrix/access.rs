//! Method x caller x tenant: nothing is reachable without a permission, nothing of another tenant is readable.

use rapport_testkit::Code;
use rapport_testkit::asserts::reason;

use rapport_testkit::sandbox::SandboxBuilder;
use serde_json::json;

use crate::examples::{Cast, example};
use crate::house::{self, House};
use crate::raw;

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn nobody_gets_in_without_a_valid_token(sandbox: SandboxBuilder) {
        let house = House::open(sandbox).await;
        let mut texts = std::collections::BTreeSet::new();
        for method in raw::methods() {
            let channel = house.channel_of(&method);
            for token in [None, Some("not-a-token"), Some("")] {
                // Before any validation: an empty body would be refused for its fields.
                let status = raw::call(&channel, &method, token, bytes::Bytes::new()).await.expect_err("refused");
                assert_eq!(status.code(), Code::Unauthenticated, "{} with {token:?}: {status:?}", method.full_name());
                assert_eq!(reason(&status).as_deref(), Some("UNAUTHENTICATED"));
                texts.insert(status.message().to_owned());
            }
        }
        assert_eq!(texts.len(), 1, "one text for every cause: {texts:?}");
        house.close().await;
    }

    async fn a_permission_is_needed_for_every_method(sandbox: SandboxBuilder) {
        let house = House::open(sandbox).await;
        let mut refused = 0;
        for (nobody, reader, agent, admin) in [
            (house::NOBODY, house::READER, house::AGENT, house::ACME),
            (house::GLOBEX_NOBODY, house::GLOBEX_READER, house::GLOBEX_AGENT, house::GLOBEX),
        ] {
            let cast = house.cast(admin).await;
            for method in raw::methods() {
                let channel = house.channel_of(&method);
                let permission = rapport_proto::contract::permission(&raw::path(&method)).expect("every method has one");
                let body = raw::encode(&method, &example(method.full_name(), &cast));
                let reads = permission.ends_with(".read");
                // An agent works on parties and interactions, and sees the rest.
                let works = permission.starts_with("stakeholders.") || permission.starts_with("interactions.");
                for (token, granted) in [(nobody, false), (reader, reads), (agent, reads || works), (admin, true)] {
                    let answer = raw::call(&channel, &method, Some(token), body.clone()).await;
                    let denied = answer.as_ref().err().is_some_and(|status| status.code() == Code::PermissionDenied);
                    assert_eq!(denied, !granted, "{} as {token}: {answer:?}", method.full_name());
                    refused += usize::from(denied);
                }
            }
            // What a method does only for some of those who may call it.
            let method = raw::methods().into_iter().find(|one| one.name() == "UpdateParty").expect("there");
            for lifecycle in ["RESTRICTED", "IDENTIFIED"] {
                let body = json!({
                    "party": {
                        "name": cast.party,
                        "lifecycle": format!("PARTY_LIFECYCLE_{lifecycle}"),
                        "provenance": {"reason": "asked for it"},
                    },
                    "updateMask": "lifecycle,provenance",
                });
                let body = raw::encode(&method, &body.to_string());
                for (token, granted) in [(nobody, false), (reader, false), (agent, false), (admin, true)] {
                    let answer = raw::call(&house.channel_of(&method), &method, Some(token), body.clone()).await;
                    let code = answer.as_ref().err().map(tonic::Status::code);
                    let expected = if granted { None } else { Some(Code::PermissionDenied) };
                    assert_eq!(code, expected, "to {lifecycle} as {token}: {answer:?}");
                }
            }
        }
        assert!(refused > 3 * raw::methods().len(), "the matrix refused too little to mean anything");
        house.close().await;
    }

    async fn another_tenants_names_are_not_there(sandbox: SandboxBuilder) {
        let house = House::open(sandbox).await;
        let acme = house.cast(house::ACME).await;
        let globex = house.cast(house::GLOBEX).await;
        nothing_foreign(&house, (house::GLOBEX, &globex), (&acme, house::SENTINELS)).await;
        nothing_foreign(&house, (house::ACME, &acme), (&globex, house::GLOBEX_SENTINELS)).await;
        house.close().await;
    }
}

/// Asks every method as one tenant about the names of another, whose personal values are never told.
async fn nothing_foreign(house: &House, (asker, mine): (&str, &Cast), (theirs, sentinels): (&Cast, [&str; 3])) {
    let mut foreign = 0;
    let mut methods = raw::methods();
    // Those last that may leave something of the asker's under a name that the other gave.
    methods.sort_by_key(|method| house::SAYS_NOTHING.contains(&method.name()));
    for method in methods {
        let name = method.full_name().to_owned();
        let channel = house.channel_of(&method);
        let json = example(method.full_name(), theirs);
        let own = example(method.full_name(), mine);
        let answer = raw::call(&channel, &method, Some(asker), raw::encode(&method, &json)).await;
        if let Ok(bytes) = &answer {
            // A number that is asked about is said back as it was read.
            let asked_for = if method.name() == "ResolveParty" { sentinels[1] } else { "" };
            for sentinel in sentinels.into_iter().filter(|sentinel| *sentinel != asked_for) {
                let told = bytes.windows(sentinel.len()).any(|part| part == sentinel.as_bytes());
                assert!(!told, "{name} told {asker} {sentinel:?}");
            }
        }
        if json == own {
            continue; // The example names nobody's resource.
        }
        foreign += 1;
        match answer {
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{name} as {asker}: {status:?}");
                // The same answer as for a name that nobody has.
                let nobodys = json
                    .replace(&theirs.party, &house::unknown("parties"))
                    .replace(&theirs.other, &house::unknown("parties"))
                    .replace(&theirs.interaction, &house::unknown("interactions"))
                    .replace(&theirs.case, &house::unknown("cases"))
                    .replace(&theirs.commitment, &house::unknown("commitments"))
                    .replace(
                        &theirs.response,
                        "surveys/018f0000-0000-7000-8000-00000000dead/responses/018f0000-0000-7000-8000-00000000dead",
                    )
                    .replace(&theirs.survey, &house::unknown("surveys"))
                    .replace(&theirs.relationship, &house::unknown("relationships"));
                let unknown = raw::call(&channel, &method, Some(asker), raw::encode(&method, &nobodys)).await;
                let unknown = unknown.expect_err("an unknown name is refused");
                assert_eq!((unknown.code(), reason(&unknown)), (status.code(), reason(&status)), "{name} as {asker}");
            }
            // Answers that may say "nothing" without saying that there is something.
            Ok(_) => {
                assert!(house::SAYS_NOTHING.contains(&method.name()), "{name} answered {asker} about foreign names");
            }
        }
    }
    assert!(foreign > 15, "the matrix named too few foreign resources to mean anything");
}
