//! Sessions whose sockets are cut at random bytes, again and again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use wse_proto::session::ResumeLimits;

use super::world::World;

/// How many cuts there are: `RESUME_CUTS`, or so many that a test without optimisation takes a few seconds.
fn cuts() -> usize {
    let cuts = std::env::var("RESUME_CUTS").ok().and_then(|cuts| cuts.parse().ok());
    cuts.unwrap_or(if cfg!(debug_assertions) { 10_000 } else { 100_000 })
}

/// One session, or several when it is lost, over sockets that are cut about this often.
fn live(world: &mut World, often: usize) {
    for _ in 0..600 {
        match world.random.below(12) {
            0..=3 => world.act(),
            4..=6 => {
                let most = world.random.below(8);
                world.write(most);
            }
            7 => {
                let bytes = world.random.below(900);
                world.deliver_up(bytes);
            }
            8 => {
                let bytes = world.random.below(900);
                world.deliver_down(bytes);
            }
            9 => {
                // Rarely so long that the window ends.
                let longest = if world.random.one_in(60) { 15_000 } else { 1500 };
                let millis = world.random.next() % longest;
                world.pass(Duration::from_millis(millis));
            }
            10 => {
                world.dial();
                for _ in 0..world.random.below(4) {
                    world.write(20);
                    world.deliver_up(usize::MAX);
                    world.deliver_down(usize::MAX);
                }
            }
            _ => world.dial(),
        }
        if world.random.one_in(often) {
            let [up, down] = world.bytes_under_way();
            let (up, down) = (world.random.below(up + 1), world.random.below(down + 1));
            let notices = world.random.one_in(2);
            world.cut(up, down, notices);
        }
        if world.random.one_in(20) {
            world.notice_all();
        }
    }
    world.finish();
}

/// After `full` nothing is missing, doubled or out of order, in either direction. `partial` names exactly what is missing.
/// Every call and receipt ends once, and no receipt is settled for what has not arrived. `World` checks all of it.
#[test]
fn sessions_survive_cuts_at_random_bytes() {
    let (mut seed, mut done, mut outcomes) = (1, 0, [0; 3]);
    while done < cuts() {
        let ring = [300, 1000, 10_000][seed as usize % 3];
        let limits = ResumeLimits::default()
            .window(Duration::from_secs(10))
            .ring_bytes(ring)
            .ring_messages([5, 1000][seed as usize / 3 % 2]);
        let mut world = World::new(seed, limits);
        let often = [6, 25, 60][seed as usize / 6 % 3];
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| live(&mut world, often))) {
            eprintln!("the seed is {seed}");
            resume_unwind(panic);
        }
        done += world.cuts;
        for (all, outcome) in outcomes.iter_mut().zip(world.outcomes) {
            *all += outcome;
        }
        seed += 1;
    }
    let [full, partial, none] = outcomes;
    println!("{done} cuts, {seed} worlds: {full} full, {partial} partial, {none} none");
    assert!(full > done / 10 && partial > done / 100 && none > done / 2000, "{outcomes:?}");
}
