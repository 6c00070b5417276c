#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::Uuid;

use super::context::{About, Book};
use crate::domain::{Medium, SectionKind};
use crate::fixture::{call, context};
use crate::queries::{Heard, Standing};
use crate::store::{Held, Known};
use crate::workers::Memory;

/// A section with one score.
fn section(value_micros: i64) -> proto::ScoreSection {
    let score = proto::ContextScore { value_micros, ..proto::ContextScore::default() };
    proto::ScoreSection { status: None, scores: vec![score] }
}

each_store! {
    async fn what_a_feed_was_heard_to_speak_of_is_asked_for(place: StorePlace) {
        let cx = context(&place).await;
        let (call, memory, party) = (call("acme"), Memory::default(), Uuid::from_u128(1));
        let until = Instant::now() + Duration::from_secs(60);
        let about = About {
            cx: &cx, memory: &memory, call: &call, at_least: None, party: Some(party), medium: Medium::Phone, purposes: &[], until,
        };
        let key = about.key(party, SectionKind::Scores, "");
        let known = Known { position: 4, as_of: cx.world.now(), plain: section(1).encode_to_vec() };
        let book = Book::from([(key.clone(), Held { known: Some(known), wanted: 4 })]);
        let standing = Standing { position: 9, unknown: false, away: String::new(), lagging: false, reached: true };
        let told = async |standing: &Standing, said: bool| {
            let ask = || async move { if said { Heard::Said(section(2)) } else { Heard::Late } };
            let told = about.told(&book, standing, "", |_: &proto::ScoreSection| true, ask).await;
            let status = told.section.status.as_ref().unwrap();
            (told.section.scores[0].value_micros, status.state(), status.position, told.keep.map(|(_, known)| known.position))
        };
        use proto::SectionState::{Fresh, Stale};
        assert_eq!(told(&standing, true).await, (1, Fresh, 9, None));
        // The feed goes on; the consumer has not applied it yet.
        memory.scoring.begin(9);
        memory.scoring.note(11, vec![party]);
        assert_eq!(told(&standing, true).await, (2, Fresh, 11, Some(11)));
        let (value, state, position, kept) = told(&standing, false).await;
        assert_eq!((value, position, kept), (1, 4, None));
        assert_ne!(state, Fresh, "what is known to lack something is marked");
        // Once it has, its rows tell, and they say nothing of the kind.
        assert_eq!(told(&Standing { position: 11, ..standing.clone() }, true).await, (1, Fresh, 11, None));
        let away = Standing { away: "gone".to_owned(), ..standing.clone() };
        assert_eq!(told(&away, true).await, (1, Stale, 4, None));
        cx.store.close().await;
    }
}
