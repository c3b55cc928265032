#!/usr/bin/env bash
# The peer of a seat: a guarded UPDATE with the record of the lease, in PostgreSQL 15 with its usual durability
# (fsync, synchronous_commit), in a cluster of its own. Prints transactions a second and CPU a transaction.
# Usage: tests/load/postgresql.sh [TRANSACTIONS]
set -euo pipefail
umask 022 # its user reads what is written here

transactions=${1:-20000}
bin=$(ls -d /usr/lib/postgresql/15/bin 2>/dev/null) || { echo 'error: install the package postgresql-15' >&2; exit 1; }
folder=$(mktemp -d)
user=$(id -un)
as() { "$@"; }
# PostgreSQL does not run as root.
if [ "$(id -u)" -eq 0 ]; then
  user=postgres
  chown postgres "$folder"
  as() { setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; }
fi
server=''
stop() {
  [ -z "$server" ] || as "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null
  rm -rf "$folder"
}
trap stop EXIT

as "$bin/initdb" --pgdata="$folder/data" --auth=trust --username="$user" --no-sync >/dev/null
cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
max_connections = 80
shared_buffers = '512MB'
CONF
as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w start >/dev/null
server=yes
psql() { as "$bin/psql" -h "$folder" -U "$user" -d postgres -qtA "$@"; }
psql <<'SQL'
CREATE TABLE module (id int PRIMARY KEY, total int NOT NULL, in_use int NOT NULL);
CREATE TABLE lease (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), module int NOT NULL, holder text NOT NULL, until timestamptz NOT NULL);
CREATE UNIQUE INDEX lease_holder ON lease (module, holder);
INSERT INTO module VALUES (1, 1000000, 0);
SQL
cat >"$folder/acquire.sql" <<'SQL'
WITH seat AS (UPDATE module SET in_use = in_use + 1 WHERE id = 1 AND in_use < total RETURNING id)
INSERT INTO lease (module, holder, until) SELECT id, gen_random_uuid()::text, now() + '1 hour' FROM seat;
SQL
ticks=$(getconf CLK_TCK)
cpu() { # of all processes of the cluster, in clock ticks
  local main
  main=$(head -1 "$folder/data/postmaster.pid")
  awk '{ sum += $14 + $15 + $16 + $17 } END { print sum }' "/proc/$main/stat" $(pgrep -P "$main" | sed 's|.*|/proc/&/stat|')
}
for clients in 1 16 64; do
  before=$(cpu)
  rate=$(as "$bin/pgbench" -h "$folder" -U "$user" -n -M prepared -f "$folder/acquire.sql" -c "$clients" -j 1 \
    -t $((transactions / clients)) postgres 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')
  after=$(cpu)
  awk -v c="$clients" -v r="$rate" -v t=$((after - before)) -v hz="$ticks" -v n=$((transactions / clients * clients)) \
    'BEGIN { printf "%d in flight: %d/s, %.1f us of CPU a transaction\n", c, r, t / hz * 1e6 / n }'
done
