#!/bin/sh
# Kong's vault `env` reads environment variables and nothing else. This lets secrets come as files, which neither
# `docker inspect` nor the definition of a pod shows: the file /run/secrets/futuresms-password becomes the variable
# FUTURESMS_PASSWORD. A variable that is set already is left alone.
set -eu

for file in "${SECRETS_DIRECTORY:-/run/secrets}"/*; do
  [ -f "$file" ] && [ -r "$file" ] || continue
  name=$(printf %s "${file##*/}" | tr 'a-z-' 'A-Z_')
  case $name in
    *[!A-Z0-9_]* | [0-9]*) continue ;;
  esac
  eval "present=\${$name:-}"
  if [ -z "$present" ]; then
    export "$name=$(cat "$file")"
  fi
done

exec "${NEXT_ENTRYPOINT:-/docker-entrypoint.sh}" "$@"
