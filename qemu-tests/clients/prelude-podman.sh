# shellcheck shell=sh disable=SC2034 # for the cases
# $RUNTIME: the runtime's path; $CLIENTS: this folder
export CONTAINERS_CONF="$CLIENTS/containers.conf" PODMAN_IGNORE_CGROUPSV1_WARNING=1
C=podman
# shellcheck source=prelude.sh disable=SC1091
. "$CLIENTS/prelude.sh"

run_with() {
	podman --runtime "$RUNTIME" run "$@"
}

run() {
	run_with --network none "$@"
}

create() {
	podman --runtime "$RUNTIME" create --network none "$@"
}

remove() {
	podman rm -f -t 0 "$@"
}
