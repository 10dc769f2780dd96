//! The page about clusters, as a doc test.

#[doc = include_str!("../../docs/cluster.md")]
struct Cluster;
