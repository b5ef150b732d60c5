#!/usr/bin/env bash
# Fails when an object asks for one of the functions named, also in its _FORTIFY_SOURCE form.
#
# Usage: check-symbols.sh 'malloc fopen …' OBJECT...
set -euo pipefail

pattern="^(${1// /|})$"
shift
found=0
for object; do
	while read -r symbol; do
		plain=${symbol#__}
		plain=${plain%_chk}
		if [[ $symbol =~ $pattern || $plain =~ $pattern ]]; then
			echo "$object uses $symbol"
			found=1
		fi
	done < <(nm --undefined-only --format=just-symbols "$object" | sort -u)
done
exit $found
