//! What must never be lost: crashes, cancellations, stopped databases and full disks under load.
//!
//! Every test is named `fault_…`, so that the runner gives it the machine for itself. Sizes are small here and full in
//! the soak (`RAPPORT_TEST_SIZE=full`); a run that saw too little to mean anything fails as vacuous.

mod advocacy;
mod books;
mod cancel;
mod commitments;
mod consumer;
mod crash;
mod crowd;
mod desk;
mod desk_truth;
mod disk;
mod durable;
mod load;
mod operation;
mod outage;
mod story;
