#include "runtime/engine/volume_mount.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/mount_options.h"
#include "lib/util/newfs.h"

#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* words of one "o" */
#define WORDS_MAX 64

static const char *text_of(yyjson_val *options, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(options, key));

	return text ? text : "";
}

/* The words of "o": copies in the arena. */
static int split_words(struct arena *arena, const char *list, struct json_strv *ret, struct err *e)
{
	const char **v = arena_calloc(arena, WORDS_MAX + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	while (*list) {
		size_t len = strcspn(list, ",");

		if (n == WORDS_MAX)
			return err_set(e, EINVAL, "option \"o\" has more than %d words", WORDS_MAX);
		v[n] = arena_strndup(arena, list, len);
		if (!v[n++])
			return err_set(e, ENOMEM, "out of memory");
		list += len + (list[len] == ',');
	}
	*ret = (struct json_strv){v, n};
	return 0;
}

/* Whether /proc/filesystems lists it. */
static bool kernel_has(const char *type)
{
	FILE *f = fopen("/proc/filesystems", "re");
	char line[128];
	bool has = false;

	while (f && !has && fgets(line, sizeof(line), f)) {
		const char *name = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		has = name && strcmp(name + 1, type) == 0;
	}
	if (f)
		(void)fclose(f);
	return has;
}

static int check_known(const char *name, yyjson_val *options, struct err *e)
{
	static const char *const known[] = {"type", "o", "device", "size"};
	yyjson_val *key, *val;
	size_t i, n;

	yyjson_obj_foreach (options, i, n, key, val) {
		bool found = false;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			found |= yyjson_equals_str(key, known[k]);
		if (!found)
			return err_set(e, EINVAL, "create %.200s: invalid option: \"%.64s\"", name,
				yyjson_get_str(key));
	}
	return 0;
}

static int check_whole(const char *name, yyjson_val *options, struct err *e)
{
	static const struct {
		const char *given, *wanted;
	} pairs[] = {{"device", "type"}, {"type", "device"}, {"o", "device"}, {"o", "type"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (yyjson_obj_get(options, pairs[i].given) &&
			!yyjson_obj_get(options, pairs[i].wanted))
			return err_set(e, EINVAL, "create %.200s: missing required option: \"%s\"",
				name, pairs[i].wanted);
	return 0;
}

int volume_options_check(const char *name, yyjson_val *options, struct err *e)
{
	const char *type = text_of(options, "type");
	struct mount_options mo = {0};
	struct arena arena = {0};
	struct json_strv words;
	int r = 0;

	if (!options || !yyjson_is_obj(options))
		return 0;
	r = check_known(name, options, e);
	if (r == 0)
		r = check_whole(name, options, e);
	if (r == 0 && yyjson_obj_get(options, "size"))
		r = err_set(e, EINVAL, "create %.200s: quota size requested but no quota support",
			name);
	if (r == 0 && yyjson_obj_get(options, "type")) {
		r = split_words(&arena, text_of(options, "o"), &words, e);
		if (r < 0)
			err_wrap(e, "create %.200s", name);
		if (r == 0 && mount_options_parse(&arena, &words, &mo) < 0)
			r = err_set(e, ENOMEM, "out of memory");
		/* With o=bind the type says nothing. */
		if (r == 0 && !mo.bind && !kernel_has(type))
			r = err_set(e, EINVAL,
				"create %.200s: option \"type\": this kernel has no file system "
				"\"%.64s\"",
				name, type);
		arena_free(&arena);
	}
	return r;
}

static int failed(
	const struct volume *v, yyjson_val *options, int errnum, const char *why, struct err *e)
{
	return err_set(e, errnum,
		"failed to mount local volume: mount %.100s:%.100s%s%.64s: %s%s%.100s",
		text_of(options, "device"), v->name, yyjson_obj_get(options, "o") ? ", data: " : "",
		text_of(options, "o"), strerror(errnum), why[0] ? ": " : "", why);
}

/* A copy of the device's tree. Returns a detached mount. */
static int open_bind(const struct mount_options *mo, const char *device)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	AUTO_CLOSE int fd =
		sys_open_tree(AT_FDCWD, device, flags | (mo->recursive_bind ? AT_RECURSIVE : 0));
	const struct {
		const struct mount_change *change;
		unsigned at;
	} both[] = {{&mo->top, 0}, {&mo->all, AT_RECURSIVE}};

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++) {
		const struct mount_change *c = both[i].change;
		struct mount_attr attr = {
			.attr_set = c->set, .attr_clr = c->clear, .propagation = c->propagation};

		if ((c->set || c->clear || c->propagation) &&
			sys_mount_setattr(fd, "", both[i].at | AT_EMPTY_PATH, &attr, sizeof(attr)) <
				0)
			return -errno;
	}
	return TAKE_FD(fd);
}

/* A new file system. Returns a detached mount; @why gets the kernel's words. */
static int open_new(const struct mount_options *mo, const char *type, const char *device, char *why,
	size_t size)
{
	AUTO_CLOSE int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	int r = fs < 0 ? -errno : newfs_set(fs, "source", device);

	for (size_t i = 0; r == 0 && i < mo->data.n; i++)
		r = newfs_option(fs, type, mo->data.v[i]);
	if (r == 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r == 0) {
		r = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)mount_attributes(mo));
		r = r < 0 ? -errno : r;
	}
	if (r < 0 && fs >= 0)
		newfs_log(fs, why, size);
	return r;
}

int volume_options_mount(const struct volume *v, const char *path, struct err *e)
{
	yyjson_val *options = volume_options(v);
	struct mount_options mo = {0};
	struct arena arena = {0};
	struct json_strv words;
	AUTO_CLOSE int fd = -1;
	char why[256] = "";
	int r = split_words(&arena, text_of(options, "o"), &words, e);

	if (r == 0 && mount_options_parse(&arena, &words, &mo) < 0)
		r = err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		fd = mo.bind ? open_bind(&mo, text_of(options, "device"))
			     : open_new(&mo, text_of(options, "type"), text_of(options, "device"),
				       why, sizeof(why));
		r = fd < 0 ? fd : 0;
		if (r == 0 && sys_move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			r = -errno;
		if (r < 0)
			failed(v, options, -r, why, e);
	}
	arena_free(&arena);
	return r;
}
