# What `run` and `selftest` share: the two environments, the peers as servers, and the count of what failed.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$here/python/.venv/bin/python
protocols=(json cbor protobuf custom)
failures=0

# Installs what the lockfiles name, unless it is there already.
install() {
  local done_js=$here/js/node_modules/.installed done_python=$here/python/.venv/.installed
  if ! cmp -s "$here/js/package-lock.json" "$done_js"; then
    (cd "$here/js" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund) || return 1
    cp "$here/js/package-lock.json" "$done_js"
  fi
  if ! cmp -s "$here/python/requirements.txt" "$done_python"; then
    python3 -m venv --clear "$here/python/.venv" || return 1
    "$python" -m pip install --quiet --disable-pip-version-check -r "$here/python/requirements.txt" || return 1
    cp "$here/python/requirements.txt" "$done_python"
  fi
}

# judge TITLE COMMAND…: runs a part and prints its failed checks and its closing line. A part passes when it
# exits with 0 and says `N passed, 0 failed` with N above 0; silence, a crash or a hang is a failure.
judge() {
  local title=$1 output status verdict
  shift
  output=$(timeout --kill-after=5 120 "$@" 2>&1)
  status=$?
  verdict=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' <<<"$output" | tail -n 1)
  if [[ $status -eq 0 && $verdict =~ ^[1-9][0-9]*\ passed,\ 0\ failed$ ]]; then
    echo "ok     $title: $verdict"
  else
    failures=$((failures + 1))
    grep -E '^ok - ' -v <<<"$output" | sed 's/^/       /'
    echo "NOT OK $title: ${verdict:-no result} (exit $status)"
  fi
}

# with_server TITLE "SERVER COMMAND" COMMAND…: judges COMMAND --url URL against a fresh server peer.
with_server() {
  local title=$1 server=$2 line='' pid out
  shift 2
  exec {out}< <(cd "$here" && exec $server 2>&1)
  pid=$!
  read -r -t 10 line <&"$out"
  if [[ $line == "listening on ws://"* || $line == "listening on wss://"* ]]; then
    judge "$title" "$@" --url "${line#listening on }"
  else
    failures=$((failures + 1))
    echo "NOT OK $title: the server said '$line' instead of where it listens"
  fi
  kill "$pid" 2>/dev/null
  exec {out}<&-
}

# through TITLE "PROXY COMMAND" SCHEME "SERVER COMMAND" COMMAND…: as with_server, but COMMAND gets --proxy URL too,
# with the login me:secret; the proxy must then have opened tunnels, and refused nobody.
through() {
  local title=$1 proxy=$2 scheme=$3 server=$4 line='' pid out said
  shift 4
  exec {out}< <(cd "$here" && exec $proxy 2>&1)
  pid=$!
  read -r -t 10 line <&"$out"
  with_server "$title" "$server" "$@" --proxy "$scheme://me:secret@${line#listening on }"
  kill "$pid" 2>/dev/null
  said=$(cat <&"$out")
  exec {out}<&-
  if ! grep -q '^tunnel to ' <<<"$said" || grep -qv '^tunnel to ' <<<"$said"; then
    failures=$((failures + 1))
    echo "NOT OK $title: the proxy said '$line' and then '$said'"
  fi
}
