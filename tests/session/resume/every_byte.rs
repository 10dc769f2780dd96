//! Sessions whose sockets are cut at every byte.

use std::time::Duration;

use wse_proto::session::ResumeLimits;

use super::world::World;

/// A session in which both sides have sent something that is under way.
fn world(seed: u64, ring: usize) -> World {
    let mut world = World::new(seed, ResumeLimits::default().ring_bytes(ring));
    for _ in 0..2 {
        world.write(9);
        world.deliver_up(usize::MAX);
        world.deliver_down(usize::MAX);
    }
    assert!(world.is_ready());
    for _ in 0..24 {
        world.act();
    }
    world.write(usize::MAX);
    world
}

/// Cuts after so many bytes, goes on for a while, and checks that nothing is missing. Returns whether something was lost.
fn cut(mut world: World, up: usize, down: usize, notices: bool) -> bool {
    world.cut(up, down, notices);
    world.act();
    world.act();
    world.dial();
    world.write(3);
    world.pass(Duration::from_millis(100));
    world.finish();
    let [_, partial, none] = world.outcomes;
    assert_eq!(none, 0, "the server knows the session and its token");
    partial > 0
}

#[test]
fn a_socket_may_be_cut_at_every_byte_of_either_direction() {
    for (seed, ring) in [(1, 10_000), (2, 10_000), (3, 100), (4, 60)] {
        let mut gaps = 0;
        let [ups, downs] = world(seed, ring).bytes_under_way();
        for up in 0..=ups {
            for down in [0, downs / 2, downs] {
                gaps += usize::from(cut(world(seed, ring), up, down, up % 2 == 0));
            }
        }
        for down in 0..=downs {
            for up in [0, ups / 2, ups] {
                gaps += usize::from(cut(world(seed, ring), up, down, down % 2 == 0));
            }
        }
        assert_eq!(gaps > 0, ring < 1000, "{seed}");
    }
}

/// Also at every byte of the resume itself, so that the welcome and its token are lost.
#[test]
fn the_socket_of_a_resume_may_be_cut_at_every_byte() {
    for (seed, ring) in [(1, 10_000), (3, 100)] {
        let resuming = || {
            let mut world = world(seed, ring);
            world.cut(40, 40, true);
            world.dial();
            world.write(usize::MAX);
            world
        };
        let [ups, _] = resuming().bytes_under_way();
        for up in 0..=ups {
            cut(resuming(), up, 0, up % 2 == 0);
        }
        let welcoming = || {
            let mut world = resuming();
            world.deliver_up(usize::MAX);
            world.write(usize::MAX);
            world
        };
        let [_, downs] = welcoming().bytes_under_way();
        for down in 0..=downs {
            cut(welcoming(), 0, down, down % 2 == 0);
        }
    }
}
