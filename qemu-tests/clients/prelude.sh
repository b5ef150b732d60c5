# shellcheck shell=sh disable=SC2034 # for the cases
terminal=$CLIENTS/terminal
# A folder of the case's own, and a pipe in it through which a container says that it is ready. A shell that a case
# starts has an argument: it is the same case.
t=/tmp/case-$C
if [ $# = 0 ]; then
	umount -R "$t" 2>/dev/null
	rm -rf "$t"
	mkdir -m 755 "$t"
	mkfifo -m 666 "$t/ready"
fi

# a program that handles TERM and says when it does
handler='trap "echo stopping; exit 9" TERM; trap "echo usr1" USR1; echo up >/t/ready; while :; do sleep 1 & wait $!; done'

wait_ready() {
	read -r _ <"$t/ready"
}

# the status of a command whose messages are its runtime's own
status() {
	"$@" >/dev/null 2>&1
	echo "status $?"
}
