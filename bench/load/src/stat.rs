//! CPU accounting of the server, of this program and of everything else.

#[derive(Default, Clone)]
pub struct Snap {
    server_ns: u64,
    utime: u64,
    stime: u64,
    own_ns: u64,
    softirq_ns: u64,
    busy: u64,
    steal: u64,
}

pub struct Delta {
    /// Run by ksoftirqd: network work of this traffic that was put off, charged to no process.
    pub softirqd_cpu: f64,
    pub server_cpu: f64,
    pub server_user: f64,
    pub server_sys: f64,
    pub loader_cpu: f64,
    pub foreign_cpu: f64,
    pub steal: f64,
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    if unsafe { libc::clock_gettime(id, &mut ts) } != 0 {
        return 0;
    }
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// CPU clock of another process: user + system time of all its threads, in ns.
fn process_clock(pid: u32) -> u64 {
    let id = (!(pid as libc::clockid_t) << 3) | 2;
    clock(id)
}

fn ksoftirqd() -> &'static [u32] {
    static PIDS: std::sync::OnceLock<Vec<u32>> = std::sync::OnceLock::new();
    PIDS.get_or_init(|| {
        let Ok(dir) = std::fs::read_dir("/proc") else { return Vec::new() };
        dir.flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
            .filter(|p| {
                std::fs::read_to_string(format!("/proc/{p}/comm"))
                    .is_ok_and(|c| c.starts_with("ksoftirqd/"))
            })
            .collect()
    })
}

impl Snap {
    pub fn take(pid: Option<u32>) -> Self {
        let mut s = Snap {
            own_ns: clock(libc::CLOCK_PROCESS_CPUTIME_ID),
            softirq_ns: ksoftirqd().iter().map(|&p| process_clock(p)).sum(),
            ..Default::default()
        };
        if let Some(pid) = pid {
            s.server_ns = process_clock(pid);
            if let Ok(t) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                let f: Vec<&str> = t[t.rfind(')').unwrap_or(0) + 2..].split(' ').collect();
                s.utime = f[11].parse().unwrap_or(0);
                s.stime = f[12].parse().unwrap_or(0);
            }
        }
        if let Ok(t) = std::fs::read_to_string("/proc/stat") {
            let f: Vec<u64> = t
                .lines()
                .next()
                .unwrap_or("")
                .split_whitespace()
                .skip(1)
                .filter_map(|x| x.parse().ok())
                .collect();
            if f.len() >= 8 {
                s.busy = f[0] + f[1] + f[2] + f[5] + f[6];
                s.steal = f[7];
            }
        }
        s
    }

    pub fn delta(&self, b: &Snap) -> Delta {
        let ns = |x: u64, y: u64| y.saturating_sub(x) as f64 / 1e9;
        let tick = |x: u64, y: u64| y.saturating_sub(x) as f64 / 100.0;
        let server_cpu = ns(self.server_ns, b.server_ns);
        let loader_cpu = ns(self.own_ns, b.own_ns);
        let softirqd_cpu = ns(self.softirq_ns, b.softirq_ns);
        Delta {
            softirqd_cpu,
            server_cpu,
            server_user: tick(self.utime, b.utime),
            server_sys: tick(self.stime, b.stime),
            loader_cpu,
            foreign_cpu: (tick(self.busy, b.busy) - server_cpu - loader_cpu - softirqd_cpu)
                .max(0.0),
            steal: tick(self.steal, b.steal),
        }
    }
}

/// VmRSS in bytes.
pub fn rss(pid: u32) -> u64 {
    let t = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    t.lines()
        .find(|l| l.starts_with("VmRSS:"))
        .and_then(|l| l.split_whitespace().nth(1))
        .and_then(|x| x.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
