//! The other side of the connector, true to the protocols of Asterisk 22: its ARI (websocket and REST), its FastAGI
//! client, a PBX that asks a URL, and Rapports that are down or hang.
#![allow(dead_code)]

pub(crate) mod agi;
pub(crate) mod asterisk;
pub(crate) mod rapport;

pub(crate) mod web;
