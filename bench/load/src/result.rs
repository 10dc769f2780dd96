//! What a run measured, as one line of JSON.

use crate::stat::Snap;

pub struct Measured {
    pub before: Snap,
    pub after: Snap,
    pub msgs: u64,
    pub secs: f64,
    /// Payload of these messages.
    pub bytes: f64,
    /// Payload received, compressed, per byte of message.
    pub ratio: f64,
    /// Round trips, in ns.
    pub rtt: Vec<u32>,
    pub link_before: f64,
    pub link_after: f64,
    pub reads: u64,
    pub writes: u64,
    pub verified: usize,
}

impl Measured {
    /// Rates and CPU time; what else was measured is set beside them.
    pub fn new(before: Snap, after: Snap, msgs: u64, secs: f64) -> Self {
        Self {
            before,
            after,
            msgs,
            secs,
            bytes: f64::NAN,
            ratio: f64::NAN,
            rtt: Vec::new(),
            link_before: f64::NAN,
            link_after: f64::NAN,
            reads: 0,
            writes: 0,
            verified: 0,
        }
    }
}

pub fn print(mut m: Measured) {
    m.rtt.sort_unstable();
    let q = |p: f64| -> f64 {
        let last = m.rtt.len().checked_sub(1);
        last.map_or(f64::NAN, |last| f64::from(m.rtt[(last as f64 * p).round() as usize]) / 1000.0)
    };
    let d = m.before.delta(&m.after);
    let fields = [
        ("secs", m.secs),
        ("msgs_per_s", m.msgs as f64 / m.secs),
        ("mb_per_s", m.bytes / m.secs / 1e6),
        ("ratio", m.ratio),
        ("p50_us", q(0.50)),
        ("p99_us", q(0.99)),
        ("cpu_us_per_msg", d.server_cpu / m.msgs as f64 * 1e6),
        ("server_cpu_s", d.server_cpu),
        ("server_user_s", d.server_user),
        ("server_sys_s", d.server_sys),
        ("server_util", d.server_cpu / m.secs),
        ("loader_cpu_s", d.loader_cpu),
        ("foreign_util", d.foreign_cpu / m.secs),
        ("steal_util", d.steal / m.secs),
        ("softirqd_util", d.softirqd_cpu / m.secs),
        ("link_before_ns", m.link_before),
        ("link_after_ns", m.link_after),
    ];
    print!(
        "{{\"msgs\":{},\"reads\":{},\"writes\":{},\"verified\":{}",
        m.msgs, m.reads, m.writes, m.verified
    );
    for (name, x) in fields {
        match x.is_finite() {
            true => print!(",\"{name}\":{x:.4}"),
            false => print!(",\"{name}\":null"),
        }
    }
    println!("}}");
}
