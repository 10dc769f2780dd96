//! Several servers in one process that are one cluster, over a backplane in memory, in virtual time.

mod directory;
mod messages;
mod outages;
mod overload;
mod support;
