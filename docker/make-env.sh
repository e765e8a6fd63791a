#!/bin/sh
# Write .env for docker-compose.yml with fresh secrets, readable by its owner only: sh docker/make-env.sh [FILE]
set -eu
file=${1:-.env}
if [ -e "$file" ]; then
  echo "$file: exists already; its secrets belong to the volumes, so it is left alone" >&2
  exit 1
fi
umask 077
secret() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }
cat >"$file" <<END
OWNER_EMAIL=manager@example.com
OWNER_PASSWORD=$(secret 12)
OWNER_TOKEN=$(secret 20)
SECRET_KEY=$(secret 32)
POSTGRES_PASSWORD=$(secret 24)
REDIS_PASSWORD=$(secret 24)
ML_PASSWORD=$(secret 24)
LS_PORT=8080
END
echo "$file: written" >&2
