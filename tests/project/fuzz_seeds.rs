//! Runs each fuzz target of `fuzz/` on its committed seeds.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

/// Runs a target on each of its seeds.
fn all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for seed in fs::read_dir(&folder).unwrap() {
        let path = seed.unwrap().path();
        let data = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| run(&data)).is_err() {
            panic!("the target fails on {}", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "{target} has no seeds");
}

#[test]
fn frames_are_the_same_however_they_arrive() {
    all("frame_decoder", targets::frame_decoder::run);
}

#[test]
fn compressed_messages_keep_to_the_limits() {
    all("messages_deflate", targets::messages_deflate::run);
}

#[test]
fn requests_are_answered() {
    all("requests", targets::requests::run);
}

#[test]
fn responses_are_verified() {
    all("responses", targets::responses::run);
}

#[test]
fn drivers_come_to_an_end() {
    all("driver", targets::driver::run);
}

#[test]
fn messages_unpack_to_what_packs() {
    all("codecs", targets::codecs::run);
}

#[test]
fn servers_of_drafts_say_the_same_however_it_arrives() {
    all("drafts", targets::drafts::run);
}

#[test]
fn proxies_open_tunnels_or_fail() {
    all("proxy_reply", targets::proxy_reply::run);
}

#[test]
fn what_a_trusted_proxy_appends_is_believed() {
    all("forwarded", targets::forwarded::run);
}
