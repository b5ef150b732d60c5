#include "runtime/engine/log_options.h"

#include "runtime/engine/limits.h"
#include "runtime/engine/logfile.h"
#include "runtime/engine/spec.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

const char *const log_driver_names[] = {
	[LOG_DRIVER_NONE] = "none",
	[LOG_DRIVER_JSON_FILE] = "json-file",
	[LOG_DRIVER_LOCAL] = "local",
	[LOG_DRIVERS] = NULL,
};

/* Docker's, for the driver local */
#define LOCAL_SIZE_MAX 20000000u
#define LOCAL_FILES 5u

/* "10m": go-units' decimal sizes, as Docker reads them here. Returns 0 or -EINVAL. */
static int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "kmgt";
	char *end;
	double size = strtod(text, &end);

	/* what strtod takes beyond digits and a point is no size */
	if (end == text || strspn(text, "0123456789.") != (size_t)(end - text))
		return -EINVAL;
	while (*end == ' ')
		end++;
	if (*end) {
		const char *unit = strchr(units, *end | 0x20);

		if (unit) {
			for (const char *u = units; u <= unit; u++)
				size *= 1000;
			end++;
		}
		if (*end == 'b' || *end == 'B')
			end++;
	}
	if (*end || size < 1 || size > (double)INT64_MAX / 2)
		return -EINVAL;
	*ret = (uint64_t)size;
	return 0;
}

static int read_size(const char *value, struct log_options *o, struct err *e)
{
	if (strcmp(value, "-1") == 0 && o->driver == LOG_DRIVER_JSON_FILE) {
		o->size_max = 0;
		return 0;
	}
	return parse_size(value, &o->size_max) < 0
		       ? err_set(e, EINVAL, "max-size: \"%.64s\" is no size like 10m", value)
		       : 0;
}

static int read_files(const char *value, struct log_options *o, struct err *e)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (*end || end == value || n > LOG_FILES_MAX)
		return err_set(e, EINVAL, "max-file: \"%.64s\" is no number up to %d", value,
			LOG_FILES_MAX);
	if (n < 1)
		return err_set(e, EINVAL, "max-file cannot be less than 1");
	o->files = (unsigned)n;
	return 0;
}

/* local says nothing about what its files look like; what was asked for in a json-file must be. */
static int read_compress(const char *value, struct log_options *o, struct err *e)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return err_set(e, EINVAL, "compress: \"%.64s\" is neither true nor false", value);
	if (strcmp(value, "true") == 0 && o->driver == LOG_DRIVER_JSON_FILE)
		return err_set(e, ENOTSUP, "compress: compressed log files are not served");
	return 0;
}

/*
 * A file takes what a container writes as fast as the disk does, so nothing is dropped in either
 * mode and the buffer of a non-blocking one has nothing to hold.
 */
static int read_mode(const char *value, struct log_options *o, struct err *e)
{
	(void)o;
	return strcmp(value, "blocking") == 0 || strcmp(value, "non-blocking") == 0
		       ? 0
		       : err_set(e, EINVAL, "mode: \"%.64s\" is neither blocking nor non-blocking",
				 value);
}

static int read_buffer_size(const char *value, struct log_options *o, struct err *e)
{
	uint64_t size;

	(void)o;
	return parse_size(value, &size) < 0
		       ? err_set(e, EINVAL, "max-buffer-size: \"%.64s\" is no size like 4m", value)
		       : 0;
}

static int read_regex(const char *value, struct log_options *o, struct err *e)
{
	regex_t regex;

	(void)o;
	if (regcomp(&regex, value, REG_EXTENDED | REG_NOSUB))
		return err_set(e, EINVAL, "\"%.128s\" is no regular expression", value);
	regfree(&regex);
	return 0;
}

static const struct {
	const char *name;
	size_t len;
} tag_fields[] = {
#define FIELD(name)                                                                                \
	{                                                                                          \
		name, sizeof(name) - 1                                                             \
	}
	FIELD("{{.ID}}"),
	FIELD("{{.FullID}}"),
	FIELD("{{.Name}}"),
	FIELD("{{.ImageID}}"),
	FIELD("{{.ImageFullID}}"),
	FIELD("{{.ImageName}}"),
	FIELD("{{.DaemonName}}"),
#undef FIELD
};
#define TAG_FIELDS (sizeof(tag_fields) / sizeof(tag_fields[0]))

/* The field that @text begins with, or TAG_FIELDS. */
static size_t tag_field(const char *text)
{
	size_t i = 0;

	while (i < TAG_FIELDS && strncmp(text, tag_fields[i].name, tag_fields[i].len) != 0)
		i++;
	return i;
}

static int read_tag(const char *value, struct log_options *o, struct err *e)
{
	(void)o;
	for (const char *at = value; (at = strstr(at, "{{")); at += 2)
		if (tag_field(at) == TAG_FIELDS)
			return err_set(e, EINVAL,
				"tag: \"%.64s\" is none of {{.ID}}, {{.FullID}}, {{.Name}}, "
				"{{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}, {{.DaemonName}}",
				at);
	return 0;
}

static const struct {
	const char *name;
	/* of the value; NULL: any will do */
	int (*read)(const char *value, struct log_options *o, struct err *e);
} known[] = {
	{"max-size", read_size},
	{"max-file", read_files},
	{"compress", read_compress},
	{"mode", read_mode},
	{"max-buffer-size", read_buffer_size},
	{"labels", NULL},
	{"labels-regex", read_regex},
	{"env", NULL},
	{"env-regex", read_regex},
	{"tag", read_tag},
};

static int read_option(const char *name, yyjson_val *value, struct log_options *o, struct err *e)
{
	const char *text = yyjson_get_str(value);
	size_t i = 0;

	while (i < sizeof(known) / sizeof(known[0]) && strcmp(name, known[i].name) != 0)
		i++;
	/* none has options, but takes all of them: clients send the daemon's defaults along */
	if (o->driver == LOG_DRIVER_NONE)
		return 0;
	if (i == sizeof(known) / sizeof(known[0]))
		return err_set(e, EINVAL, "unknown log opt '%.64s' for %s log driver", name,
			log_driver_names[o->driver]);
	return known[i].read && text ? known[i].read(text, o, e) : 0;
}

int log_options_read(yyjson_val *log_config, struct log_options *ret, struct err *e)
{
	const char *type = spec_str(log_config, "Type");
	yyjson_val *options = yyjson_obj_get(log_config, "Config");
	yyjson_val *key, *value;
	size_t i, n;
	int r = 0;

	*ret = (struct log_options){.files = 1};
	while (ret->driver < LOG_DRIVERS && strcmp(type, log_driver_names[ret->driver]) != 0)
		ret->driver++;
	if (ret->driver == LOG_DRIVERS)
		return err_set(e, ENOTSUP,
			"HostConfig.LogConfig.Type: logger \"%.64s\" is not served", type);
	if (ret->driver == LOG_DRIVER_LOCAL) {
		ret->size_max = LOCAL_SIZE_MAX;
		ret->files = LOCAL_FILES;
	}
	if (!options)
		return 0;
	yyjson_obj_foreach (options, i, n, key, value)
		if (r == 0)
			r = read_option(yyjson_get_str(key), value, ret, e);
	return r;
}

struct attr {
	const char *key;
	size_t key_len;
	const char *value;
};

/* Whether @key is asked for: in the comma-separated @list, or by @regex (NULL: none). */
static bool is_asked_for(const char *key, size_t len, const char *list, const regex_t *regex)
{
	char name[LOG_ATTR_NAME_BYTES_MAX + 1];

	for (const char *word = list; *word;) {
		size_t n = strcspn(word, ",");

		if (n == len && memcmp(word, key, n) == 0)
			return true;
		word += n + (word[n] == ',');
	}
	if (!regex || len > LOG_ATTR_NAME_BYTES_MAX)
		return false;
	memcpy(name, key, len);
	name[len] = '\0';
	return regexec(regex, name, 0, NULL, 0) == 0;
}

struct attrs {
	struct attr v[LOG_ATTRS_MAX];
	size_t n;
};

static int add_attr(struct attrs *a, const char *key, size_t len, const char *value, struct err *e)
{
	if (a->n == LOG_ATTRS_MAX)
		return err_set(e, EINVAL, "LogConfig names more than %d attributes", LOG_ATTRS_MAX);
	a->v[a->n++] = (struct attr){key, len, value};
	return 0;
}

/* Labels ({"a": "b"}) or environment (["A=b"]) that the options @list and @list-regex ask for. */
static int collect(struct attrs *a, yyjson_val *options, const char *list, const char *list_regex,
	yyjson_val *from, struct err *e)
{
	const char *pattern = spec_str(options, list_regex);
	const char *names = spec_str(options, list);
	regex_t regex;
	bool by_regex = pattern[0] && regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0;
	yyjson_val *key, *value;
	size_t i, n;
	int r = 0;

	if (yyjson_is_obj(from)) {
		yyjson_obj_foreach (from, i, n, key, value)
			if (r == 0 && is_asked_for(yyjson_get_str(key), yyjson_get_len(key), names,
					      by_regex ? &regex : NULL))
				r = add_attr(a, yyjson_get_str(key), yyjson_get_len(key),
					yyjson_get_str(value), e);
	} else if (yyjson_is_arr(from)) {
		yyjson_arr_foreach (from, i, n, value) {
			const char *word = yyjson_get_str(value);
			const char *equals = word ? strchr(word, '=') : NULL;

			if (r == 0 && equals &&
				is_asked_for(word, (size_t)(equals - word), names,
					by_regex ? &regex : NULL))
				r = add_attr(a, word, (size_t)(equals - word), equals + 1, e);
		}
	}
	if (by_regex)
		regfree(&regex);
	return r;
}

static int add_tag(struct buf *ret, const char *tag, const struct log_subject *subject)
{
	const char *image = strchr(subject->image_id, ':');
	const struct {
		const char *text;
		size_t max;
	} values[TAG_FIELDS] = {
		{subject->id, 12},
		{subject->id, SIZE_MAX},
		{subject->name, SIZE_MAX},
		{image ? image + 1 : subject->image_id, 12},
		{subject->image_id, SIZE_MAX},
		{subject->image_name, SIZE_MAX},
		{"docker", SIZE_MAX},
	};
	int r = 0;

	while (*tag && r == 0) {
		size_t i = tag_field(tag);

		if (i < TAG_FIELDS) {
			r = buf_add(ret, values[i].text, strnlen(values[i].text, values[i].max));
			tag += tag_fields[i].len;
		} else {
			r = buf_add(ret, tag++, 1);
		}
	}
	return r < 0 ? r : buf_add(ret, "", 1);
}

static int by_key(const void *a, const void *b)
{
	const struct attr *x = a, *y = b;
	size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
	int r = memcmp(x->key, y->key, len);

	return r ? r : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static int print_attrs(struct buf *ret, const struct attrs *a)
{
	int r = buf_add_str(ret, "{");

	for (size_t i = 0; i < a->n && r == 0; i++) {
		const struct attr *one = &a->v[i];

		r = buf_add_str(ret, i ? ",\"" : "\"");
		if (r == 0)
			r = json_escape(ret, one->key, one->key_len);
		if (r == 0)
			r = buf_add_str(ret, "\":\"");
		if (r == 0 && one->value)
			r = json_escape(ret, one->value, strlen(one->value));
		if (r == 0)
			r = buf_add_str(ret, "\"");
	}
	return r < 0 ? r : buf_add_str(ret, "}");
}

int log_options_attrs(
	yyjson_val *log_config, const struct log_subject *subject, struct buf *ret, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(log_config, "Config");
	const char *tag = spec_str(options, "tag");
	AUTO_BUF struct buf tag_text = {0};
	struct attrs attrs = {.n = 0};
	int r = collect(&attrs, options, "labels", "labels-regex",
		yyjson_obj_get(subject->config, "Labels"), e);

	if (r == 0)
		r = collect(&attrs, options, "env", "env-regex",
			yyjson_obj_get(subject->config, "Env"), e);
	if (r == 0 && tag[0]) {
		r = add_tag(&tag_text, tag, subject);
		if (r == 0)
			r = add_attr(&attrs, "tag", 3, tag_text.v, e);
	}
	if (r == 0 && attrs.n) {
		qsort(attrs.v, attrs.n, sizeof(attrs.v[0]), by_key);
		r = print_attrs(ret, &attrs);
	}
	return r;
}
