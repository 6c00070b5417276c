use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rapport_events::{Cursors, run_with};
use rapport_testkit::cluster::{Cluster, Stop};
use rapport_testkit::place::StorePlace;
use rapport_testkit::{block_on, each_store, size};
use tokio_util::sync::CancellationToken;

use crate::house::*;

/// Drops a future's work after it was polled so often: each count is another await point.
struct Polls<F> {
    future: Pin<Box<F>>,
    left: u32,
}

impl<F: Future<Output = ()>> Future for Polls<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.left -= 1;
        let polled = self.future.as_mut().poll(context);
        if self.left == 0 { Poll::Ready(()) } else { polled }
    }
}

each_store! {
    /// Killed at its first, second, third … await point while events arrive.
    async fn fault_a_consumer_killed_at_each_await_point_applies_once(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let source = feed(&told);
        // The pools connect first: a consumer that is always killed while connecting would get nowhere.
        tell(&told, 0, 10).await;
        let warm = start(&Scribe::default(), &heard, source.clone());
        caught_up(&warm.cursors, 10).await;
        warm.stop().await;
        let (least, most) = (size::pick(150, 3000), size::pick(3000, 30_000));
        let (mut rounds, mut killed, mut halfway) = (0, 0, 0);
        // How many polls one batch takes differs from machine to machine: the reach grows until work gets done between kills.
        while rounds < least || halfway <= 100 {
            rounds += 1;
            assert!(rounds <= most, "vacuous: {killed} kills, {halfway} events");
            tell(&told, i64::from(rounds), 10).await;
            let cursors = Cursors::new(heard.clone());
            let running = run_with(
                quick(),
                Scribe::default(),
                heard.clone(),
                Arc::new(source.clone()),
                cursors,
                CancellationToken::new(),
            );
            let polls = Polls { future: Box::pin(running), left: 1 + rounds % (12 + rounds / 10) };
            // Late ones find it idle, with all events applied.
            let cut = tokio::time::timeout(Duration::from_millis(40), polls).await;
            killed += u32::from(cut.is_ok());
            if rounds >= least {
                halfway = effects(&heard).await.len();
            }
        }
        eprintln!("{killed} of {rounds} were killed at work; {halfway} events were applied by then");
        assert!(killed > least / 4, "vacuous: {killed} kills, {halfway} events");
        let running = start(&Scribe::default(), &heard, source);
        let told = 10 + i64::from(rounds) * 10;
        caught_up(&running.cursors, told).await;
        running.stop().await;
        assert_each_once(&effects(&heard).await, told);
    }

    /// Aborted at random times under load.
    async fn fault_a_consumer_aborted_under_load_applies_once(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let source = feed(&told);
        let batches = size::pick(150, 5000);
        let telling = tokio::spawn({
            let told = told.clone();
            async move {
                for n in 0..batches {
                    tell(&told, n, 10).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        let mut kills = 0;
        let mut telling = pin!(telling);
        loop {
            let running = start(&Scribe::default(), &heard, source.clone());
            let micros = 500 + (kills * 7919) % 17_000;
            tokio::select! {
                told = &mut telling => {
                    told.unwrap();
                    running.task.abort();
                    break;
                }
                () = tokio::time::sleep(Duration::from_micros(micros)) => running.task.abort(),
            }
            kills += 1;
        }
        assert!(kills >= 20, "vacuous: only {kills} kills");
        let running = start(&Scribe::default(), &heard, source);
        caught_up(&running.cursors, batches * 10).await;
        running.stop().await;
        assert_each_once(&effects(&heard).await, batches * 10);
    }

    /// On PostgreSQL two processes' worth of stores, on SQLite (one process per folder) two consumers of one store.
    async fn fault_two_replicas_fence_each_other(place: StorePlace) {
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let second = if place.is_postgres() { listener(&place).await } else { heard.clone() };
        let least = size::pick(2000, 100_000);
        tell(&told, 0, 500).await;
        let replicas = [
            start(&Scribe::default(), &heard, feed(&told)),
            start(&Scribe::default(), &second, feed(&told)),
        ];
        let fenced = || replicas.iter().map(|replica| replica.cursors.progress()[0].fenced).sum::<u64>();
        let mut events = 500;
        // On a slow machine one may be done before the other begins: they get more until they have met.
        while events < least || fenced() == 0 {
            assert!(events < least * 20, "vacuous: the replicas never met");
            tell(&told, events / 10, 500).await;
            events += 500;
            if events >= least {
                for replica in &replicas {
                    // Each knows what the other applied.
                    caught_up(&replica.cursors, events).await;
                }
            }
        }
        let [one, two] = replicas;
        one.stop().await;
        // The one that is left goes on alone.
        tell(&told, events / 10, 100).await;
        caught_up(&two.cursors, events + 100).await;
        two.stop().await;
        assert_each_once(&effects(&heard).await, events + 100);
    }
}

/// The database of both is stopped as in a crash, again and again, while events are told.
#[test]
fn fault_a_database_that_crashes_delays_and_loses_nothing() {
    block_on(async {
        let mut cluster = Cluster::start();
        let place = StorePlace::in_database(cluster.database().await);
        let (told, heard) = (teller(&place).await, listener(&place).await);
        let running = start(&Scribe::default(), &heard, feed(&told));
        let rounds = size::pick(3, 50);
        for round in 0..rounds {
            tell(&told, round * 20, 100).await;
            cluster.stop(Stop::Immediate);
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.start_again();
            // Whoever tells has to retry; what comes after is a new set of versions either way.
            let deadline = Instant::now() + Duration::from_secs(20);
            while told.run(Tell(Vec::new())).await.is_err() {
                assert!(Instant::now() < deadline, "the store did not recover");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tell(&told, round * 20 + 10, 100).await;
            caught_up(&running.cursors, (round + 1) * 200).await;
        }
        running.stop().await;
        assert_each_once(&effects(&heard).await, rounds * 200);
    });
}
