# Sourced by ./run and ./test: a private environment that holds exactly what a lock file names.
# Needs nothing but Python >= 3.11 with venv and pip, and a package index.

fail() { echo "tieout: $*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in "${TIEOUT_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found; set TIEOUT_PYTHON to its path"
}

find_uv() {
    # uv resolves and installs in seconds where pip takes a minute; it lives beside the environment, not in it.
    local tools="$1/.tools"
    if command -v uv >/dev/null 2>&1; then
        echo uv
        return
    fi
    if [ ! -x "$tools/bin/uv" ]; then
        "$(find_python)" -m venv "$tools" >&2 \
            || fail "could not make a virtual environment; on Debian: apt-get install python3-venv"
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv >&2 \
            || fail "could not install uv; is a package index reachable (pip config)?"
    fi
    echo "$tools/bin/uv"
}

# ensure_environment DIR LOCKFILE: after it, DIR/bin/python has what LOCKFILE names and nothing else.
ensure_environment() {
    local dir="$1" lock="$2" stamp="$1/.synced-from"
    if [ -x "$dir/bin/python" ] && cmp -s "$lock" "$stamp"; then
        return
    fi
    mkdir -p "$dir"
    (
        # Two commands started together must not build the same environment twice. (Not `.lock`: uv takes that one.)
        if command -v flock >/dev/null 2>&1; then flock 9; fi
        if [ -x "$dir/bin/python" ] && cmp -s "$lock" "$stamp"; then exit 0; fi
        echo "tieout: preparing the environment in $dir (once)" >&2
        uv="$(find_uv "$dir")"
        [ -x "$dir/bin/python" ] || "$(find_python)" -m venv --without-pip "$dir" \
            || fail "could not make a virtual environment; on Debian: apt-get install python3-venv"
        "$uv" pip sync --quiet --compile-bytecode --python "$dir/bin/python" --require-hashes "$lock" >&2 \
            || fail "could not install what $lock names"
        cp "$lock" "$stamp"
    ) 9>"$dir/.preparing" || exit 1
}
