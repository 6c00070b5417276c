//! Method x field x boundary value, and bytes that are no message: always a precise refusal, never INTERNAL, never a hang.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use rapport_testkit::asserts::{reason, violations};
use rapport_testkit::{Code, size};
use tonic::Status;

use super::mutate::mutants;
use rapport_testkit::sandbox::{SandboxBuilder, Topology};

use crate::examples::example;
use crate::house::{self, House};
use crate::raw;

/// Reasons that say what is wrong of a whole request and need no field beside them.
const WHOLE: &[&str] =
    &["INVALID_PAGE_TOKEN", "INVALID_FILTER", "INVALID_CURSOR", "INVALID_ORDER_BY", "UNDECODABLE_MESSAGE"];

/// What is wrong with an answer to a wrong request, if anything.
fn fault(method: &MethodDescriptor, surely_invalid: bool, answer: &Result<Bytes, Status>) -> Option<String> {
    let Err(status) = answer else {
        // A stream and a batch report an item's fault within their answer.
        let per_item = ["StreamInteractions", "BatchRecordInteractions", "BatchCreateParties"].contains(&method.name());
        return (surely_invalid && !per_item).then(|| "was accepted".to_owned());
    };
    if matches!(
        status.code(),
        Code::Internal | Code::Unknown | Code::Unavailable | Code::DeadlineExceeded | Code::DataLoss
    ) {
        return Some(format!("{status:?}"));
    }
    let Some(reason) = reason(status) else { return Some(format!("no reason in {status:?}")) };
    if let Some(leak) = ["SELECT ", "INSERT ", "sqlx", "sea_orm", "sqlite", "postgres", ".rs:"]
        .iter()
        .find(|leak| status.message().contains(**leak))
    {
        return Some(format!("leaks {leak:?}: {}", status.message()));
    }
    if status.code() != Code::InvalidArgument {
        return surely_invalid.then(|| format!("{:?} {reason}: {}", status.code(), status.message()));
    }
    let told = violations(status);
    if told.is_empty() && !WHOLE.contains(&reason.as_str()) {
        return Some(format!("no violations in {status:?}"));
    }
    told.iter().any(|(field, text)| field.is_empty() || text.is_empty()).then(|| format!("{told:?}"))
}

/// Every other of them, and the rest where services are apart: what is refused does not depend on that, so that the two
/// share the work. All of them in the full size.
fn share<T>(mutants: Vec<T>, apart: bool) -> Vec<T> {
    let every = size::pick(2, 1);
    mutants.into_iter().skip(usize::from(apart) % every).step_by(every).collect()
}

rapport_testkit::each_world! {
    modules = rapport::modules;

    async fn every_field_refuses_what_it_cannot_hold(sandbox: SandboxBuilder) {
        let apart = sandbox.topology_kind() == Topology::Processes;
        let house = House::open(sandbox).await;
        let cast = house.cast(house::ACME).await;
        let (mut tried, mut refused, mut wrong) = (0, 0, Vec::new());
        for method in raw::methods() {
            let channel = house.channel_of(&method);
            let example = raw::dynamic(&method, &example(method.full_name(), &cast));
            // Several at a time, for what is accepted waits for a disk.
            let answers = stream::iter(share(mutants(&example), apart)).map(async |mutant| {
                let message = mutant.message.encode_to_vec().into();
                let started = Instant::now();
                let answer = raw::call(&channel, &method, Some(house::ACME), message).await;
                (mutant, answer, started.elapsed())
            });
            let answers: Vec<_> = answers.buffered(16).collect().await;
            for (mutant, answer, took) in answers {
                tried += 1;
                refused += usize::from(answer.as_ref().is_err_and(|status| status.code() == Code::InvalidArgument));
                let fault = if took > Duration::from_secs(10) {
                    Some(format!("took {took:?}"))
                } else {
                    fault(&method, mutant.surely_invalid, &answer)
                };
                wrong.extend(fault.map(|fault| format!("{}: {}: {fault}", method.full_name(), mutant.what)));
            }
        }
        assert!(wrong.is_empty(), "{} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert!(tried > 400 && refused > 150, "tried {tried}, refused {refused}: too few to mean anything");
        house.close().await;
    }

    async fn bytes_that_are_no_message_are_refused(sandbox: SandboxBuilder) {
        let house = House::open(sandbox).await;
        // A small generator of our own, so that a failure can be repeated.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for method in raw::methods() {
            let channel = house.channel_of(&method);
            for broken in [Bytes::from_static(b"\xff\xff\xff\xff"), Bytes::from_static(b"\x0a\x05ab"), Bytes::from_static(b"\x0a\x02\xc3\x28")] {
                let status = raw::call(&channel, &method, Some(house::ACME), broken.clone()).await.expect_err("refused");
                assert_eq!(status.code(), Code::InvalidArgument, "{} with {broken:?}: {status:?}", method.full_name());
            }
            for _ in 0..size::pick(20, 2_000) {
                let length = usize::try_from(next() % 64).expect("small");
                let garbage: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[0]).collect();
                if let Err(status) = raw::call(&channel, &method, Some(house::ACME), garbage.clone().into()).await {
                    assert!(
                        !matches!(status.code(), Code::Internal | Code::Unknown),
                        "{} with {garbage:?}: {status:?}",
                        method.full_name()
                    );
                }
            }
        }
        house.close().await;
    }
}
