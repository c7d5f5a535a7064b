#!/bin/sh
# yeastarctl as `docker exec` calls it: with the secrets that came as files, as Kong has them.
UNREADABLE_SECRETS=allowed NEXT_ENTRYPOINT=/opt/yeastar-adapter/bin/yeastarctl exec /opt/yeastar-adapter/docker-entrypoint.sh "$@"
