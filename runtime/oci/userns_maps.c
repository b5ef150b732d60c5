#include "runtime/oci/userns_maps.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* bytes of what a helper says: one line of its own */
#define REASON_BYTES 256

struct map_kind {
	const char *file;
	const char *helper;
	const char *field;
};

static const struct map_kind gids = {"gid_map", "newgidmap", "linux.gidMappings"};
static const struct map_kind uids = {"uid_map", "newuidmap", "linux.uidMappings"};

static int write_map(const struct config_id_maps *maps, int host_proc, pid_t pid, const char *file)
{
	/* "4294967295 4294967295 4294967295\n" */
	const size_t line_max = 34;
	char *text = malloc(maps->n * line_max + 1);
	char path[64];
	size_t len = 0;
	int r;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < maps->n; i++)
		len += (size_t)snprintf(text + len, line_max + 1, "%u %u %u\n",
			maps->v[i].container, maps->v[i].host, maps->v[i].size);
	snprintf(path, sizeof(path), "%d/%s", pid, file);
	r = io_write_file_at(host_proc, path, text);
	free(text);
	return r;
}

int userns_write_map(const struct config_id_maps *maps, int host_proc, pid_t pid, const char *file,
	const char *field, struct err *e)
{
	int r = write_map(maps, host_proc, pid, file);

	return r < 0 ? err_set(e, -r, "%s: %s", field, strerror(-r)) : 0;
}

/* The helper's words: PROGRAM PID, then container, host and size of each map. */
static char **make_words(const struct config_id_maps *maps, pid_t pid, const struct map_kind *kind)
{
	const size_t word_max = 12; /* ten digits */
	size_t n = 1 + maps->n * 3;
	/* The words lie behind the pointers: one block. */
	char **words = malloc((n + 2) * sizeof(char *) + n * word_max);
	char *text = words ? (char *)(words + n + 2) : NULL;
	size_t k = 0;

	if (!words)
		return NULL;
	memcpy(&words[k++], &kind->helper, sizeof(char *)); /* execvp changes nothing */
	snprintf(words[k++] = text, word_max, "%d", pid);
	for (size_t i = 0; i < maps->n; i++) {
		const uint32_t v[] = {maps->v[i].container, maps->v[i].host, maps->v[i].size};

		for (int j = 0; j < 3; j++)
			snprintf(words[k++] = text += word_max, word_max, "%u", v[j]);
	}
	words[k] = NULL;
	return words;
}

static _Noreturn void become_helper(char **words, int output)
{
	process_reset_signals();
	if (dup2(output, 1) == 1 && dup2(output, 2) == 2)
		execvp(words[0], words);
	dprintf(output, "run %s: %s\n", words[0], strerror(errno));
	_exit(127);
}

static int run_helper(
	const struct config_id_maps *maps, pid_t pid, const struct map_kind *kind, struct err *e)
{
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;
	char why[REASON_BYTES] = "";
	char **words;
	int status = 0;
	pid_t helper;
	ssize_t n;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set(e, errno, "%s: %s", kind->field, strerror(errno));
	from = p[0];
	to = p[1];
	words = make_words(maps, pid, kind);
	if (!words)
		return err_set(e, ENOMEM, "%s: out of memory", kind->field);
	helper = fork();
	if (helper == 0)
		become_helper(words, to);
	free(words);
	if (helper < 0)
		return err_set(e, errno, "%s: fork: %s", kind->field, strerror(errno));
	fd_close(&to);
	n = io_read_all(from, why, sizeof(why) - 1);
	/* One that says more gets a broken pipe. */
	fd_close(&from);
	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
		;
	return status ? err_set(e, EPERM, "%s: %s", kind->field, why[0] ? why : kind->helper) : 0;
}

static int map_one_kind(const struct config_id_maps *maps, int host_proc, pid_t pid,
	const struct map_kind *kind, uint32_t own_id, struct err *e)
{
	const bool own = maps->n == 1 && maps->v[0].size == 1 && maps->v[0].host == own_id;
	char path[64];
	int r = write_map(maps, host_proc, pid, kind->file);

	if (r == -EPERM && own && kind == &gids) {
		snprintf(path, sizeof(path), "%d/setgroups", pid);
		r = io_write_file_at(host_proc, path, "deny");
		if (r == 0)
			r = write_map(maps, host_proc, pid, kind->file);
	} else if (r == -EPERM && !own) {
		return run_helper(maps, pid, kind, e);
	}
	/* Since Linux 5.12. */
	return r < 0 ? err_set(e, -r, "%s: %s%s", kind->field, strerror(-r),
			       r == -EPERM && own_id == 0 ? ": to map root takes CAP_SETFCAP, to "
							    "map others CAP_SETUID and "
							    "CAP_SETGID"
							  : "")
		     : 0;
}

int userns_write_maps(const struct config *c, int host_proc, pid_t pid, struct err *e)
{
	int r = map_one_kind(&c->gid_maps, host_proc, pid, &gids, getegid(), e);

	return r < 0 ? r : map_one_kind(&c->uid_maps, host_proc, pid, &uids, geteuid(), e);
}
