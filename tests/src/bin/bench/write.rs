//! S2: RecordInteraction against one transaction per request, StreamInteractions against raw 1000-row INSERT.

use rapport_testkit::place::StorePlace;
use rapport_testkit::postgres::TestDatabase;

use crate::host::{Host, Side};
use crate::naive::{Naive, connect};
use crate::raw::{self, Shape};
use crate::{Plan, load, median};

/// An empty place for a side.
pub(crate) async fn place(admin: Option<&str>) -> StorePlace {
    match admin {
        Some(url) => StorePlace::in_database(TestDatabase::create_on(url).await),
        None => StorePlace::sqlite(),
    }
}

/// What the back end is called.
pub(crate) fn store(admin: Option<&str>) -> &'static str {
    if admin.is_some() { "PostgreSQL" } else { "SQLite" }
}

/// Ours and the baseline by turns, at each number of calls in flight.
pub(crate) async fn unary(plan: &Plan, admin: Option<&str>) {
    println!("\nRecordInteraction, durable before the reply, {} (medians of {} rounds)", store(admin), plan.rounds);
    println!(
        "{:>9} {:>11} {:>11} {:>7} {:>15} {:>15} {:>19}",
        "in flight", "ours/s", "naive/s", "ratio", "ours p50/p99 ms", "naive p50/p99", "CPU us ours/naive"
    );
    let ours = Host::start(Side::Ours, place(admin).await).await;
    let naive = Host::start(Side::Naive, place(admin).await).await;
    // Every party has had an interaction before: the first one makes its key, a row that the baseline does not have.
    load::acquaint(&ours.address).await;
    let database = Naive::new(&naive.place().data().join("all"), naive.place().url()).await;
    raw::fill(database.connection(), shape_of(&ours).await, load::PARTIES).await;
    drop(database);
    for &in_flight in &plan.in_flight {
        let mut rates: [Vec<f64>; 2] = Default::default();
        let mut cpu: [Vec<f64>; 2] = Default::default();
        let mut p50: [Vec<f64>; 2] = Default::default();
        let mut p99: [Vec<f64>; 2] = Default::default();
        for _ in 0..plan.rounds {
            for (side, host) in [&ours, &naive].into_iter().enumerate() {
                let before = host.cpu();
                let figures = load::unary(&host.address, in_flight, plan.length).await;
                rates[side].push(figures.rate);
                cpu[side].push((host.cpu() - before) / figures.count as f64 * 1e6);
                p50[side].push(figures.p50.as_secs_f64() * 1e3);
                p99[side].push(figures.p99.as_secs_f64() * 1e3);
            }
        }
        let [ours_rate, naive_rate] = rates.map(median);
        let [ours_cpu, naive_cpu] = cpu.map(median);
        let [ours_p50, naive_p50] = p50.map(median);
        let [ours_p99, naive_p99] = p99.map(median);
        println!(
            "{in_flight:>9} {ours_rate:>11.0} {naive_rate:>11.0} {:>6.2}x {:>15} {:>15} {:>19}",
            ours_rate / naive_rate,
            format!("{ours_p50:.2}/{ours_p99:.2}"),
            format!("{naive_p50:.2}/{naive_p99:.2}"),
            format!("{ours_cpu:.0}/{naive_cpu:.0}"),
        );
    }
}

/// What the interactions of a side are like.
pub(crate) async fn shape_of(host: &Host) -> Shape {
    Shape::of(&connect(&host.place().data().join("all"), host.place().url(), "interactions").await).await
}

/// Four streams against raw inserts into the same tables of another database.
pub(crate) async fn stream(plan: &Plan, admin: Option<&str>) {
    let ours = Host::start(Side::Ours, place(admin).await).await;
    // Started only to make the tables; its connection settings are the baseline's.
    let other = Host::start(Side::Naive, place(admin).await).await;
    let database = Naive::new(&other.place().data().join("all"), other.place().url()).await;
    let writers = if admin.is_some() { 2 } else { 1 };
    let (mut streamed, mut inserted, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let before = ours.cpu();
        let figures = load::stream(&ours.address, plan.length).await;
        cpu.push((ours.cpu() - before) / figures.count as f64 * 1e6);
        streamed.push(figures.rate);
        let shape = shape_of(&ours).await;
        inserted.push(raw::insert(database.connection(), shape, writers, plan.length).await.rate);
    }
    let (streamed, inserted) = (median(streamed), median(inserted));
    println!(
        "\nStreamInteractions, 4 streams of 1000-item chunks, {}: {streamed:.0} rows/s, raw 1000-row INSERT {inserted:.0} rows/s, ratio {:.2}x, CPU {:.1} us a row",
        store(admin),
        streamed / inserted,
        median(cpu),
    );
}
