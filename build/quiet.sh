#!/usr/bin/env bash
# Runs one check: a line when it is fine, its output when it is not.
#
# Usage: quiet.sh NAME LOG COMMAND [ARGUMENT]...
set -uo pipefail

name=$1 log=$2
shift 2
mkdir -p "$(dirname "$log")"
if [[ -n ${V:-} ]]; then
	printf '%q ' "$@"
	echo
fi
status=0
"$@" >"$log" 2>&1 || status=$?
if ((status == 0)); then
	echo "ok    $name"
	exit 0
fi
cat "$log" >&2
echo "FAIL  $name (status $status, output in $log)" >&2
exit 1
