#!/bin/sh
# load-once.sh FILE: bring the schema of Kong's database up to date and, while the database is still empty, load FILE.
# A database that has a configuration keeps it: whoever works with the Admin API does not want it undone by a restart.
set -eu

kong migrations bootstrap
kong migrations up
kong migrations finish

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
kong config db_export "$directory/present.yml" # refuses to overwrite, hence the fresh directory
if grep -q '^services:' "$directory/present.yml"; then
  echo "the database has a configuration already: $1 is not loaded"
else
  kong config db_import "$1"
fi
