//! Matrices generated from the descriptors: every method against bad input, roles and tenants.

mod access;
mod bad_input;
mod mutate;
