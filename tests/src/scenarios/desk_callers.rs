//! Who called lately is looked for less: what is known of the number counts all the same, each time.

use rapport_proto::interactions::v1::CallMatch;
use rapport_proto::interactions::v1::get_agent_context_request::About;
use rapport_proto::stakeholders::v1::{Party, UpdatePartyRequest};
use rapport_testkit::asserts::positions;
use rapport_testkit::sandbox::SandboxBuilder;

use super::desk::{begin, caller, context_of, resolution};
use super::messages::{person, phone};
use super::stage::{ACME, Positions, Stage};

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn a_number_that_goes_to_somebody_else_leads_there(sandbox: SandboxBuilder) {
        let stage = Stage::open(sandbox).await;
        let number = "+12025550291";
        let with = |name| Party { contact_media: vec![phone(number)], ..person(name) };
        let (first, seen) = stage.party_at(with("First")).await;
        // Once it has heard of it, the own index says who it is.
        let rings = async |call_id: &str, about: &str, seen: &Positions| {
            context_of(&stage, About::Party(about.to_owned()), seen).await;
            resolution(&begin(&stage, caller(call_id, number)).await).clone()
        };
        let gives_up = async |party: &str| {
            let party = Party { name: party.into(), ..Default::default() };
            let mask = prost_types::FieldMask { paths: vec!["contact_media".into()] };
            let request =
                UpdatePartyRequest { party: Some(party), update_mask: Some(mask), ..Default::default() };
            positions(stage.parties(ACME).update_party(request).await.expect("updated").metadata())
        };
        for call in ["moves-1", "moves-2", "moves-3"] {
            let found = rings(call, &first.name, &seen).await;
            assert_eq!((found.r#match(), &found.party), (CallMatch::Resolved, &first.name), "{call}: {found:?}");
            assert_eq!(found.candidates[0].display_name, "First");
        }
        let seen = gives_up(&first.name).await;
        let found = rings("moves-4", &first.name, &seen).await;
        assert_eq!((found.r#match(), found.party.as_str()), (CallMatch::Unknown, ""), "{found:?}");

        let (second, seen) = stage.party_at(with("Second")).await;
        for call in ["moves-5", "moves-6", "moves-7"] {
            let found = rings(call, &second.name, &seen).await;
            assert_eq!((found.r#match(), &found.party), (CallMatch::Resolved, &second.name), "{call}: {found:?}");
        }
        // From one to the other, with no call between.
        let seen = gives_up(&second.name).await;
        let (third, newer) = stage.party_at(with("Third")).await;
        let found = rings("moves-8", &third.name, &seen.into_iter().chain(newer).collect()).await;
        assert_eq!((found.r#match(), &found.party), (CallMatch::Resolved, &third.name), "{found:?}");
        assert_eq!(found.candidates[0].display_name, "Third");

        let (fourth, seen) = stage.party_at(with("Fourth")).await;
        let found = rings("moves-9", &fourth.name, &seen).await;
        assert_eq!((found.r#match(), found.candidates.len()), (CallMatch::Candidates, 2), "{found:?}");
        stage.close().await;
    }
}
