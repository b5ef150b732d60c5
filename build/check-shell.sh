#!/usr/bin/env bash
# Runs shellcheck over every shell script of the tree: by name, or by its first line.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts=()
while IFS= read -r -d '' file; do
	first=''
	[[ $file = *.sh ]] || IFS= read -r first <"$file" 2>/dev/null || true
	if [[ $file = *.sh || $first =~ ^#!.*[/\ ](sh|bash)($|\ ) ]]; then
		scripts+=("$file")
	fi
done < <(find . \( -name .git -o -path ./out \) -prune -o -type f -print0)
shellcheck "${scripts[@]}"
