# Python 2.7. The Autobahn test suite without its web pages, on 127.0.0.1 only.
#
#   fuzz.py client FOLDER URL    the fuzzing client against a server at URL
#   fuzz.py server FOLDER PORT   the fuzzing server
#   fuzz.py summary FOLDER WHAT  prints what failed and one line in all; exits 1 if anything did
#
# FOLDER gets results.jsonl, a line per case, and the wire log of each case that did not pass.
# $AUTOBAHN_CASES has other cases to run, separated by spaces.
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")

import autobahntestsuite  # noqa: E402,F401  (installs the reactor: must be the first)
from autobahntestsuite import case, caseset, fuzzing  # noqa: E402
from twisted.internet import reactor, task  # noqa: E402

CASES = os.environ.get("AUTOBAHN_CASES", "1.* 2.* 3.* 4.* 5.* 6.* 7.* 9.* 10.*").split()


def passed(result):
    good = ["OK", "INFORMATIONAL", "NON-STRICT"]
    if result["id"].startswith("6.4."):  # bad text must be found before its end
        good = ["OK"]
    return result["behavior"] in good and result["behaviorClose"] in good


def log_case(folder):
    log = fuzzing.FuzzingFactory.logCase

    def logged(factory, result):
        log(factory, result)
        keys = ("id", "behavior", "behaviorClose", "remoteCloseCode", "result")
        with open(os.path.join(folder, "results.jsonl"), "a") as out:
            out.write(json.dumps(dict((key, result[key]) for key in keys)) + "\n")
        if not passed(result):
            with open(os.path.join(folder, result["id"] + ".log"), "w") as out:
                out.write(repr(result))
        result["wirelog"] = []

    return logged


def run(mode, folder, where):
    fuzzing.FuzzingFactory.logCase = log_case(folder)
    fuzzing.FuzzingFactory.createReports = lambda *_, **__: None
    listen = reactor.listenTCP
    reactor.listenTCP = lambda port, factory, backlog=50, interface="": listen(
        port, factory, backlog, "127.0.0.1")
    spec = {"cases": CASES, "outdir": folder}
    if mode == "server":
        fuzzing.startServer(dict(spec, url="ws://127.0.0.1:" + where), 0)
    else:
        fuzzing.startClient(dict(spec, servers=[{"agent": "wse", "url": where}]))
    # Whatever happens to the script that started this one, do not outlive it.
    parent = os.getppid()
    task.LoopingCall(lambda: os.getppid() == parent or reactor.stop()).start(1)
    reactor.run()


def summary(folder, what):
    cases = caseset.CaseSet(case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories,
                            case.CaseSubCategories).parseSpecCases({"cases": CASES})
    results = {}
    if os.path.exists(os.path.join(folder, "results.jsonl")):
        with open(os.path.join(folder, "results.jsonl")) as lines:
            results = dict((result["id"], result) for result in map(json.loads, lines))
    failed = [id for id in cases if id not in results or not passed(results[id])]
    for id in failed:
        result = results.get(id, {"behavior": "never finished"})
        print("%s %s %s %s" % (id, result["behavior"], result.get("behaviorClose", ""),
                               result.get("result", "")))
    print("autobahn %s: %d passed, %d failed of %d" % (
        what, len(cases) - len(failed), len(failed), len(cases)))
    sys.exit(1 if failed or not cases else 0)


if sys.argv[1] == "summary":
    summary(*sys.argv[2:])
run(*sys.argv[1:])
