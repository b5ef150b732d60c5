/* Options of run whose values have parts: volumes, mounts, ports. */
#include "lib/base/num.h"
#include "runtime/cli/format.h"
#include "runtime/cli/run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int run_take_volume(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t len = strcspn(value, ":");
	AUTO_BUF struct buf bind = {0};
	char source[PATH_MAX];

	run_begin(run);
	if (!value[0])
		return option_refuse(o, value, "invalid empty volume spec", e);
	if (!value[len]) {
		(void)yyjson_mut_obj_add_obj(
			run->doc, run_object(run, run->config, "Volumes"), value);
		return 0;
	}
	if (value[0] != '.') {
		run_append(run, run->host, "Binds", yyjson_mut_str(run->doc, value));
		return 0;
	}
	/* from where the user stands, which the engine cannot know */
	if (len >= sizeof(source))
		return option_refuse(o, value, strerror(ENAMETOOLONG), e);
	snprintf(source, sizeof(source), "%.*s", (int)len, value);
	if (buf_reserve(&bind, PATH_MAX) == NULL || !realpath(source, bind.v))
		return option_refuse(o, value, strerror(errno), e);
	bind.len = strlen(bind.v);
	if (buf_add_str(&bind, value + len) < 0)
		return err_set(e, ENOMEM, "no memory");
	run_append(run, run->host, "Binds", yyjson_mut_strncpy(run->doc, bind.v, bind.len));
	return 0;
}

enum mount_kind { MOUNT_TEXT, MOUNT_SWITCH, MOUNT_BYTES, MOUNT_OCTAL };

/* Words of --mount and where the API has them. */
static const struct mount_word {
	const char *word;
	const char *in; /* NULL: in the mount itself */
	const char *key;
	enum mount_kind kind;
} mount_words[] = {
	{"type", NULL, "Type", MOUNT_TEXT},
	{"source", NULL, "Source", MOUNT_TEXT},
	{"src", NULL, "Source", MOUNT_TEXT},
	{"target", NULL, "Target", MOUNT_TEXT},
	{"destination", NULL, "Target", MOUNT_TEXT},
	{"dst", NULL, "Target", MOUNT_TEXT},
	{"readonly", NULL, "ReadOnly", MOUNT_SWITCH},
	{"ro", NULL, "ReadOnly", MOUNT_SWITCH},
	{"bind-propagation", "BindOptions", "Propagation", MOUNT_TEXT},
	{"volume-nocopy", "VolumeOptions", "NoCopy", MOUNT_SWITCH},
	{"volume-subpath", "VolumeOptions", "Subpath", MOUNT_TEXT},
	{"image-subpath", "ImageOptions", "Subpath", MOUNT_TEXT},
	{"tmpfs-size", "TmpfsOptions", "SizeBytes", MOUNT_BYTES},
	{"tmpfs-mode", "TmpfsOptions", "Mode", MOUNT_OCTAL},
};

/* The value of a word as the API has it, or NULL. */
static yyjson_mut_val *mount_value(
	struct run *run, enum mount_kind kind, const char *text, size_t len)
{
	char copy[64];
	char *end;
	int64_t n;

	if (kind == MOUNT_TEXT)
		return text ? yyjson_mut_strncpy(run->doc, text, len) : NULL;
	if (kind == MOUNT_SWITCH && !text)
		return yyjson_mut_bool(run->doc, true);
	if (!text || len >= sizeof(copy))
		return NULL;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	if (kind == MOUNT_SWITCH) {
		bool on = strcmp(copy, "true") == 0 || strcmp(copy, "1") == 0;
		bool off = strcmp(copy, "false") == 0 || strcmp(copy, "0") == 0;

		return on || off ? yyjson_mut_bool(run->doc, on) : NULL;
	}
	if (kind == MOUNT_BYTES)
		return format_parse_bytes(copy, &n) < 0 ? NULL : yyjson_mut_sint(run->doc, n);
	n = strtol(copy, &end, 8);
	return *end || end == copy ? NULL : yyjson_mut_sint(run->doc, n);
}

static int put_mount_word(struct run *run, const struct option *o, yyjson_mut_val *mount,
	const char *word, size_t len, struct err *e)
{
	const char *equals = memchr(word, '=', len);
	size_t name = equals ? (size_t)(equals - word) : len;
	char why[128];

	for (size_t i = 0; i < N_OF(mount_words); i++) {
		const struct mount_word *w = &mount_words[i];
		yyjson_mut_val *value;

		if (strncmp(w->word, word, name) != 0 || w->word[name])
			continue;
		value = mount_value(
			run, w->kind, equals ? equals + 1 : NULL, equals ? len - name - 1 : 0);
		if (!value)
			break;
		(void)yyjson_mut_obj_put(w->in ? run_object(run, mount, w->in) : mount,
			yyjson_mut_str(run->doc, w->key), value);
		return 0;
	}
	snprintf(why, sizeof(why), "invalid field '%.*s'", (int)(len < 80 ? len : 80), word);
	return option_refuse(o, word, why, e);
}

int run_take_mount(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	yyjson_mut_val *mount;
	int r = 0;

	run_begin(run);
	mount = yyjson_mut_obj(run->doc);
	(void)yyjson_mut_obj_add_str(run->doc, mount, "Type", "volume");
	for (const char *at = value; r == 0;) {
		size_t len = strcspn(at, ",");

		r = put_mount_word(run, o, mount, at, len, e);
		if (!at[len])
			break;
		at += len + 1;
	}
	if (r == 0 && !yyjson_mut_obj_get(mount, "Target"))
		return option_refuse(o, value, "target is required", e);
	if (r == 0)
		run_append(run, run->host, "Mounts", mount);
	return r;
}

struct ports {
	unsigned first, last;
};

/* "80" or "8000-8010". */
static int parse_ports(const char *text, size_t len, struct ports *ret)
{
	const char *dash = memchr(text, '-', len);
	size_t first = dash ? (size_t)(dash - text) : len;
	uint64_t a, b;

	if (num_parse_u64(text, first, 65535, &a) < 0)
		return -EINVAL;
	b = a;
	if (dash && num_parse_u64(dash + 1, len - first - 1, 65535, &b) < 0)
		return -EINVAL;
	ret->first = (unsigned)a;
	ret->last = (unsigned)b;
	return a > b ? -EINVAL : 0;
}

/* "8080/udp", of the protocol that stands behind @spec's slash. */
static yyjson_mut_val *port_key(struct run *run, unsigned port, const char *slash)
{
	char key[32];

	snprintf(key, sizeof(key), "%u/%.16s", port, *slash ? slash + 1 : "tcp");
	return yyjson_mut_strcpy(run->doc, key);
}

static void expose(struct run *run, unsigned port, const char *slash)
{
	(void)yyjson_mut_obj_put(run_object(run, run->config, "ExposedPorts"),
		port_key(run, port, slash), yyjson_mut_obj(run->doc));
}

int run_take_expose(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t len = strcspn(value, "/");
	struct ports ports;

	if (parse_ports(value, len, &ports) < 0)
		return option_refuse(o, value, "invalid port", e);
	run_begin(run);
	for (unsigned port = ports.first; port <= ports.last; port++)
		expose(run, port, value + len);
	return 0;
}

static void bind_port(struct run *run, unsigned port, const char *slash, const char *ip,
	size_t ip_len, const char *host_port)
{
	yyjson_mut_val *all = run_object(run, run->host, "PortBindings");
	yyjson_mut_val *key = port_key(run, port, slash), *binding, *list;

	expose(run, port, slash);
	list = yyjson_mut_obj_get(all, yyjson_mut_get_str(key));
	if (!list) {
		list = yyjson_mut_arr(run->doc);
		(void)yyjson_mut_obj_add(all, key, list);
	}
	binding = yyjson_mut_obj(run->doc);
	(void)yyjson_mut_obj_add_strncpy(run->doc, binding, "HostIp", ip, ip_len);
	(void)yyjson_mut_obj_add_strcpy(run->doc, binding, "HostPort", host_port);
	(void)yyjson_mut_arr_append(list, binding);
}

/* The text of one host port: of a range that has as many as the container's the one at the same
 * place, else the range itself, of which the engine takes one. */
static void host_port(char buf[32], const char *text, size_t len, const struct ports *host,
	const struct ports *ports, unsigned port)
{
	if (len == 0)
		buf[0] = '\0';
	else if (host->last - host->first == ports->last - ports->first)
		snprintf(buf, 32, "%u", host->first + (port - ports->first));
	else
		snprintf(buf, 32, "%.*s", (int)(len < 31 ? len : 31), text);
}

int run_take_publish(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t end = strcspn(value, "/"), at, ip_len = 0, host_len = 0;
	const char *colon = end ? memrchr(value, ':', end) : NULL, *ip = value, *host = value;
	struct ports ports, hosts = {0};
	char text[32];

	at = colon ? (size_t)(colon + 1 - value) : 0;
	if (parse_ports(value + at, end - at, &ports) < 0)
		return option_refuse(o, value, "invalid containerPort", e);
	if (colon) {
		const char *second =
			colon > value ? memrchr(value, ':', (size_t)(colon - value)) : NULL;

		host = second ? second + 1 : value;
		host_len = (size_t)(colon - host);
		ip_len = second ? (size_t)(second - value) : 0;
	}
	if (ip_len > 1 && ip[0] == '[' && ip[ip_len - 1] == ']')
		ip++, ip_len -= 2;
	if (host_len > 0 && parse_ports(host, host_len, &hosts) < 0)
		return option_refuse(o, value, "invalid hostPort", e);
	if (host_len > 0 && ports.first != ports.last &&
		hosts.last - hosts.first != ports.last - ports.first)
		return option_refuse(o, value, "the ranges differ in length", e);
	run_begin(run);
	for (unsigned port = ports.first; port <= ports.last; port++) {
		host_port(text, host, host_len, &hosts, &ports, port);
		bind_port(run, port, value + end, ip, ip_len, text);
	}
	return 0;
}
