/* list: every container of a state directory. */
#include "runtime/oci/commands.h"

#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AUTO_HANDLE __attribute__((cleanup(handle_close)))

struct list_options {
	const char *format;
	bool quiet;
};

#define AT(member) offsetof(struct list_options, member)

static const struct option_spec list_specs[] = {
	{"format", 'f', OPTION_STR, AT(format), "table or json"},
	{"quiet", 'q', OPTION_FLAG, AT(quiet), "ids only"},
};

int format_is_json(const char *format, bool *ret_json, struct err *e)
{
	*ret_json = strcmp(format, "json") == 0;
	if (!*ret_json && strcmp(format, "table") != 0)
		return err_set(e, EINVAL, "--format: expected table or json, got \"%s\"", format);
	return 0;
}

/* Whose it is: who made its state. A user without a name is a number, as runc has it. */
static const char *owner_of(const struct handle *h, char *buf, size_t size)
{
	const struct passwd *pw = NULL;
	struct stat st = {0};

	if (fstat(h->dirfd, &st) == 0)
		pw = getpwuid(st.st_uid);
	if (pw)
		snprintf(buf, size, "%s", pw->pw_name);
	else
		snprintf(buf, size, "#%u", st.st_uid);
	return buf;
}

static void add_container(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct handle *h,
	enum container_status status)
{
	const struct state *s = &h->state;
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
	char owner[64];

	/* Everything is copied: the state goes before the document is printed. */
	yyjson_mut_obj_add_str(doc, o, "ociVersion", OCI_VERSION);
	yyjson_mut_obj_add_strcpy(doc, o, "id", s->id);
	yyjson_mut_obj_add_int(doc, o, "pid", status == STATUS_STOPPED ? 0 : s->pid.v);
	yyjson_mut_obj_add_str(doc, o, "status", state_status_name(status));
	yyjson_mut_obj_add_strcpy(doc, o, "bundle", s->bundle);
	yyjson_mut_obj_add_strcpy(doc, o, "rootfs", s->rootfs);
	yyjson_mut_obj_add_strcpy(doc, o, "created", s->created);
	if (s->annotations)
		yyjson_mut_obj_add_val(
			doc, o, "annotations", yyjson_val_mut_copy(doc, s->annotations));
	yyjson_mut_obj_add_strcpy(doc, o, "owner", owner_of(h, owner, sizeof(owner)));
}

#define LIST_HEAD "%-20s %-10s %-10s %-30s %-20s %s\n"
#define LIST_ROW "%-20s %-10lld %-10s %-30s %-20s %s\n"

static void print_container(const struct handle *h, enum container_status status)
{
	const struct state *s = &h->state;
	char owner[64];

	printf(LIST_ROW, s->id, status == STATUS_STOPPED ? 0LL : (long long)s->pid.v,
		state_status_name(status), s->bundle, s->created,
		owner_of(h, owner, sizeof(owner)));
}

/* @list: of @doc; NULL: print a row, or the id alone */
static void show(const struct globals *g, const char *id, bool quiet, yyjson_mut_doc *doc,
	yyjson_mut_val *list)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct err why = {0};
	int status = -ENOENT;

	if (id[0] != '.' && handle_open(&h, g, id, &why) == 0)
		status = handle_status(&h, &why);
	/* One that is just being made or removed has no state to show. */
	if (status < 0 && why.code != 0 && why.code != ENOENT)
		oci_warn("%s", why.msg);
	if (status < 0)
		return;
	if (list)
		add_container(doc, list, &h, status);
	else if (quiet)
		puts(h.state.id);
	else
		print_container(&h, status);
}

int cmd_list(const struct globals *g, char **args, struct err *e)
{
	struct list_options opts = {.format = "table"};
	struct dirent **names = NULL;
	yyjson_mut_doc *doc = NULL;
	yyjson_mut_val *list = NULL;
	bool json = false;
	int n;
	int r = options_parse_mixed(FIELDS(list_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 0, 0, "list [--format table|json] [--quiet]", e);
	if (r == 0)
		r = format_is_json(opts.format, &json, e);
	if (r < 0)
		return r;
	n = scandir(g->root, &names, NULL, alphasort);
	if (n < 0 && errno != ENOENT)
		return err_set(e, errno, "--root: open %s: %s", g->root, strerror(errno));
	if (json && !opts.quiet) {
		doc = yyjson_mut_doc_new(NULL);
		list = yyjson_mut_arr(doc);
		yyjson_mut_doc_set_root(doc, list);
	} else if (!opts.quiet) {
		printf(LIST_HEAD, "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	}
	for (int i = 0; i < n; i++) {
		show(g, names[i]->d_name, opts.quiet, doc, list);
		free(names[i]);
	}
	free((void *)names);
	if (doc) {
		char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);

		puts(text ? text : "[]");
		free(text);
	}
	yyjson_mut_doc_free(doc);
	return 0;
}
