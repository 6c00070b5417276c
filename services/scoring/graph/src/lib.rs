//! Graphs of relationships, and what they say of those in them. Nothing here knows of services, stores or the network, and
//! nothing reads a clock: every answer is a function of its arguments.
//!
//! [`Graph`] is a compressed sparse row: for each node the nodes it leads to, in one flat list of `u32`. A million ties take
//! 32 MB, and a pass over all of them is a pass over memory in order. [`pagerank`] is such passes until nothing moves any
//! more; [`places`] turns its values into who stands where.
//!
//! **The same answer for the same graph.** Edges are sorted and parallel ones added up in that order, so the bits of an
//! answer depend on the graph and on how its nodes are numbered, not on the order in which edges were given. Another
//! numbering adds the same numbers in another order: answers then agree to about 1e-15, not to the bit. That is what
//! `places` calls equal.

#![forbid(unsafe_code)]

mod csr;
mod pagerank;
mod place;

pub use csr::{Edge, Graph, GraphError};
pub use pagerank::{PageRank, Ranked, pagerank};
pub use place::{Place, places};
