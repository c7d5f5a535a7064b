#!/bin/sh
# Kong's vault `env` reads environment variables and nothing else. This lets secrets come as files, which neither
# `docker inspect` nor the definition of a pod shows: the file /run/secrets/futuresms-password becomes the variable
# FUTURESMS_PASSWORD. A variable that is set already is left alone; one that would be set from a file that cannot be read
# ends the start (UNREADABLE_SECRETS=allowed: is said).
#
# Before a gateway with a configuration file starts, `yeastarctl config check` says what is wrong with the file; one that
# Kong would refuse, that is open, or that serves nobody does not start (CONFIG_CHECK=off: it is not asked).
set -eu

unreadable() {
  echo "secret $1 cannot be read by user $(id -u)" >&2
  [ "${UNREADABLE_SECRETS:-}" = allowed ] || exit 1
}

directory=${SECRETS_DIRECTORY:-/run/secrets}
if [ -d "$directory" ] && { [ ! -r "$directory" ] || [ ! -x "$directory" ]; }; then
  unreadable "directory $directory"
fi
for file in "$directory"/*; do
  [ -f "$file" ] || continue
  name=$(printf %s "${file##*/}" | tr 'a-z-' 'A-Z_')
  case $name in
    *[!A-Z0-9_]* | [0-9]*) continue ;;
  esac
  eval "present=\${$name:-}"
  [ -z "$present" ] || continue
  [ -r "$file" ] || unreadable "$file"
  [ ! -r "$file" ] || export "$name=$(cat "$file")"
done

file=${KONG_DECLARATIVE_CONFIG:-}
if [ "${1:-} ${2:-}" = "kong docker-start" ] && [ -n "$file" ] && [ "${CONFIG_CHECK:-on}" != off ]; then
  if [ ! -r "$file" ]; then
    echo "not started: $file is not there, or cannot be read by user $(id -u)" >&2
    exit 1
  fi
  if ! /opt/yeastar-adapter/bin/yeastarctl config check "$file" >&2; then
    echo "not started: $file has errors, see the lines above" >&2
    exit 1
  fi
fi

exec "${NEXT_ENTRYPOINT:-/docker-entrypoint.sh}" "$@"
