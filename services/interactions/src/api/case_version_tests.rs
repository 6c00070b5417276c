//! Each change of a case is a version of its own, also where two of them meet. The meeting is made, not waited for: one
//! change holds the case until the other one is known to wait for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use async_trait::async_trait;
use rapport_proto::interactions::v1 as proto;
use rapport_proto::interactions::v1::case_service_server::CaseService;
use rapport_server::Context;
use rapport_store::{Outbox, Sql, StoreError, Tx, Work};
use rapport_testkit::each_store;
use rapport_testkit::place::StorePlace;
use rapport_types::Uuid;
use rapport_types::etag::Etag;
use tokio::sync::Notify;

use super::Cases;
use super::conversation_tests::{Line, NUMBER, leg, missed};
use crate::domain::CaseName;
use crate::events::{holder, learn};
use crate::fixture::{context, request};

/// A change of a case that is made, and not yet committed before it is told to go on.
struct Held {
    case: Uuid,
    made: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl Work for Held {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        let text = "UPDATE case_file SET version = version + 1 WHERE id = ";
        Sql::new(tx.db(), text).bind(self.case).execute(tx.db()).await?;
        self.made.notify_one();
        self.go_on.notified().await;
        Ok(())
    }
}

/// Until a transaction of this database waits for a row of another one.
async fn somebody_waits(cx: &Context) {
    let db = cx.store.reader();
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
                   AND wait_event = 'transactionid'";
    while Sql::new(db, waiting).one(db).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

/// A change while another one holds the case.
async fn meets<T>(
    place: &StorePlace,
    (line, other): (&Line, &Context),
    case: &str,
    change: impl Future<Output = T>,
) -> T {
    let case = CaseName::parse(case).unwrap().uuid();
    let (made, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = other.store.run(Held { case, made: Arc::clone(&made), go_on: Arc::clone(&go_on) });
    let changed = async {
        made.notified().await;
        if !place.is_postgres() {
            // One writer: whoever comes after it sees what it made.
            go_on.notify_one();
            return change.await;
        }
        let seen = async {
            somebody_waits(&line.cx).await;
            go_on.notify_one();
        };
        futures::join!(change, seen).0
    };
    let (held, changed) = futures::join!(held, changed);
    held.unwrap();
    changed
}

each_store! {
    async fn changes_that_meet_are_versions_of_their_own(place: StorePlace) {
        let line = Line::open(&place).await;
        let other = if place.is_postgres() { context(&place).await } else { line.cx.clone() };
        let cases = Cases::new(line.cx.clone());
        learn(&line.cx, &[holder(1, &[(NUMBER, false)])]).await;
        let name = line.end(missed(leg("1", "a", NUMBER), 20)).await.case;
        let etag = async || {
            let message = proto::GetCaseRequest { name: name.clone() };
            cases.get_case(request("acme", message)).await.unwrap().into_inner().etag
        };
        assert_eq!(etag().await, Etag::of(1).to_string());

        let assignee = Some(proto::Assignee { to: Some(proto::assignee::To::User("users/abe".to_owned())) });
        let message = proto::AssignCaseRequest { name: name.clone(), assignee, ..Default::default() };
        let given = meets(&place, (&line, &other), &name, cases.assign_case(request("acme", message))).await.unwrap().into_inner();
        assert_eq!((given.etag, etag().await), (Etag::of(3).to_string(), Etag::of(3).to_string()));

        let status = proto::CaseStatus::InProgress.into();
        let message = proto::TransitionCaseRequest { name: name.clone(), status, ..Default::default() };
        let moved =
            meets(&place, (&line, &other), &name, cases.transition_case(request("acme", message))).await.unwrap().into_inner();
        assert_eq!((moved.etag, etag().await), (Etag::of(5).to_string(), Etag::of(5).to_string()));

        let again = meets(&place, (&line, &other), &name, line.end(missed(leg("2", "a", NUMBER), 30))).await;
        assert_eq!((again.case.as_str(), etag().await), (name.as_str(), Etag::of(7).to_string()));
        let linked = line.published::<proto::CaseLinked>().await;
        assert_eq!((linked.len(), linked[0].version, linked[0].case.as_str()), (1, 7, name.as_str()));
        // The history has a step for each version that was made here.
        use proto::CaseEventKind::{Assigned, Linked, Opened, Transitioned};
        let message = proto::ListCaseEventsRequest { case: name, ..Default::default() };
        let steps = cases.list_case_events(request("acme", message)).await.unwrap().into_inner().case_events;
        let told: Vec<_> = steps.iter().map(|step| (step.version, step.kind(), step.interaction.as_str())).collect();
        let joined = again.interaction.as_str();
        assert_eq!(told, [(1, Opened, ""), (3, Assigned, ""), (5, Transitioned, ""), (7, Linked, joined)]);
        let last = &steps[3];
        assert_eq!((last.from(), last.to()), (proto::CaseStatus::InProgress, proto::CaseStatus::InProgress));
        assert_eq!((last.principal.as_str(), last.party.as_str(), &last.assignee), ("users/ana", "", &None));
        assert!(last.recorded_time.is_some() && last.recorded_time == last.occurred_time);
        other.store.close().await;
        line.cx.store.close().await;
    }
}
