//! Servers and clients: over pipes in memory, and with jsonrpsee as the peer.

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod broadcast;
mod busy;
mod client_events;
mod closing;
mod credentials;
mod credentials_expiry;
mod deflate;
mod delivery;
mod dialogue;
mod differing_peers;
mod drain;
mod extremes;
mod framed;
mod handler_errors;
mod jsonrpc;
mod jsonrpsee;
mod languages;
mod lifecycle;
mod panics;
mod peer_text;
mod queue_state;
mod receipts;
mod reconnecting;
mod refusals;
mod resume;
mod resume_clients;
mod resume_ends;
mod resume_hostile;
mod resume_losses;
mod resume_random;
mod retries;
mod rooms;
mod rooms_model;
mod seed_bugs;
mod settings;
mod shutdowns;
mod slow_peer;
mod stamps;
mod targets;
mod undelivered;
mod unsent;
mod wakers;
