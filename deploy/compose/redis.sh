#!/bin/sh
# redis.sh NAME [MASTER]: a Redis that keeps nothing on disk, with the password of the secret.
set -eu
password=$(cat "${SECRETS:-/run/secrets}/redis_password")
conf=${CONF:-/run/redis}/redis.conf
umask 077
{
	echo "port ${PORT:-6379}"
	echo "save \"\""
	echo "appendonly no"
	echo "maxmemory-policy noeviction"
	echo "maxmemory 256mb"
	echo "requirepass $password"
	echo "masterauth $password"
	echo "replica-announce-ip $1"
	echo "min-replicas-to-write 0"
	if [ $# -gt 1 ]; then echo "replicaof $2 ${MASTER_PORT:-6379}"; fi
} > "$conf"
exec redis-server "$conf"
