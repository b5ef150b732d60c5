/* list and ps. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AUTO_HANDLE __attribute__((cleanup(handle_close)))

struct format_options {
	const char *format;
	bool quiet;
};

#define AT(member) offsetof(struct format_options, member)

static const struct option_spec list_specs[] = {
	{"format", 'f', OPTION_STR, AT(format), "table or json"},
	{"quiet", 'q', OPTION_FLAG, AT(quiet), "ids only"},
};

static int parse_format(const struct format_options *o, bool *ret_json, struct err *e)
{
	*ret_json = o->format && strcmp(o->format, "json") == 0;
	if (o->format && !*ret_json && strcmp(o->format, "table") != 0)
		return err_set(
			e, EINVAL, "--format: expected table or json, got \"%s\"", o->format);
	return 0;
}

static void add_container(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct handle *h,
	enum container_status status)
{
	const struct state *s = &h->state;
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);

	/* Everything is copied: the state goes before the document is printed. */
	yyjson_mut_obj_add_str(doc, o, "ociVersion", "1.2.0");
	yyjson_mut_obj_add_strcpy(doc, o, "id", s->id);
	yyjson_mut_obj_add_int(doc, o, "pid", status == STATUS_STOPPED ? 0 : s->pid.v);
	yyjson_mut_obj_add_str(doc, o, "status", state_status_name(status));
	yyjson_mut_obj_add_strcpy(doc, o, "bundle", s->bundle);
	yyjson_mut_obj_add_strcpy(doc, o, "rootfs", s->rootfs);
	yyjson_mut_obj_add_strcpy(doc, o, "created", s->created);
	yyjson_mut_obj_add_str(doc, o, "owner", "root");
}

static void print_container(const struct handle *h, enum container_status status)
{
	const struct state *s = &h->state;

	printf("%-20s %-10lld %-10s %s %s\n", s->id,
		status == STATUS_STOPPED ? 0LL : (long long)s->pid.v, state_status_name(status),
		s->bundle, s->created);
}

int cmd_list(const struct globals *g, char **args, struct err *e)
{
	struct format_options opts = {0};
	yyjson_mut_doc *doc = NULL;
	yyjson_mut_val *list = NULL;
	bool json = false;
	struct dirent *d;
	DIR *dir;
	int r = options_parse(FIELDS(list_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 0, 0, "list [--format table|json] [--quiet]", e);
	if (r == 0)
		r = parse_format(&opts, &json, e);
	if (r < 0)
		return r;
	if (json) {
		doc = yyjson_mut_doc_new(NULL);
		list = yyjson_mut_arr(doc);
		yyjson_mut_doc_set_root(doc, list);
	} else if (!opts.quiet) {
		printf("%-20s %-10s %-10s %s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
	}
	dir = opendir(g->root);
	while (dir && (d = readdir(dir))) {
		AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
		struct err why = {0};
		int status = -ENOENT;

		if (d->d_name[0] != '.' && handle_open(&h, g, d->d_name, &why) == 0)
			status = handle_status(&h, &why);
		/* One that is just being made or removed has no state to show. */
		if (status < 0 && why.code != 0 && why.code != ENOENT)
			oci_warn("%s", why.msg);
		if (status < 0)
			continue;
		if (json)
			add_container(doc, list, &h, status);
		else if (opts.quiet)
			puts(h.state.id);
		else
			print_container(&h, status);
	}
	if (dir)
		closedir(dir);
	if (json) {
		char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);

		puts(text ? text : "[]");
		free(text);
		yyjson_mut_doc_free(doc);
	}
	return 0;
}

static const struct option_spec ps_specs[] = {
	{"format", 'f', OPTION_STR, AT(format), "table or json"},
};

static void print_process(pid_t pid)
{
	char path[64];
	char fields[1024];
	char command[256];
	struct stat st;
	ssize_t n;
	int parent = 0;
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (io_read_file_at(AT_FDCWD, path, fields, sizeof(fields)) < 0)
		return;
	p = strrchr(fields, ')');
	if (p)
		(void)sscanf(p + 1, " %*c %d", &parent);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	n = io_read_file_at(AT_FDCWD, path, command, sizeof(command));
	if (n <= 0)
		snprintf(command, sizeof(command), "-");
	for (ssize_t i = 0; i + 1 < n; i++) {
		/* The words of the container's; a terminal must not take orders from them. */
		if ((unsigned char)command[i] < ' ' || command[i] == 127)
			command[i] = command[i] ? '?' : ' ';
	}
	printf("%-8u %-8d %-8d %s\n", st.st_uid, pid, parent, command);
}

int cmd_ps(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct format_options opts = {0};
	AUTO_CLOSE int cgroup = -1;
	pid_t *pids = NULL;
	size_t n = 0;
	bool json = false;
	int r = options_parse(FIELDS(ps_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, -1, "ps [--format table|json] ID", e);
	if (r == 0)
		r = parse_format(&opts, &json, e);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r < 0)
		return r;
	cgroup = handle_cgroup(&h);
	r = cgroup < 0 ? cgroup : cgroup_pids(cgroup, &pids, &n);
	if (r < 0)
		return err_set(
			e, -r, "container %s: read its cgroup: %s", h.state.id, strerror(-r));
	fputs(json ? "[" : "UID      PID      PPID     CMD\n", stdout);
	for (size_t i = 0; i < n; i++) {
		if (json)
			printf("%s%d", i ? "," : "", pids[i]);
		else
			print_process(pids[i]);
	}
	fputs(json ? "]\n" : "", stdout);
	free(pids);
	return 0;
}
