# shellcheck shell=sh disable=SC2034 # for the cases
# $RUNTIME: the runtime's path; $CLIENTS: this folder
C=ctr
image=docker.io/library/bb:latest
# shellcheck source=prelude.sh disable=SC1091
. "$CLIENTS/prelude.sh"

run() {
	ctr run --runc-binary "$RUNTIME" "$@"
}

# NAME...: end the container's processes and remove it
remove() {
	for name; do
		ctr task rm -f "$name" 2>/dev/null
		ctr container rm "$name"
	done
}
