/* update: change the limits of a container that is there. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/resources.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum value_kind {
	VALUE_NUMBER, /* may be negative: -1 takes a limit off */
	VALUE_BYTES,  /* as VALUE_NUMBER, with a unit: 64M, 1g, 512KiB */
	VALUE_TEXT,
};

/* One option, and the member of linux.resources that it is. */
static const struct flag {
	const char *name;
	const char *section;
	const char *key;
	enum value_kind kind;
	const char *help;
} flags[] = {
	{"blkio-weight", "blockIO", "weight", VALUE_NUMBER, "share of disk time, 10 to 1000"},
	{"cpu-period", "cpu", "period", VALUE_NUMBER, "µs that --cpu-quota is counted in"},
	{"cpu-quota", "cpu", "quota", VALUE_NUMBER, "µs of processor time in one period, -1: any"},
	{"cpu-burst", "cpu", "burst", VALUE_NUMBER, "µs that may be saved up from idle periods"},
	{"cpu-share", "cpu", "shares", VALUE_NUMBER, "share of processor time, 2 to 262144"},
	{"cpu-idle", "cpu", "idle", VALUE_NUMBER, "1: run only when nothing else does"},
	{"cpuset-cpus", "cpu", "cpus", VALUE_TEXT, "processors it may use, as 0-3,7"},
	{"cpuset-mems", "cpu", "mems", VALUE_TEXT, "memory nodes it may use"},
	{"memory", "memory", "limit", VALUE_BYTES, "bytes of memory, -1: any"},
	{"memory-reservation", "memory", "reservation", VALUE_BYTES,
		"bytes it keeps under pressure"},
	{"memory-swap", "memory", "swap", VALUE_BYTES, "bytes of memory and swap, -1: any"},
	{"pids-limit", "pids", "limit", VALUE_NUMBER, "number of processes, -1: any"},
};

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

struct update_options {
	const char *resources;
	const char *values[N_FLAGS];
};

static const struct option_spec other_specs[] = {
	{"resources", 'r', OPTION_STR, offsetof(struct update_options, resources),
		"file with linux.resources in JSON, - for standard input; no other option counts"},
	{"cpu-rt-period", 0, OPTION_REFUSE, 0, "cgroup v2 has no such limit"},
	{"cpu-rt-runtime", 0, OPTION_REFUSE, 0, "cgroup v2 has no such limit"},
	{"kernel-memory", 0, OPTION_REFUSE, 0, "cgroup v2 has no such limit"},
	{"kernel-memory-tcp", 0, OPTION_REFUSE, 0, "cgroup v2 has no such limit"},
	{"l3-cache-schema", 0, OPTION_REFUSE, 0, "is not supported: no Intel RDT"},
	{"mem-bw-schema", 0, OPTION_REFUSE, 0, "is not supported: no Intel RDT"},
};

#define N_OTHERS (sizeof(other_specs) / sizeof(other_specs[0]))

static int parse_options(char ***args, struct update_options *opts, struct err *e)
{
	static struct option_spec specs[N_FLAGS + N_OTHERS]; /* --help prints them later */

	for (size_t i = 0; i < N_FLAGS; i++)
		specs[i] = (struct option_spec){flags[i].name, 0, OPTION_STR,
			offsetof(struct update_options, values) + i * sizeof(char *),
			flags[i].help};
	memcpy(specs + N_FLAGS, other_specs, sizeof(other_specs));
	return options_parse_mixed(FIELDS(specs), *args, opts, args, e);
}

/* "64M", "64m", "64MB", "64MiB": all are binary, as in docker and runc. */
static int parse_bytes(const char *text, uint64_t *ret)
{
	char number[32];
	size_t len = strlen(text);

	if (len >= sizeof(number))
		return -ERANGE;
	if (len > 0 && strchr("bB", text[len - 1]))
		len--;
	if (len > 1 && text[len - 1] == 'i')
		len--;
	for (size_t i = 0; i < len; i++)
		number[i] = (char)toupper((unsigned char)text[i]);
	return num_parse_size(number, len, ret);
}

static int parse_value(const struct flag *f, const char *text, int64_t *ret, struct err *e)
{
	bool negative = text[0] == '-';
	const char *digits = text + negative;
	uint64_t n = 0;
	int r = f->kind == VALUE_BYTES ? parse_bytes(digits, &n)
				       : num_parse_u64(digits, strlen(digits), INT64_MAX, &n);

	if (r < 0 || n > INT64_MAX || (negative && n != 1))
		return err_set(e, EINVAL, "--%s: expected a %s, got \"%s\"", f->name,
			f->kind == VALUE_BYTES ? "number of bytes" : "number", text);
	*ret = negative ? -1 : (int64_t)n;
	return 0;
}

/* The options as linux.resources. */
static int resources_of_flags(
	const struct update_options *opts, yyjson_mut_doc *doc, yyjson_mut_val *res, struct err *e)
{
	for (size_t i = 0; i < N_FLAGS; i++) {
		const struct flag *f = &flags[i];
		yyjson_mut_val *section = yyjson_mut_obj_get(res, f->section);
		int64_t n;
		int r;

		if (!opts->values[i])
			continue;
		if (!section)
			section = yyjson_mut_obj_add_obj(doc, res, f->section);
		if (f->kind == VALUE_TEXT) {
			yyjson_mut_obj_add_str(doc, section, f->key, opts->values[i]);
			continue;
		}
		r = parse_value(f, opts->values[i], &n, e);
		if (r < 0)
			return r;
		yyjson_mut_obj_add_sint(doc, section, f->key, n);
	}
	return 0;
}

/* A file, or what comes through a pipe. @ret_buf: freed after the document */
static yyjson_doc *load_resources(const char *name, char **ret_buf, struct err *e)
{
	bool input = strcmp(name, "-") == 0;
	AUTO_CLOSE int fd = input ? fcntl(0, F_DUPFD_CLOEXEC, 3) : open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		err_set(e, errno, "--resources: open %s: %s", name, strerror(errno));
		return NULL;
	}
	*ret_buf = malloc(OCI_RESOURCES_BYTES_MAX + YYJSON_PADDING_SIZE);
	n = *ret_buf ? io_read_all(fd, *ret_buf, OCI_RESOURCES_BYTES_MAX) : -ENOMEM;
	if (n == OCI_RESOURCES_BYTES_MAX)
		n = -EFBIG;
	if (n < 0) {
		err_set(e, (int)-n, "--resources: read %s: %s", name, strerror((int)-n));
		return NULL;
	}
	return json_parse(*ret_buf, (size_t)n, input ? "standard input" : name, e);
}

/* Read a configuration that was put together here. */
static int parse_document(struct config *c, const yyjson_mut_doc *doc,
	void (*warn)(void *, const char *), size_t *ret_len, struct err *e)
{
	char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, ret_len);
	char *padded = text ? realloc(text, *ret_len + YYJSON_PADDING_SIZE) : NULL;

	if (!padded) {
		free(text);
		return err_set(e, ENOMEM, "out of memory");
	}
	return config_parse(c, padded, *ret_len, warn, NULL, e);
}

/* The member of an object, made when it is not there. */
static yyjson_mut_val *member(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key)
{
	yyjson_mut_val *val = yyjson_mut_obj_get(obj, key);

	return yyjson_mut_is_obj(val) ? val : yyjson_mut_obj_add_obj(doc, obj, key);
}

/* What is asked for, as a configuration of nothing else. */
static int read_change(const struct update_options *opts, struct config *change, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *linux_obj;
	yyjson_doc *file = NULL;
	char *text = NULL;
	size_t len;
	int r = 0;

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ociVersion", "1.2.0");
	linux_obj = yyjson_mut_obj_add_obj(doc, top, "linux");
	if (opts->resources) {
		file = load_resources(opts->resources, &text, e);
		r = file ? 0 : -e->code;
		yyjson_mut_obj_add_val(doc, linux_obj, "resources",
			yyjson_val_mut_copy(doc, yyjson_doc_get_root(file)));
	} else {
		r = resources_of_flags(
			opts, doc, yyjson_mut_obj_add_obj(doc, linux_obj, "resources"), e);
	}
	if (r == 0)
		r = parse_document(change, doc, oci_warn_unknown, &len, e);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(file);
	free(text);
	return r;
}

struct update {
	struct handle h;
	struct config change;
	struct config stored;
	struct config merged;
	char *text; /* of the merged configuration */
	size_t len;
};

static int merge(struct update *u, struct err *e)
{
	yyjson_mut_doc *doc;
	yyjson_val *change = yyjson_obj_get(yyjson_doc_get_root(u->change.doc), "linux");
	int r = config_load(&u->stored, u->h.dirfd, "config.json", NULL, NULL, e);

	if (r < 0)
		return r;
	doc = yyjson_doc_mut_copy(u->stored.doc, NULL);
	if (!doc)
		return err_set(e, ENOMEM, "out of memory");
	resources_merge(doc,
		member(doc, member(doc, yyjson_mut_doc_get_root(doc), "linux"), "resources"),
		yyjson_obj_get(change, "resources"));
	r = parse_document(&u->merged, doc, NULL, &u->len, e);
	/* Parsing is in place and has unescaped the first text. */
	u->text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &u->len);
	yyjson_mut_doc_free(doc);
	if (r == 0 && !u->text)
		r = err_set(e, ENOMEM, "out of memory");
	return r < 0 ? r : config_check_resources(&u->merged.resources, e);
}

/* All of it or nothing: a limit, the filter or the file that cannot be written takes the others
 * back. */
static int apply(const struct update *u, struct err *e)
{
	const struct config_resources *res = &u->change.resources;
	struct config_resources write = resources_to_write(res, &u->merged.resources);
	AUTO_CLOSE int root = cgroup_open_root();
	AUTO_CLOSE int cgroup = -1;
	struct cgroup_undo undo = {0};
	struct err ignored = {0};
	bool replaced = false;
	int r;

	if (root < 0 || !u->h.state.cgroup || !u->h.state.cgroup[0])
		return err_set(e, ENOENT, "container %s has no cgroup", u->h.state.id);
	/* It is there; a controller may be needed now that was not when it was made. */
	cgroup = cgroup_make(root, u->h.state.cgroup, &write, e);
	r = cgroup < 0 ? cgroup : cgroup_check_usage(cgroup, &write, e);
	if (r < 0)
		return r;
	r = cgroup_set_limits(cgroup, &write, &undo, e);
	if (r == 0 && res->n_devices) {
		r = cgroup_replace_devices(cgroup, &write, e);
		replaced = r == 0;
	}
	/* Later updates count from this file, and so does whoever looks. */
	if (r == 0)
		r = state_write_file(u->h.dirfd, "config.json", u->text, u->len, e);
	if (r < 0) {
		cgroup_undo_all(&undo, cgroup);
		if (replaced)
			(void)cgroup_replace_devices(cgroup, &u->stored.resources, &ignored);
	}
	cgroup_undo_free(&undo);
	return r;
}

static int update(struct update *u, const struct update_options *opts, struct err *e)
{
	int status = handle_status(&u->h, e);
	int r;

	if (status < 0)
		return status;
	if (status == STATUS_STOPPED || status == STATUS_CREATING)
		return err_set(e, ESRCH, "container %s not running", u->h.state.id);
	r = read_change(opts, &u->change, e);
	if (r == 0)
		r = merge(u, e);
	return r < 0 ? r : apply(u, e);
}

int cmd_update(const struct globals *g, char **args, struct err *e)
{
	struct update u = {.h = {.rootfd = -1, .dirfd = -1}};
	struct update_options opts = {0};
	int r = parse_options(&args, &opts, e);

	if (r == 0)
		r = args_count(args, 1, 1, "update [options] ID", e);
	if (r == 0)
		r = handle_open(&u.h, g, args[0], e);
	/* Else its cgroup could come back after a delete, or two updates be mixed. */
	if (r == 0)
		r = handle_lock(&u.h, args[0], e);
	if (r == 0)
		r = update(&u, &opts, e);
	free(u.text);
	config_free(&u.change);
	config_free(&u.stored);
	config_free(&u.merged);
	handle_close(&u.h);
	return r;
}
