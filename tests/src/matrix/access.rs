//! Method x caller x tenant: nothing is reachable without a permission, nothing of another tenant is readable.

use rapport_testkit::Code;
use rapport_testkit::asserts::reason;

use rapport_testkit::sandbox::SandboxBuilder;

use crate::examples::example;
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
        let cast = house.cast(house::ACME).await;
        let mut refused = 0;
        for method in raw::methods() {
            let channel = house.channel_of(&method);
            let permission = rapport_proto::contract::permission(&raw::path(&method)).expect("every method has one");
            let body = raw::encode(&method, &example(method.full_name(), &cast));
            for (token, granted) in [(house::NOBODY, false), (house::READER, permission.ends_with(".read")), (house::ACME, true)] {
                let answer = raw::call(&channel, &method, Some(token), body.clone()).await;
                let denied = answer.as_ref().err().is_some_and(|status| status.code() == Code::PermissionDenied);
                assert_eq!(denied, !granted, "{} as {token}: {answer:?}", method.full_name());
                refused += usize::from(denied);
            }
        }
        assert!(refused > raw::methods().len(), "the matrix refused too little to mean anything");
        house.close().await;
    }

    async fn another_tenants_names_are_not_there(sandbox: SandboxBuilder) {
        let house = House::open(sandbox).await;
        let acme = house.cast(house::ACME).await;
        let globex = house.cast(house::GLOBEX).await;
        let mut foreign = 0;
        let mut methods = raw::methods();
        // Those last that may leave something of globex under a name that acme gave.
        methods.sort_by_key(|method| house::SAYS_NOTHING.contains(&method.name()));
        for method in methods {
            let channel = house.channel_of(&method);
            let json = example(method.full_name(), &acme);
            let own = example(method.full_name(), &globex);
            let answer = raw::call(&channel, &method, Some(house::GLOBEX), raw::encode(&method, &json)).await;
            if let Ok(bytes) = &answer {
                // A number that is asked about is said back as it was read.
                let asked_for = if method.name() == "ResolveParty" { house::SENTINELS[1] } else { "" };
                for sentinel in house::SENTINELS.into_iter().filter(|sentinel| *sentinel != asked_for) {
                    assert!(
                        !bytes.windows(sentinel.len()).any(|part| part == sentinel.as_bytes()),
                        "{} told globex {sentinel:?} of acme",
                        method.full_name()
                    );
                }
            }
            if json == own {
                continue; // The example names nobody's resource.
            }
            foreign += 1;
            match answer {
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{}: {status:?}", method.full_name());
                    // The same answer as for a name that nobody has.
                    let nobodys = json.replace(&acme.party, &house::unknown("parties"))
                        .replace(&acme.other, &house::unknown("parties"))
                        .replace(&acme.interaction, &house::unknown("interactions"))
                        .replace(&acme.case, &house::unknown("cases"))
                        .replace(&acme.commitment, &house::unknown("commitments"))
                        .replace(&acme.response, "surveys/018f0000-0000-7000-8000-00000000dead/responses/018f0000-0000-7000-8000-00000000dead")
                        .replace(&acme.survey, &house::unknown("surveys"))
                        .replace(&acme.relationship, &house::unknown("relationships"));
                    let unknown = raw::call(&channel, &method, Some(house::GLOBEX), raw::encode(&method, &nobodys)).await;
                    let unknown = unknown.expect_err("an unknown name is refused");
                    assert_eq!((unknown.code(), reason(&unknown)), (status.code(), reason(&status)), "{}", method.full_name());
                }
                // Answers that may say "nothing" without saying that there is something.
                Ok(_) => assert!(
                    house::SAYS_NOTHING.contains(&method.name()),
                    "{} answered globex about acme's names",
                    method.full_name()
                ),
            }
        }
        assert!(foreign > 15, "the matrix named too few foreign resources to mean anything");
        house.close().await;
    }
}
