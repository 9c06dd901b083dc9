#!/bin/sh
# Makes what the parts of compose.yaml know each other by, in ./secrets beside this
# file or in the directory named. What is there stays: run it again after a new secret was added.
set -eu
umask 077
dir=${1:-$(dirname "$0")/secrets}
mkdir -p "$dir"
cd "$dir"

random() { openssl rand -hex 32; }
new() { [ ! -s "$1" ]; }

for name in mongo_root mongo_troupe redis_password; do
	if new $name; then random > $name; fi
done
# What signs logins, and is this installation's name: all nodes have the same.
if new installation.json; then
	printf '{"installation":"%s","signing":["%s"],"refresh":"%s"}\n' \
		"$(openssl rand -hex 10)" "$(openssl rand -base64 32)" "$(openssl rand -base64 32)" > installation.json
fi
if new mongo_key; then openssl rand -base64 512 | tr -d '\n' > mongo_key; fi
echo "mongodb://troupe:$(cat mongo_troupe)@mongo1,mongo2,mongo3/troupe?replicaSet=rs0&authSource=troupe" > mongo_uri

# What nodes show each other: an authority of their own, and one certificate of them all.
if new node_ca.crt; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
		-subj "/CN=troupe nodes" -keyout node_ca.key -out node_ca.crt
fi
if new node.crt; then
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=troupe node" -keyout node.key -out node.csr
	printf 'subjectAltName=DNS:troupe-node\nextendedKeyUsage=serverAuth,clientAuth\n' > node.ext
	openssl x509 -req -in node.csr -CA node_ca.crt -CAkey node_ca.key -CAcreateserial -days 3650 -extfile node.ext -out node.crt
	rm -f node.csr node.ext
fi

# The programs in the containers run as other users than yours, and get these as they lie here.
# Nobody else on this machine reads them: the directory is yours alone.
chmod 644 installation.json mongo_uri redis_password mongo_root mongo_troupe mongo_key node_ca.crt node.crt node.key
