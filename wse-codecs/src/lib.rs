//! wse-codecs
