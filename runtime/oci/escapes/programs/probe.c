/*
 * What an attacker's shell cannot do by itself:
 *
 *     probe with-key NAME COMMAND…    a new session keyring that holds the key NAME, then COMMAND
 *     probe plant KEYRING NAME        a keyring called KEYRING that anybody may search, with the
 * key NAME in it; stays until its input ends probe find-key NAME             "found" or "none",
 * looked for from the session keyring probe type TEXT                 put TEXT into the input of
 * the terminal that is standard input
 */
#include <err.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/key.h of the kernel: possessor, user, group and others may do everything */
#define KEY_ALL 0x3f3f3f3fUL

static void make_keyring(const char *keyring, const char *name)
{
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, keyring);
	long key = syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING);

	if (ring < 0 || key < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, KEY_ALL) < 0 ||
		syscall(SYS_keyctl, KEYCTL_SETPERM, ring, KEY_ALL) < 0)
		err(1, "make a keyring");
}

static int find_key(const char *name)
{
	long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);

	puts(key < 0 ? "none" : "found");
	return 0;
}

static int type(const char *text)
{
	size_t typed = 0;

	(void)ioctl(0, TIOCSCTTY, 0);
	for (const char *c = text; *c; c++)
		typed += ioctl(0, TIOCSTI, c) == 0;
	return typed == strlen(text) ? 0 : 1;
}

int main(int argc, char **argv)
{
	char byte;

	if (argc >= 4 && strcmp(argv[1], "with-key") == 0) {
		make_keyring(NULL, argv[2]);
		execvp(argv[3], argv + 3);
		err(127, "%s", argv[3]);
	}
	if (argc == 4 && strcmp(argv[1], "plant") == 0) {
		make_keyring(argv[2], argv[3]);
		puts("ready");
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "find-key") == 0)
		return find_key(argv[2]);
	if (argc == 3 && strcmp(argv[1], "type") == 0)
		return type(argv[2]);
	errx(2, "usage: probe with-key|plant|find-key|type …");
}
