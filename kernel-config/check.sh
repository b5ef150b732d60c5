#!/usr/bin/env bash
# Checks the configuration of a built kernel: every requested value was kept, and the hardening score
# is the recorded one.
#
# Usage: check.sh ARCH CONFIG
set -uo pipefail

here=$(dirname "$0")
status=0
"$here/check.py" kept "$@" || status=1
"$here/check.py" score "$@" || status=1
exit $status
