# shellcheck shell=sh disable=SC2034 # for the cases
# $RUNTIME: the runtime's path; $CLIENTS: this folder
C=docker
# shellcheck source=prelude.sh disable=SC1091
. "$CLIENTS/prelude.sh"

run_with() {
	docker run --runtime "${RUNTIME##*/}" "$@"
}

run() {
	run_with --network none "$@"
}

create() {
	docker create --runtime "${RUNTIME##*/}" --network none "$@"
}

remove() {
	docker rm -f "$@"
}
