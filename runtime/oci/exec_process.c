/* The process that exec makes, from a file or from the command line. */
#include "runtime/oci/exec.h"

#include "lib/base/num.h"
#include "runtime/oci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int parse_user(const char *text, struct config_process *p, struct err *e)
{
	size_t len = strcspn(text, ":");
	uint64_t uid = 0;
	uint64_t gid = p->gid;

	/* Names are the caller's business: what the image says of them is not to be trusted here.
	 */
	if (num_parse_u64(text, len, UINT32_MAX - 1, &uid) < 0 ||
		(text[len] && num_parse_u64(text + len + 1, strlen(text + len + 1), UINT32_MAX - 1,
				      &gid) < 0))
		return err_set(
			e, EINVAL, "--user: expected UID[:GID] in numbers, got \"%s\"", text);
	p->uid = (uint32_t)uid;
	p->gid = (uint32_t)gid;
	return 0;
}

static int add_words(
	struct exec *x, struct json_strv *to, const struct json_strv *more, struct err *e)
{
	const char **v = arena_calloc(&x->config.arena, to->n + more->n + 1, sizeof(char *));

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	if (to->n)
		memcpy(v, to->v, to->n * sizeof(char *));
	if (more->n)
		memcpy(v + to->n, more->v, more->n * sizeof(char *));
	*to = (struct json_strv){.v = v, .n = to->n + more->n};
	return 0;
}

static int add_gids(struct exec *x, struct config_process *p, struct err *e)
{
	const struct json_strv *more = &x->opts.gids;
	uint32_t *v = arena_calloc(&x->config.arena, p->n_gids + more->n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	if (p->n_gids)
		memcpy(v, p->gids, p->n_gids * sizeof(*v));
	for (size_t i = 0; i < more->n; i++) {
		uint64_t gid;

		if (num_parse_u64(more->v[i], strlen(more->v[i]), UINT32_MAX - 1, &gid) < 0)
			return err_set(e, EINVAL,
				"--additional-gids: expected a number, got \"%s\"", more->v[i]);
		v[p->n_gids++] = (uint32_t)gid;
	}
	p->gids = v;
	return 0;
}

/* An unknown one is only told, as in config.json. */
static void add_caps(const struct exec *x, struct config_process *p)
{
	for (size_t i = 0; i < x->opts.caps.n; i++) {
		int cap = name_cap(x->opts.caps.v[i]);

		if (cap < 0) {
			config_note_unknown_cap(&p->caps, x->opts.caps.v[i]);
			continue;
		}
		p->caps.given = true;
		p->caps.bounding |= 1ULL << cap;
		p->caps.permitted |= 1ULL << cap;
		p->caps.effective |= 1ULL << cap;
	}
}

/* The container's own process with the words of the command line. */
static int derive_process(struct exec *x, char **args, struct err *e)
{
	struct config_process *p = &x->process;
	struct json_strv words = {0};
	int r;

	*p = x->config.process;
	p->rows.v = 0;
	p->terminal = x->opts.tty;
	p->no_new_privs |= x->opts.no_new_privs;
	if (x->opts.cwd)
		p->cwd = x->opts.cwd;
	if (x->opts.apparmor)
		p->apparmor_profile = x->opts.apparmor;
	if (x->opts.process_label)
		p->selinux_label = x->opts.process_label;
	while (args[words.n])
		words.n++;
	words.v = arena_calloc(&x->config.arena, words.n + 1, sizeof(char *));
	if (!words.v)
		return err_set(e, ENOMEM, "out of memory");
	memcpy(words.v, args, words.n * sizeof(char *));
	p->args = words;
	r = x->opts.user ? parse_user(x->opts.user, p, e) : 0;
	if (r == 0)
		r = add_words(x, &p->env, &x->opts.env, e);
	if (r == 0)
		r = add_gids(x, p, e);
	if (r == 0)
		add_caps(x, p);
	return r;
}

int exec_load_process(struct exec *x, char **args, struct err *e)
{
	int r = config_load(&x->config, x->h.dirfd, "config.json", NULL, NULL, e);

	if (r < 0)
		return r;
	if (x->opts.process) {
		r = config_load_process(
			&x->own_process, AT_FDCWD, x->opts.process, oci_warn_unknown, NULL, e);
		x->process = x->own_process.process;
		x->process.terminal |= x->opts.tty;
	} else {
		r = derive_process(x, args, e);
	}
	/* Else it would have the caller's, and an engine's is often one that nothing may kill. */
	if (r == 0 && !x->process.oom_score_adj.set)
		x->process.oom_score_adj = x->config.process.oom_score_adj;
	return r < 0 ? r : config_check_process(&x->process, "process", e);
}
