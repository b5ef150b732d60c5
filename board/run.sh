#!/usr/bin/env bash
# Boots what was built, with this terminal as the console, and says where the container's page is as
# soon as it answers. `make run` calls this.
#
# Usage: run.sh [option of board/<name>/run.sh]...
# Environment: ARCH=x86_64|arm64, BOARD=folder name, PORT=the port the container listens on (80),
# SAMPAN_ANSWER_TIMEOUT=seconds until a silent container is reported
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)

# seconds until the page must have answered; an emulated machine on a busy host needs up to 60
answer_timeout=${SAMPAN_ANSWER_TIMEOUT:-180}

arch=${ARCH:-x86_64}
board=${BOARD:-qemu-$arch}

free_port() {
	local port=$1

	while (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		port=$((port + 1))
	done
	echo "$port"
}

# A terminal in raw mode needs the carriage return as well.
say() {
	printf '%s\r\n' "$@"
}

web=$(free_port 8080)
ssh=$(free_port 2222)
url=http://127.0.0.1:$web/

# by port, so that several machines can run at once
out=$top/out/run/$web
log=$out/console.log
mkdir -p "$out"
rm -f "$log" "$out/answered"

key=$top/out/run/id_ed25519
[[ -e $key ]] || ssh-keygen -q -t ed25519 -N '' -C "$(id -un)@sampan" -f "$key"
cat >"$out/ssh_config" <<END
Host sampan
	HostName 127.0.0.1
	Port $ssh
	User root
	IdentityFile "$key"
	IdentitiesOnly yes
	# the machine makes a new host key whenever it boots without a disk
	StrictHostKeyChecking no
	UserKnownHostsFile /dev/null
	LogLevel ERROR
END

quit_help="sampan poweroff at its prompt, or Ctrl-A X"
say "Booting $board; quit with $quit_help. The console is also in ${log#"$top"/}."

# in the background, so that this shell can end it when it is told to end
"$top/board/$board/run.sh" --append sampan.console=shell --ssh-key "$key.pub" --console-log "$log" \
	--forward "$web:${PORT:-80}" --forward "$ssh:22" "$@" <&0 &
machine=$!

# QEMU accepts connections before the container does, so only asking tells.
announce() {
	local asking

	curl --silent --fail --output /dev/null --noproxy '*' --max-time 10 --retry 1000000 \
		--retry-delay 1 --retry-max-time "$answer_timeout" --retry-all-errors "$url" &
	asking=$!
	trap 'kill "$asking"; exit' TERM
	if wait "$asking"; then
		touch "$out/answered"
		say "" "The container answers:  $url" \
			"A shell in the machine: ssh -F ${out#"$top"/}/ssh_config sampan" \
			"To quit:                $quit_help" ""
	else
		say "" "The container has not answered on $url within $answer_timeout s; see $log" ""
	fi
}

announce &
watcher=$!
trap 'kill "$machine" 2>/dev/null || :' INT TERM HUP

status=0
while :; do
	wait "$machine" && status=0 || status=$?
	kill -0 "$machine" 2>/dev/null || break
done
kill "$watcher" 2>/dev/null || :
wait "$watcher" 2>/dev/null || :
if [[ ! -e $out/answered ]]; then
	say "The machine ended before the container answered on $url; see $log"
	exit 1
fi
exit "$status"
