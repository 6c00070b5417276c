use std::future::Future;

/// Runs a test's future on a runtime of its own with two workers, as `#[tokio::test]` would.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Runs each test on SQLite and on PostgreSQL.
///
/// ```ignore
/// each_store! {
///     async fn positions_are_dense(place: StorePlace) { … }
/// }
/// ```
/// makes `positions_are_dense::sqlite` and `positions_are_dense::postgres`.
#[macro_export]
macro_rules! each_store {
    ($($(#[$meta:meta])* async fn $name:ident($place:ident: $type:ty) $body:block)+) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn test($place: $type) $body

                #[test]
                fn sqlite() {
                    $crate::block_on(async { test($crate::place::StorePlace::sqlite()).await });
                }

                #[test]
                fn postgres() {
                    $crate::block_on(async { test($crate::place::StorePlace::postgres().await).await });
                }
            }
        )+
    };
}

/// Runs each test on {SQLite, PostgreSQL} x {one process, separate processes}.
///
/// ```ignore
/// each_world! {
///     modules = rapport::modules;
///     async fn a_party_is_found_again(sandbox: SandboxBuilder) {
///         let sandbox = sandbox.start().await;
///         …
///     }
/// }
/// ```
/// makes `a_party_is_found_again::{sqlite_one_process, sqlite_processes, postgres_one_process, postgres_processes}`.
/// `modules` is a path to a `fn() -> Vec<Box<dyn Module>>`.
#[macro_export]
macro_rules! each_world {
    (modules = $modules:path; $($(#[$meta:meta])* async fn $name:ident($sandbox:ident: $type:ty) $body:block)+) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn test($sandbox: $type) $body

                fn on(store: $crate::sandbox::StoreKind, topology: $crate::sandbox::Topology) {
                    $crate::block_on(async move {
                        test($crate::sandbox::Sandbox::builder($modules).store(store).topology(topology)).await;
                    });
                }

                #[test]
                fn sqlite_one_process() {
                    on($crate::sandbox::StoreKind::Sqlite, $crate::sandbox::Topology::OneProcess);
                }

                #[test]
                fn sqlite_processes() {
                    on($crate::sandbox::StoreKind::Sqlite, $crate::sandbox::Topology::Processes);
                }

                #[test]
                fn postgres_one_process() {
                    on($crate::sandbox::StoreKind::Postgres, $crate::sandbox::Topology::OneProcess);
                }

                #[test]
                fn postgres_processes() {
                    on($crate::sandbox::StoreKind::Postgres, $crate::sandbox::Topology::Processes);
                }
            }
        )+
    };
}
