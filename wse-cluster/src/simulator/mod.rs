//! The cluster in virtual time, against a model of what must hold: nodes, their servers and a broker, with messages that are
//! late, lost and doubled, nodes that crash, stop and go on, and a broker that hangs, cuts connections and forgets.
//!
//! Each run follows from its seed alone. `SEED=7 cargo test -p wse-cluster --lib simulator` runs one again, and prints what
//! happens. `SEEDS=1000000` runs so many.

mod acts;
mod broker;
mod checks;
mod driving;
mod network;
mod random;
mod world;

use world::World;

const SEEDS: u64 = if cfg!(debug_assertions) { 300 } else { 20_000 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().expect("a number"))
}

#[test]
fn promises_hold_through_faults() {
    if let Some(seed) = number("SEED") {
        return World::new(seed, true).run();
    }
    let (first, seeds) = (number("FIRST_SEED").unwrap_or(1), number("SEEDS").unwrap_or(SEEDS));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (first + thread..first + seeds).step_by(threads as usize) {
                    let run = std::panic::catch_unwind(|| World::new(seed, false).run());
                    if run.is_err() {
                        panic!(
                            "run it again: SEED={seed} cargo test -p wse-cluster --lib simulator"
                        );
                    }
                }
            });
        }
    });
}
