//! Data that outlives a run: an hour's loading is done once, and measured again after each change.

use std::path::{Path, PathBuf};

use rapport_testkit::postgres::TestDatabase;

use crate::host::{Host, Side};

/// A folder of the caller's with the data folder of the services, the store's address and the parties' names.
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// In a folder that is made unless it is there.
    pub(crate) fn new(folder: &Path) -> Kept {
        std::fs::create_dir_all(folder).unwrap();
        Kept { folder: folder.canonicalize().unwrap() }
    }

    /// All services in one process, on what is kept or on an empty place that will be.
    pub(crate) async fn host(&self, admin: Option<&str>) -> Host {
        let address = self.folder.join("url");
        if !address.exists() {
            let url = match admin {
                Some(admin) => TestDatabase::create_on(admin).await.leave(),
                None => "sqlite".into(),
            };
            std::fs::write(&address, url).unwrap();
        }
        let url = std::fs::read_to_string(&address).unwrap();
        assert_eq!(url == "sqlite", admin.is_none(), "{} holds data of the other store", self.folder.display());
        Host::start_at(Side::Suite, &self.folder.join("data"), &url).await
    }

    /// The names of the parties, once all is loaded.
    pub(crate) fn known(&self) -> Option<Vec<String>> {
        let names = std::fs::read_to_string(self.folder.join("parties")).ok()?;
        Some(names.lines().map(str::to_owned).collect())
    }

    /// Notes that all is loaded.
    pub(crate) fn loaded(&self, known: &[String]) {
        std::fs::write(self.folder.join("parties"), known.join("\n")).unwrap();
    }
}
