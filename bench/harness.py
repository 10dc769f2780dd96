"""What ./run and ./idle share: building, peers.conf, starting servers, quiet-waiting."""

import json
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.setdefault("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
CACHE = os.path.join(TARGET, "bench")
PROFILE = os.environ.get("BENCH_PROFILE", "release")  # "debug" only to see that everything runs
BIN = os.path.join(TARGET, PROFILE)
NODE_DIR = os.environ.setdefault("BENCH_NODE_DIR", CACHE + "/node")
os.environ["BIN"] = BIN
os.environ["HERE"] = HERE
SERVER_CPU = os.environ.get("SERVER_CPU", "0")
LOAD_CPU = os.environ.get("LOAD_CPU", "1")


def log(*a):
    print(*a, file=sys.stderr, flush=True)


class Peer:
    def __init__(self, line):
        self.name, flags, self.command = (x.strip() for x in line.split("|", 2))
        flags = dict(flag.split("=", 1) for flag in flags.split())
        self.talk = flags.get("talk", "echo")
        self.base = flags.get("base")

    def argv(self, port):
        return [os.path.expandvars(w).replace("{port}", str(port)) for w in shlex.split(self.command)]

    def missing(self):
        return shutil.which(self.argv(0)[0]) is None


def load_peers(section, names="", extra=()):
    """Peers of a section of peers.conf, filtered by `names` (substrings), plus all of `extra`
    (`name=command`, or a whole `name | flags | command` line)."""
    peers, here = [], None
    with open(os.path.join(HERE, "peers.conf")) as f:
        for line in f:
            line = line.strip()
            if line.startswith("["):
                here = line.strip("[]")
            elif line and not line.startswith("#") and here == section:
                peers.append(Peer(line))
    if names:
        keys = [n.strip().lower() for n in names.split(",") if n.strip()]
        exact = {p.name.lower() for p in peers}
        peers = [
            p
            for p in peers
            if any(k == p.name.lower() or (k not in exact and k in p.name.lower()) for k in keys)
        ]
    peers += [Peer(e if "|" in e else e.replace("=", "||", 1)) for e in extra]
    for p in [p for p in peers if p.missing()]:
        log(f"skipped: {p.name}: no such program: {p.argv(0)[0] or p.command}")
        peers.remove(p)
    return peers


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE, check=True)
    ws = os.path.join(NODE_DIR, "node_modules", "ws")
    if shutil.which("npm") and not os.path.isdir(ws):
        os.makedirs(NODE_DIR, exist_ok=True)
        shutil.copy(os.path.join(HERE, "servers/ws/package.json"), NODE_DIR)
        lock = os.path.join(HERE, "servers/ws/package-lock.json")
        if os.path.exists(lock):
            shutil.copy(lock, NODE_DIR)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=NODE_DIR, check=False)
    descriptors()


def descriptors():
    """How many descriptors a process may have; asks for many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 17, max(hard, 1 << 17)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


_port = 20000 + os.getpid() % 5000


def next_port():
    """A free port below the ephemeral range."""
    global _port
    while True:
        _port = 20000 + (_port - 20000 + 1) % 12000
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", _port))
                return _port
            except OSError:
                continue


class Server:
    """A peer running on the server CPU; stopped by pid on exit."""

    def __init__(self, peer):
        self.port = next_port()
        self.err = f"{CACHE}/server-{os.getpid()}.log"
        os.makedirs(CACHE, exist_ok=True)
        with open(self.err, "wb") as e:
            self.p = subprocess.Popen(
                ["taskset", "-c", SERVER_CPU] + peer.argv(self.port),
                stdin=subprocess.DEVNULL,
                stdout=e,
                stderr=e,
            )
        self.pid = self.p.pid  # taskset execs, so this is the server itself

    def __enter__(self):
        end = time.time() + 10
        while time.time() < end:
            if self.p.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        with open(self.err, errors="replace") as f:
            raise RuntimeError(f"server did not start: {f.read()[-400:]}")

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(3)
            except subprocess.TimeoutExpired:
                self.p.kill()
        self.p.wait()


def load(args, timeout=120):
    r = subprocess.run(
        ["taskset", "-c", LOAD_CPU, os.path.join(BIN, "load")] + [str(a) for a in args],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    try:
        return json.loads(r.stdout)
    except ValueError:
        return {"error": (r.stdout + r.stderr).strip()[-300:] or f"exit {r.returncode}"}


def probe():
    """Latency between the server's and the load generator's CPU, ns per round trip."""
    return load(["--probe", "--server-cpu", SERVER_CPU]).get("link_ns", 0)


def busy(seconds=0.25):
    """CPUs kept busy by anything, over a short sample."""

    def snap():
        with open("/proc/stat") as f:
            v = [int(x) for x in f.readline().split()[1:]]
        return v[0] + v[1] + v[2] + v[5] + v[6]

    a, t = snap(), time.time()
    time.sleep(seconds)
    return (snap() - a) / 100 / (time.time() - t)


def wait_quiet(limit, level):
    """Wait up to `limit` seconds for other load to fall below `level` CPUs."""
    if limit <= 0:
        return 0.0
    start = time.time()
    told = False
    while busy() > level:
        if time.time() - start > limit:
            break
        if not told and time.time() - start > 5:
            log("  waiting: other programs are using the CPUs")
            told = True
        time.sleep(1)
    return time.time() - start


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def versions():
    """Peer versions, from Cargo.lock and the installed npm packages."""
    out = {}
    want = {
        "tokio", "tokio-tungstenite", "tungstenite", "fastwebsockets", "tokio-websockets", "yawc",
        "web-socket", "soketto", "hyper", "bytes", "simdutf8", "jsonrpsee", "socketioxide", "rustls", "zlib-rs",
    }
    try:
        name = None
        with open(os.path.join(HERE, "Cargo.lock")) as f:
            for line in f:
                if line.startswith("name = "):
                    name = line.split('"')[1]
                elif line.startswith("version = ") and name in want:
                    out[name] = line.split('"')[1]
    except OSError:
        pass
    for n in ("ws", "bufferutil", "utf-8-validate"):
        try:
            with open(os.path.join(NODE_DIR, "node_modules", n, "package.json")) as f:
                out["npm " + n] = json.load(f)["version"]
        except OSError:
            pass
    for cmd in (["node", "--version"], ["rustc", "--version"]):
        if shutil.which(cmd[0]):
            out[cmd[0]] = subprocess.run(cmd, capture_output=True, text=True).stdout.strip()
    return out
