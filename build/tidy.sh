#!/usr/bin/env bash
# Runs clang-tidy over one C file, unless the same text passed before with the same rules: then the
# cache says so. The key is all that clang-tidy sees: the file with its headers and comments, flags,
# configuration, and which clang-tidy it is (its package's size and date: asking it takes longer
# than all the rest).
#
# Usage: tidy.sh FILE.c COMPILER_FLAG...
set -euo pipefail

file=$1
shift
passed=${XDG_CACHE_HOME:-$HOME/.cache}/sampan/tidy
key=$({
	clang -E -CC "$@" "$file"
	printf '%s\n' "$@"
	cat .clang-tidy
	stat -Lc '%s %Y' "$(command -v clang-tidy)"
} | sha256sum)
key=$passed/${key%% *}
if [[ -e $key ]]; then
	touch "$key"
	exit
fi
clang-tidy --quiet "$file" -- "$@"
mkdir -p "$passed"
: >"$key"
