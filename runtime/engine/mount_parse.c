#include "runtime/engine/mount_parse.h"

#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const kind_names[] = {
	[MOUNT_KIND_BIND] = "bind",
	[MOUNT_KIND_VOLUME] = "volume",
	[MOUNT_KIND_TMPFS] = "tmpfs",
	[MOUNT_KIND_IMAGE] = "image",
};

#define KINDS (sizeof(kind_names) / sizeof(kind_names[0]))

const char *mount_kind_name(enum mount_kind kind)
{
	return kind_names[kind];
}

static const char *out_of_memory = "out of memory";

const char *mount_clean_path(struct arena *arena, const char *path)
{
	char *out = arena_alloc(arena, strlen(path) + 2);
	size_t len = 0;

	if (!out)
		return NULL;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && path[0] == '.' && path[1] == '.') {
			while (len > 0 && out[--len] != '/')
				;
		} else if (part && !(part == 1 && path[0] == '.')) {
			out[len++] = '/';
			memcpy(out + len, path, part);
			len += part;
		}
		path += part + (path[part] == '/');
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return out;
}

bool mount_path_is_local(const char *path)
{
	int depth = 0;

	if (!path[0] || path[0] == '/')
		return false;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 2 && path[0] == '.' && path[1] == '.')
			depth--;
		else if (part && !(part == 1 && path[0] == '.'))
			depth++;
		if (depth < 0)
			return false;
		path += part + (path[part] == '/');
	}
	return true;
}

/* The words between the commas of a mode: of each class at most one. */
enum mode_class { MODE_ACCESS, MODE_LABEL, MODE_PROPAGATION, MODE_COPY, MODE_CONSISTENCY, MODES };

static const struct mode_word {
	const char *word;
	enum mode_class class;
} mode_words[] = {
	{"ro", MODE_ACCESS},
	{"rw", MODE_ACCESS},
	{"z", MODE_LABEL},
	{"Z", MODE_LABEL},
	{"shared", MODE_PROPAGATION},
	{"rshared", MODE_PROPAGATION},
	{"slave", MODE_PROPAGATION},
	{"rslave", MODE_PROPAGATION},
	{"private", MODE_PROPAGATION},
	{"rprivate", MODE_PROPAGATION},
	{"nocopy", MODE_COPY},
	{"consistent", MODE_CONSISTENCY},
	{"cached", MODE_CONSISTENCY},
	{"delegated", MODE_CONSISTENCY},
};

#define MODE_WORDS (sizeof(mode_words) / sizeof(mode_words[0]))

static const struct mode_word *find_mode(const char *word, size_t len)
{
	for (size_t i = 0; i < MODE_WORDS; i++)
		if (strlen(mode_words[i].word) == len && memcmp(mode_words[i].word, word, len) == 0)
			return &mode_words[i];
	return NULL;
}

static bool is_propagation(const char *word)
{
	const struct mode_word *m = find_mode(word, strlen(word));

	return m && m->class == MODE_PROPAGATION;
}

/* Fill what a mode says; false when it is none. */
static bool parse_mode(const char *mode, struct mount_wish *ret)
{
	bool seen[MODES] = {false};

	while (*mode) {
		size_t len = strcspn(mode, ",");
		const struct mode_word *m = find_mode(mode, len);

		if (!m || seen[m->class] || (mode[len] && !mode[len + 1]))
			return false;
		seen[m->class] = true;
		if (strcmp(m->word, "ro") == 0)
			ret->writable = false;
		else if (m->class == MODE_COPY)
			ret->copy = false;
		else if (m->class == MODE_PROPAGATION)
			ret->propagation = m->word;
		mode += len + (mode[len] == ',');
	}
	return true;
}

static int bad(const struct mount_wish *w, const char *what, const char *value, struct err *e)
{
	return err_set(e, EINVAL, "invalid mount config for type \"%s\": %s%.300s",
		kind_names[w->kind], what, value);
}

/* @ret: destination filled, cleaned. @shown: the type in an error */
static int check_destination(
	struct arena *arena, const char *target, struct mount_wish *ret, struct err *e)
{
	const char *clean = mount_clean_path(arena, target);

	if (!clean)
		return err_set(e, ENOMEM, "%s", out_of_memory);
	if (!target[0])
		return bad(ret, "field Target must not be empty", "", e);
	if (strcmp(clean, "/") == 0)
		return bad(ret, "invalid specification: destination can't be '/'", "", e);
	if (target[0] != '/')
		return err_set(e, EINVAL,
			"invalid mount config for type \"%s\": invalid mount path: '%.200s' mount "
			"path must be absolute",
			kind_names[ret->kind], target);
	ret->destination = clean;
	return 0;
}

int mount_check_tmpfs(const char *destination, struct err *e)
{
	struct mount_wish w = {.kind = MOUNT_KIND_TMPFS};
	struct arena arena = {0};
	int r = check_destination(&arena, destination, &w, e);

	arena_free(&arena);
	return r;
}

int mount_parse_bind(struct arena *arena, const char *text, const char *driver,
	struct mount_wish *ret, struct err *e)
{
	size_t first = strcspn(text, ":");
	const char *second = text[first] ? text + first + 1 : NULL;
	const char *mode = second ? strchr(second, ':') : NULL;
	struct mount_wish w = {.mode = "", .propagation = "", .driver = "", .writable = true};
	const char *source = arena_strndup(arena, text, first);
	const char *target = second ? arena_strndup(arena, second,
					      mode ? (size_t)(mode - second) : strlen(second))
				    : source;
	struct mount_wish unused = w;
	int r;

	if (!source || !target)
		return err_set(e, ENOMEM, "%s", out_of_memory);
	/* A mode behind a destination alone is none: "/foo:rw". */
	if (!source[0] || (mode && strchr(mode + 1, ':')) ||
		(second && !mode && parse_mode(target, &unused)))
		return err_set(e, EINVAL, "invalid volume specification: '%.300s'", text);
	w.copy = true;
	w.source = second ? source : "";
	w.mode = mode ? mode + 1 : "";
	w.kind = w.source[0] == '/' ? MOUNT_KIND_BIND : MOUNT_KIND_VOLUME;
	if (!parse_mode(w.mode, &w))
		return err_set(e, EINVAL, "invalid mode: %.200s", w.mode);
	r = check_destination(arena, target, &w, e);
	if (r == 0 && w.kind == MOUNT_KIND_VOLUME && w.propagation[0])
		r = bad(&w, "field BindOptions must not be specified", "", e);
	if (r < 0)
		return err_wrap(e, "invalid volume specification: '%.200s'", text);
	if (w.kind == MOUNT_KIND_BIND) {
		w.copy = false;
		w.make_source = true;
		w.source = mount_clean_path(arena, w.source);
		if (!w.source)
			return err_set(e, ENOMEM, "%s", out_of_memory);
		if (!w.propagation[0])
			w.propagation = "rprivate";
	} else {
		w.driver = driver;
	}
	*ret = w;
	return 0;
}

static bool has(yyjson_val *spec, const char *key)
{
	return yyjson_obj_size(yyjson_obj_get(spec, key)) > 0;
}

/* Options of another type. */
static int check_extra(const struct mount_wish *w, yyjson_val *spec, struct err *e)
{
	static const struct {
		const char *key;
		enum mount_kind kind;
	} own[] = {{"BindOptions", MOUNT_KIND_BIND}, {"VolumeOptions", MOUNT_KIND_VOLUME},
		{"ImageOptions", MOUNT_KIND_IMAGE}, {"TmpfsOptions", MOUNT_KIND_TMPFS}};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (w->kind != own[i].kind && has(spec, own[i].key))
			return err_set(e, EINVAL,
				"invalid mount config for type \"%s\": field %s must not be "
				"specified",
				kind_names[w->kind], own[i].key);
	return 0;
}

static int read_bind(struct arena *arena, yyjson_val *spec, struct mount_wish *w, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(spec, "BindOptions");
	const char *propagation = spec_str(options, "Propagation");
	bool non_recursive = yyjson_get_bool(yyjson_obj_get(options, "ReadOnlyNonRecursive"));
	bool forced = yyjson_get_bool(yyjson_obj_get(options, "ReadOnlyForceRecursive"));
	struct stat st;

	if (!w->source[0])
		return bad(w, "field Source must not be empty", "", e);
	if (propagation[0] && !is_propagation(propagation))
		return bad(w, "invalid propagation mode: ", propagation, e);
	if (w->source[0] != '/')
		return err_set(e, EINVAL,
			"invalid mount config for type \"bind\": invalid mount path: '%.200s' "
			"mount path must be absolute",
			w->source);
	if (non_recursive && forced)
		return bad(w,
			"mount options conflict: ReadOnlyNonRecursive && "
			"ReadOnlyForceRecursive",
			"", e);
	w->propagation = propagation[0] ? propagation : "rprivate";
	w->make_source = yyjson_get_bool(yyjson_obj_get(options, "CreateMountpoint"));
	w->source = mount_clean_path(arena, w->source);
	if (!w->source)
		return err_set(e, ENOMEM, "%s", out_of_memory);
	if (!w->make_source && stat(w->source, &st) < 0)
		return bad(w, "bind source path does not exist: ", w->source, e);
	return 0;
}

static int read_volume(struct arena *arena, yyjson_val *spec, struct mount_wish *w, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(spec, "VolumeOptions");
	const char *subpath = spec_str(options, "Subpath");

	(void)arena;
	if (subpath[0] && !w->source[0])
		return bad(w, "must not set Subpath when using anonymous volumes", "", e);
	if (subpath[0] && !mount_path_is_local(subpath))
		return bad(w, "subpath must be a relative path within the volume", "", e);
	if (!w->writable && !w->source[0])
		return bad(w, "must not set ReadOnly mode when using anonymous volumes", "", e);
	w->driver = spec_str(yyjson_obj_get(options, "DriverConfig"), "Name");
	w->copy = !yyjson_get_bool(yyjson_obj_get(options, "NoCopy"));
	return 0;
}

static int read_tmpfs(struct arena *arena, yyjson_val *spec, struct mount_wish *w, struct err *e)
{
	yyjson_val *given = yyjson_obj_get(yyjson_obj_get(spec, "TmpfsOptions"), "Options");
	yyjson_val *item;
	size_t i, n;

	(void)arena;
	if (w->source[0])
		return bad(w, "field Source must not be specified", "", e);
	yyjson_arr_foreach (given, i, n, item) {
		const char *word = yyjson_get_str(yyjson_arr_get(item, 0));

		if (yyjson_arr_size(item) != 1 && yyjson_arr_size(item) != 2)
			return bad(w, "invalid option array length", "", e);
		if (!word || yyjson_arr_size(item) != 1 ||
			(strcmp(word, "exec") != 0 && strcmp(word, "noexec") != 0))
			return bad(w, "invalid option: ", word ? word : "", e);
	}
	return 0;
}

static int read_image(struct arena *arena, yyjson_val *spec, struct mount_wish *w, struct err *e)
{
	const char *subpath = spec_str(yyjson_obj_get(spec, "ImageOptions"), "Subpath");

	(void)arena;
	if (!w->source[0])
		return bad(w, "field Source must not be empty", "", e);
	if (subpath[0] && !mount_path_is_local(subpath))
		return bad(w, "subpath must be a relative path within the image", "", e);
	w->writable = false;
	return 0;
}

int mount_parse_spec(struct arena *arena, yyjson_val *spec, struct mount_wish *ret, struct err *e)
{
	static int (*const readers[KINDS])(
		struct arena *, yyjson_val *, struct mount_wish *, struct err *) = {
		[MOUNT_KIND_BIND] = read_bind,
		[MOUNT_KIND_VOLUME] = read_volume,
		[MOUNT_KIND_TMPFS] = read_tmpfs,
		[MOUNT_KIND_IMAGE] = read_image,
	};
	const char *type = spec_str(spec, "Type");
	struct mount_wish w = {.mode = "",
		.propagation = "",
		.driver = "",
		.source = spec_str(spec, "Source"),
		.writable = !yyjson_get_bool(yyjson_obj_get(spec, "ReadOnly")),
		.spec = spec};
	size_t kind = 0;
	int r;

	while (kind < KINDS && strcmp(type, kind_names[kind]) != 0)
		kind++;
	if (kind == KINDS)
		return err_set(e, EINVAL,
			"invalid mount config for type \"%.32s\": mount type unknown", type);
	w.kind = (enum mount_kind)kind;
	r = check_destination(arena, spec_str(spec, "Target"), &w, e);
	if (r == 0)
		r = check_extra(&w, spec, e);
	if (r == 0)
		r = readers[kind](arena, spec, &w, e);
	if (r == 0)
		*ret = w;
	return r;
}

int mount_parse_from(struct arena *arena, const char *text, const char **ret_container,
	bool *ret_writable, struct err *e)
{
	static const char *const modes[] = {"", "rw", "z", "Z", "ro"};
	size_t len = strcspn(text, ":");
	const char *mode = text[len] ? text + len + 1 : "";

	if (!len)
		return err_set(e, EINVAL, "invalid volumes-from specification: %.200s", text);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(mode, modes[i]) != 0)
			continue;
		*ret_writable = strcmp(mode, "ro") != 0;
		*ret_container = arena_strndup(arena, text, len);
		return *ret_container ? 0 : err_set(e, ENOMEM, "%s", out_of_memory);
	}
	return err_set(e, EINVAL, "invalid mode: %.200s", mode);
}
