//! `rapport demo`: real purchases, invented people, one call and what comes of it.
//!
//! [`story::run`] loads the data and plays the call with generated clients alone, so it tells the same story over any
//! topology and store; [`report::Report`] is what it found out, and the cards are drawn from that.

pub mod calendar;
pub mod card;
pub mod cards;
pub mod cast;
pub mod clients;
pub mod load;
mod messages;
mod model;
pub mod next;
pub mod people;
pub mod phones;
pub mod program;
pub mod purchases;
pub mod report;
pub mod screen;
pub mod story;
mod stream_load;
pub mod trouble;
mod wire;
mod words;
