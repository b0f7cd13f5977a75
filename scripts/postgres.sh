# Sourced by ./test: a throw-away PostgreSQL server on a socket in a temporary directory.

find_postgres() {
    local dir
    for dir in "$(dirname "$(command -v initdb 2>/dev/null || echo /nonexistent/x)")" /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
            echo "$dir"
            return
        fi
    done
    return 1
}

# PostgreSQL refuses to run as root: then it runs as the user its package made, or as nobody.
as_postgres() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    elif id postgres >/dev/null 2>&1; then
        setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    else
        setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups "$@"
    fi
}

# start_postgres DIR: starts a server whose files live in DIR and exports TIEOUT_TEST_POSTGRES, its URL.
start_postgres() {
    local dir="$1" bin
    bin="$(find_postgres)" || {
        install_debian_packages postgresql
        bin="$(find_postgres)" || fail "PostgreSQL's initdb was not found; on Debian: apt-get install postgresql"
    }
    mkdir -p "$dir"
    [ "$(id -u)" -ne 0 ] || chown "$(as_postgres id -u)" "$dir"
    (
        cd "$dir"  # initdb wants a current directory that its user may read
        as_postgres "$bin/initdb" --pgdata="$dir/data" --username=tieout --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
            --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; fail "PostgreSQL's initdb failed"; }
        # Nothing here outlives the tests: durability is traded for speed. No autovacuum: most tests roll back what they
        # did, and a table that is vacuumed while it holds nothing else counts as empty, full as it may be a moment
        # later; joining it row by row has taken minutes.
        as_postgres "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/server.log" --wait --silent start \
            --options="-c listen_addresses='' -c unix_socket_directories='$dir' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=256MB -c max_connections=100 -c autovacuum=off" \
            || { cat "$dir/server.log" >&2; fail "PostgreSQL did not start"; }
    ) || exit 1
    export TIEOUT_TEST_POSTGRES="postgresql://tieout@/postgres?host=$dir"
}

stop_postgres() {
    local dir="$1" bin
    bin="$(find_postgres)" || return 0
    [ ! -d "$dir/data" ] || (cd "$dir" && as_postgres "$bin/pg_ctl" --pgdata="$dir/data" --mode=immediate --silent stop) || true
}

install_debian_packages() {
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ] \
        || fail "the tests need $*; install it (on Debian: apt-get install $*)"
    echo "tieout: installing $* for the tests" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"; } >/dev/null 2>&1 \
        || fail "apt-get could not install $*"
}
