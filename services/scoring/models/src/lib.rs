//! The mathematics of scoring. Nothing here knows of services, stores or the network, and nothing reads a clock: every
//! answer is a function of its arguments, the same bits on every machine.
//!
//! [`clv`] holds customer lifetime value: probability models of who is still a customer, how much they will buy and
//! what it brings, with their fitting.
//!
//! [`decayed`] holds the decayed mean that relationship scores are: evidence that halves in weight with every
//! half-life, shrunk towards a prior, kept as exact integer sums.

#![forbid(unsafe_code)]

pub mod clv;
pub mod decayed;
