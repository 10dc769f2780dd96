//! wse-proto
